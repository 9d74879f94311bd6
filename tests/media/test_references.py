"""References show closed mouths in many poses; each frame gets the one that is held as it is."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lipgan_cli.engine.media.references import (
    CLOSED,
    MOST,
    Gallery,
    pose,
    shortlist,
    shortlists,
)

RANDOM = np.random.default_rng(0)


def chosen(openness, most=8):
    return shortlist(np.asarray(openness, np.float64), most).tolist()


def head(turn, mouth=4):
    """A drawn head `turn` pixels to the right of the middle, its mouth so many rows open."""
    face = np.full((96, 96, 3), (60, 80, 160), np.uint8)
    cv2.ellipse(face, (48 + turn, 50), (34, 46), 0, 0, 360, (200, 160, 140), -1)
    for side in (-14, 14):
        cv2.circle(face, (48 + turn + side, 36), 4, (40, 30, 30), -1)
    cv2.ellipse(face, (48 + turn, 72), (12, mouth), 0, 0, 360, (90, 20, 30), -1)
    return face


def test_the_most_closed_frame_is_the_reference_of_a_short_run():
    assert chosen([5, 4, 1, 6]) == [2]  # a fifth of four is one
    assert chosen([3.0]) == [0]


def test_each_part_of_the_closed_fifth_gives_its_most_closed_frame():
    openness = np.full(100, 9.0)
    closed = {3: 2, 4: 1, 10: 5, 11: 4, 30: 3, 31: 2, 32: 4, 50: 6, 51: 5, 60: 1, 61: 2, 62: 3}
    closed |= {70: 8, 71: 7, 80: 7, 81: 6, 90: 2, 91: 3, 95: 1, 96: 4}
    openness[list(closed)] = list(closed.values())
    # 20 frames in 8 parts: four of three, four of two.
    assert chosen(openness) == [4, 31, 32, 60, 71, 81, 90, 95]


def test_without_sound_the_references_are_spread_over_the_run():
    assert chosen(np.zeros(5)) == [2]
    assert chosen(np.zeros(10)) == [2, 7]
    assert chosen(np.zeros(80)) == [5, 15, 25, 35, 45, 55, 65, 75]


def test_what_is_not_known_counts_as_open():
    nan = np.nan
    assert chosen([nan, nan, 7, nan, nan, nan, nan, nan, 8, nan]) == [2, 8]
    assert chosen([nan] * 3) == [1]


def test_a_run_has_references_of_its_own():
    openness = np.array([0, 1, 2, 3, 9, 8, 7, 6.0])
    runs = [np.array([1, 2, 3]), np.array([5, 6, 7])]
    assert [found.tolist() for found in shortlists(openness, runs)] == [[1], [7]]
    assert shortlists(openness, []) == []


def test_runs_share_the_references_by_their_length():
    openness = RANDOM.random(3200)
    runs = np.split(np.arange(3200), [1600, 2400, 3150])
    assert [len(found) for found in shortlists(openness, runs)] == [32, 16, 15, 1]


def test_a_film_of_many_shots_has_one_reference_of_each():
    runs = np.split(np.arange(6000), 100)
    found = shortlists(RANDOM.random(6000), runs)
    assert all(len(some) == 1 and some[0] in run for some, run in zip(found, runs, strict=True))


@given(
    arrays(np.float64, st.integers(1, 300), elements=st.floats(0, 1, width=16)),
    st.integers(1, MOST),
)
def test_references_are_closed_distinct_and_in_order(openness, most):
    found = shortlist(openness, most)
    assert len(found) == min(most, max(1, round(CLOSED * len(openness))))
    assert np.all(np.diff(found) > 0)
    rank = np.sort(openness)[max(1, round(CLOSED * len(openness))) - 1]
    assert np.all(openness[found] <= rank)
    assert openness[found].min() == openness.min()


def test_the_louder_frames_do_not_matter():
    openness = RANDOM.random(200)
    louder = np.where(openness > 0.5, openness * 100, openness)
    assert chosen(openness) == chosen(louder)


def test_a_pose_is_the_upper_half_without_the_mouth():
    assert pose(head(0)).shape == (12, 24)
    assert pose(head(0)).dtype == np.uint8
    assert np.array_equal(pose(head(3, mouth=1)), pose(head(3, mouth=14)))
    assert not np.array_equal(pose(head(3)), pose(head(0)))


def test_a_frame_gets_the_reference_that_is_held_as_it_is():
    gallery = Gallery.of([head(turn, mouth=1) for turn in (-12, -4, 4, 12)])
    wanted = {-14: 0, -11: 0, -5: 1, -2: 1, 3: 2, 6: 2, 10: 3, 15: 3}
    assert {turn: gallery.nearest(head(turn, mouth=12)) for turn in wanted} == wanted


def test_a_reference_is_nearest_to_itself_and_in_its_own_light():
    bright = head(0)
    dim = (bright * 0.6).astype(np.uint8)
    gallery = Gallery.of([bright, dim])
    assert [gallery.nearest(face) for face in gallery.faces] == [0, 1]
    assert gallery.nearest((bright * 0.7).astype(np.uint8)) == 1
