"""Looks: finding all faces in some of a film's frames, so that those between can be filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lipgan_cli.engine.media.detectors import Face, FaceDetector, Luma, upright
from lipgan_cli.engine.media.likeness import SAME, Likeness, likeness
from lipgan_cli.engine.media.picture import Frame, luma
from lipgan_cli.engine.media.roll import straightened

MOVED = 0.15  # box sides between two looks at a face that call for one in between
COVERED = 0.5  # box sides within which two found faces are one
SMALLEST = 80  # pixels of a face that the detectors find
NEAR_REACH = 2.4  # box sides of the square in which a known face is sought once more
NEAR_FACE = 110  # pixels of a face in that square
OTHERS = 16  # key frames from one search for smaller faces beside larger ones to the next
SMALLER = 0.67  # of the largest face's side: faces that are worth this search


@dataclass(frozen=True)
class Seen:
    """One face in one frame."""

    face: Face
    likeness: Likeness


@dataclass(frozen=True)
class Look:
    """What was found in one frame."""

    frame: int
    seen: tuple[Seen, ...]


class Searcher:
    """Finds the faces of one scene, harder where it is not known whom to expect."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._keys = 0  # key frames of this scene so far

    def key(self, frame: Frame, known: Sequence[Face]) -> list[Face]:
        """Return the faces in a scene's next key frame; `known` are those last seen."""
        number, self._keys = self._keys, self._keys + 1
        found = self.find(frame, known)
        quick, usual, most = _sizes(self._detector, luma(frame))
        overlooked = SMALLEST * max(luma(frame).shape) / quick
        worth = SMALLER * max((face.side for face in found), default=0.0) < overlooked
        if found and worth and usual > quick and number % OTHERS == 0:
            return _joined(found, self._detector.detect(luma(frame), usual))
        if not found and most > usual and number & (number - 1) == 0:  # 0, 1, 2, 4, 8: it is slow
            return self._detector.detect(luma(frame), most)
        return found

    def find(self, frame: Frame, known: Sequence[Face]) -> list[Face]:
        """Return the faces in a frame: looked for quickly, and more closely near known ones."""
        picture = luma(frame)
        quick, usual, _ = _sizes(self._detector, picture)
        found = _joined([], self._detector.detect(picture, quick))
        for face in known:
            if not _covered(face, found):
                found = _joined(found, self._near(picture, face))
        if not found and usual > quick:
            found = _joined([], self._detector.detect(picture, usual))
        return found

    def _near(self, picture: Luma, face: Face) -> list[Face]:
        """Return the faces near a known one, sought in an upright square of a good size."""
        side, size = NEAR_REACH * face.side, round(NEAR_REACH * NEAR_FACE)
        square = upright(picture, face.centre, face.roll, side, size)
        found = self._detector.detect(square, size)
        return [_in_picture(small, face, side / size, size / 2) for small in found]


def _in_picture(small: Face, known: Face, scale: float, middle: float) -> Face:
    """Return a face that was found in the upright square round a known one."""
    angle = np.radians(known.roll)
    across, down = ((at - middle) * scale for at in small.centre)
    x = known.centre[0] + float(np.cos(angle) * across + np.sin(angle) * down)
    y = known.centre[1] + float(np.cos(angle) * down - np.sin(angle) * across)
    half = small.side * scale / 2
    return Face((x - half, y - half, x + half, y + half), small.roll + known.roll)


def _sizes(detector: FaceDetector, picture: Luma) -> tuple[int, int, int]:
    """Return the sizes to search a picture at: never enlarged at first, and twice at most then."""
    own = max(picture.shape)
    quick, usual, most = detector.sizes
    return min(quick, own), min(usual, 2 * own), min(most, 2 * own)


def _covered(face: Face, found: Sequence[Face]) -> bool:
    return any(face.distance(other) < COVERED for other in found)


def _joined(found: Sequence[Face], more: Sequence[Face]) -> list[Face]:
    """Return the faces of both, each once; the earlier ones stand."""
    joined = list(found)
    for face in more:
        if not _covered(face, joined):
            joined.append(face)
    return joined


def looks_between(
    frames: Sequence[Frame], first: Look, searcher: Searcher, known: Sequence[Face]
) -> list[Look]:
    """Return the looks at frames[1:] that it takes, in order; `first` is that at frames[0].

    The last frame is looked at, and the middle wherever two looks do not show the same faces in
    about the same places.
    """
    last = _look(frames[-1], first.frame + len(frames) - 1, searcher.key(frames[-1], known))
    return [*_bisected(frames, first, last, searcher), last]


def first_look(frame: Frame, number: int, searcher: Searcher) -> Look:
    """Return the look at a scene's first frame."""
    return _look(frame, number, searcher.key(frame, ()))


def _bisected(frames: Sequence[Frame], before: Look, after: Look, searcher: Searcher) -> list[Look]:
    """Return the looks needed between those at the first and the last of the frames."""
    if len(frames) < 3 or _agree(before, after):
        return []
    middle = (len(frames) - 1) // 2
    known = _joined([seen.face for seen in before.seen], [seen.face for seen in after.seen])
    number = before.frame + middle
    look = _look(frames[middle], number, searcher.find(frames[middle], known))
    return [
        *_bisected(frames[: middle + 1], before, look, searcher),
        look,
        *_bisected(frames[middle:], look, after, searcher),
    ]


def _agree(before: Look, after: Look) -> bool:
    """Return whether two looks show the same faces in about the same places."""
    if len(before.seen) != len(after.seen):
        return False
    left = list(after.seen)
    for seen in before.seen:
        same = [other for other in left if _unmoved(seen, other)]
        if len(same) != 1:
            return False
        left.remove(same[0])
    return True


def _unmoved(one: Seen, other: Seen) -> bool:
    near = one.face.distance(other.face) <= MOVED
    return near and one.likeness.difference(other.likeness) <= SAME


def _look(frame: Frame, number: int, found: Sequence[Face]) -> Look:
    seen = (Seen(straightened(luma(frame), face), likeness(frame, face)) for face in found)
    return Look(number, tuple(seen))
