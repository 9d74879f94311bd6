"""Matrices and ranges: the numbers of the standards, and back again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.media.matrix import SHARES, from_yuv, resolved, to_yuv
from lipgan_cli.engine.media.picture import FROM_RGB, Colour

BT601, BT601_FULL, BT709, BT2020 = Colour(1, 6), Colour(2, 6), Colour(1, 1), Colour(1, 9)


def pixel(*values: int) -> np.ndarray:
    return np.array([[values]], np.uint8)


@pytest.mark.parametrize(
    ("colour", "rgb", "yuv"),
    [
        (BT601, (255, 0, 0), (81.5, 90.2, 240)),
        (BT709, (255, 0, 0), (62.6, 102.3, 240)),
        (BT709, (0, 255, 0), (172.6, 41.7, 26.3)),
        (BT2020, (0, 0, 255), (29.0, 240, 119.0)),
        (BT601_FULL, (0, 0, 255), (29.1, 255.5, 107.3)),
        (BT601, (255, 255, 255), (235, 128, 128)),
        (BT601_FULL, (255, 255, 255), (255, 128, 128)),
        (BT709, (0, 0, 0), (16, 128, 128)),
    ],
)
def test_colours_have_the_levels_of_the_standard(
    colour: Colour, rgb: tuple[int, int, int], yuv: tuple[float, float, float]
) -> None:
    assert np.abs(to_yuv(pixel(*rgb), colour)[0, 0] - yuv).max() < 0.06


@given(
    rgb=st.tuples(*[st.integers(0, 255)] * 3),
    matrix=st.sampled_from(sorted(SHARES)),
    full=st.booleans(),
)
def test_there_and_back_is_where_it_began(
    rgb: tuple[int, int, int], matrix: int, full: bool
) -> None:
    colour = resolved(Colour(2 if full else 1, matrix), 480)
    stored = np.clip(np.rint(to_yuv(pixel(*rgb), colour)), 0, 255).astype(np.uint8)
    # Half a level of three channels, each worth up to 2.2 in RGB.
    assert np.abs(from_yuv(stored, colour)[0, 0].astype(int) - rgb).max() <= 3


def test_what_is_not_named_is_guessed_from_the_height() -> None:
    assert resolved(Colour(), 576) == resolved(FROM_RGB, 576) == Colour(1, 6)
    assert resolved(Colour(), 720) == Colour(1, 1)
    assert resolved(Colour(2, 2), 1080) == Colour(2, 1)
    assert resolved(Colour(0, 9, 9, 16), 288) == Colour(1, 9)
    assert resolved(Colour(1, 5), 2160) == resolved(Colour(1, 6), 2160) == Colour(1, 6)
    assert resolved(Colour(1, 8), 480) == Colour(1, 6)  # YCgCo: nothing of ours
