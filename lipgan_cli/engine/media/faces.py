"""Faces: following one person through a clip, and cutting steady crops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.detectors import (
    Box,
    FaceDetector,
    HogDetector,
    Luma,
    MmodDetector,
    as_bytes,
)

__all__ = [
    "CROP",
    "Box",
    "FaceDetector",
    "HogDetector",
    "MmodDetector",
    "cut",
    "region",
    "squares",
    "track",
]

CROP = 96  # pixels, the side of a face crop
SCALE = 1.10  # side of the square, in median box sides
DROP = 0.05  # how far the square's centre lies below the box's, in its own sides
KEY_INTERVAL = 12  # frames between detections
MOVED = 0.15  # box sides between two detections that call for a look in between
NEAR = 1.0  # box sides within which a face is still the same person
CUT = 30  # mean difference of two thumbnails, in grey levels, that tells another scene
THUMBNAIL = (32, 18)
JUMP = 0.5  # box sides from one frame to the next that break a run
BRIDGED_SECONDS = 0.5  # faces missing for longer break a run
SMOOTHING_SECONDS = 0.5  # window of the moving average over the centres

Rgb = NDArray[np.uint8]


def track(
    frames: Iterable[Luma],
    detector: FaceDetector,
    key_interval: int = KEY_INTERVAL,
    one_person: bool = False,
) -> NDArray[np.float64]:
    """Follow one person through the frames; return a box for each, (n, 4), NaN without a face.

    Faces are looked for on every `key_interval`-th frame, and in between by bisection where two
    looks disagree (found and lost, or moved); else boxes are interpolated. The first face is the
    largest one, and from then on the one near it; the largest again where the scene has changed or
    the person is long gone, unless `one_person` asks for nobody else. At most `key_interval` + 1
    frames are held.
    """
    follower = _Follower(detector, 2 * key_interval, one_person)
    boxes: list[Box | None] = []
    waiting: list[Luma] = []  # the last key frame and those after it
    for frame in frames:
        waiting.append(frame)
        if not boxes:
            boxes.append(follower.next(frame, 0))
        elif len(waiting) > key_interval:
            boxes += _between(waiting, boxes[-1], follower)
            waiting = waiting[-1:]
    if len(waiting) > 1:
        boxes += _between(waiting, boxes[-1], follower)
    missing = (np.nan,) * 4
    return np.array([missing if box is None else box for box in boxes], np.float64).reshape(-1, 4)


class _Follower:
    """Chooses the same person's face each time."""

    def __init__(self, detector: FaceDetector, patience: int, one_person: bool) -> None:
        self._one_person = one_person
        self._detector = detector
        self._patience = patience  # frames without the person before another one may be followed
        self._last: Box | None = None
        self._scene: Luma | None = None  # a thumbnail of the picture of the last box
        self._lost = 0  # frames since then

    def next(self, frame: Luma, frames_on: int) -> Box | None:
        """Return the person's face, `frames_on` frames after the last call."""
        found = _detected(self._detector, frame)
        scene = as_bytes(cv2.resize(frame, THUMBNAIL, interpolation=cv2.INTER_AREA))
        self._lost += frames_on
        box = _nearest(found, [self._last]) if self._last else None
        if box is None and found and self._may_choose(scene):
            box = max(found, key=_side)
        if box is not None:
            self._last, self._scene, self._lost = box, scene, 0
        return box

    def between(self, frame: Luma, before: Box | None, after: Box | None) -> Box | None:
        """Return the person's face in a frame between two, of which at least one has it."""
        return _nearest(_detected(self._detector, frame), [b for b in (before, after) if b])

    def _may_choose(self, scene: Luma) -> bool:
        """Return whether another face than the last one may be followed from here on."""
        if self._last is None:
            return True
        return not self._one_person and (self._lost > self._patience or self._cut(scene))

    def _cut(self, scene: Luma) -> bool:
        """Return whether the film has changed to another scene since the last box."""
        assert self._scene is not None
        return float(np.abs(scene.astype(int) - self._scene).mean()) > CUT


def _detected(detector: FaceDetector, frame: Luma) -> list[Box]:
    """Return the faces in a frame, sought at the quick size and where there is none at the next."""
    longest = max(frame.shape)
    quick, usual = min(longest, detector.sizes[0]), min(2 * longest, detector.sizes[1])
    found = detector.detect(frame, quick)
    if not found and usual > quick:
        found = detector.detect(frame, usual)
    return [face.box for face in found]


def _nearest(found: list[Box], known: Sequence[Box]) -> Box | None:
    """Return the face nearest to a known place of the person, or None if none is near it."""
    if not found:
        return None
    distance, box = min((_distance(box, place), box) for box in found for place in known)
    return box if distance <= NEAR else None


def _between(frames: Sequence[Luma], first: Box | None, follower: _Follower) -> list[Box | None]:
    """Return the boxes of frames[1:], given that of frames[0]."""
    last = follower.next(frames[-1], len(frames) - 1)
    boxes: list[Box | None] = [None] * len(frames)
    boxes[0], boxes[-1] = first, last
    _fill(frames, boxes, 0, len(frames) - 1, follower)
    return boxes[1:]


def _fill(
    frames: Sequence[Luma], boxes: list[Box | None], left: int, right: int, follower: _Follower
) -> None:
    """Fill the boxes between two looks, looking again in the middle where the two disagree."""
    if right - left < 2:
        return
    before, after = boxes[left], boxes[right]
    if before is None and after is None:
        return
    if before is not None and after is not None and _distance(before, after) <= MOVED:
        for index in range(left + 1, right):
            part = (index - left) / (right - left)
            boxes[index] = _blend(before, after, part)
        return
    middle = (left + right) // 2
    boxes[middle] = follower.between(frames[middle], before, after)
    _fill(frames, boxes, left, middle, follower)
    _fill(frames, boxes, middle, right, follower)


def _blend(before: Box, after: Box, part: float) -> Box:
    a, b, c, d = ((1 - part) * x + part * y for x, y in zip(before, after, strict=True))
    return a, b, c, d


def _side(box: Box) -> float:
    return (box[2] - box[0] + box[3] - box[1]) / 2


def _distance(one: Box, other: Box) -> float:
    """Return how far the centres lie apart, in box sides.

    Sizes are left out: HOG's jump between pyramid levels.
    """
    across = (one[0] + one[2] - other[0] - other[2]) / 2
    down = (one[1] + one[3] - other[1] - other[3]) / 2
    return float(np.hypot(across, down) / max(_side(one), _side(other), 1e-9))


def squares(
    boxes: NDArray[np.float64], fps: float, cuts: Sequence[int] | NDArray[np.int64] = ()
) -> NDArray[np.float64]:
    """Return the steady square to cut for every box: centre x, centre y, side; (n, 3) in pixels.

    Where boxes have a fifth column, the roll in degrees, there is a fourth: the smoothed roll. The
    side is 1.10 x the median box side of an unbroken run, the centre lies 0.05 sides below the
    smoothed box centre. NaN where there is no face. A run breaks at the first frame after a cut,
    where the face is missing for more than 0.5 s and where it jumps by more than half its side.
    """
    out = np.full((len(boxes), boxes.shape[1] - 1), np.nan)
    left, top, right, bottom, *rolls = boxes.T
    places = np.stack([(left + right) / 2, (top + bottom) / 2, *rolls], axis=1)
    sides = (right - left + bottom - top) / 2
    for run in _runs(places[:, :2], sides, fps, np.asarray(cuts)):
        side = SCALE * float(np.median(sides[run]))
        x, y, *turned = _smoothed(run, places[run], round(SMOOTHING_SECONDS * fps / 2)).T
        roll = np.radians(turned[0]) if turned else np.zeros(len(run))
        below = DROP * side * np.stack([np.sin(roll), np.cos(roll)], axis=1)
        out[run, :2] = np.stack([x, y], axis=1) + below
        out[run, 2] = side
        if turned:
            out[run, 3] = turned[0]
    return out


def _runs(
    centres: NDArray[np.float64],
    sides: NDArray[np.float64],
    fps: float,
    cuts: NDArray[np.int64],
) -> list[NDArray[np.int64]]:
    """Return the frame numbers with a face, one array per unbroken run."""
    found = np.flatnonzero(~np.isnan(sides))
    if not len(found):
        return []
    scenes = np.searchsorted(cuts, found, "right")
    missing = np.diff(found) - 1
    moved = np.hypot(*np.diff(centres[found], axis=0).T)
    broken = (
        (missing > BRIDGED_SECONDS * fps)
        | (moved > JUMP * sides[found[:-1]])
        | (np.diff(scenes) > 0)
    )
    return np.split(found, np.flatnonzero(broken) + 1)


def _smoothed(
    frames: NDArray[np.int64], centres: NDArray[np.float64], reach: int
) -> NDArray[np.float64]:
    """Return the mean over the frames within `reach`; near the ends fewer, equal on both sides."""
    out = np.empty_like(centres)
    for position, frame in enumerate(frames):
        near = min(reach, frame - frames[0], frames[-1] - frame)
        first = np.searchsorted(frames, frame - near, "left")
        last = np.searchsorted(frames, frame + near, "right")
        out[position] = centres[first:last].mean(axis=0)
    return out


def region(square: NDArray[np.float64]) -> tuple[int, int, int]:
    """Return a square as whole pixels: left, top, side. It may reach outside the picture."""
    side = max(1, round(float(square[2])))
    return round(float(square[0]) - side / 2), round(float(square[1]) - side / 2), side


def cut(frame: Rgb, square: NDArray[np.float64]) -> Rgb:
    """Return the square of an RGB picture as a (96, 96, 3) face crop.

    What lies outside the picture repeats its edge.
    """
    left, top, side = region(square)
    height, width = frame.shape[:2]
    rows = slice(min(max(top, 0), height - 1), max(min(top + side, height), 1))
    columns = slice(min(max(left, 0), width - 1), max(min(left + side, width), 1))
    inside: Rgb = frame[rows, columns]
    if inside.shape[:2] != (side, side):
        above, before = max(-top, 0), max(-left, 0)
        below = max(side - above - inside.shape[0], 0)
        after = max(side - before - inside.shape[1], 0)
        edge = cv2.BORDER_REPLICATE
        inside = as_bytes(cv2.copyMakeBorder(inside, above, below, before, after, edge))
        inside = inside[:side, :side]
    method = cv2.INTER_AREA if side >= CROP else cv2.INTER_CUBIC
    whole = np.ascontiguousarray(inside)
    return as_bytes(cv2.resize(whole, (CROP, CROP), interpolation=method))
