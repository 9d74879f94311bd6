"""The film: gaps that are bridged, runs, fades, and spans in seconds."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.media import film, footage
from lipgan_cli.engine.media.clock import Clock, constant
from lipgan_cli.engine.media.footage import Footage
from lipgan_cli.engine.media.video import VideoInfo

NO_CUTS = np.array([0])


def part(clock: Clock) -> Footage:
    info = VideoInfo(Path("a.mp4"), 320, 240, clock, 0.0, False, False)
    return Footage(info, 0, clock)


def test_a_blink_of_the_detector_is_bridged_and_a_cut_is_not() -> None:
    squares = np.full((12, 4), np.nan)
    squares[:4] = (100, 50, 80, 0)
    squares[6:9] = (106, 53, 80, 6)
    squares[10:] = (30, 53, 90, 0)
    filled = film._bridged(squares, NO_CUTS, 2)
    assert np.allclose(filled[4:6], [(102, 51, 80, 2), (104, 52, 80, 4)])
    assert np.isnan(filled[9]).all()  # the face is elsewhere afterwards
    assert [run.tolist() for run in film._runs(filled, NO_CUTS, 25.0)] == [[*range(9)], [10, 11]]
    assert np.isnan(film._bridged(squares, NO_CUTS, 1)[4:6]).all()
    assert np.isnan(film._bridged(squares, np.array([0, 5]), 2)[4:6]).all()
    assert [run.tolist() for run in film._runs(filled, np.array([0, 5]), 25.0)] == [
        [*range(5)], [*range(5, 9)], [10, 11],
    ]  # fmt: skip


def test_the_mouth_fades_beside_missing_faces_and_not_across_cuts() -> None:
    missing = np.zeros(12, bool)
    assert (film._opacity(missing, NO_CUTS, 3) == 1).all()
    missing[5:7] = True
    assert film._opacity(missing, NO_CUTS, 3).tolist() == [
        1, 1, 0.75, 0.5, 0.25, 0, 0, 0.25, 0.5, 0.75, 1, 1,
    ]  # fmt: skip
    assert film._opacity(missing, np.array([0, 5]), 3).tolist() == [
        1, 1, 1, 1, 1, 0, 0, 0.25, 0.5, 0.75, 1, 1,
    ]  # fmt: skip
    assert film._opacity(missing, np.array([0, 7]), 3)[7:].tolist() == [1] * 5


@given(
    missing=st.lists(st.booleans(), min_size=1, max_size=40),
    cuts=st.sets(st.integers(1, 39), max_size=5),
    fade=st.integers(0, 8),
)
def test_a_mouth_is_never_painted_on_nobody_and_never_jumps(
    missing: list[bool], cuts: set[int], fade: int
) -> None:
    flags = np.array(missing)
    scenes = np.array([0, *sorted(cut for cut in cuts if cut < len(flags))])
    opacity = film._opacity(flags, scenes, fade)
    assert (opacity[flags] == 0).all()
    assert (opacity[~flags] > 0).all()
    steps = np.delete(np.abs(np.diff(opacity)), scenes[1:] - 1)
    assert (steps <= 1 / (fade + 1) + 1e-9).all()


def test_spans_are_in_seconds_of_the_footage() -> None:
    flags = np.array([0, 1, 1, 0, 0, 1], bool)
    assert film.spans(flags, part(constant(Fraction(10), 6))) == (
        pytest.approx((0.1, 0.3)),
        pytest.approx((0.5, 0.6)),
    )
    varying = Clock(Fraction(10), Fraction(1, 1000), np.array([0, 40, 200, 210, 300, 500, 650]))
    told = film.spans(flags, part(varying))
    assert told == (pytest.approx((0.04, 0.21)), pytest.approx((0.5, 0.65)))
    assert film.spans(np.zeros(6, bool), part(varying)) == ()


def test_a_camera_s_photo_is_shrunk_to_a_video_s_size() -> None:
    frame = np.repeat(np.arange(120, dtype=np.uint8)[None], 90, axis=0)  # 120 x 60
    small = footage._shrunk(frame, 50)
    assert small.shape == (36, 50)  # 50 x 24
    assert footage._shrunk(frame, 120) is frame
