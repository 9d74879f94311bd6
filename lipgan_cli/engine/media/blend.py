"""Putting a generated face back into its frame so that nobody sees where it begins."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.choices import Blend
from lipgan_cli.engine.media.faces import CROP, cut
from lipgan_cli.engine.media.picture import to_rgb

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Place = tuple[int, int, int]  # left, top, side of a square in pixels; may reach outside

CENTRE_ROW, CENTRE_COLUMN = 70.0, 48.0
"""Centre of the mask in the crop: a little under the mouth."""
HALF_HEIGHT, HALF_WIDTH = 25.5, 32.0
"""Where the mask ends, in crop pixels from its centre: nose to below the chin, cheek to cheek."""
EXPONENT = 2.5
"""Shape of the mask's outline: 2 is an ellipse, more is squarer."""
SOLID = 0.68
"""Part of the way from the centre to the outline on which the generated face stands alone."""
GRID = 24
"""Side of the coarse picture on which the colour match is computed."""
REACH = 3.5
"""How far the colour match looks for agreement, in pixels of that coarse picture."""

_RGB_TO_YUV = np.array(
    [
        [65.481, 128.553, 24.966, 16 * 255],
        [-37.797, -74.203, 112.0, 128 * 255],
        [112.0, -93.786, -18.214, 128 * 255],
    ],
    np.float32,
) / np.float32(255)
"""BT.601, limited range: the inverse of how crops are cut, whatever the source is tagged as."""


def planes(frame: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    """Return views of the Y, U and V planes of an I420 frame (height * 3 // 2, width)."""
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    flat = frame.reshape(-1)
    chroma = flat[height * width :].reshape(2, height // 2, width // 2)
    return flat[: height * width].reshape(height, width), chroma[0], chroma[1]


def feather() -> Floats:
    """Return the weight of the generated face, (96, 96): 1 at the mouth, 0 before the border."""
    rows = (np.arange(CROP, dtype=np.float32) - CENTRE_ROW + 0.5) / HALF_HEIGHT
    columns = (np.arange(CROP, dtype=np.float32) - CENTRE_COLUMN + 0.5) / HALF_WIDTH
    distance = (np.abs(rows[:, None]) ** EXPONENT + np.abs(columns) ** EXPONENT) ** (1 / EXPONENT)
    fade: Floats = np.clip((1 - distance) / (1 - SOLID), 0, 1).astype(np.float32)
    return fade * fade * (3 - 2 * fade)


_FEATHER = feather()
_WHOLE = np.ones((CROP, CROP), np.float32)
_SEAM = cv2.resize(4 * _FEATHER * (1 - _FEATHER), (GRID, GRID), interpolation=cv2.INTER_AREA)
_SEAM_NEAR = cv2.GaussianBlur(_SEAM, (0, 0), REACH) + np.float32(1e-3)


def crop(frame: Pixels, place: Place) -> Pixels:
    """Return a square of an I420 frame as an RGB face crop (96, 96, 3), converting it alone.

    The same bytes as cutting it from the whole frame in RGB.
    """
    left, top, side = place
    luma, *chroma = planes(frame)
    height, width = luma.shape
    # Whole chroma pixels: an even corner, an even size.
    y0, y1 = _even_span(top, side, height)
    x0, x1 = _even_span(left, side, width)
    window = np.concatenate(
        [luma[y0:y1, x0:x1].ravel()]
        + [plane[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2].ravel() for plane in chroma]
    )
    rgb = to_rgb(window.reshape((y1 - y0) * 3 // 2, x1 - x0))
    return cut(rgb, np.array([left + side / 2 - x0, top + side / 2 - y0, side]))


def _even_span(start: int, length: int, limit: int) -> tuple[int, int]:
    """Return the even-sided part inside 0..limit (even) that holds start..start + length."""
    first = min(max(start - start % 2, 0), limit - 2)
    last = start + length
    return first, max(min(last + last % 2, limit), first + 2)


def paste(
    frame: Pixels,
    place: Place,
    generated: Pixels,
    original: Pixels,
    blend: Blend = Blend.FEATHER,
    opacity: float = 1.0,
) -> None:
    """Blend a generated face into a frame, in place.

    Only bytes under the mask change, and only in the planar format of the source: what is
    outside keeps the source's own bytes.

    frame: I420 uint8 (height * 3 // 2, width). place: left, top and side in pixels, as the crop
    was cut. generated, original: RGB uint8 (96, 96, 3). opacity: 0 (the source) to 1.
    """
    painted = _to_yuv(generated)
    if blend is Blend.FEATHER:
        painted += _colour_offset(_to_yuv(original), painted)
    for plane, channel, scale in zip(planes(frame), cv2.split(painted), (1, 2, 2), strict=True):
        left, top, side = (value / scale for value in place)
        _mix(plane, np.asarray(channel, np.float32), (left, top, side), blend, opacity)


def _to_yuv(rgb: Pixels) -> Floats:
    return np.asarray(cv2.transform(rgb.astype(np.float32), _RGB_TO_YUV), np.float32)


def _colour_offset(original: Floats, painted: Floats) -> Floats:
    """Return the smooth offset that makes the two agree along the seam, (96, 96, 3).

    Both show the same skin there, so that their difference is one of colour and light. It varies
    over the face (light from one side), hence a field and not a number.
    """
    difference = cv2.resize(original - painted, (GRID, GRID), interpolation=cv2.INTER_AREA)
    near = cv2.GaussianBlur(difference * _SEAM[..., None], (0, 0), REACH)
    field = near / _SEAM_NEAR[..., None]
    return np.asarray(cv2.resize(field, (CROP, CROP), interpolation=cv2.INTER_LINEAR), np.float32)


def _mix(
    plane: Pixels,
    channel: Floats,
    place: tuple[float, float, float],
    blend: Blend,
    opacity: float,
) -> None:
    """Mix one channel of the generated face into one plane; place is left, top, side in it."""
    left, top, side = place
    if blend is Blend.FEATHER:
        first, last = CENTRE_ROW - HALF_HEIGHT, CENTRE_ROW + HALF_HEIGHT
        begin, end = CENTRE_COLUMN - HALF_WIDTH, CENTRE_COLUMN + HALF_WIDTH
    else:
        first, last, begin, end = 0.0, float(CROP), 0.0, float(CROP)
    unit = side / CROP
    height, width = plane.shape
    y0, y1 = max(0, int(top + first * unit) - 1), min(height, int(top + last * unit) + 2)
    x0, x1 = max(0, int(left + begin * unit) - 1), min(width, int(left + end * unit) + 2)
    if y0 >= y1 or x0 >= x1:
        return
    box = (left - x0, top - y0, side, x1 - x0, y1 - y0)
    face = _place(channel, box, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
    if blend is Blend.FEATHER:
        weight = _place(_FEATHER, box, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    else:
        whole = _place(_WHOLE, box, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
        weight = np.asarray(whole >= 0.5, np.float32)
    region = plane[y0:y1, x0:x1]
    face -= region
    face *= weight * np.float32(opacity)
    face += region
    # Where the weight is 0 the sum is the source's own whole number.
    np.rint(face, out=face)
    np.clip(face, 0, 255, out=face)
    region[:] = face.astype(np.uint8)


def _place(
    image: Floats, box: tuple[float, float, float, int, int], flags: int, border: int
) -> Floats:
    """Draw a square picture between pixels: left, top, side; width and height of the canvas."""
    left, top, side, width, height = box
    if side < image.shape[0]:
        # A warp picks single pixels: it would miss some when it shrinks.
        pixels = max(1, round(side))
        smaller = cv2.resize(image, (pixels, pixels), interpolation=cv2.INTER_AREA)
        image = np.asarray(smaller, np.float32)
    scale = side / image.shape[0]
    offset = scale / 2 - 0.5  # from corners to the centres of pixels
    matrix = np.array([[scale, 0, left + offset], [0, scale, top + offset]])
    placed = cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=border)
    return np.asarray(placed, np.float32)
