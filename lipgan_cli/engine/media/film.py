"""The face video as it is played: where its face is, and which frame shows who is speaking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media import faces
from lipgan_cli.engine.media.audio import SAMPLE_RATE, read_audio
from lipgan_cli.engine.media.blend import planes
from lipgan_cli.engine.media.detectors import FaceDetector
from lipgan_cli.engine.media.picture import Frame, luma
from lipgan_cli.engine.media.video import VideoInfo, probe, read_frames
from lipgan_cli.engine.progress import Progress

LARGEST_PHOTO = 1920
"""Longest side of a video made from a photo, in pixels: a camera's 6000 is no video size."""
BRIDGE_SECONDS = 0.2
"""A detector that misses a face for no longer than this has blinked: the face is there."""
FADE_SECONDS = 0.2
"""How fast the painted mouth comes and goes beside frames without a face."""
QUIET_SECONDS = 0.4
"""Window over which the quietest moment of the face video's own sound is looked for."""

Reader = Callable[[int], Iterator[Frame]]


@dataclass(frozen=True)
class Film:
    """The face video as it is played, and what was found in it."""

    info: VideoInfo
    read: Reader
    squares: NDArray[np.float64]  # (n, 3), NaN without a face
    opacity: NDArray[np.float64]  # (n,) of the painted mouth
    references: NDArray[np.int64]  # (n,) frame that shows the network who is speaking

    @property
    def length(self) -> int:
        return len(self.squares)


def open_face(path: Path) -> tuple[VideoInfo, Reader]:
    """Return the face video or photo, a photo at a video's size."""
    info = probe(path)
    if not info.photo:
        return info, lambda first: read_frames(info, first)
    photo = _shrunk(next(read_frames(info)), LARGEST_PHOTO)
    size = replace(info, width=photo.shape[1], height=photo.shape[0] * 2 // 3)
    return size, lambda first: islice((photo,), first, None)


def _shrunk(frame: Frame, longest: int) -> Frame:
    """Return an I420 frame whose sides are at most `longest`, even."""
    height, width = luma(frame).shape
    scale = min(1.0, longest / max(height, width))
    if scale == 1:
        return frame
    rows, columns = (max(2, round(side * scale / 2) * 2) for side in (height, width))
    sizes = ((columns, rows), (columns // 2, rows // 2), (columns // 2, rows // 2))
    smaller = [
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA).ravel()
        for plane, size in zip(planes(frame), sizes, strict=True)
    ]
    return np.concatenate(smaller).astype(np.uint8, copy=False).reshape(rows * 3 // 2, columns)


def watch(
    info: VideoInfo, read: Reader, frames: int, detector: FaceDetector, progress: Progress
) -> Film:
    """Find the face in as much of the film as the speech needs.

    Raises:
        InputError: there is no face, or no frame at all.
    """
    with progress.task("finding the face", min(frames, info.frames), "frames") as task:

        def seen() -> Iterator[Frame]:
            for frame in islice(read(0), frames):
                yield luma(frame)
                task.advance()

        boxes = faces.track(seen(), detector)
    if not len(boxes):
        raise InputError(f"{info.path} has no frame that can be decoded", "check that it plays")
    squares = _bridged(faces.squares(boxes, float(info.fps)), round(BRIDGE_SECONDS * info.fps))
    if np.isnan(squares).all():
        raise InputError(
            f"no face found in the {len(boxes)} frames of {info.path}",
            "give a face that looks at the camera, at least 80 pixels high",
        )
    return Film(
        info,
        read,
        squares,
        _opacity(np.isnan(squares[:, 2]), round(FADE_SECONDS * info.fps)),
        _references(squares, info),
    )


def _bridged(squares: NDArray[np.float64], longest: int) -> NDArray[np.float64]:
    """Return the squares with gaps of up to `longest` frames inside a run filled linearly."""
    filled = squares.copy()
    found = np.flatnonzero(~np.isnan(squares[:, 2]))
    for before, after in pairwise(found):
        same = squares[before, 2] == squares[after, 2]
        if same and 1 < after - before <= longest + 1:
            part = np.arange(1, after - before)[:, None] / (after - before)
            filled[before + 1 : after] = (1 - part) * squares[before] + part * squares[after]
    return filled


def _opacity(missing: NDArray[np.bool_], fade: int) -> NDArray[np.float64]:
    """Return how strong the painted mouth is in each frame: it fades beside missing faces."""
    gaps = np.flatnonzero(missing)
    if not len(gaps):
        return np.ones(len(missing))
    frames = np.arange(len(missing))
    next_gap = np.searchsorted(gaps, frames)
    after = np.abs(gaps[np.minimum(next_gap, len(gaps) - 1)] - frames)
    before = np.abs(frames - gaps[np.maximum(next_gap - 1, 0)])
    opacity: NDArray[np.float64] = np.minimum(before, after) / (fade + 1)
    return opacity.clip(0, 1)


def _references(squares: NDArray[np.float64], info: VideoInfo) -> NDArray[np.int64]:
    """Return for each frame the one of its run that shows the network who is speaking.

    One frame serves a whole run, so that the painted face does not change its looks: the quietest
    moment of the film's own sound, where the mouth is most likely closed, else the middle.
    """
    loudness = _loudness(info, len(squares))
    chosen = np.zeros(len(squares), np.int64)
    for run in _runs(squares, float(info.fps)):
        middle = len(run) // 2
        closest_first = run[np.argsort(np.abs(np.arange(len(run)) - middle), kind="stable")]
        chosen[run] = closest_first[np.argmin(loudness[closest_first])]
    return chosen


def _runs(squares: NDArray[np.float64], fps: float) -> list[NDArray[np.int64]]:
    """Return the frames with a face, split where another shot or another size begins."""
    found = np.flatnonzero(~np.isnan(squares[:, 2]))
    here, there = squares[found[:-1]], squares[found[1:]]
    moved = np.hypot(*(there - here)[:, :2].T) > faces.JUMP * here[:, 2] / faces.SCALE
    resized = here[:, 2] != there[:, 2]
    lost = np.diff(found) - 1 > faces.BRIDGED_SECONDS * fps
    return np.split(found, np.flatnonzero(moved | resized | lost) + 1)


def _loudness(info: VideoInfo, frames: int) -> NDArray[np.float64]:
    """Return the power of the film's own sound around each frame; zeros where it has none."""
    power = np.zeros(frames)
    if not info.has_audio:
        return power
    try:
        samples = read_audio(info.path, info.start, float(frames / info.fps) + QUIET_SECONDS)
    except InputError:  # a damaged sound track is no reason to refuse the picture
        return power
    half = QUIET_SECONDS / 2
    for frame in range(frames):
        moment = float(frame / info.fps)
        first, last = (round((moment + side) * SAMPLE_RATE) for side in (-half, half))
        heard = samples[max(first, 0) : max(last, 0)]
        power[frame] = float(np.dot(heard, heard)) / max(len(heard), 1)
    return power


def spans(missing: NDArray[np.bool_], fps: Fraction) -> tuple[tuple[float, float], ...]:
    """Return the spans of missing frames as (first second, second after the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]]).astype(np.int8)))
    times = [float(edge / fps) for edge in edges.tolist()]
    return tuple(zip(times[::2], times[1::2], strict=True))
