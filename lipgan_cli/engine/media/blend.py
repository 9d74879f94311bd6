"""Putting a generated face back into its frame so that nobody sees where it begins.

Where the generated face agrees with the source but for light, the source's own pixels take the
generated light: skin, beard and grain stay as sharp as they are. Where the two differ, around the
mouth, the generated face stands, sharpened and grained like its surroundings.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.choices import Blend
from lipgan_cli.engine.media.faces import CROP, cut
from lipgan_cli.engine.media.mask import Place, Points, feather, mouth
from lipgan_cli.engine.media.matrix import from_yuv, resolved, to_yuv
from lipgan_cli.engine.media.picture import FROM_RGB, Colour, to_rgb
from lipgan_cli.engine.media.texture import grain, grain_levels, seed_of, sharpening

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

GRID = 24
"""Side of the coarse picture on which the colour match is computed."""
REACH = 3.5
"""How far the colour match looks for agreement, in pixels of that coarse picture."""
NEARBY = 1.5
"""Standard deviation of the neighbourhood that must agree, in crop pixels."""
AGREES, DIFFERS = 2.0, 9.0
"""Mean difference up to which the source's own pixels stay, and from which none does, in levels."""

GREY = 1.5
"""Chroma spreads no further in a film without colours, in levels; with them one more and on."""


def planes(frame: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    """Return views of the Y, U and V planes of an I420 frame (height * 3 // 2, width)."""
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    flat = frame.reshape(-1)
    chroma = flat[height * width :].reshape(2, height // 2, width // 2)
    return flat[: height * width].reshape(height, width), chroma[0], chroma[1]


def crop(frame: Pixels, place: Place, colour: Colour = FROM_RGB) -> Pixels:
    """Return a square of an I420 frame as an RGB face crop (96, 96, 3), converting it alone.

    The same bytes as cutting it from the whole frame in RGB. colour: the film's; what it leaves
    unspecified is guessed from the height.
    """
    left, top, side = place
    luma, *chroma = planes(frame)
    height, width = luma.shape
    colour = resolved(colour, height)
    # Whole chroma pixels: an even corner, an even size.
    y0, y1 = _even_span(top, side, height)
    x0, x1 = _even_span(left, side, width)
    square = np.array([left + side / 2 - x0, top + side / 2 - y0, side])
    parts = [luma[y0:y1, x0:x1]]
    parts += [plane[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2] for plane in chroma]
    if colour == resolved(FROM_RGB, height):
        window = np.concatenate([part.ravel() for part in parts])
        return cut(to_rgb(window.reshape((y1 - y0) * 3 // 2, x1 - x0)), square)
    size = (x1 - x0, y1 - y0)
    parts[1:] = [_doubled(part, size) for part in parts[1:]]
    return from_yuv(cut(np.dstack(parts), square), colour)


def _doubled(plane: Pixels, size: tuple[int, int]) -> Pixels:
    doubled = cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST)
    return doubled.astype(np.uint8, copy=False)


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
    colour: Colour = FROM_RGB,
    points: Points | None = None,
) -> None:
    """Blend a generated face into a frame, in place.

    Only bytes under the mask change, and only in the planar format of the source: what is
    outside keeps the source's own bytes.

    frame: I420 uint8 (height * 3 // 2, width). place: left, top and side in pixels, as the crop
    was cut. generated, original: RGB uint8 (96, 96, 3). opacity: 0 (the source) to 1. colour: as
    the crop was cut. points: the source's 68 landmarks in crop pixels, which the mask then follows.
    """
    colour = resolved(colour, frame.shape[0] * 2 // 3)
    painted = to_yuv(generated, colour)
    scaled = list(zip(planes(frame), (1, 2, 2), strict=True))
    if blend is Blend.NONE:
        for channel, (plane, scale) in enumerate(scaled):
            _stamp(plane, painted[..., channel], _Box.of(place, scale), opacity)
        return
    layers = _layers(painted, to_yuv(original, colour), points)
    rows, columns = (np.flatnonzero(layers.weight.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return
    span = (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
    for channel, (plane, scale) in enumerate(scaled):
        box = _Box.of(place, scale, span).within(plane.shape)
        if box is not None:
            _mix(plane, channel, layers, box, opacity)


@dataclass(frozen=True)
class _Layers:
    """What is laid over the source, in the pixels of the crop."""

    painted: Floats  # (96, 96, 3) Y, U, V of the generated face, its light matched
    light: Floats  # (96, 96, 3) what is added to the source's own pixels where they stay
    weight: Floats  # (96, 96) of the mask
    replaced: Floats  # (96, 96) how much of the source gives way to the painted picture


def _layers(painted: Floats, original: Floats, points: Points | None) -> _Layers:
    """Decide for each pixel of the crop what becomes of it."""
    weight = feather(points)
    difference = painted - original
    difference -= _along_seam(difference, 4 * weight * (1 - weight))
    # A film in black and white stays so, whatever colour of lips the network knows.
    spread = cv2.meanStdDev(original)[1][1:].max()
    difference[..., 1:] *= np.float32(np.clip(spread - GREY, 0, 1))
    amount = cv2.GaussianBlur(np.abs(difference).sum(axis=2), (0, 0), NEARBY)
    differs = np.clip((amount - AGREES) / (DIFFERS - AGREES), 0, 1)
    differs = np.maximum(differs * differs * (3 - 2 * differs), mouth(points))
    replaced = (weight * differs).astype(np.float32)
    light = cv2.GaussianBlur(difference, (0, 0), NEARBY) * (weight - replaced)[..., None]
    return _Layers(original + difference, np.asarray(light, np.float32), weight, replaced)


def _along_seam(difference: Floats, seam: Floats) -> Floats:
    """Return the smooth part of the difference of two faces along the seam, (96, 96, 3).

    Both show the same skin there, so that their difference is one of colour and light. It varies
    over the face (light from one side), hence a field and not a number.
    """
    near = cv2.resize(seam, (GRID, GRID), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(difference, (GRID, GRID), interpolation=cv2.INTER_AREA)
    weighted = cv2.GaussianBlur(coarse * near[..., None], (0, 0), REACH)
    field = weighted / (cv2.GaussianBlur(near, (0, 0), REACH) + np.float32(1e-3))[..., None]
    return np.asarray(cv2.resize(field, (CROP, CROP), interpolation=cv2.INTER_LINEAR), np.float32)


@dataclass(frozen=True)
class _Box:
    """A part of a plane, and where the square of the crop lies in it: all in the plane's pixels."""

    left: float
    top: float
    side: float
    rows: slice
    columns: slice

    @classmethod
    def of(
        cls, place: Place, scale: int, span: tuple[int, int, int, int] = (0, CROP, 0, CROP)
    ) -> _Box:
        """Return the part that holds some rows and columns of the crop, and a pixel around it."""
        left, top, side = (value / scale for value in place)
        unit = side / CROP
        first, last = int(top + span[0] * unit) - 1, int(top + span[1] * unit) + 2
        begin, end = int(left + span[2] * unit) - 1, int(left + span[3] * unit) + 2
        return cls(left, top, side, slice(first, last), slice(begin, end))

    def within(self, shape: tuple[int, ...]) -> _Box | None:
        """Return what of it lies inside a plane, None if nothing does."""
        rows = slice(max(self.rows.start, 0), min(self.rows.stop, shape[0]))
        columns = slice(max(self.columns.start, 0), min(self.columns.stop, shape[1]))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return None
        return _Box(self.left, self.top, self.side, rows, columns)

    @property
    def unit(self) -> float:
        """How many pixels one of the crop's becomes."""
        return self.side / CROP

    def draw(
        self, image: Floats, flags: int = cv2.INTER_LINEAR, border: int = cv2.BORDER_CONSTANT
    ) -> Floats:
        """Draw a picture of the crop's square into this part, between pixels."""
        if self.side < CROP:
            # A warp picks single pixels: it would miss some when it shrinks.
            pixels = max(1, round(self.side))
            smaller = cv2.resize(image, (pixels, pixels), interpolation=cv2.INTER_AREA)
            image = np.asarray(smaller, np.float32)
        scale = self.side / image.shape[0]
        offset = scale / 2 - 0.5  # from corners to the centres of pixels
        x, y = self.left - self.columns.start + offset, self.top - self.rows.start + offset
        size = (self.columns.stop - self.columns.start, self.rows.stop - self.rows.start)
        matrix = np.array([[scale, 0, x], [0, scale, y]])
        placed = cv2.warpAffine(image, matrix, size, flags=flags, borderMode=border)
        return np.asarray(placed, np.float32)


_WHOLE = np.ones((CROP, CROP), np.float32)
_NEAR = feather() * (1 - feather())
"""Where sharpness and grain are measured: the skin around the mouth."""


def _stamp(plane: Pixels, channel: Floats, box: _Box, opacity: float) -> None:
    """Put the whole square into a plane, with hard edges."""
    inside = box.within(plane.shape)
    if inside is None:
        return
    source = plane[inside.rows, inside.columns].astype(np.float32)
    face = inside.draw(channel, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
    weight = np.where(inside.draw(_WHOLE) >= 0.5, np.float32(opacity), np.float32(0))
    _write(plane, inside, source + weight * (face - source))


def _mix(plane: Pixels, channel: int, layers: _Layers, box: _Box, opacity: float) -> None:
    """Lay one channel of the layers over one plane."""
    source = plane[box.rows, box.columns].astype(np.float32)
    maps = box.draw(np.dstack([layers.light[..., channel], layers.replaced, _NEAR]))
    light, replaced, near = (np.asarray(part, np.float32) for part in cv2.split(maps))
    painted = box.draw(layers.painted[..., channel], cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
    change = (painted - source) * replaced + light
    if channel == 0:
        levels = grain_levels(source, painted, near)
        sharper = sharpening(painted, source, near, box.unit, float(np.hypot(*levels)))
        # The source's own grain stays in part: what is added makes up for the rest.
        missing = np.sqrt(replaced * (2 - replaced))
        change += sharper * replaced + missing * grain(levels, source.shape, seed_of(source))
    # Where all weights are 0 the sum is the source's own whole number.
    _write(plane, box, source + np.float32(opacity) * change)


def _write(plane: Pixels, box: _Box, values: Floats) -> None:
    np.rint(values, out=values)
    np.clip(values, 0, 255, out=values)
    plane[box.rows, box.columns] = values.astype(np.uint8)
