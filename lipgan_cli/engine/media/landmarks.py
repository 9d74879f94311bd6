"""The points of a face: jaw, brows, nose, eyes and mouth, by dlib's 68-point predictor."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import dlib
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.detectors import Box, Luma
from lipgan_cli.engine.paths import require_file
from lipgan_cli.engine.weights import find_file

PREDICTOR = "shape_predictor_68_face_landmarks.dat"

JAW = slice(0, 17)  # from ear to ear, the chin's tip in the middle
BROWS = slice(17, 27)
NOSE = slice(27, 36)
NOSTRILS = slice(31, 36)  # the nose's lower edge
EYES = slice(36, 48)
LIPS = slice(48, 60)  # outer edge
INNER_LIPS = slice(60, 68)


def find_model(file: str) -> Path | None:
    """Return the path of one of dlib's models, verified; None where it is not installed.

    Raises:
        InputError: what is there is not the file that was published.
    """
    return find_file(file)


class Landmarks:
    """Finds the 68 points of a face whose box is known.

    Raises:
        InputError: the model file is missing or not a dlib predictor of 68 points.
    """

    def __init__(self, path: Path) -> None:
        require_file(path, "the landmark model")
        hint = f"give dlib's {PREDICTOR}"
        try:
            self._predictor = dlib.shape_predictor(str(path))
        except RuntimeError as error:
            raise InputError(f"{path} is not a dlib landmark model", hint) from error
        blank = np.zeros((16, 16), np.uint8)
        if self._predictor(blank, dlib.rectangle(0, 0, 15, 15)).num_parts != 68:
            raise InputError(f"{path} is not a landmark model of 68 points", hint)

    def points(self, luma: Luma, box: Box) -> NDArray[np.float64]:
        """Return the points of the face in a box of a grey picture, (68, 2): x, y in pixels.

        box: as the face detectors give it. A point is the middle of a pixel: (0, 0) is the first.
        """
        left, top, right, bottom = (round(side) for side in box)
        rectangle = dlib.rectangle(left, top, right - 1, bottom - 1)
        found = self._predictor(np.ascontiguousarray(luma), rectangle).parts()
        return np.array([(point.x, point.y) for point in found], np.float64)


class SteadyLandmarks:
    """Follows the points of a face from frame to frame, as dlib's are whole pixels."""

    WEIGHT = 0.5  # of the frame itself; the rest is of those before it

    def __init__(self, landmarks: Landmarks) -> None:
        self._landmarks = landmarks
        # By track: the last frame, and the points in it from the corner of the box.
        self._last: dict[Hashable, tuple[int, NDArray[np.float64]]] = {}

    def points(self, track: Hashable, frame: int, luma: Luma, box: Box) -> NDArray[np.float64]:
        """Return the points in frame number `frame`, (68, 2): x, y in pixels of the picture.

        They go on from those of the last frame of the same track, if that was the same or next to
        this one.
        """
        found = self._landmarks.points(luma, box)
        side = box[2] - box[0]
        here = (found - box[:2]) / side  # moves with the box
        last = self._last.get(track)
        if last is not None and abs(frame - last[0]) <= 1:
            here = self.WEIGHT * here + (1 - self.WEIGHT) * last[1]
        self._last[track] = frame, here
        steady: NDArray[np.float64] = here * side + box[:2]
        return steady


def installed_landmarks() -> Landmarks | None:
    """Return dlib's predictor where its file is installed."""
    path = find_model(PREDICTOR)
    return None if path is None else Landmarks(path)
