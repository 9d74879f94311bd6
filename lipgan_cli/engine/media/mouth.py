"""Mouths at rest: which frame of a recording shows one, and how it fits another frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.detectors import as_bytes
from lipgan_cli.engine.media.faces import CROP

Faces = NDArray[np.uint8]

MOUTH = (slice(54, 90), slice(24, 72))  # rows and columns of the crop
UPPER = (slice(4, 56), slice(8, 88))  # what does not move with the jaw: eyes, nose, cheeks
GRAIN, SHAPE = 1.0, 12.0  # pixels: blurs that leave the lips, and the face without its lips
DARKER = 8.0  # grey levels: less than that below the face around it is skin
ROUNDS = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4  # of the alignment
SURE, UNSURE = 0.9, 0.8  # correlation of the upper faces: below UNSURE they are two poses


def openness(faces: Faces, hushed: Faces) -> NDArray[np.float64]:
    """Return a score for each face (n, 96, 96, 3) that is the smaller the more its mouth is closed.

    `hushed` is what the generator makes of the same faces, as reference and target, from silence:
    a closed mouth it hardly changes. That is weighed by how dark the mouth is. Only scores of one
    recording compare.
    """
    return np.array([_change(*pair) * _dark(pair[0]) for pair in zip(faces, hushed, strict=True)])


def _change(face: Faces, hushed: Faces) -> float:
    """Return how much two mouths differ, apart from their brightness."""
    one, other = (_blurred(picture, GRAIN)[MOUTH] for picture in (face, hushed))
    return float(np.abs((one - one.mean()) - (other - other.mean())).mean())


def _dark(face: Faces) -> float:
    """Return how much in a mouth is darker than the face around it."""
    depth = _blurred(face, SHAPE) - _blurred(face, GRAIN) - DARKER
    return float(np.clip(depth[MOUTH], 0, None).mean())


def fitted(rest: Faces, face: Faces) -> tuple[Faces, float]:
    """Return a face at rest moved onto another face of the same person, and how sure that is: 0..1.

    Both are (96, 96, 3). Eyes, nose and cheeks are laid over each other by an affine map that
    maximises their correlation (Evangelidis and Psarakis 2008).
    """
    mask = np.zeros((CROP, CROP), np.uint8)
    mask[UPPER] = 255
    still = np.eye(2, 3, dtype=np.float32)
    affine = cv2.MOTION_AFFINE
    try:
        alike, found = cv2.findTransformECC(
            _grey(face), _grey(rest), still, affine, ROUNDS, mask, 3
        )
    except cv2.error:  # it does not converge on faces that have nothing in common
        return rest, 0.0
    inverse = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    edge = cv2.BORDER_REPLICATE
    moved = cv2.warpAffine(rest, found, (CROP, CROP), flags=inverse, borderMode=edge)
    return as_bytes(moved), float(np.clip((alike - UNSURE) / (SURE - UNSURE), 0, 1))


def _grey(face: Faces) -> NDArray[np.float32]:
    return cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _blurred(face: Faces, sigma: float) -> NDArray[np.float32]:
    return cv2.GaussianBlur(_grey(face), (0, 0), sigma).astype(np.float32, copy=False)
