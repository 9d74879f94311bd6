"""Playback: the order of frames back and forth, and how many of them are held."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.media import playback
from lipgan_cli.engine.media.playback import Frame, ahead, back_and_forth, position


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


def test_frames_play_back_and_forth_and_the_ends_show_once() -> None:
    assert numbers(back_and_forth(Clip(4).read, 4, 12)) == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1]
    assert numbers(back_and_forth(Clip(9).read, 4, 3)) == [0, 1, 2]
    assert numbers(back_and_forth(Clip(2).read, 2, 5)) == [0, 1, 0, 1, 0]
    assert numbers(back_and_forth(Clip(1).read, 1, 3)) == [0, 0, 0]
    assert numbers(back_and_forth(Clip(3).read, 3, 0)) == []


@given(length=st.integers(1, 60), count=st.integers(0, 200))
def test_position_tells_the_frame_that_is_played(length: int, count: int) -> None:
    played = numbers(back_and_forth(Clip(length).read, length, count))
    assert played == [position(frame, length) for frame in range(count)]


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

    played = [int(frame[0, 0]) for frame in back_and_forth(read, 250, 1000)]
    assert played == [position(frame, 250) for frame in range(1000)]
    assert 20 <= most <= 24


def test_a_clip_that_became_shorter_is_an_error_that_names_the_frame() -> None:
    with pytest.raises(LipganError, match="ended at frame 5, before frame 8"):
        list(back_and_forth(Clip(5).read, 8, 20))


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
