"""All speech comes to one loudness, and what is no speech stays as it is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lipgan_cli.engine.media.loudness import LEVEL, levelled, loudness

RATE = 16000


def tone(decibels, seconds=1.0):
    """A tone of 1 kHz whose power is that many decibels of full scale."""
    moments = np.arange(round(seconds * RATE)) / RATE
    amplitude = math.sqrt(2) * 10 ** (decibels / 20)
    return (amplitude * np.sin(2 * np.pi * 1000 * moments)).astype(np.float32)


@pytest.mark.parametrize("decibels", [-40.0, -25.0, -15.6, -3.0])
def test_the_loudness_of_a_tone_is_its_power(decibels):
    assert loudness(tone(decibels)) == pytest.approx(decibels, abs=1e-3)


def test_pauses_do_not_count():
    talk = np.concatenate([tone(-20), np.zeros(3 * RATE, np.float32), tone(-70), tone(-45)])
    assert loudness(talk) == pytest.approx(-20, abs=1e-3)


def test_louder_and_softer_parts_are_averaged_by_power():
    half = 10 * math.log10((10**-2 + 10**-2.5) / 2)  # -20 dB and -25 dB
    assert loudness(np.concatenate([tone(-20), tone(-25)])) == pytest.approx(half, abs=1e-3)


@pytest.mark.parametrize("decibels", [-34.0, -20.0, -15.6, 0.0])
def test_speech_comes_to_one_level(decibels):
    out = levelled(tone(decibels))
    assert out.dtype == np.float32
    assert loudness(out) == pytest.approx(LEVEL, abs=1e-3)
    np.testing.assert_allclose(out, tone(LEVEL), atol=1e-5)


def test_the_gain_has_a_limit():
    np.testing.assert_allclose(levelled(tone(-50)), 10 * tone(-50), rtol=1e-5)
    np.testing.assert_allclose(levelled(tone(4)), 10 ** (-19.6 / 20) * tone(4), rtol=1e-4)
    np.testing.assert_allclose(levelled(tone(20)), 0.1 * tone(20), rtol=1e-5)


@pytest.mark.parametrize(
    "samples", [tone(-61), np.zeros(RATE, np.float32), tone(-10, 0.01), np.zeros(0, np.float32)]
)
def test_what_is_no_speech_is_left_alone(samples):
    assert loudness(samples) is None
    assert np.array_equal(levelled(samples), samples)


def test_levelling_twice_is_levelling_once():
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * np.float32(0.02)
    once = levelled(noise)
    np.testing.assert_allclose(levelled(once), once, rtol=1e-5)
