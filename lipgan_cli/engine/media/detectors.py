"""Face detectors: where the faces are in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.paths import require_file

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels
Luma = NDArray[np.uint8]


class FaceDetector(Protocol):
    """Finds the faces in a grey picture."""

    def detect(self, luma: Luma) -> list[Box]:
        """Return the faces in a picture (h, w), in any order."""


class HogDetector:
    """dlib's HOG detector with a linear SVM; finds frontal faces of 80 pixels and more.

    Where it finds none it looks once more at double size, for faces of 40 pixels and more. Large
    pictures are searched at reduced size first.
    """

    FAST = 640  # longest side of the first look, in pixels
    LARGEST = 1280  # longest side of the picture that the second look may make
    SURE = 0.25  # score of a face that may stand beside others; folds and hands score less

    def __init__(self) -> None:
        self._detector = dlib.get_frontal_face_detector()

    def detect(self, luma: Luma) -> list[Box]:
        longest = max(luma.shape)
        first = min(1.0, self.FAST / longest)
        second = min(2.0, self.LARGEST / longest)
        found = self._at(luma, first)
        return found if found or second <= first else self._at(luma, second)

    def _at(self, luma: Luma, scale: float) -> list[Box]:
        rectangles, scores, _ = self._detector.run(_scaled(luma, scale), 0)
        needed = min(self.SURE, max(scores, default=0.0))
        return [
            _box(rectangle, scale)
            for rectangle, score in zip(rectangles, scores, strict=True)
            if score >= needed
        ]


class MmodDetector:
    """dlib's MMOD network: slower than HOG by far, and finds turned faces too.

    Raises:
        InputError: the weights file is missing or not a dlib face detector.
    """

    LARGEST = 640  # longest side searched, in pixels

    def __init__(self, weights: Path) -> None:
        require_file(weights, "the detector's weights file")
        try:
            self._detector = dlib.cnn_face_detection_model_v1(str(weights))
        except RuntimeError as error:
            raise InputError(
                f"{weights} is not a dlib face detector", "lipgan download-weights fetches one"
            ) from error

    def detect(self, luma: Luma) -> list[Box]:
        scale = min(1.0, self.LARGEST / max(luma.shape))
        rgb = cv2.cvtColor(_scaled(luma, scale), cv2.COLOR_GRAY2RGB)
        return [_box(found.rect, scale) for found in self._detector(rgb, 0)]


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
