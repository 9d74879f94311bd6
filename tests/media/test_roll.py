"""Roll: measured by symmetry, whatever the detector said."""

from __future__ import annotations

import numpy as np
import pytest

from lipgan_cli.engine.media.detectors import Face, upright
from lipgan_cli.engine.media.roll import straightened

BOX = (150.0, 150.0, 250.0, 250.0)


def head(roll: float) -> np.ndarray:
    """Return a drawn face, symmetric and tilted, in the middle of (400, 400)."""
    rows, columns = np.mgrid[-200:200, -200:200] / 50
    face = 200.0 - 30 * np.hypot(rows, columns)
    for row, column, size, depth in ((-0.4, 0.5, 0.2, 120), (0.5, 0.0, 0.3, 60)):
        for side in (-1, 1):
            away = np.hypot(rows - row, columns - side * column)
            face -= depth * np.exp(-((away / size) ** 2))
    drawn = face.clip(0, 255).astype(np.uint8)
    return upright(drawn, (200, 200), -roll, 400, 400)


@pytest.mark.parametrize("roll", [-40, -25, -13, -3, 0, 5, 14, 30])
def test_a_symmetric_face_is_straightened(roll: float) -> None:
    known = 27.0 * round(roll / 27)  # as a detector does
    face = straightened(head(roll), Face(BOX, known))
    assert face.roll == pytest.approx(roll, abs=1.0)
    assert face.box == BOX


def test_a_real_face_turns_with_its_picture() -> None:
    from skimage.data import astronaut

    portrait = (astronaut() @ [0.299, 0.587, 0.114]).astype(np.uint8)
    rolls = [
        straightened(upright(portrait, (222, 127), -turned, 400, 400), Face(BOX, known)).roll
        for turned, known in ((0, 0.0), (10, 0.0), (20, 27.0), (30, 27.0), (-30, -27.0))
    ]
    np.testing.assert_allclose(np.array(rolls) - rolls[0], [0, 10, 20, 30, -30], atol=6)


def test_what_has_no_symmetry_keeps_its_roll() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 40), dtype=np.uint8)
    picture = np.kron(noise, np.ones((10, 10), np.uint8))
    assert straightened(picture, Face(BOX, 27.0)).roll == pytest.approx(27, abs=6)
    flat = np.full((400, 400), 90, np.uint8)
    assert straightened(flat, Face(BOX, 27.0)).roll == 27
