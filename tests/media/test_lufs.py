"""Loudness against the standard's own figures and a second meter, and sound brought to it."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from lipgan_cli.engine.media.audio import read_audio
from lipgan_cli.engine.media.lufs import CEILING, MOST_PRESSED, integrated, levelled, true_peak

RATE = 48000
# ITU-R BS.1770-4, tables 1 and 2: the head, then the ear, at 48 kHz.
HEAD = ([1.53512485958697, -2.69169618940638, 1.19839281085285], [1, -1.69065929318241, 0.73248077])
EAR = ([1.0, -2.0, 1.0], [1, -1.99004745483398, 0.99007225036621])


def by_the_book(samples: np.ndarray) -> float:
    """The integrated loudness of mono sound at 48 kHz as BS.1770-4 writes it down."""
    heard = lfilter(*EAR, lfilter(*HEAD, samples.astype(np.float64)))
    starts = range(0, len(heard) - 19200 + 1, 4800)
    power = np.array([np.mean(heard[start : start + 19200] ** 2) for start in starts])
    power = power[-0.691 + 10 * np.log10(power + 1e-20) > -70]
    power = power[power > power.mean() * 0.1]
    return float(-0.691 + 10 * np.log10(power.mean()))


def by_ffmpeg(samples: np.ndarray) -> tuple[float, float]:
    """Loudness and true peak as the ffmpeg program prints them, to a tenth."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-f", "f32le", "-ar", str(RATE)]
    command += ["-ac", "1", "-i", "-", "-filter_complex", "ebur128=peak=true", "-f", "null", "-"]
    done = subprocess.run(
        command, input=samples.astype("<f4").tobytes(), capture_output=True, check=True
    )
    told = done.stderr.decode()
    loudness = float(re.findall(r"I:\s+(\S+) LUFS", told)[-1])
    return loudness, float(re.findall(r"Peak:\s+(\S+) dBFS", told)[-1])


def tone(decibels: float, seconds: float, hertz: float = 997, phase: float = 0) -> np.ndarray:
    times = np.arange(round(seconds * RATE)) / RATE
    wave = 10 ** (decibels / 20) * np.sin(2 * np.pi * hertz * times + phase)
    return wave.astype(np.float32)


def syllables(seconds: float, seed: int, sharpness: float = 1.0) -> np.ndarray:
    """Noise that comes and goes like speech; the sharper, the more of it are peaks."""
    random = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE)) / RATE
    envelope = np.abs(np.sin(np.pi * 3 * times)) ** (4 * sharpness)
    noise = lfilter([1], [1, -0.95], random.normal(size=len(times)))
    return (0.05 * envelope * noise).astype(np.float32)


def test_a_full_tone_in_one_channel_is_what_the_standard_says():
    assert integrated(tone(0, 2), RATE) == pytest.approx(-3.01, abs=0.05)
    assert integrated(tone(-20, 2), RATE) == pytest.approx(-23.01, abs=0.05)


def test_other_sample_rates_are_as_loud():
    assert integrated(tone(-20, 3)[::3], 16000) == pytest.approx(-23.01, abs=0.1)


def test_pauses_and_soft_parts_do_not_count():
    loud = tone(-20, 4)
    for soft in (np.zeros(4 * RATE, np.float32), tone(-60, 4), tone(-90, 4)):
        assert integrated(np.concatenate([loud, soft]), RATE) == pytest.approx(-23.01, abs=0.2)
    halved = integrated(np.concatenate([loud, tone(-26, 4)]), RATE)  # 6 dB softer is heard
    assert halved == pytest.approx(10 * math.log10((1 + 10**-0.6) / 2) - 23.01, abs=0.1)


@pytest.mark.parametrize(("seconds", "seed"), [(0.45, 1), (1.23, 2), (7.0, 3)])
def test_as_the_standard_computes_it(seconds, seed):
    samples = syllables(seconds, seed)
    assert integrated(samples, RATE) == pytest.approx(by_the_book(samples), abs=0.1)
    assert integrated(samples, RATE) == pytest.approx(by_ffmpeg(samples)[0], abs=0.1)


def test_real_speech_as_the_standard_computes_it(data_dir: Path):
    samples = read_audio(data_dir / "speech" / "jfk.flac", sample_rate=RATE)
    assert integrated(samples, RATE) == pytest.approx(by_the_book(samples), abs=0.1)
    told = by_ffmpeg(samples)
    assert integrated(samples, RATE) == pytest.approx(told[0], abs=0.1)
    assert true_peak(samples, RATE) == pytest.approx(told[1], abs=0.1)


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.39, 0.4, 0.41])
def test_a_short_sound_is_as_loud_as_if_it_went_on(seconds):
    assert integrated(tone(-20, seconds, 1000), RATE) == pytest.approx(-23.01, abs=0.2)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(1), np.zeros(RATE), np.full(9, 1e-6)])
def test_silence_has_no_loudness_and_is_left_alone(samples):
    samples = samples.astype(np.float32)
    assert integrated(samples, RATE) is None
    assert np.array_equal(levelled(samples, RATE, -16), samples)


def test_a_peak_between_two_samples_is_found():
    between = tone(0, 0.5, RATE / 4, np.pi / 4)  # its samples are all 3 dB lower
    assert 20 * np.log10(np.abs(between).max()) == pytest.approx(-3.01, abs=0.01)
    assert true_peak(between[1000:-1000], RATE) == pytest.approx(0, abs=0.5)
    assert true_peak(np.zeros(9, np.float32), RATE) == -math.inf


@pytest.mark.parametrize("decibels", [-40, -16, -12.99, -6])
def test_what_has_no_high_peaks_is_only_made_louder_or_softer(decibels):
    samples = tone(decibels, 2)
    out = levelled(samples, RATE, -16)
    np.testing.assert_allclose(out, tone(-12.99, 2), atol=0.004)
    assert out.dtype == np.float32


@settings(max_examples=12)
@given(
    seconds=st.floats(0.1, 2), seed=st.integers(0, 99), sharpness=st.floats(0.2, 1),
    before=st.floats(-30, 20), lufs=st.sampled_from([-23.0, -16.0]),
)  # fmt: skip
def test_all_come_out_level_and_none_clips(seconds, seed, sharpness, before, lufs):
    samples = syllables(seconds, seed, sharpness) * np.float32(10 ** (before / 20))
    out = levelled(samples, RATE, lufs)
    assert integrated(out, RATE) == pytest.approx(lufs, abs=0.1)
    assert true_peak(out, RATE) <= CEILING + 0.01
    assert np.abs(out).max() < 1


def test_peaks_are_pressed_smoothly():
    samples = syllables(2, 5)
    out = levelled(samples, RATE, -14)
    assert by_ffmpeg(out) == pytest.approx((-14, CEILING), abs=0.15)
    gain = out / np.where(np.abs(samples) > 1e-4, samples, np.nan)
    assert np.nanmin(gain) > 0
    assert np.nanmax(gain) / np.nanmin(gain) > 1.2  # something was pressed
    assert np.nanmax(np.abs(np.diff(gain))) < 0.01 * np.nanmax(gain)


def test_a_click_stays_softer_than_it_was_to_be():
    click = np.zeros(RATE, np.float32)
    click[::6000] = 0.5
    out = levelled(click, RATE, -10)
    assert true_peak(out, RATE) <= CEILING + 0.01
    assert integrated(out, RATE) < -20
    assert np.abs(out).max() < 0.5 * 10 ** (MOST_PRESSED / 20)
