"""The binary Golay code (24, 12): twelve bits sent as twenty-four, of which three may be wrong."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

MESSAGE, WORD = 12, 24  # bits
GENERATOR = 0b101011100011  # x^11 + x^9 + x^7 + x^6 + x^5 + x + 1

Bits = NDArray[np.uint8]


def encode(bits: Bits) -> Bits:
    """Return the words of messages (n, 12), (n, 24)."""
    return np.asarray(_words()[bits @ _places()])


def decode(soft: NDArray[np.float64]) -> Bits:
    """Return the likeliest messages (n, 12) of words (n, 24); a bit is 1 as far as it is above 0.

    Every word is compared with all 4096, so that a doubtful bit counts for little.
    """
    likeliest = (soft @ (2.0 * _words().T - 1)).argmax(axis=1)
    return np.asarray(likeliest[:, None] // _places() % 2, np.uint8)


def _places() -> NDArray[np.int64]:
    """Return what each bit of a message counts."""
    return np.asarray(1 << np.arange(MESSAGE)[::-1], np.int64)


@cache
def _words() -> Bits:
    """Return all words, (4096, 24): message, remainder, parity."""
    words = np.empty((1 << MESSAGE, WORD), np.uint8)
    for message in range(1 << MESSAGE):
        shifted = rest = message << 11
        for bit in range(22, 10, -1):
            if rest >> bit & 1:
                rest ^= GENERATOR << (bit - 11)
        word = (shifted | rest) << 1
        word |= word.bit_count() & 1
        words[message] = [word >> bit & 1 for bit in range(WORD - 1, -1, -1)]
    return words
