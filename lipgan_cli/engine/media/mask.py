"""Where a generated face stands in for the source's: masks in the pixels of a face crop."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.faces import CROP
from lipgan_cli.engine.media.landmarks import JAW, LIPS

Floats = NDArray[np.float32]
Points = NDArray[np.float64]  # (68, 2): x, y in crop pixels, the crop's corner is (0, 0)
Place = tuple[int, int, int]  # left, top, side of a square in pixels; may reach outside

# dlib's points of 185 frames of GRID's 14 speakers of training lie in our crops at (column, row;
# mean over speakers, with 95 % of the frames): tip of the nose 47.6, 43.1 (rows 36.9 to 49.7);
# under the nose 47.6, 51.6 (45.3 to 57.9); lips 34.2 to 61.7 (28.2 to 67.8) by 61.3 to 72.5 (54.2
# to 82.6); jaw beside the mouth 15.5 and 80.4; tip of the chin 48.2, 92.3 (83.1 to 104.5).
CENTRE = (48.0, 73.5)  # column, row
HALF_AXES = (30.5, 25.5)
"""Ellipse without landmarks: from below the tip of the nose to below the chin, inside the jaw."""
LIPS_CENTRE = (48.0, 67.0)
"""Middle of the lips of the faces that it was fitted to."""
SOLID = 0.64
"""Part of the way from its centre to its outline on which the generated face stands alone."""
MOUTH = (48.0, 68.5, 23.0, 17.0)
"""Ellipse that holds the lips of 95 % of the frames: centre column, row; half axes."""
MOUTH_FADE = 0.3
"""How far beyond that ellipse the source's mouth may still reach, in its half axes."""

FEATHER = 9.0
"""Width of the fade inside a mask drawn from landmarks, in crop pixels."""
CHIN = 4.0
"""How far the mask reaches below the chin's tip, so that it stays inside the fade; likewise."""
LIP_MARGIN, LIP_FADE = 4.0, 5.0
"""Width of the solid rim around the lips and of the fade beyond it; likewise."""
BORDER = 5.0
"""Width of the fade at the border of the crop; likewise."""

_PLACES = np.arange(CROP, dtype=np.float32) + np.float32(0.5)  # middles of pixels


def in_crop(points: Points, place: Place) -> Points:
    """Return points of a frame (n, 2), whose (0, 0) is the first pixel's middle, in crop pixels."""
    left, top, side = place
    inside: Points = (points + 0.5 - (left, top)) * (CROP / side)
    return inside


def feather(points: Points | None = None) -> Floats:
    """Return the weight of the generated face, (96, 96): 1 at the mouth, 0 before the border.

    An ellipse; with landmarks it lies where the mouth is and ends at the jaw and below the nose.
    """
    if points is None:
        return _fitted_feather()
    jaw = points[JAW][3:14].copy()
    # Most at the chin's tip, nothing beside the mouth.
    jaw[:, 1] += CHIN * np.sin(np.linspace(0, np.pi, len(jaw)))
    under_nose = (points[30:31] + points[33:34]) / 2
    depth = _smooth(_depth(jaw, under_nose) / FEATHER)
    # A turned head has a cheek that reaches far: what was painted there is not needed.
    column, row = CENTRE + points[LIPS].mean(axis=0) - LIPS_CENTRE
    weight = np.minimum(depth, _ellipse(column, row))
    # The mouth is never half of the source's.
    return np.minimum(np.maximum(weight, mouth(points)), _border())


def mouth(points: Points | None = None) -> Floats:
    """Return where nothing of the source's own mouth may show through, (96, 96): 1 there."""
    if points is None:
        return _fitted_mouth()
    return _smooth(1 + (_depth(points[LIPS]) + LIP_MARGIN) / LIP_FADE)


@cache
def _fitted_feather() -> Floats:
    return np.minimum(_ellipse(*CENTRE), _border())


def _ellipse(column: float, row: float) -> Floats:
    return _smooth((1 - _distance(column, row, *HALF_AXES)) / (1 - SOLID))


@cache
def _fitted_mouth() -> Floats:
    return _smooth(1 - (_distance(*MOUTH) - 1) / MOUTH_FADE)


@cache
def _border() -> Floats:
    """Return 1 but for a fade to 0 at the crop's last half pixel."""
    inside = np.minimum(np.arange(CROP), CROP - 1 - np.arange(CROP)).astype(np.float32)
    return _smooth(np.minimum(inside[:, None], inside) / np.float32(BORDER))


def _distance(column: float, row: float, half_width: float, half_height: float) -> Floats:
    """Return how far each pixel lies from the centre of an ellipse; its outline is at 1."""
    rows, columns = (_PLACES - row) / half_height, (_PLACES - column) / half_width
    return np.asarray(np.hypot(rows[:, None], columns), np.float32)


def _depth(*parts: Points) -> Floats:
    """Return how deep each pixel lies inside the hull of some points, in pixels; < 0 outside."""
    corners = cv2.convexHull(np.concatenate(parts).astype(np.float32))[:, 0]
    edges = np.roll(corners, -1, axis=0) - corners
    normals = edges[:, ::-1] * (1, -1) / np.maximum(np.hypot(*edges.T), 1e-6)[:, None]
    offsets = (corners * normals).sum(axis=1)
    if (corners.mean(axis=0) @ normals.T - offsets).sum() < 0:
        normals, offsets = -normals, -offsets
    depth = np.full((CROP, CROP), np.inf, np.float32)
    for (across, down), offset in zip(normals, offsets, strict=True):
        rows = (_PLACES * down - offset).astype(np.float32)
        columns = (_PLACES * across).astype(np.float32)
        np.minimum(depth, rows[:, None] + columns, out=depth)
    return depth


def _smooth(ramp: NDArray[np.floating]) -> Floats:
    """Return 0 up to 0 and 1 from 1 on, with soft shoulders in between."""
    part = np.clip(ramp, 0, 1)
    return np.asarray(part * part * (3 - 2 * part), np.float32)
