"""How sound varies: the same moment, the same front-end, another voice, room and microphone."""

from __future__ import annotations

import numpy as np
import pytest

from lipgan_cli.engine.config import GROUPS, Augmentation
from lipgan_cli.engine.data.sounds import EQUALISER_POINTS, Effect, draw_effect, heard
from lipgan_cli.engine.media.audio import mel_spectrogram, mel_windows

RATE = 16000
MIDDLE = np.array([0.5])


def speech(seconds=1.0):
    """A voice of our own: pulses of 150 Hz through a resonance at 1200 Hz, in syllables."""
    moments = np.arange(round(seconds * RATE)) / RATE
    voice = sum(
        np.cos(2 * np.pi * 150 * k * moments) / (1 + ((150 * k - 1200) / 300) ** 2)
        for k in range(1, 40)
    )
    return (0.02 * voice * (1 + np.sin(2 * np.pi * 5 * moments))).astype(np.float32)


def tone(hertz, seconds=1.0):
    moments = np.arange(round(seconds * RATE)) / RATE
    return (0.1 * np.sin(2 * np.pi * hertz * moments)).astype(np.float32)


def click(at=0.5, seconds=1.0):
    sound = np.zeros(round(seconds * RATE), np.float32)
    sound[round(at * RATE)] = 0.9
    return sound


@pytest.mark.parametrize("samples", [0, 1, 150, 200, 3000, 16000, 16100])
def test_without_an_effect_a_window_is_that_of_the_whole_sound(samples):
    sound = np.random.default_rng(1).standard_normal(samples).astype(np.float32) * np.float32(0.1)
    times = np.array([-1.0, -0.17, 0.0, 0.013, 0.1, 0.5, 0.88, 1.0, 1.1, 5.0])
    whole = mel_windows(mel_spectrogram(sound), times)
    np.testing.assert_allclose(heard(sound, times, Effect()), whole, rtol=0, atol=1e-6)
    for time, window in zip(times, whole, strict=True):
        alone = heard(sound, np.array([time]), Effect())
        np.testing.assert_allclose(alone[0], window, rtol=0, atol=1e-6)


def test_gain_is_in_decibels():
    plain, louder = (heard(tone(1000), MIDDLE, Effect(gain=g)) for g in (1.0, 2.0))
    peak = plain[0, :, 13].argmax()
    # 6.02 dB of 100 dB that span 8
    assert louder[0, peak, 13] - plain[0, peak, 13] == pytest.approx(0.4816, abs=1e-3)


@pytest.mark.parametrize("pink", [0.0, 1.0])
def test_noise_has_the_level_that_it_says(pink):
    quiet = np.concatenate([np.zeros(RATE, np.float32), tone(3000)])  # half of it silent
    noisy = heard(quiet, MIDDLE, Effect(noise=0.1, pink=pink))
    assert (noisy > -3.9).mean() > 0.9
    level = np.sqrt(np.mean(quiet**2)) * 0.1
    same = np.random.default_rng(3).standard_normal(2 * RATE).astype(np.float32) * level
    expected = heard(same, MIDDLE, Effect())
    if pink == 0:
        assert noisy.mean() == pytest.approx(expected.mean(), abs=0.15)
    else:  # as much in all, more of it low
        assert (noisy - expected)[0, :10].mean() > 0.35
        assert (noisy - expected)[0, -10:].mean() < -0.2


def test_a_room_answers_after_the_sound_and_moves_nothing():
    plain, room = (
        heard(click(), MIDDLE, effect) for effect in (Effect(), Effect(reverb=0.5, decay=0.3))
    )
    # A column hears 25 ms either way: those before the click's first one stay silent.
    assert (room[0, :, :11] == -4).all()
    assert plain[0, :, 16:].max() == -4
    after = room[0].mean(axis=0)
    assert after[17] > after[20] > after[23] > -4
    assert room[0, :, 13].mean() == pytest.approx(plain[0, :, 13].mean(), abs=0.5)


def test_a_room_remembers_what_was_before_the_window():
    sound = click(at=0.25)
    late = heard(sound, MIDDLE, Effect(reverb=1.0, decay=0.4))
    assert late[0, :, 0].mean() > -3.5  # 0.0875 s after the click
    assert heard(sound, MIDDLE, Effect()).max() == -4


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_pitch_moves_the_harmonics(factor):
    shifted = heard(tone(1000), MIDDLE, Effect(pitch=factor))[0, :, 13]
    expected = heard(tone(1000 * factor), MIDDLE, Effect())[0, :, 13]
    assert shifted.argmax() == expected.argmax()


def test_pitch_leaves_the_formant_and_formants_the_pitch():
    plain, pitched, formed = (
        heard(speech(), MIDDLE, effect)[0, :, 13]
        for effect in (Effect(), Effect(pitch=1.2), Effect(formant=1.2))
    )
    smooth = np.ones(13) / 13
    top, top_pitched, top_formed = (
        int(np.convolve(mel, smooth, "same").argmax()) for mel in (plain, pitched, formed)
    )
    assert abs(top_pitched - top) <= 1
    assert 3 <= top_formed - top <= 8  # 1200 to 1440 Hz are 5.3 bands
    # 150 Hz to 180 Hz: the second harmonic is found at 360 Hz, or stays at 300 Hz.
    for mel, hertz, other in ((plain, 300, 360), (formed, 300, 360), (pitched, 360, 300)):
        here, there = (
            int(heard(tone(f), MIDDLE, Effect())[0, :, 13].argmax()) for f in (hertz, other)
        )
        assert mel[here] > mel[there] + 0.3


@pytest.mark.parametrize(
    "effect", [Effect(pitch=1.3), Effect(formant=0.85), Effect(equaliser=(6.0,) * 5)]
)
def test_a_voice_keeps_its_time(effect):
    burst = np.where(np.abs(np.arange(RATE) - 8000) < 400, speech(), 0).astype(np.float32)
    loudness = [heard(burst, MIDDLE, e)[0].mean(axis=0) for e in (Effect(), effect)]
    middles = [np.average(np.arange(27), weights=one + 4) for one in loudness]
    assert middles[1] == pytest.approx(middles[0], abs=0.25)


def test_the_equaliser_says_its_decibels_at_its_frequencies():
    for number, hertz in enumerate(EQUALISER_POINTS[1:4], 1):
        curve = tuple(6.0 if number == k else 0.0 for k in range(5))
        plain, raised = (
            heard(tone(hertz), MIDDLE, effect)[0, :, 13]
            for effect in (Effect(), Effect(equaliser=curve))
        )
        peak = plain.argmax()
        assert raised[peak] - plain[peak] == pytest.approx(6 * 8 / 100, abs=0.05)


def test_what_is_not_chosen_is_not_drawn_and_leaves_the_rest():
    everything = draw_effect(np.random.default_rng(4), GROUPS["sound"])
    assert draw_effect(np.random.default_rng(4), ()) == Effect(
        pink=everything.pink, place=everything.place, decay=everything.decay
    )
    fields = {"gain": "gain", "sound-noise": "noise", "equaliser": "equaliser"}
    fields |= {"reverb": "reverb", "pitch": "pitch", "formant": "formant"}
    for seed in range(20):
        everything = draw_effect(np.random.default_rng(seed), GROUPS["sound"])
        for name, field in fields.items():
            random = np.random.default_rng(seed)
            alone = draw_effect(random, [Augmentation(name)])
            assert getattr(alone, field) == getattr(everything, field)


def test_effects_keep_to_their_limits():
    random = np.random.default_rng(0)
    drawn = [draw_effect(random, GROUPS["sound"]) for _ in range(400)]
    pitches = [one.pitch for one in drawn]
    assert 0.74 < min(pitches) < 0.78 < 1.29 < max(pitches) < 1.335
    formants = [one.formant for one in drawn]
    assert 0.87 < min(formants) < 0.89 < 1.12 < max(formants) < 1.15
    for values, plain in ((pitches, 1.0), (formants, 1.0), ([one.reverb for one in drawn], 0.0)):
        assert 150 < values.count(plain) < 250
    assert max(one.noise for one in drawn) <= 0.317
    assert 0.5 <= min(one.gain for one in drawn) < 0.52
