"""The frame at rest is found, and laid onto another frame of the same face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipgan_cli.engine.media.mouth import MOUTH, fitted, openness


def face(gap: int, across: int = 0, down: int = 0) -> np.ndarray:
    """A drawn face whose lips are `gap` pixels apart, moved by some pixels."""
    coarse = np.random.default_rng(5).integers(150, 200, (12, 12, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)
    for column in (32, 62):
        cv2.ellipse(picture, (column, 34), (8, 4), 0, 0, 360, (60, 50, 40), -1)
    cv2.ellipse(picture, (48, 50), (5, 3), 0, 0, 360, (120, 90, 80), -1)
    cv2.ellipse(picture, (48, 72), (14, 4 + gap), 0, 0, 360, (150, 70, 70), -1)
    if gap:
        cv2.ellipse(picture, (48, 72), (11, gap), 0, 0, 360, (30, 10, 10), -1)
    matrix = np.array([[1.0, 0, across], [0, 1, down]])
    return cv2.warpAffine(picture, matrix, (96, 96), borderMode=cv2.BORDER_REPLICATE)


def test_the_wider_the_mouth_the_higher_its_score() -> None:
    gaps = (6, 0, 3, 1)
    faces = np.stack([face(gap) for gap in gaps])
    painted = np.stack([face(0)] * 4) + np.uint8(9)  # a generator's colours are off
    scores = openness(faces, painted)
    assert np.argsort(scores).tolist() == [1, 3, 2, 0]


def test_a_face_at_rest_is_laid_onto_another() -> None:
    target = face(8, across=3, down=-2)
    moved, sure = fitted(face(0), target)
    assert moved.dtype == np.uint8
    assert sure == pytest.approx(1, abs=0.01)
    closed = face(0, across=3, down=-2)
    assert np.abs(moved[MOUTH].astype(int) - closed[MOUTH]).mean() < 2
    assert np.abs(face(0)[MOUTH].astype(int) - closed[MOUTH]).mean() > 5


def test_a_face_is_laid_onto_itself_unchanged() -> None:
    moved, sure = fitted(face(0), face(0))
    assert sure == 1
    assert np.abs(moved.astype(int) - face(0)).max() <= 1


@pytest.mark.parametrize("flat", [True, False])
def test_what_is_no_such_face_is_not_trusted(flat: bool) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    moved, sure = fitted(face(0), np.full_like(noise, 90) if flat else noise)
    assert sure == 0
    assert moved.shape == (96, 96, 3)
