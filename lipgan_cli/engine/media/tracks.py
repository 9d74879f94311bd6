"""Tracks: following every face through a film, from cut to cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.detectors import FaceDetector
from lipgan_cli.engine.media.identity import Embedding, Identity
from lipgan_cli.engine.media.likeness import Likeness
from lipgan_cli.engine.media.linking import Linker, Path
from lipgan_cli.engine.media.looks import Searcher, Seen, first_look, looks_between
from lipgan_cli.engine.media.picture import Frame
from lipgan_cli.engine.media.scenes import scenes

EMBEDDING = 128  # numbers
KEY_INTERVAL = 12  # frames between detections
PASSING = 6  # frames: what is seen for less, beside other faces, is a fold, a hand or half a face


@dataclass(frozen=True, eq=False)
class Track:
    """One face that was followed through a scene."""

    scene: int  # number of the scene
    first: int  # number of the first frame
    boxes: NDArray[np.float64]  # (n, 5) left, top, right, bottom, roll; NaN while hidden
    best: int  # number of the frame that shows the face best
    looks: tuple[Likeness, ...]  # of different moments
    embedding: Embedding | None  # None where nobody was asked to identify it

    @property
    def last(self) -> int:
        """Number of the last frame."""
        return self.first + len(self.boxes) - 1

    @property
    def seen(self) -> NDArray[np.int64]:
        """Numbers of the frames in which the face is seen."""
        return self.first + np.flatnonzero(~np.isnan(self.boxes[:, 0]))


@dataclass(frozen=True, eq=False)
class Tracks:
    """All faces of a film."""

    frames: int
    cuts: NDArray[np.int64]  # (scenes,) first frame of each scene
    tracks: tuple[Track, ...]  # in order of their first frames, then from left to right


def find_tracks(
    frames: Iterable[Frame],
    detector: FaceDetector,
    identify: Identity | None = None,
    key_interval: int = KEY_INTERVAL,
) -> Tracks:
    """Follow every face through the I420 frames.

    Faces are looked for on every `key_interval`-th frame and on both sides of a cut, and in between
    by bisection where two looks disagree (found and lost, or moved); else boxes are interpolated. A
    face goes on where place and looks agree, and stops where two people cannot be told apart. About
    `key_interval` + 6 frames are held.
    """
    count = 0
    cuts: list[int] = []
    found: list[Track] = []
    scene: _Scene | None = None
    for frame, begins in scenes(frames):
        if begins:
            found += scene.tracks() if scene else []
            scene = _Scene(count, frame, detector, identify, key_interval)
            cuts.append(count)
        else:
            assert scene is not None
            scene.add(frame)
        count += 1
    found += scene.tracks() if scene else []
    cuts = sorted({*cuts, *_replaced(found)})
    parts = [part for track in found for part in _split(track, cuts)]
    parts.sort(key=lambda track: (track.first, track.boxes[0, 0]))
    return Tracks(count, np.array(cuts, np.int64), tuple(parts))


def _replaced(tracks: Sequence[Track]) -> set[int]:
    """Return the frames in which all faces give way to others at once.

    Nobody moves so fast: there was a cut between two pictures that are much alike but for that.
    """
    pairs = [(track.seen[:-1], track.seen[1:]) for track in tracks]
    going_on = {after for one, other in pairs for after in other[other - one == 1].tolist()}
    seen = {number for track in tracks for number in track.seen.tolist()}
    return {number for number in seen - going_on if number - 1 in seen}


def _split(track: Track, cuts: Sequence[int]) -> Iterator[Track]:
    """Yield the parts of a track between cuts, each in its scene."""
    scenes_of = np.searchsorted(cuts, track.seen, "right") - 1
    for scene in np.unique(scenes_of).tolist():
        seen = track.seen[scenes_of == scene]
        first, last = int(seen[0]), int(seen[-1])
        boxes = track.boxes[first - track.first : last + 1 - track.first]
        best = track.best if track.best in seen else first
        yield replace(track, scene=scene, first=first, boxes=boxes, best=best)


class _Scene:
    """Follows the faces between two cuts."""

    def __init__(
        self,
        first: int,
        frame: Frame,
        detector: FaceDetector,
        identify: Identity | None,
        key_interval: int,
    ) -> None:
        self._interval = key_interval
        self._identify = identify
        self._searcher = Searcher(detector)
        self._linker = Linker(key_interval)
        self._waiting = [frame]  # the last key frame and those after it
        self._look = first_look(frame, first, self._searcher)
        self._linker.link(self._look, self._embedder(frame))

    def add(self, frame: Frame) -> None:
        """Take the scene's next frame."""
        self._waiting.append(frame)
        if len(self._waiting) > self._interval:
            self._advance()

    def tracks(self) -> list[Track]:
        """Return the scene's tracks, after its last frame."""
        if len(self._waiting) > 1:
            self._advance()
        return [_track(path) for path in _lasting(self._linker.paths)]

    def _advance(self) -> None:
        known = self._linker.expected(self._look.frame)
        for look in looks_between(self._waiting, self._look, self._searcher, known):
            frame = self._waiting[look.frame - self._look.frame]
            self._linker.link(look, self._embedder(frame))
        self._look = look
        self._waiting = self._waiting[-1:]

    def _embedder(self, frame: Frame) -> Callable[[Seen], Embedding | None]:
        identify = self._identify
        return lambda seen: identify.embed(frame, seen.face) if identify else None


def _lasting(paths: Sequence[Path]) -> list[Path]:
    """Return the paths without those that pass beside others."""
    return [path for path in paths if path.span >= PASSING] or list(paths)


def _track(path: Path) -> Track:
    """Return a path with the frames between its looks filled, not yet in any scene."""
    first = path.places[0].frame
    boxes = np.full((path.span, 5), np.nan)
    for place in path.places:
        boxes[place.frame - first] = place.row
    for before, after in pairwise(path.places):
        if after.look == before.look + 1:  # else a look in between did not find the face
            part = np.linspace(0, 1, after.frame - before.frame + 1)[:, None]
            filled = before.row + part * (after.row - before.row)
            boxes[before.frame - first : after.frame - first + 1] = filled
    best = max(path.places, key=lambda place: place.quality)
    return Track(0, first, boxes, best.frame, tuple(path.gallery), path.embedding())


def pack(tracks: Tracks) -> dict[str, NDArray[Any]]:
    """Return tracks as arrays, to be kept."""
    every = tracks.tracks
    looks = [look for track in every for look in track.looks]
    nothing = np.full(3, np.nan, np.float32)
    unknown = np.full(EMBEDDING, np.nan)
    return {
        "film": np.array([tracks.frames]),
        "cuts": tracks.cuts,
        "counts": np.array(
            [
                (track.scene, track.first, track.best, len(track.boxes), len(track.looks))
                for track in every
            ]
        ).reshape(-1, 5),
        "boxes": np.concatenate([np.zeros((0, 5)), *(track.boxes for track in every)]),
        "patches": np.array([look.patch for look in looks]),
        "skins": np.array([look.skin for look in looks]),
        "chests": np.array([nothing if look.chest is None else look.chest for look in looks]),
        "embeddings": np.array(
            [unknown if track.embedding is None else track.embedding for track in every]
        ),
    }


def unpack(arrays: Mapping[str, NDArray[Any]]) -> Tracks:
    """Return the tracks that were packed."""
    looks = [
        Likeness.of(patch, skin, None if np.isnan(chest).any() else chest)
        for patch, skin, chest in zip(
            arrays["patches"], arrays["skins"], arrays["chests"], strict=True
        )
    ]
    found, box, look = [], 0, 0
    for counts, embedding in zip(arrays["counts"].tolist(), arrays["embeddings"], strict=True):
        scene, first, best, boxes, kept = counts
        found.append(
            Track(
                scene,
                first,
                arrays["boxes"][box : box + boxes],
                best,
                tuple(looks[look : look + kept]),
                None if np.isnan(embedding).any() else embedding,
            )
        )
        box, look = box + boxes, look + kept
    return Tracks(int(arrays["film"][0]), arrays["cuts"], tuple(found))
