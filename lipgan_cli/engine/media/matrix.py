"""Between RGB and the Y'CbCr of a film, whichever matrix and range it has."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.picture import FROM_RGB, Colour

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

# Shares of red and blue in luma, by ITU-T H.273's number of the matrix. Constant-luminance BT.2020
# (10) is read as the other: close, and next to nobody has it.
SHARES = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601, as in Europe
    6: (0.299, 0.114),  # BT.601, as in America
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
    10: (0.2627, 0.0593),
}
BT709, BT601, FULL = 1, 6, 2
HIGH_DEFINITION = 720
"""Height in pixels from which a film that names no matrix is read as BT.709, as players do."""


def resolved(colour: Colour, height: int) -> Colour:
    """Return the range and matrix by which a film of this height is read.

    What is unspecified is TV range, and BT.601 below 720 rows, BT.709 from there on.
    """
    usual = BT709 if height >= HIGH_DEFINITION else BT601
    matrix = colour.matrix if colour.matrix in SHARES else usual
    # Names that mean one conversion become one.
    matrix = BT601 if SHARES[matrix] == SHARES[BT601] else matrix
    return Colour(FULL if colour.range == FULL else FROM_RGB.range, matrix)


def to_yuv(rgb: Pixels, colour: Colour) -> Floats:
    """Return RGB (h, w, 3) as float Y, U, V in the levels of a resolved colour's bytes."""
    return np.asarray(cv2.transform(rgb.astype(np.float32), _from_rgb(colour)), np.float32)


def from_yuv(yuv: Pixels, colour: Colour) -> Pixels:
    """Return Y, U, V bytes (h, w, 3) of a resolved colour as RGB; the inverse of `to_yuv`."""
    rgb = cv2.transform(yuv.astype(np.float32), _to_rgb(colour))
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


@cache
def _from_rgb(colour: Colour) -> Floats:
    """Return the matrix (3, 4) from RGB bytes to Y'CbCr bytes."""
    red, blue = SHARES[colour.matrix]
    luma = np.array([red, 1 - red - blue, blue])
    u = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
    v = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    steps, chroma_steps, black = (255, 255, 0) if colour.range == FULL else (219, 224, 16)
    linear = np.stack([luma * steps, u * chroma_steps, v * chroma_steps]) / 255
    return np.column_stack([linear, [black, 128, 128]]).astype(np.float32)


@cache
def _to_rgb(colour: Colour) -> Floats:
    """Return the inverse of `_from_rgb`, (3, 4)."""
    forward = _from_rgb(colour).astype(np.float64)
    inverse = np.linalg.inv(forward[:, :3])
    return np.column_stack([inverse, -inverse @ forward[:, 3]]).astype(np.float32)
