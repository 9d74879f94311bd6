"""A face cut out of its frame, upright, and what is painted on it laid back into the frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.blend import crop, paste, planes
from lipgan_cli.engine.media.choices import Blend
from lipgan_cli.engine.media.detectors import Box, as_bytes
from lipgan_cli.engine.media.faces import DROP, SCALE, region
from lipgan_cli.engine.media.mask import Place, Points, in_crop
from lipgan_cli.engine.media.picture import Colour, Frame, luma

TURNED = 10.0
"""Degrees from which a face is turned upright: the network has seen faces that lean a little."""
CANVAS = 1.5
"""Sides of the square that are turned with it."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """A face in its frame."""

    face: NDArray[np.uint8]  # RGB (96, 96, 3)
    place: Place  # on the canvas
    canvas: Frame  # the frame itself, or a square of it turned upright
    frame: Frame
    colour: Colour
    back: NDArray[np.float64] | None  # (2, 3) from the canvas to the frame, where it is turned

    @property
    def box(self) -> Box:
        """The face's box on the canvas, as a detector gives it."""
        left, top, side = self.place
        half = side / SCALE / 2
        x, y = left + side / 2, top + side / 2 - DROP * side
        return x - half, y - half, x + half, y + half

    @property
    def luma(self) -> Frame:
        """The luma plane of the canvas."""
        return luma(self.canvas)

    def paint(
        self,
        face: NDArray[np.uint8],
        blend: Blend,
        opacity: float,
        points: Points | None = None,
    ) -> None:
        """Blend a face (96, 96, 3) into the frame, in place; see `blend.paste`.

        points: the 68 landmarks on the canvas.
        """
        marks = None if points is None else in_crop(points, self.place)
        if self.back is None:
            paste(self.frame, self.place, face, self.face, blend, opacity, self.colour, marks)
            return
        before = self.canvas.copy()
        paste(self.canvas, self.place, face, self.face, blend, opacity, self.colour, marks)
        layers = zip(
            planes(self.frame), planes(before), planes(self.canvas), (1, 2, 2), strict=True
        )
        for plane, source, painted, scale in layers:
            change = painted.astype(np.float32) - source
            _add(plane, change, _on_pixels(self.back, scale))


def cut_out(frame: Frame, square: NDArray[np.float64], colour: Colour) -> Cutout:
    """Cut the face in a square (centre x, centre y, side, roll in degrees) out of an I420 frame.

    colour: the film's, resolved.
    """
    roll = float(square[3])
    if abs(roll) < TURNED:
        place = region(square)
        return Cutout(crop(frame, place, colour), place, frame, frame, colour, None)
    size = 2 * round(CANVAS * float(square[2]) / 2)
    # Clockwise, so that a face that leans counterclockwise stands upright.
    turn = np.asarray(
        cv2.getRotationMatrix2D((float(square[0]), float(square[1])), -roll, 1.0), np.float64
    )
    turn[:, 2] += size / 2 - square[:2]
    turned = [
        cv2.warpAffine(
            plane,
            _on_pixels(turn, scale),
            (size // scale, size // scale),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for plane, scale in zip(planes(frame), (1, 2, 2), strict=True)
    ]
    canvas = as_bytes(np.concatenate([plane.ravel() for plane in turned]))
    canvas = canvas.reshape(size * 3 // 2, size)
    place = region(np.array([size / 2, size / 2, square[2]]))
    back = np.asarray(cv2.invertAffineTransform(turn), np.float64)
    return Cutout(crop(canvas, place, colour), place, canvas, frame, colour, back)


def _on_pixels(matrix: NDArray[np.float64], scale: int) -> NDArray[np.float64]:
    """Return a map of corners of full-size pixels as one of the middles of a plane's pixels."""
    middles: NDArray[np.float64] = matrix.copy()
    middles[:, 2] = matrix[:, 2] / scale + matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
    return middles


def _add(plane: Frame, change: NDArray[np.float32], back: NDArray[np.float64]) -> None:
    """Add to a plane what has changed on the canvas; where that is nothing, its bytes stay."""
    size = float(len(change))
    corners = np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]]) @ back.T
    x0, y0 = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0).tolist()
    x1, y1 = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, plane.shape[::-1]).tolist()
    if x0 >= x1 or y0 >= y1:
        return
    moved = back.copy()
    moved[:, 2] -= (x0, y0)
    added = cv2.warpAffine(change, moved, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    region_of = plane[y0:y1, x0:x1]
    region_of[:] = np.clip(np.rint(region_of + added), 0, 255).astype(np.uint8)
