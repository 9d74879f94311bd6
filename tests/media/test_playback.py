"""Playback: the order of frames back and forth, and how many of them are held."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.media import playback
from lipgan_cli.engine.media.choices import Fit
from lipgan_cli.engine.media.clock import Clock, constant
from lipgan_cli.engine.media.playback import Frame, ahead, play, playlist


class Clip:
    """Frames that know their number, and how many of them live at the same time."""

    def __init__(self, length: int, pixels: int = 4) -> None:
        self.length, self.pixels = length, pixels
        self.reads: list[int] = []

    def read(self, first: int) -> Iterator[Frame]:
        self.reads.append(first)
        for number in range(first, self.length):
            yield np.full((3, self.pixels), number, np.uint8)


def numbers(frames: Iterator[Frame]) -> list[int]:
    return [int(frame[0, 0]) for frame in frames]


def order(length: int, count: int, fit: Fit) -> list[int]:
    shown = playlist(constant(Fraction(25), length), Fraction(count, 25), fit)
    assert shown.ticks.tolist() == list(range(len(shown)))
    return shown.places.tolist()


def test_every_fit_has_its_order() -> None:
    assert order(4, 12, Fit.PINGPONG) == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1]
    assert order(2, 5, Fit.PINGPONG) == [0, 1, 0, 1, 0]
    assert order(4, 7, Fit.FREEZE) == [0, 1, 2, 3, 3, 3, 3]
    assert order(4, 7, Fit.TRIM) == order(4, 7, Fit.ERROR) == [0, 1, 2, 3]
    for fit in Fit:
        assert order(9, 3, fit) == [0, 1, 2]
        assert order(1, 3, fit) == ([0] if fit in (Fit.TRIM, Fit.ERROR) else [0, 0, 0])
        assert order(3, 0, fit) == []


def test_the_end_of_a_loop_fades_into_its_beginning() -> None:
    shown = playlist(constant(Fraction(25), 9), Fraction(16, 25), Fit.LOOP)
    assert shown.places.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 3, 4, 5, 6, 7, 8, 3]
    assert shown.incoming.tolist() == [-1] * 6 + [0, 1, 2] + [-1] * 3 + [0, 1, 2] + [-1]
    assert shown.share[5:10].tolist() == [0, 0.25, 0.5, 0.75, 0]
    long = playlist(constant(Fraction(50), 500), Fraction(20), Fit.LOOP)
    assert (long.incoming >= 0).sum() == 2 * 12


@given(
    length=st.integers(1, 60),
    count=st.integers(0, 200),
    fit=st.sampled_from([Fit.PINGPONG, Fit.LOOP, Fit.FREEZE, Fit.TRIM]),
)
def test_what_is_on_the_list_is_played(length: int, count: int, fit: Fit) -> None:
    places = playlist(constant(Fraction(25), length), Fraction(count, 25), fit).places
    assert len(places) == (min(count, length) if fit is Fit.TRIM else count)
    assert numbers(play(Clip(length).read, places)) == places.tolist()


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    fit=st.sampled_from([Fit.PINGPONG, Fit.LOOP, Fit.FREEZE]),
    varying=st.booleans(),
)
def test_parts_one_after_the_other_are_the_whole(
    lengths: list[int], fit: Fit, varying: bool
) -> None:
    clock = constant(Fraction(25), 20)
    if varying:
        clock = Clock(Fraction(20), Fraction(1, 1000), np.cumsum([0, *range(40, 60)]))
    shown = playlist(clock, Fraction(4), fit)
    first, ticks = 0, 0
    for length in lengths:
        last = min(first + length, len(shown))
        if first == last:
            return
        part = shown.part(first, first + length)
        for name in ("places", "incoming", "share"):
            assert np.array_equal(getattr(part, name), getattr(shown, name)[first:last])
        assert np.array_equal(part.ticks + ticks, shown.ticks[first:last])
        ticks += part.end
        assert ticks == (shown.end if last == len(shown) else shown.ticks[last])
        first = last


@given(places=st.lists(st.integers(0, 9), max_size=40))
def test_any_order_can_be_played(places: list[int]) -> None:
    assert numbers(play(Clip(10).read, np.array(places, np.int64))) == places


@given(
    gaps=st.lists(st.integers(1, 300), min_size=1, max_size=20),
    milliseconds=st.integers(1, 10000),
    fit=st.sampled_from([Fit.PINGPONG, Fit.LOOP, Fit.FREEZE, Fit.TRIM]),
)
def test_at_a_varying_rate_every_frame_keeps_its_time(
    gaps: list[int], milliseconds: int, fit: Fit
) -> None:
    ticks = np.concatenate([[0], np.cumsum(gaps)])
    clock = Clock(
        Fraction(len(gaps) * 1000, sum(gaps)).limit_denominator(1001), Fraction(1, 1000), ticks
    )
    if clock.constant:
        return
    shown = playlist(clock, Fraction(milliseconds, 1000), fit)
    end = min(milliseconds, sum(gaps)) if fit is Fit.TRIM else milliseconds
    assert shown.ticks[0] == 0
    assert shown.ticks[-1] < end
    lengths = np.diff(shown.ticks)
    usual = max(1, round(1000 / clock.fps))
    for place, lasts in zip(shown.places, [*lengths, None], strict=True):
        frozen = fit is Fit.FREEZE and place == len(gaps) - 1
        wanted = usual if frozen else gaps[place]
        if lasts is None:
            assert shown.ticks[-1] + wanted >= end
        else:
            assert lasts == wanted


def test_playing_backwards_holds_a_chunk_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playback, "CHUNK_BYTES", 20 * 12)  # 20 frames of 12 bytes
    alive, most = 0, 0

    class Counted(np.ndarray):
        def __del__(self) -> None:
            nonlocal alive
            if self.base is None:
                alive -= 1

    def read(first: int) -> Iterator[Frame]:
        nonlocal alive, most
        for number in range(first, 250):
            held = Counted((3, 4), np.uint8)
            held[:] = number
            alive += 1
            most = max(most, alive)
            yield held
            del held

    places = playlist(constant(Fraction(25), 250), Fraction(40), Fit.PINGPONG).places
    played = [int(frame[0, 0]) for frame in play(read, places)]
    assert played == places.tolist()
    assert len(played) == 1000
    assert 20 <= most <= 24


def test_a_clip_that_became_shorter_is_an_error_that_names_the_frame() -> None:
    with pytest.raises(LipganError, match="ended at frame 5, before frame 8"):
        list(play(Clip(5).read, np.arange(8)))


def test_ahead_gives_everything_in_order_and_raises_what_the_thread_raised() -> None:
    assert list(ahead(range(100), 3)) == list(range(100))

    def broken() -> Iterator[int]:
        yield 1
        raise LipganError("the disk is gone")

    items = ahead(broken(), 3)
    assert next(items) == 1
    with pytest.raises(LipganError, match="the disk is gone"):
        next(items)


def test_ahead_runs_no_further_than_its_limit_and_ends_its_thread_when_closed() -> None:
    made = 0

    def items() -> Iterator[int]:
        nonlocal made
        while True:
            made += 1
            yield made

    before = threading.active_count()
    with closing(ahead(items(), 4)) as source:
        assert list(islice(source, 3)) == [1, 2, 3]
        deadline = time.monotonic() + 5
        while made < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert made == 8  # three taken, four waiting, one in hand
    assert threading.active_count() == before
