"""Face detectors: where the faces are in one picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.paths import require_file

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels
Luma = NDArray[np.uint8]


@dataclass(frozen=True)
class Face:
    """A face in a picture: a square with sides along the picture's, and how the face is turned."""

    box: Box
    roll: float = 0.0  # degrees counterclockwise as one sees it; roughly, see `straightened`

    @property
    def side(self) -> float:
        """The box's mean side in pixels."""
        left, top, right, bottom = self.box
        return (right - left + bottom - top) / 2

    @property
    def centre(self) -> tuple[float, float]:
        """The box's centre: x, y in pixels."""
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2

    def distance(self, other: Face) -> float:
        """Return how far the centres lie apart, in sides of the larger box.

        Sizes are left out: HOG's jump between pyramid levels.
        """
        (x, y), (u, v) = self.centre, other.centre
        return float(np.hypot(x - u, y - v) / max(self.side, other.side, 1e-9))


class FaceDetector(Protocol):
    """Finds the faces in a grey picture."""

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Longest sides in pixels to search a picture at: always, for small faces, at most."""

    def detect(self, luma: Luma, longest: int) -> list[Face]:
        """Return the faces in a picture (h, w), brought to this longest side, in any order.

        Faces are in the pixels of the picture itself.
        """


class HogDetector:
    """dlib's HOG detector: five linear SVMs, two of them for faces that are turned.

    Finds faces of 80 pixels and more at the size searched, turned by up to 40 degrees.
    """

    sizes = (640, 1280, 2560)
    SURE = 0.25  # score of a face that may stand beside others; folds and hands score less
    ROLLS = MappingProxyType({3: 27.0, 4: -27.0})  # degrees: parts for faces turned by 15 to 40

    def __init__(self) -> None:
        self._detector = dlib.get_frontal_face_detector()

    def detect(self, luma: Luma, longest: int) -> list[Face]:
        scale = longest / max(luma.shape)
        rectangles, scores, parts = self._detector.run(_scaled(luma, scale), 0)
        needed = min(self.SURE, max(scores, default=0.0))
        return [
            Face(_box(rectangle, scale), self.ROLLS.get(part, 0.0))
            for rectangle, score, part in zip(rectangles, scores, parts, strict=True)
            if score >= needed
        ]


class MmodDetector:
    """dlib's MMOD network: slower than HOG by far, and finds turned faces too.

    Finds faces of 80 pixels and more at the size searched; it does not tell their roll.

    Raises:
        InputError: the weights file is missing or not a dlib face detector.
    """

    sizes = (640, 640, 1280)

    def __init__(self, weights: Path) -> None:
        require_file(weights, "the detector's weights file")
        try:
            self._detector = dlib.cnn_face_detection_model_v1(str(weights))
        except RuntimeError as error:
            raise InputError(
                f"{weights} is not a dlib face detector", "lipgan download-weights fetches one"
            ) from error

    def detect(self, luma: Luma, longest: int) -> list[Face]:
        scale = longest / max(luma.shape)
        rgb = cv2.cvtColor(_scaled(luma, scale), cv2.COLOR_GRAY2RGB)
        return [Face(_box(found.rect, scale)) for found in self._detector(rgb, 0)]


def upright(plane: Luma, centre: tuple[float, float], roll: float, side: float, size: int) -> Luma:
    """Return a square of a plane round a point as (size, size), turned back by `roll` degrees.

    What lies outside the plane repeats its edge.
    """
    half = 0.71 * side + 2
    height, width = plane.shape
    left, right = _within(centre[0] - half, centre[0] + half, width)
    top, bottom = _within(centre[1] - half, centre[1] + half, height)
    # Warping takes single pixels, of which fine ones would flicker: large squares are shrunk first.
    step = max(1, int(side / size / 4))
    window = np.ascontiguousarray(plane[top:bottom:step, left:right:step])
    shrunk = min(1.0, 2 * size * step / side)
    if shrunk < 1:
        columns, rows = (max(1, round(pixels * shrunk)) for pixels in window.shape[::-1])
        window = as_bytes(cv2.resize(window, (columns, rows), interpolation=cv2.INTER_AREA))
    scale = shrunk / step
    x, y = (centre[0] - left) * scale, (centre[1] - top) * scale
    matrix = cv2.getRotationMatrix2D((x, y), -roll, size / (side * scale))
    matrix[:, 2] += np.array([size / 2 - x, size / 2 - y])
    edge = cv2.BORDER_REPLICATE
    return as_bytes(cv2.warpAffine(window, matrix, (size, size), borderMode=edge))


def _within(first: float, last: float, size: int) -> tuple[int, int]:
    """Return a range of pixels cut to those of a picture, of which it has one at least."""
    start = int(np.clip(first, 0, size - 1))
    return start, int(np.clip(last, start + 1, size))


def _scaled(luma: Luma, scale: float) -> Luma:
    if scale == 1:
        return np.ascontiguousarray(luma)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return as_bytes(cv2.resize(luma, None, fx=scale, fy=scale, interpolation=method))


def _box(rectangle: dlib.rectangle, scale: float) -> Box:
    # dlib's right and bottom are the last pixels inside.
    return (
        rectangle.left() / scale,
        rectangle.top() / scale,
        (rectangle.right() + 1) / scale,
        (rectangle.bottom() + 1) / scale,
    )


def as_bytes(picture: cv2.typing.MatLike) -> NDArray[np.uint8]:
    """Return what OpenCV gives for bytes as the bytes that it is."""
    return picture.astype(np.uint8, copy=False)
