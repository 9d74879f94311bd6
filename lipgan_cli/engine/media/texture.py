"""Sharpness and grain: an enlarged face of 96 pixels made to look like the picture around it."""

from __future__ import annotations

import zlib
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

REACH = 0.8
"""Standard deviation of the blur that sharpening undoes, in pixels of the crop."""
MOST_GAIN = 1.2
"""Sharpening is never stronger: edges would get halos."""
ROUNDING = 0.35
"""Grain of a clean picture in whole grey levels: what is below this is none."""
MOST_GRAIN = 8.0
"""Grain is never stronger, in grey levels: what looks like more is leaves or cloth."""
ENOUGH = 20000
"""How many pixels tell the grain well."""
TILE = 512
"""Side of the grain that is made once, in pixels."""

# A second difference across and down: straight edges and smooth shades leave no trace in it, and
# white noise keeps its standard deviation.
_GRAINY = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32) / 6


def sharpening(painted: Floats, source: Floats, near: Floats, unit: float, grain: float) -> Floats:
    """Return what to add to an enlarged picture to make it as sharp as the source beside it.

    painted, source: luma (h, w). near: where the two are compared, weights. unit: pixels per pixel
    of the crop. grain: standard deviation of the source's grain, which is no sharpness.
    """
    sigma = max(0.8, REACH * unit)
    fine = painted - cv2.GaussianBlur(painted, (0, 0), sigma)
    wanted = source - cv2.GaussianBlur(source, (0, 0), sigma)
    total = float(near.sum()) + 1e-6
    energy = float((fine * fine * near).sum()) / total
    noise = grain * grain * (1 - 0.75 / (np.pi * sigma * sigma))
    goal = float((wanted * wanted * near).sum()) / total - noise
    gain = np.sqrt(max(goal, 0.0) / max(energy, 1e-3)) - 1
    return np.asarray(fine * np.float32(np.clip(gain, 0, MOST_GAIN)), np.float32)


def grain_levels(source: Floats, painted: Floats, near: Floats) -> tuple[float, float]:
    """Return the standard deviations of fine and coarse grain in grey levels, where `near` > 0.

    Fine grain differs from pixel to pixel, coarse grain (compressed or enlarged) every other one.
    What the painted picture has too is no grain but a small face's lines.
    """
    size = (max(near.shape[1] // 2, 1), max(near.shape[0] // 2, 1))
    where = near > 0
    half_where = _resized(near, size) > 0
    here = max(_power(source, where) - _power(painted, where), 0.0)
    below = max(
        _power(_resized(source, size), half_where) - _power(_resized(painted, size), half_where),
        0.0,
    )
    (fine, coarse), (fine_below, coarse_below) = _responses()
    # Two kinds of grain, seen at two scales.
    determinant = fine * coarse_below - coarse * fine_below
    a = (here * coarse_below - below * coarse) / determinant
    b = (below * fine - here * fine_below) / determinant
    if a < 0:
        a, b = 0.0, here / coarse
    elif b < 0:
        a, b = here / fine, 0.0
    level = np.sqrt(a + b)
    kept = min(np.sqrt(max(level**2 - ROUNDING**2, 0.0)), MOST_GRAIN) / max(level, 1e-6)
    return float(np.sqrt(a) * kept), float(np.sqrt(b) * kept)


def grain(levels: tuple[float, float], shape: tuple[int, ...], seed: int) -> Floats:
    """Return grain of these levels, (h, w); the same for the same seed."""
    out = np.zeros(shape, np.float32)
    draw = np.random.default_rng(seed)
    for level, tile in zip(levels, _tiles(), strict=True):
        top, left = draw.integers(0, TILE, 2)
        if level > 0:
            rows = tile.take(np.arange(top, top + shape[0]), axis=0, mode="wrap")
            out += np.float32(level) * rows.take(np.arange(left, left + shape[1]), 1, mode="wrap")
    return out


def seed_of(picture: Floats) -> int:
    """Return a number that depends on the picture alone: a still picture has still grain."""
    return zlib.crc32(picture.tobytes())


def _resized(picture: Floats, size: tuple[int, int]) -> Floats:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def _power(picture: Floats, where: NDArray[np.bool_]) -> float:
    """Return the variance of the grain, whatever a few edges add."""
    trace = np.abs(cv2.filter2D(picture, -1, _GRAINY))[where]
    if not len(trace):
        return 0.0
    trace = trace[:: 1 + len(trace) // ENOUGH]
    middle = float(np.median(trace))
    # The mean changes smoothly where the median of whole grey levels jumps. Of normal grain it is
    # 0.782 standard deviations.
    return (float(np.minimum(trace, 3 * middle).mean()) / 0.782) ** 2


@cache
def _tiles() -> tuple[Floats, Floats]:
    """Return fine and coarse grain of standard deviation 1, (512, 512), without a seam."""
    draw = np.random.default_rng(96)
    fine = draw.standard_normal((TILE, TILE), dtype=np.float32)
    half = np.pad(draw.standard_normal((TILE // 2, TILE // 2), dtype=np.float32), 1, mode="wrap")
    coarse = cv2.resize(half, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)[2:-2, 2:-2]
    return fine, np.asarray(coarse / coarse.std(), np.float32)


@cache
def _responses() -> tuple[tuple[float, float], tuple[float, float]]:
    """Return what is measured of grain of variance 1, fine and coarse: whole, and at half size."""
    everywhere = np.ones((TILE, TILE), np.bool_)
    size = (TILE // 2, TILE // 2)
    whole = [_power(tile, everywhere) for tile in _tiles()]
    below = [_power(_resized(tile, size), everywhere[::2, ::2]) for tile in _tiles()]
    return (whole[0], whole[1]), (below[0], below[1])
