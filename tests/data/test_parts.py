"""Where a long recording is cut, and that its parts are what the whole is."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.data.parts import (
    GAP_SECONDS,
    SHORTEST_SECONDS,
    WHOLE_SECONDS,
    cut,
    part_name,
    recording_name,
)
from lipgan_cli.engine.media.audio import (
    FFT,
    HOP,
    SAMPLE_RATE,
    WINDOW,
    centre_columns,
    mel_spectrogram,
    mel_windows,
)
from lipgan_cli.engine.media.clock import USUAL_RATES


def times_of(seconds: float, fps: Fraction = Fraction(25)) -> np.ndarray:
    """When each frame of a film begins, and its end."""
    return np.arange(round(seconds * fps) + 1) / float(fps)


@pytest.mark.parametrize(
    ("seconds", "count"),
    [(3, 1), (20, 1), (20.04, 3), (27.4, 5), (44.2, 8), (60, 8), (90, 9), (300, 28), (3600, 340)],
)
def test_the_number_of_parts(seconds, count):
    parts = cut(times_of(seconds))
    assert len(parts) == count
    if count == 1:
        (whole,) = parts
        assert (whole.frames, whole.number) == (range(round(seconds * 25)), None)
        assert whole.begins == 0
        assert whole.sound(np.arange(5.0)).tolist() == [0, 1, 2, 3, 4]
    else:
        assert [part.number for part in parts] == list(range(count))
        assert {part.of for part in parts} == {count}


def test_a_minute():
    """60.6 s are eight times 7.575 s, of which the last 0.6 s are a gap: 15 frames of 190."""
    parts = cut(times_of(60))
    assert [(part.frames.start, part.frames.stop) for part in parts[:3]] == [
        (0, 175),
        (190, 364),
        (379, 554),
    ]
    assert parts[-1].frames.stop == 1500
    # Frame 190 is at 7.6 s, on column 608: its window begins 13 columns before, its spectra 2 more.
    assert parts[1].columns == (608 - 15, 1162 + 15)  # frame 363 is at 14.52 s: 1161.6
    assert parts[1].begins == 593 / 80


@given(
    st.floats(WHOLE_SECONDS + 0.1, 400),
    st.sampled_from(USUAL_RATES),
)
def test_parts_share_nothing_and_lose_little(seconds, fps):
    times = times_of(seconds, fps)
    parts = cut(times)
    assert (parts[0].frames.start, parts[-1].frames.stop) == (0, len(times) - 1)
    frame = 1 / float(fps)
    for part in parts:
        assert SHORTEST_SECONDS - 1.01 * frame <= len(part.frames) * frame <= 12.5
    for one, other in pairwise(parts):
        gap = (other.frames.start - one.frames.stop) * frame
        assert gap == pytest.approx(GAP_SECONDS, abs=1.01 * frame)
        # All that is heard with either: the spectra of a window reach half of one beyond it.
        heard = (WINDOW - 1) * HOP + FFT
        ends, begins = times[one.frames.stop - 1], times[other.frames.start]
        assert (begins - ends) * SAMPLE_RATE > heard
        assert one.columns[1] <= other.columns[0]


@given(st.floats(21, 400), st.sampled_from(USUAL_RATES))
def test_a_frame_is_on_the_same_column_in_its_part(seconds, fps):
    times = times_of(seconds, fps)
    for part in cut(times):
        here = times[part.frames.start : part.frames.stop]
        own = centre_columns(part.times(here))
        assert np.allclose(part.times(here), here - part.begins, rtol=0, atol=1e-9)
        assert (own + part.columns[0] == centre_columns(here)).all()


def test_what_is_heard_in_a_part_is_what_is_heard_in_the_whole():
    random = np.random.default_rng(7)
    sound = random.normal(0, 0.1, round(26.3 * SAMPLE_RATE)).astype(np.float32)
    times = times_of(26, Fraction(30000, 1001))
    whole = mel_windows(mel_spectrogram(sound), times[:-1])
    parts = cut(times)
    assert len(parts) == 4
    for part in parts:
        piece = part.sound(sound)
        here = times[part.frames.start : part.frames.stop]
        own = mel_windows(mel_spectrogram(piece), part.times(here))
        assert np.array_equal(own, whole[part.frames.start : part.frames.stop])
        assert len(piece) <= (here[-1] - here[0]) * SAMPLE_RATE + 2 * 16 * HOP


def test_a_picture_that_stands_still_makes_a_part_without_frames():
    times = np.concatenate([np.arange(250) / 25, [40.0, 50.0]])  # one of 30 s, one of 10 s
    parts = cut(times)
    assert sum(len(part.frames) for part in parts) <= 251
    assert any(not part.frames for part in parts)


def test_names_of_parts():
    assert part_name("anna/take", 7) == "anna/take-007"
    assert part_name("anna/take", 1234) == "anna/take-1234"
    for name, base in (("a/take-007", "a/take"), ("a-12/take-1234", "a-12/take"), ("x-000", "x")):
        assert recording_name(name) == base
    for name in ("take", "take-7", "take-00a", "take007", "a/take-007b"):
        assert recording_name(name) is None
