"""Detectors: faces of all sizes, turned ones, and their place in the picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.detectors import Face, HogDetector, MmodDetector, upright

PLACE = (222.0, 127.0)  # of the face in the portrait


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """A grey picture, 512 x 512: a face round (222, 127), and a fold like a larger one."""
    from skimage.data import astronaut

    return (astronaut() @ [0.299, 0.587, 0.114]).astype(np.uint8)


def test_a_face_and_nothing_else_is_found(portrait: np.ndarray) -> None:
    (face,) = HogDetector().detect(portrait, 512)
    assert face.distance(Face((172, 77, 272, 177))) < 0.15
    assert 70 < face.side < 130
    assert face.roll == 0
    assert HogDetector().detect(np.full((200, 300), 90, np.uint8), 300) == []


@pytest.mark.parametrize(("scale", "longest"), [(0.45, 460), (3.0, 640), (6.0, 640)])
def test_boxes_are_in_the_pixels_of_the_picture_given(
    portrait: np.ndarray, scale: float, longest: int
) -> None:
    detector = HogDetector()
    (box,) = (face.box for face in detector.detect(portrait, 512))
    scaled = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    (found,) = (face.box for face in detector.detect(scaled.astype(np.uint8), longest))
    np.testing.assert_allclose(np.array(found) / scale, box, atol=25)


@pytest.mark.parametrize("roll", [-30, -20, -10, 0, 10, 20, 30])
def test_a_turned_face_is_found_with_about_its_roll(portrait: np.ndarray, roll: int) -> None:
    turned = upright(portrait, PLACE, -roll, 400, 400)
    (face,) = HogDetector().detect(turned, 400)
    assert face.distance(Face((150, 150, 250, 250))) < 0.2
    assert face.roll in {-27.0, 0.0, 27.0}
    assert abs(face.roll - roll) <= 15


def test_a_view_is_searched_like_an_array(portrait: np.ndarray) -> None:
    wide = np.zeros((512, 700), np.uint8)
    wide[:, :512] = portrait
    assert HogDetector().detect(wide[:, :512], 512) == HogDetector().detect(portrait, 512)


def test_distance_is_in_sides_of_the_larger_box() -> None:
    assert Face((0, 0, 100, 100)).distance(Face((60, 80, 160, 180))) == pytest.approx(1.0)
    assert Face((0, 0, 100, 100)).distance(Face((25, 25, 75, 75))) == 0


def test_upright_is_a_plain_cut_where_nothing_is_turned_or_scaled() -> None:
    plane = np.arange(10000, dtype=np.uint8).reshape(100, 100)
    np.testing.assert_array_equal(upright(plane, (40, 50), 0, 20, 20), plane[40:60, 30:50])


def test_upright_turns_clockwise_what_is_turned_counterclockwise() -> None:
    plane = np.zeros((101, 101), np.uint8)
    plane[50, 70:90] = 255  # to the right: the chin of a head turned left by a quarter
    turned = upright(plane, (50.5, 50.5), 90, 101, 101)
    assert turned[70:89, 49:52].max(axis=1).min() > 100
    assert turned[:60].max() == 0


@pytest.mark.parametrize("centre", [(-500.0, 3.0), (50.0, 5000.0), (0.0, 0.0)])
def test_upright_far_outside_repeats_the_edge(centre: tuple[float, float]) -> None:
    assert (upright(np.full((60, 100), 77, np.uint8), centre, 17, 300, 64) == 77).all()


def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(b"nothing")
    for name in ("a.dat", "missing.dat"):
        with pytest.raises(InputError, match=name):
            MmodDetector(tmp_path / name)
