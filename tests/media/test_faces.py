"""Faces: detectors, following one person, steady squares and crops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.media.detectors import Box
from lipgan_cli.engine.media.faces import cut, region, squares

Script = Callable[[int], list[Box]]


def square(x: float, y: float, side: float = 100) -> Box:
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


def boxes_of(*places: Box | None) -> np.ndarray:
    return np.array([(np.nan,) * 4 if place is None else place for place in places])


def test_square_of_a_steady_box() -> None:
    out = squares(boxes_of(*[square(300, 200)] * 5), fps=25)
    # Side 1.10 x 100, centre 0.05 x 110 below.
    np.testing.assert_allclose(out, np.tile([300, 205.5, 110], (5, 1)))


def test_one_side_through_a_run_whatever_single_boxes_are() -> None:
    out = squares(boxes_of(*[square(300, 200, side) for side in (100, 129, 100, 155, 100)]), 25)
    np.testing.assert_allclose(out[:, 2], 110)


def test_squares_of_one_frame_and_of_none() -> None:
    np.testing.assert_allclose(squares(boxes_of(square(10, 20, 40)), 25), [[10, 22.2, 44]])
    assert squares(np.zeros((0, 4)), 25).shape == (0, 3)
    assert np.isnan(squares(boxes_of(None, None), 25)).all()


def test_short_gaps_do_not_break_a_run_and_long_ones_do() -> None:
    small, large = square(300, 200, 100), square(300, 200, 120)
    short = squares(boxes_of(*[small] * 20, *[None] * 12, *[large] * 5), fps=25)
    assert np.isnan(short[20:32]).all()
    assert short[0, 2] == short[-1, 2] == pytest.approx(110)
    long = squares(boxes_of(*[small] * 20, *[None] * 13, *[large] * 5), fps=25)
    assert (long[0, 2], long[-1, 2]) == (pytest.approx(110), pytest.approx(132))


def test_a_jump_breaks_a_run() -> None:
    out = squares(boxes_of(*[square(300, 200)] * 10, *[square(360, 200)] * 10), fps=25)
    np.testing.assert_allclose(out[:10, 0], 300)  # not smoothed over the cut
    np.testing.assert_allclose(out[10:, 0], 360)


def test_a_cut_breaks_a_run_however_near_the_next_face_is() -> None:
    places = [square(300, 200, 100)] * 10 + [square(310, 200, 120)] * 10
    out = squares(boxes_of(*places), 25, cuts=[0, 10])
    np.testing.assert_allclose(out[:10], np.tile([300, 205.5, 110], (10, 1)))
    np.testing.assert_allclose(out[10:], np.tile([310, 206.6, 132], (10, 1)))
    across = squares(boxes_of(*places), 25, cuts=[0])
    assert across[0, 2] == across[19, 2]


def test_the_square_of_a_turned_face_lies_below_it_as_it_is_turned() -> None:
    turned = np.array([[*square(300, 200), 30.0]] * 5)
    # 0.05 x 110 towards the chin, which is to the right when the head is turned left.
    (out, *others) = squares(turned, fps=25)
    np.testing.assert_allclose(out, [300 + 2.75, 200 + 5.5 * np.sqrt(0.75), 110, 30])
    np.testing.assert_allclose(others, [out] * 4)


def test_the_roll_is_smoothed() -> None:
    boxes = np.array([[*square(300, 200), 10.0 * (k % 2)] for k in range(60)])
    roll = squares(boxes, fps=25)[:, 3]
    assert np.abs(np.diff(roll[6:-6])).max() < 1


def test_smoothing_calms_a_tremble_and_keeps_a_steady_move() -> None:
    tremble = boxes_of(*[square(300 + 3 * (-1) ** k, 200) for k in range(60)])
    out = squares(tremble, fps=25)[:, 0]
    assert np.abs(np.diff(out[6:-6])).max() < 1
    move = squares(boxes_of(*[square(300 + 2 * k, 200) for k in range(60)]), fps=25)[:, 0]
    np.testing.assert_allclose(move, 300 + 2 * np.arange(60))


@given(
    st.lists(
        st.one_of(st.none(), st.tuples(st.floats(0, 600), st.floats(0, 600), st.floats(40, 300))),
        max_size=40,
    )
)
def test_there_is_a_square_exactly_where_there_is_a_box(
    places: list[tuple[float, float, float] | None],
) -> None:
    boxes = boxes_of(*[None if p is None else square(*p) for p in places]).reshape(-1, 4)
    out = squares(boxes, fps=25)
    np.testing.assert_array_equal(np.isnan(out[:, 2]), np.isnan(boxes[:, 0]))


def picture(height: int, width: int) -> np.ndarray:
    """Return an RGB picture whose red is the column and whose green is the row."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0] = np.arange(width)
    rgb[..., 1] = np.arange(height)[:, None]
    return rgb


def test_a_crop_of_its_own_size_is_the_picture_itself() -> None:
    rgb = picture(200, 240)
    crop = cut(rgb, np.array([100.0, 90.0, 96.0]))
    assert crop.shape == (96, 96, 3)
    assert crop.dtype == np.uint8
    np.testing.assert_array_equal(crop, rgb[42:138, 52:148])


def test_a_crop_of_twice_the_size_is_averaged() -> None:
    crop = cut(picture(200, 240), np.array([100.0, 100.0, 192.0]))
    np.testing.assert_allclose(crop[0, :, 0], 4.5 + 2 * np.arange(96), atol=0.51)


def test_outside_the_picture_its_edge_is_repeated() -> None:
    rgb = picture(120, 120)
    corner = cut(rgb, np.array([0.0, 0.0, 96.0]))
    np.testing.assert_array_equal(corner[:48], np.repeat(corner[48:49], 48, axis=0))
    np.testing.assert_array_equal(corner[48:, 48:], rgb[:48, :48])
    other = cut(rgb, np.array([120.0, 120.0, 96.0]))
    np.testing.assert_array_equal(other[:48, :48], rgb[72:, 72:])
    np.testing.assert_array_equal(other[48:], np.repeat(other[47:48], 48, axis=0))


@given(
    x=st.floats(-300, 500), y=st.floats(-300, 500), side=st.floats(0.1, 700), wide=st.integers(1, 9)
)
def test_any_square_gives_a_crop(x: float, y: float, side: float, wide: int) -> None:
    rgb = picture(10 * wide, 90)
    crop = cut(rgb, np.array([x, y, side]))
    assert crop.shape == (96, 96, 3)


@given(x=st.floats(0, 500), y=st.floats(0, 500), side=st.floats(2, 300))
def test_region_is_the_square_to_the_pixel(x: float, y: float, side: float) -> None:
    left, top, pixels = region(np.array([x, y, side]))
    half = 0.5 + 1e-9  # halves are not exact beside numbers of another size
    assert abs(pixels - side) <= half
    assert abs(left + pixels / 2 - x) <= half
    assert abs(top + pixels / 2 - y) <= half
