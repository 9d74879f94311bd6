"""The footage as it was seen: where the speaking face is, and which frames show who is speaking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media import faces
from lipgan_cli.engine.media.audio import SAMPLE_RATE
from lipgan_cli.engine.media.detectors import FaceDetector
from lipgan_cli.engine.media.footage import Footage
from lipgan_cli.engine.media.identity import Embedding, Identity
from lipgan_cli.engine.media.people import Choice, choose
from lipgan_cli.engine.media.picture import Frame
from lipgan_cli.engine.media.references import shortlists
from lipgan_cli.engine.media.tracks import Tracks, find_tracks
from lipgan_cli.engine.progress import Progress

FADE_SECONDS = 0.2
"""How fast the painted mouth comes and goes beside frames without a face."""
QUIET_SECONDS = 0.4
"""Window over which the quietest moments of the face video's own sound are looked for."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Film:
    """What was found in the footage, frame by frame."""

    squares: NDArray[np.float64]  # (n, 4) centre x, centre y, side, roll; NaN without a face
    opacity: NDArray[np.float64]  # (n,) of the painted mouth
    runs: Numbers  # (n,) which unbroken run of the face a frame belongs to, -1 without a face
    references: tuple[Numbers, ...]  # of each run: the frames that may show who is speaking
    cuts: Numbers  # first frame of each scene

    @property
    def frames(self) -> int:
        return len(self.squares)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which frames are without a face, (n,)."""
        return self.runs < 0


def find_faces(
    footage: Footage,
    frames: int,
    detector: FaceDetector,
    identity: Identity | None,
    progress: Progress,
) -> Tracks:
    """Follow the faces in the footage's first `frames` frames.

    Raises:
        InputError: there is no face, or no frame at all.
    """
    with progress.task("finding the face", frames, "frames") as task:

        def seen() -> Iterator[Frame]:
            for frame in islice(footage.read(0), frames):
                yield frame
                task.advance()

        tracks = find_tracks(seen(), detector, identity)
    path = footage.info.path
    if not tracks.frames:
        raise InputError(f"{path} has no frame that can be decoded", "check that it plays")
    if not tracks.tracks:
        raise InputError(
            f"no face found in the {tracks.frames} frames of {path}",
            "give a face that looks at the camera, at least 40 pixels high",
        )
    return tracks


def locate(
    footage: Footage, tracks: Tracks, choice: Choice, reference: Embedding | None = None
) -> Film:
    """Choose who speaks, and see where that face is.

    Raises:
        InputError: the chosen face is not there.
    """
    fps = footage.clock.fps
    boxes = choose(tracks, choice, (footage.info.width, footage.info.height), reference)
    squares = faces.squares(boxes, float(fps), tracks.cuts)
    squares = _bridged(squares, tracks.cuts, round(faces.BRIDGED_SECONDS * fps))
    runs = _runs(squares, tracks.cuts, float(fps))
    references = tuple(shortlists(_loudness(footage, len(squares)), runs))
    return film_of(squares, tracks.cuts, references, footage)


def film_of(
    squares: NDArray[np.float64], cuts: Numbers, references: tuple[Numbers, ...], footage: Footage
) -> Film:
    """Return the film of these squares, with what follows from them."""
    fps = footage.clock.fps
    number = np.full(len(squares), -1)
    for index, run in enumerate(_runs(squares, cuts, float(fps))):
        number[run] = index
    opacity = _opacity(number < 0, cuts, round(FADE_SECONDS * fps))
    return Film(squares, opacity, number, references, cuts)


def _bridged(squares: NDArray[np.float64], cuts: Numbers, longest: int) -> NDArray[np.float64]:
    """Return the squares with gaps of up to `longest` frames inside a run filled linearly."""
    filled = squares.copy()
    for before, after in pairwise(np.flatnonzero(~np.isnan(squares[:, 2])).tolist()):
        here, there = squares[before], squares[after]
        if 1 < after - before <= longest + 1 and _goes_on(here, there, before, after, cuts):
            part = np.arange(1, after - before)[:, None] / (after - before)
            filled[before + 1 : after] = (1 - part) * here + part * there
    return filled


def _goes_on(
    here: NDArray[np.float64], there: NDArray[np.float64], before: int, after: int, cuts: Numbers
) -> bool:
    """Return whether two frames with a face belong to one run."""
    moved = np.hypot(*(there - here)[:2]) > faces.JUMP * here[2] / faces.SCALE
    cut = np.searchsorted(cuts, before, "right") != np.searchsorted(cuts, after, "right")
    return not (moved or cut or here[2] != there[2])


def _runs(squares: NDArray[np.float64], cuts: Numbers, fps: float) -> list[Numbers]:
    """Return the frames with a face, split where another shot or another size begins."""
    found = np.flatnonzero(~np.isnan(squares[:, 2]))
    breaks = [
        place
        for place, (before, after) in enumerate(pairwise(found.tolist()), start=1)
        if after - before - 1 > faces.BRIDGED_SECONDS * fps
        or not _goes_on(squares[before], squares[after], before, after, cuts)
    ]
    return np.split(found, breaks)


def _opacity(missing: NDArray[np.bool_], cuts: Numbers, fade: int) -> NDArray[np.float64]:
    """Return how strong the painted mouth is in each frame.

    It fades beside frames without a face, but not across a cut.
    """
    opacity = np.ones(len(missing))
    for first, last in pairwise([*cuts.tolist(), len(missing)]):
        gaps = np.flatnonzero(missing[first:last])
        if not len(gaps):
            continue
        frames = np.arange(last - first)
        upcoming = np.searchsorted(gaps, frames)
        after = np.abs(gaps[np.minimum(upcoming, len(gaps) - 1)] - frames)
        before = np.abs(frames - gaps[np.maximum(upcoming - 1, 0)])
        opacity[first:last] = np.minimum(before, after) / (fade + 1)
    return opacity.clip(0, 1)


def _loudness(footage: Footage, frames: int) -> NDArray[np.float64]:
    """Return the power of the film's own sound around each frame; NaN where it has none."""
    begun = footage.clock.seconds(np.arange(frames))
    samples = footage.sound(float(begun[-1]) + QUIET_SECONDS)
    if samples is None:
        return np.full(frames, np.nan)
    total = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    edges = np.rint((begun[:, None] + np.array([-0.5, 0.5]) * QUIET_SECONDS) * SAMPLE_RATE)
    first, last = np.clip(edges, 0, len(samples)).astype(np.int64).T
    power: NDArray[np.float64] = (total[last] - total[first]) / np.maximum(last - first, 1)
    return power


def spans(flags: NDArray[np.bool_], footage: Footage) -> tuple[tuple[float, float], ...]:
    """Return the spans of true frames as (first second, second after the last) of the footage."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    clock = footage.clock
    times = (clock.ticks[np.minimum(edges, clock.frames)] * float(clock.base)).tolist()
    return tuple(zip(times[::2], times[1::2], strict=True))
