"""The seam: what shows where a painted face begins, and whole-picture scores miss.

All measures compare steps between neighbouring pixels across an outline, of the result with those
of its source at the same place: 1 is a seam that does not show, more is an edge, less a blur.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.mask import Place
from lipgan_cli.engine.media.picture import Frame, luma

Floats = NDArray[np.float64]
Box = tuple[int, int, int, int]
"""Left, top, right and bottom of a rectangle of pixels; the last two lie outside."""

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Weights of a mask on which its outlines are drawn: a fade has no one edge."""
SHIFTS = range(-2, 3)
"""Pixels by which the border of the face's square may be off."""
AROUND = 1 / 6
"""How far from that border a picture may begin to change, in sides of the square."""
FAINT = 0.5
"""Mean steps below are alike, in levels of 0..255."""


def seams(source: Frame, result: Frame, weight: NDArray[np.float32], place: Place) -> list[float]:
    """Return the steps across the outlines of a known mask, as shares of the source's.

    source, result: I420. weight: of the mask, (96, 96), in a square that lies in the picture whole.
    """
    left, top, side = place
    whole = np.zeros(luma(source).shape, np.float32)
    whole[top : top + side, left : left + side] = cv2.resize(weight, (side, side))
    outlines = [whole > level for level in LEVELS]
    return [_across(luma(result), line) / _across(luma(source), line) for line in outlines]


def _across(picture: Frame, inside: NDArray[np.bool_]) -> float:
    """Return the mean step between neighbours of which one lies inside: 0 of a flat picture."""
    grey = picture.astype(int)
    steps = [
        np.abs(np.diff(grey, axis=axis))[np.diff(inside.astype(int), axis=axis) != 0]
        for axis in (0, 1)
    ]
    return float(np.concatenate(steps).mean())


@dataclass
class _Steps:
    """Sums over frames with a square of one size, of the square and its surroundings."""

    frames: int
    source: tuple[Floats, Floats]  # between rows, between columns
    result: tuple[Floats, Floats]
    change: Floats


@dataclass(frozen=True)
class SeamMeter:
    """Measures the seam of a film of which source and result are known, but no mask.

    Two kinds of outlines are tried and the one that shows most counts: the border of the face's
    square, and the rectangle at whose sides the change from source to result begins, up to a sixth
    of the square away. Steps are means over all frames, so that noise and motion cancel out.
    """

    steps: dict[int, _Steps] = field(default_factory=dict)

    def add(self, source: Frame, result: Frame, place: Place) -> None:
        """Take in a frame: I420 of both, and the square of the face as `faces.region` gives it."""
        one, other = (_surroundings(luma(frame), place) for frame in (source, result))
        sums = self.steps.get(place[2]) or self.steps.setdefault(place[2], _nothing(len(one)))
        sums.frames += 1
        cv2.accumulate(cv2.absdiff(one, other), sums.change)
        for grey, (down, across) in ((one, sums.source), (other, sums.result)):
            cv2.accumulate(cv2.absdiff(grey[1:], grey[:-1]), down)
            cv2.accumulate(cv2.absdiff(grey[:, 1:], grey[:, :-1]), across)

    def value(self) -> float | None:
        """Return the seam, the mean over all frames; None before any."""
        if not self.steps:
            return None
        frames = [sums.frames for sums in self.steps.values()]
        seam = [_most(sums, side) for side, sums in self.steps.items()]
        return float(np.average(seam, weights=frames))


def _nothing(length: int) -> _Steps:
    def steps() -> tuple[Floats, Floats]:
        return np.zeros((length - 1, length)), np.zeros((length, length - 1))

    return _Steps(0, steps(), steps(), np.zeros((length, length)))


def _margin(side: int) -> int:
    return round(side * AROUND) + max(SHIFTS) + 1


def _surroundings(plane: Frame, place: Place) -> Frame:
    """Return the square of a plane and a margin around it; beyond the plane its edge goes on."""
    left, top, side = place
    margin = _margin(side)
    reach = np.arange(-margin, side + margin)
    rows, columns = (
        np.clip(start + reach, 0, length - 1)
        for start, length in zip((top, left), plane.shape, strict=True)
    )
    return plane[rows][:, columns]


def _most(sums: _Steps, side: int) -> float:
    first, last = _margin(side), _margin(side) + side
    boxes = [(first - k, first - k, last + k, last + k) for k in SHIFTS if side + 2 * k > 1]
    boxes.append(_beginning(sums.change, side))
    return max(_ratio(sums, box) for box in boxes)


def _ratio(sums: _Steps, box: Box) -> float:
    one, other = (max(_on(steps, box) / sums.frames, FAINT) for steps in (sums.source, sums.result))
    return other / one


def _on(steps: tuple[Floats, Floats], box: Box) -> float:
    """Return the mean of the steps across the sides of a rectangle."""
    left, top, right, bottom = box
    down, across = steps
    horizontal = down[[top - 1, bottom - 1], left:right]
    vertical = across[top:bottom, [left - 1, right - 1]]
    return float((horizontal.sum() + vertical.sum()) / (horizontal.size + vertical.size))


def _beginning(change: Floats, side: int) -> Box:
    """Return the rectangle at whose sides the change grows most from one pixel to the next."""
    quarter = slice(_margin(side) + side // 4, _margin(side) + side - side // 4)
    left, right = _jumps(change[quarter].mean(axis=0), side)
    top, bottom = _jumps(change[:, quarter].mean(axis=1), side)
    return left, top, right, bottom


def _jumps(profile: Floats, side: int) -> tuple[int, int]:
    """Return where a profile grows most near its first border, and falls most near its last."""
    reach = round(side * AROUND)
    growth = np.diff(profile)  # [i]: from i to i + 1
    near = slice(_margin(side) - 1 - reach, _margin(side) + reach)
    first = near.start + int(np.argmax(growth[near]))
    last = near.start + int(np.argmax(-growth[::-1][near]))
    return first + 1, len(growth) - last
