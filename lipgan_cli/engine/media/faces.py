"""Faces: the steady square of a face that is followed, and the crop in it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.detectors import as_bytes

CROP = 96  # pixels, the side of a face crop
SCALE = 1.10  # side of the square, in median box sides
DROP = 0.05  # how far the square's centre lies below the box's, in its own sides
JUMP = 0.5  # box sides from one frame to the next that break a run
BRIDGED_SECONDS = 0.5  # faces missing for longer break a run
SMOOTHING_SECONDS = 0.5  # window of the moving average over the centres

Rgb = NDArray[np.uint8]


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
