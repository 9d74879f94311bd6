"""Cutouts: a turned face stands upright, and only what was painted on it changes in the frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.media.blend import crop, planes
from lipgan_cli.engine.media.choices import Blend
from lipgan_cli.engine.media.cutout import CANVAS, TURNED, cut_out
from lipgan_cli.engine.media.faces import region
from lipgan_cli.engine.media.matrix import resolved
from lipgan_cli.engine.media.picture import FROM_RGB, from_rgb

WIDTH, HEIGHT = 320, 240
COLOUR = resolved(FROM_RGB, HEIGHT)


def portrait(roll: float) -> np.ndarray:
    """A face of 100 pixels at (160, 120), leaning by `roll` degrees counterclockwise: I420."""
    from skimage.data import astronaut

    face = cv2.resize(astronaut()[60:220, 144:304], (200, 200), interpolation=cv2.INTER_AREA)
    upright = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    upright[20:220, 60:260] = face
    turn = cv2.getRotationMatrix2D((160 - 0.5, 120 - 0.5), roll, 1.0)
    turned = cv2.warpAffine(upright, turn, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    return from_rgb(turned.astype(np.uint8))


@pytest.mark.parametrize("roll", [-30.0, -15.0, 15.0, 30.0])
def test_a_turned_face_stands_upright(roll: float) -> None:
    wanted = cut_out(portrait(0), np.array([160, 120, 110, 0.0]), COLOUR).face
    face = cut_out(portrait(roll), np.array([160, 120, 110, roll]), COLOUR).face
    leaning = cut_out(portrait(roll), np.array([160, 120, 110, 0.0]), COLOUR).face

    def apart(one: np.ndarray) -> float:
        return float(np.abs(one[8:-8, 8:-8].astype(int) - wanted[8:-8, 8:-8]).mean())

    assert apart(face) < 6
    assert apart(face) < 0.4 * apart(leaning)


def test_a_face_that_leans_a_little_is_cut_as_it_is() -> None:
    frame, square = portrait(5), np.array([160.3, 120.2, 110, TURNED - 1])
    cutout = cut_out(frame, square, COLOUR)
    assert cutout.canvas is frame
    np.testing.assert_array_equal(cutout.face, crop(frame, region(square), COLOUR))


@given(
    roll=st.floats(-40, 40).filter(lambda roll: abs(roll) > TURNED),
    x=st.integers(-20, WIDTH + 20),
    y=st.integers(-20, HEIGHT + 20),
    side=st.integers(20, 150),
)
def test_laying_a_face_back_unpainted_changes_nothing(
    roll: float, x: int, y: int, side: int
) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (HEIGHT * 3 // 2, WIDTH), np.uint8)
    before = frame.copy()
    cutout = cut_out(frame, np.array([x, y, side, roll]), COLOUR)
    cutout.paint(cutout.face, Blend.FEATHER, 0.0)
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize("roll", [-25.0, 25.0])
def test_only_the_turned_square_changes_and_it_changes_in_its_place(roll: float) -> None:
    frame = portrait(roll)
    before = frame.copy()
    cutout = cut_out(frame, np.array([160, 120, 110, roll]), COLOUR)
    cutout.paint(255 - cutout.face, Blend.NONE, 1.0)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    across, down = columns - 160, rows - 120
    angle = np.radians(roll)
    # Along the face's own axes.
    u = across * np.cos(angle) - down * np.sin(angle)
    v = across * np.sin(angle) + down * np.cos(angle)
    outside = np.maximum(np.abs(u), np.abs(v)) > 110 / 2 + 2.5
    inside = np.maximum(np.abs(u), np.abs(v)) < 110 / 2 - 2.5
    luma, was = planes(frame)[0], planes(before)[0]
    assert (luma[outside] == was[outside]).all()
    changed = np.abs(luma[inside].astype(int) - was[inside])
    assert np.percentile(changed, 25) > 10
    assert CANVAS > 1.42  # the square's corners lie on the canvas, however it is turned
