"""Scenes: cuts are told from flashes, pans and people who move."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipgan_cli.engine.media.scenes import scenes

HEIGHT, WIDTH = 180, 320


@cache
def scenery(seed: int, width: int = WIDTH) -> np.ndarray:
    """Return a picture with shapes of all sizes, (180, width)."""
    generator = np.random.default_rng(seed)
    picture = np.zeros((HEIGHT, width))
    for cell in (60, 20, 10):
        coarse = generator.uniform(0, 80, (HEIGHT // cell, width // cell + 1))
        picture += np.kron(coarse, np.ones((cell, cell)))[:HEIGHT, :width]
    return picture.astype(np.uint8)


def frame(luma: np.ndarray) -> np.ndarray:
    return np.concatenate([luma, np.full((HEIGHT // 2, WIDTH), 128, np.uint8)])


def cuts(pictures: list[np.ndarray]) -> list[int]:
    """Return where scenes begin; every frame must come through, in order."""
    frames = [frame(picture) for picture in pictures]
    found = list(scenes(frames))
    assert [id(shown) for shown, _ in found] == [id(one) for one in frames]
    return [number for number, (_, begins) in enumerate(found) if begins]


def test_no_frames() -> None:
    assert cuts([]) == []


@settings(max_examples=20)
@given(st.lists(st.integers(5, 9), min_size=1, max_size=4))
def test_cuts_are_found_exactly(lengths: list[int]) -> None:
    pictures = [scenery(seed) for seed, length in enumerate(lengths) for _ in range(length)]
    assert cuts(pictures) == [0, *np.cumsum(lengths)[:-1].tolist()]


@pytest.mark.parametrize("after", [1, 2, 5])
def test_a_cut_shortly_before_the_end(after: int) -> None:
    assert cuts([scenery(0)] * 10 + [scenery(1)] * after) == [0, 10]


def test_a_scene_of_five_frames_is_one_and_a_shorter_one_a_flash() -> None:
    assert cuts([scenery(0)] * 8 + [scenery(1)] * 5 + [scenery(0)] * 8) == [0, 8, 13]
    assert cuts([scenery(0)] * 8 + [scenery(1)] * 4 + [scenery(0)] * 8) == [0]


def test_a_short_scene_between_two_others() -> None:
    assert cuts([scenery(0)] * 8 + [scenery(1)] * 2 + [scenery(2)] * 8) == [0, 8, 10]


def test_a_flash_is_no_cut() -> None:
    white = np.full((HEIGHT, WIDTH), 250, np.uint8)
    assert cuts([scenery(0)] * 8 + [white] * 3 + [scenery(0)] * 8) == [0]


@pytest.mark.parametrize("speed", [2, 10, 25, 40])
def test_a_pan_is_no_cut(speed: int) -> None:
    wide = scenery(0, width=1200)
    assert cuts([wide[:, speed * k : speed * k + WIDTH] for k in range(20)]) == [0]


def test_someone_who_moves_is_no_cut() -> None:
    someone = scenery(1)[:100, :80]
    pictures = []
    for k in range(25):
        picture = scenery(0).copy()
        picture[60:160, 10 * k : 10 * k + 80] = someone[:, : WIDTH - 10 * k]
        pictures.append(picture)
    assert cuts(pictures) == [0]


def test_light_that_fades_is_no_cut() -> None:
    assert cuts([(scenery(0) * (1 - k / 30)).astype(np.uint8) for k in range(30)]) == [0]


def test_few_frames_are_held() -> None:
    given_out = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal given_out
        for number in range(40):
            given_out += 1
            yield frame(scenery(number // 3 % 2))  # nothing but flashes

    for number, _ in enumerate(scenes(counted())):
        assert given_out <= number + 5
