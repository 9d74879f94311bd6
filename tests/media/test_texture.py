"""Sharpness and grain: measured right, matched, and none where there is none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.media.texture import (
    MOST_GAIN,
    TILE,
    Floats,
    grain,
    grain_levels,
    seed_of,
    sharpening,
)

SHAPE = (150, 180)
EVERYWHERE = np.ones(SHAPE, np.float32)
FLAT = np.zeros(SHAPE, np.float32)


def drawing() -> Floats:
    """Shades, and straight and round edges, in whole grey levels."""
    shade = np.tile(np.linspace(60, 140, SHAPE[1], dtype=np.float32), (SHAPE[0], 1))
    shade[60:] += 40
    cv2.circle(shade, (90, 90), 30, 30.0, -1)
    return np.rint(shade)


def detailed(seed: int = 0) -> Floats:
    """Blotches of a few pixels."""
    noise = np.random.default_rng(seed).normal(0, 60, SHAPE).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2.5), np.float32) + 120


@given(level=st.floats(1.5, 7), seed=st.integers(0, 99))
def test_white_grain_is_measured_and_made_alike(level: float, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, level, SHAPE)
    source = np.rint(drawing() + noise).astype(np.float32)
    levels = grain_levels(source, FLAT, EVERYWHERE)
    assert np.hypot(*levels) == pytest.approx(level, rel=0.12)
    assert levels[1] < 0.45 * levels[0]
    assert grain(levels, SHAPE, seed).std() == pytest.approx(level, rel=0.12)


@pytest.mark.parametrize("level", [1.5, 4.0])
def test_coarse_grain_stays_coarse(level: float) -> None:
    small = np.random.default_rng(1).normal(0, 1, (SHAPE[0] // 2, SHAPE[1] // 2))
    coarse = cv2.resize(small, SHAPE[::-1], interpolation=cv2.INTER_LINEAR)
    source = (120 + level * coarse / coarse.std()).astype(np.float32)
    levels = grain_levels(source, FLAT, EVERYWHERE)
    assert levels[1] == pytest.approx(level, rel=0.15)
    made = grain(levels, SHAPE, 5)
    neighbours = [np.corrcoef(x[:, 1:].ravel(), x[:, :-1].ravel())[0, 1] for x in (coarse, made)]
    assert neighbours[1] == pytest.approx(neighbours[0], abs=0.08)


def test_a_clean_drawing_has_no_grain() -> None:
    assert grain_levels(drawing(), FLAT, EVERYWHERE) == (0, 0)
    assert not grain((0, 0), SHAPE, 3).any()


def test_what_the_painted_face_has_too_is_no_grain() -> None:
    lines = np.random.default_rng(2).normal(100, 6, SHAPE).astype(np.float32)
    assert grain_levels(lines, lines, EVERYWHERE) == (0, 0)


def test_grain_is_measured_only_where_it_is_asked_for() -> None:
    source = drawing()
    source[:, :60] += np.random.default_rng(3).normal(0, 8, (SHAPE[0], 60))
    near = np.zeros(SHAPE, np.float32)
    near[:, 70:] = 0.2
    assert grain_levels(source, FLAT, near) == (0, 0)
    assert grain_levels(source, FLAT, FLAT) == (0, 0)


def test_grain_depends_on_its_seed_alone() -> None:
    one, same, other = (grain((2.0, 1.0), SHAPE, seed) for seed in (7, 7, 8))
    assert np.array_equal(one, same)
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.05
    assert seed_of(drawing()) == seed_of(drawing()) != seed_of(drawing() + 1)


def test_grain_has_any_size_and_no_seam() -> None:
    wide = grain((0.0, 3.0), (40, 2 * TILE + 10), 1)
    steps = np.abs(np.diff(wide, axis=1)).mean(axis=0)
    assert steps.max() < 2 * steps.mean()
    assert wide.std() == pytest.approx(3, rel=0.1)


def test_a_blurred_face_becomes_as_sharp_as_its_surroundings() -> None:
    source, other = detailed(), detailed(1)
    painted = np.asarray(cv2.GaussianBlur(other, (0, 0), 1.5), np.float32)
    result = painted + sharpening(painted, source, EVERYWHERE, 3, 0)
    fine = [float((x - cv2.GaussianBlur(x, (0, 0), 2.4)).std()) for x in (source, painted, result)]
    assert fine[1] < 0.75 * fine[0]
    assert fine[2] == pytest.approx(fine[0], rel=0.2)


def test_a_face_as_sharp_as_the_source_stays_as_it_is() -> None:
    assert np.abs(sharpening(detailed(1), detailed(), EVERYWHERE, 3, 0)).max() < 3
    soft = np.asarray(cv2.GaussianBlur(detailed(), (0, 0), 3), np.float32)
    assert not sharpening(detailed(1), soft, EVERYWHERE, 3, 0).any()


def test_grain_is_not_taken_for_sharpness() -> None:
    soft = np.asarray(cv2.GaussianBlur(detailed(), (0, 0), 2), np.float32)
    grainy = soft + np.random.default_rng(4).normal(0, 5, SHAPE).astype(np.float32)
    added = sharpening(soft, grainy, EVERYWHERE, 3, 5.0)
    assert added.std() < 0.1 * sharpening(soft, grainy, EVERYWHERE, 3, 0.0).std() + 0.2


def test_sharpening_is_bounded() -> None:
    painted = np.asarray(cv2.GaussianBlur(detailed(), (0, 0), 3), np.float32)
    fine = painted - cv2.GaussianBlur(painted, (0, 0), 2.4)
    added = sharpening(painted, 9 * detailed(), EVERYWHERE, 3, 0)
    assert np.allclose(added, MOST_GAIN * fine, atol=1e-3)
