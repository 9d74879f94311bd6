"""Scenes: where a film cuts from one picture to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.detectors import Luma, as_bytes
from lipgan_cli.engine.media.picture import Frame, luma

THUMBNAIL = (64, 36)  # columns, rows
SAMPLED = 256  # pixels of a row that a thumbnail is made of, at least
STILL = 6.0  # mean difference of thumbnails, in grey levels, up to which nothing is asked
TILES = (4, 3)  # pieces of the picture, across and down, that are sought in the other one
REACH = 9  # thumbnail pixels that a piece may move between two frames: a seventh of the width
STRANGE = 14.0  # grey levels (rms) from the likest place on: the piece is not in the other picture
NEW = 0.4  # share of the pieces that must be strange; a pan makes 0.25, other GRID clips 0.33 to 1
FLASH = 4  # frames that may look different before the scene goes on


def scenes(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Yield the frames, each with whether it begins a scene; the first one does.

    Up to five frames are held: a flash ends with the same scene that it began in.
    """
    waiting: list[tuple[Frame, Luma]] = []  # those that do not look like the scene
    last: Luma | None = None  # the scene's last proper picture
    for frame in chain(frames, (None,)):
        if frame is not None:
            waiting.append((frame, thumbnail(frame)))
        while waiting:
            flash = _flash(last, waiting)
            if last is not None and not flash and frame is not None and len(waiting) <= FLASH:
                break
            passed = max(flash, 1)
            last = waiting[passed - 1][1]
            yield from ((shown, not flash) for shown, _ in waiting[:passed])
            del waiting[:passed]


def _flash(last: Luma | None, waiting: Sequence[tuple[Frame, Luma]]) -> int:
    """Return how many frames it is until the scene is seen for the last time; 0 for no more."""
    for count in range(len(waiting), 0, -1):
        if last is not None and not differ(last, waiting[count - 1][1]):
            return count
    return 0


def thumbnail(frame: Frame) -> Luma:
    """Return the luma of an I420 frame as a (36, 64) picture."""
    step = max(1, frame.shape[1] // SAMPLED)  # to look at all pixels of a large frame takes long
    sampled = np.ascontiguousarray(luma(frame)[::step, ::step])
    return as_bytes(cv2.resize(sampled, THUMBNAIL, interpolation=cv2.INTER_AREA))


def differ(one: Luma, other: Luma) -> bool:
    """Return whether two thumbnails show different scenes, not one that moves.

    Under a pan or behind someone who moves, most pieces of a picture are in the other one, near.
    """
    if float(cv2.absdiff(one, other).mean()) <= STILL:
        return False
    place = np.pad(other, REACH, mode="edge").astype(np.float32)
    strange = [_residual(piece, place[rows, columns]) for piece, rows, columns in _pieces(one)]
    return float(np.mean(np.array(strange) > STRANGE)) >= NEW


def _pieces(picture: Luma) -> Iterator[tuple[NDArray[np.float32], slice, slice]]:
    """Yield the tiles, and where in the picture with its margin each may be found."""
    width, height = (size // count for size, count in zip(THUMBNAIL, TILES, strict=True))
    for top in range(0, THUMBNAIL[1], height):
        for left in range(0, THUMBNAIL[0], width):
            piece = picture[top : top + height, left : left + width].astype(np.float32)
            yield (
                piece,
                slice(top, top + height + 2 * REACH),
                slice(left, left + width + 2 * REACH),
            )


def _residual(piece: NDArray[np.float32], place: NDArray[np.float32]) -> float:
    """Return the smallest rms difference of a piece to any part of a place."""
    squares = cv2.matchTemplate(place, piece, cv2.TM_SQDIFF)
    return float(np.sqrt(max(float(squares.min()), 0.0) / piece.size))
