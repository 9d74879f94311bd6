"""Faces: detectors, following one person, steady squares and crops."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.media.detectors import Box, Face
from lipgan_cli.engine.media.faces import cut, region, squares, track

Script = Callable[[int], list[Box]]


class Scripted:
    """A detector that reads the frame's number and finds what the script says."""

    sizes = (160, 160, 160)

    def __init__(self, script: Script) -> None:
        self.script = script
        self.looks: list[int] = []

    def detect(self, luma: np.ndarray, longest: int) -> list[Face]:
        assert longest == max(luma.shape)
        number = int(luma[0, 0]) + 256 * int(luma[0, 1])
        self.looks.append(number)
        return [Face(box) for box in self.script(number)]


def frames(count: int, cuts: tuple[int, ...] = ()) -> Iterator[np.ndarray]:
    """Yield grey frames that carry their number; at each cut the picture changes."""
    for number in range(count):
        scene = sum(number >= cut for cut in cuts)
        luma = np.full((90, 160), 60 + 100 * (scene % 2), np.uint8)
        luma[0, :2] = number % 256, number // 256
        yield luma


def square(x: float, y: float, side: float = 100) -> Box:
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


def follow(script: Script, count: int, cuts: tuple[int, ...] = ()) -> tuple[np.ndarray, list[int]]:
    """Return the centre of each frame's box, and the frames that were looked at."""
    detector = Scripted(script)
    boxes = track(frames(count, cuts), detector, key_interval=12)
    assert boxes.shape == (count, 4)
    assert boxes.dtype == np.float64
    return (boxes[:, :2] + boxes[:, 2:]) / 2, detector.looks


def test_a_steady_face_is_looked_for_on_key_frames_alone() -> None:
    centres, looks = follow(lambda k: [square(300, 200)], 75)
    np.testing.assert_array_equal(centres, np.tile([300, 200], (75, 1)))
    assert looks == [0, 12, 24, 36, 48, 60, 72, 74]


def test_a_slow_face_is_interpolated() -> None:
    centres, looks = follow(lambda k: [square(300 + k, 200)], 25)
    np.testing.assert_allclose(centres[:, 0], 300 + np.arange(25))
    assert looks == [0, 12, 24]


def test_a_quick_face_is_looked_for_in_between() -> None:
    centres, looks = follow(lambda k: [square(300 + 4 * k, 200)], 13)
    np.testing.assert_allclose(centres[:, 0], 300 + 4 * np.arange(13))
    assert looks == [0, 12, 6, 3, 9]  # 12 px may be interpolated, 24 may not


def test_the_first_and_last_frame_with_a_face_are_found_exactly() -> None:
    centres, _ = follow(lambda k: [square(300, 200)] if 17 <= k < 41 else [], 60)
    assert np.flatnonzero(~np.isnan(centres[:, 0])).tolist() == list(range(17, 41))


@given(first=st.integers(0, 40), length=st.integers(13, 40))
def test_any_long_enough_presence_is_found_exactly(first: int, length: int) -> None:
    centres, looks = follow(lambda k: [square(300, 200)] if first <= k < first + length else [], 60)
    there = [k for k in range(60) if first <= k < first + length]
    assert np.flatnonzero(~np.isnan(centres[:, 0])).tolist() == there
    assert len(looks) <= 6 + 2 * 4


def test_no_face_at_all() -> None:
    centres, looks = follow(lambda k: [], 30)
    assert np.isnan(centres).all()
    assert looks == [0, 12, 24, 29]
    assert follow(lambda k: [], 0)[0].shape == (0, 2)


def test_a_video_of_one_frame() -> None:
    centres, _ = follow(lambda k: [square(50, 50)], 1)
    assert centres.tolist() == [[50, 50]]


def test_the_largest_face_is_taken_and_kept() -> None:
    """A second face becomes larger later, and the first one is followed still."""

    def script(k: int) -> list[Box]:
        return [square(500, 200, 80 + 4 * k), square(200, 200, 100)]

    np.testing.assert_allclose(follow(script, 50)[0][:, 0], 200)


def test_another_face_does_not_stand_in() -> None:
    """While the person is hidden for a moment, someone else is not taken for them."""

    def script(k: int) -> list[Box]:
        other = [square(600, 200, 120)] if k else []
        return other if 20 <= k < 30 else [square(200, 200), *other]

    centres, _ = follow(script, 60)
    gone = np.isnan(centres[:, 0])
    assert np.flatnonzero(gone).tolist() == list(range(20, 30))
    np.testing.assert_allclose(centres[~gone, 0], 200)


def test_someone_else_is_followed_when_the_person_is_long_gone() -> None:
    centres, _ = follow(lambda k: [square(200, 200)] if k < 10 else [square(600, 200)], 100)
    np.testing.assert_allclose(centres[:10, 0], 200)
    np.testing.assert_allclose(centres[60:, 0], 600)


def test_one_person_alone_is_followed_when_asked() -> None:
    detector = Scripted(lambda k: [square(200, 200)] if k < 10 else [square(600, 200)])
    boxes = track(frames(100, (50,)), detector, key_interval=12, one_person=True)
    assert np.isnan(boxes[12:]).all()
    np.testing.assert_allclose(boxes[:10, 0], boxes[0, 0])


def test_after_a_cut_the_face_is_found_at_once() -> None:
    centres, _ = follow(
        lambda k: [square(200, 200)] if k < 29 else [square(600, 300)], 60, cuts=(29,)
    )
    np.testing.assert_array_equal(centres[:29], np.tile([200, 200], (29, 1)))
    np.testing.assert_array_equal(centres[29:], np.tile([600, 300], (31, 1)))


def test_memory_does_not_grow_with_the_video() -> None:
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    def watched() -> Iterator[np.ndarray]:
        nonlocal most
        for frame in frames(300):
            alive.append(weakref.ref(frame))
            most = max(most, sum(ref() is not None for ref in alive))
            yield frame

    track(watched(), Scripted(lambda k: [square(200, 200)]), key_interval=12)
    assert most <= 15


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
