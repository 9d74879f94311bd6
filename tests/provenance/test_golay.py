"""The Golay code: its weights are known, and three wrong bits of twenty-four are corrected."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.provenance import golay


def messages(*numbers: int) -> golay.Bits:
    """Return numbers as messages."""
    return np.array([[number >> bit & 1 for bit in range(11, -1, -1)] for number in numbers], "u1")


def test_all_words_have_the_weights_of_the_extended_code() -> None:
    words = golay.encode(messages(*range(4096)))
    weights, counts = np.unique(words.sum(axis=1), return_counts=True)
    assert dict(zip(weights.tolist(), counts.tolist(), strict=True)) == {
        0: 1,
        8: 759,
        12: 2576,
        16: 759,
        24: 1,
    }


def test_a_word_begins_with_its_message() -> None:
    word = golay.encode(messages(0b101100000001))[0]
    assert word[:12].tolist() == [1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert word.sum() % 2 == 0


@given(st.integers(0, 4095), st.sets(st.integers(0, 23), max_size=3))
def test_three_wrong_bits_are_corrected(number: int, wrong: set[int]) -> None:
    soft = 2.0 * golay.encode(messages(number)) - 1
    soft[0, list(wrong)] *= -1
    assert golay.decode(soft).tolist() == messages(number).tolist()


@given(st.integers(0, 4095), st.sets(st.integers(0, 23), max_size=7))
def test_seven_lost_bits_are_filled_in(number: int, lost: set[int]) -> None:
    soft = 2.0 * golay.encode(messages(number)) - 1
    soft[0, list(lost)] = 0
    assert golay.decode(soft).tolist() == messages(number).tolist()


def test_doubtful_bits_count_for_little() -> None:
    soft = 2.0 * golay.encode(messages(1234)) - 1
    soft[0, :8] *= -0.1  # eight wrong ones, and the sixteen others are sure
    assert golay.decode(soft).tolist() == messages(1234).tolist()
