"""How the sound of a sample varies: other voices, rooms and microphones, at the same moment.

Gain, reverb and noise are laid on the waveform. Equaliser, pitch and formants work on the
magnitudes under each mel column, so that they cannot move anything in time: the magnitudes are
parted into a smooth envelope (the formants: throat and mouth) and what is left (the pitch: the
voice's harmonics), and either is stretched along frequency by a factor of its own.

All numbers are drawn whatever is chosen, so that switching one effect off leaves the others.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.random import Generator as Random
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from lipgan_cli.engine.config import Augmentation
from lipgan_cli.engine.media.audio import (
    BANDS,
    FFT,
    HOP,
    LOWEST,
    SAMPLE_RATE,
    SILENCE,
    WINDOW,
    Samples,
    centre_columns,
    column_count,
    mel_of,
    spectra,
    windows_at,
)

CHANCE = 0.5  # of noise, reverb, pitch and formants: half of the samples keep each as it is
GAIN = 6.0  # dB either way: what a level that was brought to one loudness is still off by
NOISE = 10.0, 40.0  # dB of the clip's own level above the noise: a street, a quiet room
EQUALISER = 6.0  # dB either way at each control frequency: a telephone, a cheap microphone
EQUALISER_POINTS = 60.0, 250.0, 1000.0, 2500.0, 8000.0  # Hz
REVERB = 2.0, 15.0  # dB of direct sound above the room's
DECAY = 0.1, 0.4  # seconds to fall by 60 dB: a small room, a bare one
LONGEST_REVERB = 0.25  # seconds: what comes later is below -37 dB
PITCH = 5.0  # semitones either way: a man's voice becomes that of most women, and back
FORMANT = 0.2  # octaves either way: throats from 13 to 20 cm
ENVELOPE = 160.0  # Hz, standard deviation: harmonics are nearer to each other, formants are not

_BIN = SAMPLE_RATE / FFT  # Hz
_NOISES = 1 << 17  # values of each noise in stock, 8 s
_REACH = 2 * round(3 * ENVELOPE / _BIN) + 1, 1  # bins and columns that the envelope looks at


@dataclass(frozen=True)
class Effect:
    """What is done to a sound; the same for the true and the unsynced sound of a sample."""

    gain: float = 1.0  # of the amplitude
    noise: float = 0.0  # amplitude, of the clip's own level
    pink: float = 0.0  # part of the noise, 0..1, that falls by 3 dB an octave
    place: int = 0  # in the stock of noise
    equaliser: tuple[float, ...] | None = None  # dB at EQUALISER_POINTS
    reverb: float = 0.0  # amplitude of the room's sound, of the direct one
    decay: float = 0.0  # seconds for the room's sound to fall by 60 dB
    pitch: float = 1.0  # factor
    formant: float = 1.0  # factor


def draw_effect(random: Random, chosen: Collection[Augmentation]) -> Effect:
    """Draw an effect."""
    drawn = random.random(13)
    spread = 2 * drawn - 1  # [-1, 1)
    happens = random.random(4) < CHANCE
    room, noisy = Augmentation.REVERB in chosen, Augmentation.SOUND_NOISE in chosen
    pitched, formed = Augmentation.PITCH in chosen, Augmentation.FORMANT in chosen
    equaliser = tuple((EQUALISER * spread[7:12]).tolist())
    return Effect(
        gain=_amplitude(GAIN * spread[0]) if Augmentation.GAIN in chosen else 1.0,
        noise=_amplitude(-_between(NOISE, drawn[1])) if noisy and happens[0] else 0.0,
        pink=float(drawn[2]),
        place=int(drawn[3] * _NOISES),
        equaliser=equaliser if Augmentation.EQUALISER in chosen else None,
        reverb=_amplitude(-_between(REVERB, drawn[4])) if room and happens[1] else 0.0,
        decay=_between(DECAY, drawn[5]),
        pitch=float(2 ** (PITCH / 12 * spread[6])) if pitched and happens[2] else 1.0,
        formant=float(2 ** (FORMANT * spread[12])) if formed and happens[3] else 1.0,
    )


def heard(samples: Samples, times: NDArray[np.float64], effect: Effect) -> NDArray[np.float32]:
    """Return the mel windows of a sound under an effect, (len(times), 80, 27).

    Without any effect they are those of `mel_windows` of the whole sound's mel. Only as much of
    the sound as the windows and the room's echo need is computed.
    """
    columns = centre_columns(times)
    first = max(0, int(columns.min()) - WINDOW // 2)
    last = min(column_count(samples), int(columns.max()) + WINDOW // 2 + 1)
    if last <= first:
        return np.full((len(columns), BANDS, WINDOW), SILENCE, np.float32)
    # Pre-emphasis asks for one more sample, a room for all that it still echoes.
    before = FFT // 2 + HOP + (round(LONGEST_REVERB * SAMPLE_RATE) if effect.reverb else 0)
    begin = max(0, first * HOP - before)
    snippet = samples[begin : (last - 1) * HOP + FFT // 2]
    recorded = _recorded(snippet, samples, effect)
    magnitudes = spectra(recorded, first - begin // HOP, last - begin // HOP)
    return windows_at(mel_of(_spoken(magnitudes, effect)).astype(np.float32), columns - first)


def _recorded(snippet: Samples, whole: Samples, effect: Effect) -> Samples:
    """The waveform in a room, with noise, at a level."""
    sound = snippet
    if effect.reverb:
        sound = sound + np.float32(effect.reverb) * _echo(sound, effect)
    if effect.noise:
        level = np.sqrt(np.dot(whole, whole) / len(whole))
        share = np.sqrt(np.array([1 - effect.pink, effect.pink])) * effect.noise * level
        sound = sound + share.astype(np.float32) @ _stock(effect.place, len(sound))
    return sound if effect.gain == 1 else sound * np.float32(effect.gain)


def _echo(sound: Samples, effect: Effect) -> Samples:
    """What a room adds to a sound: noise that dies away after every click, of the click's power."""
    length = round(min(effect.decay, LONGEST_REVERB) * SAMPLE_RATE)
    fading = 10 ** (-3 * np.arange(length) / (effect.decay * SAMPLE_RATE))
    fading[0] = 0  # the direct sound, which keeps the time, is not the room's
    tail = (_stock(effect.place, length)[0] * fading).astype(np.float32)
    tail /= np.linalg.norm(tail)
    size = next_fast_len(len(sound) + length, real=True)
    return np.asarray(irfft(rfft(sound, size) * rfft(tail, size), size)[: len(sound)], np.float32)


def _stock(place: int, length: int) -> NDArray[np.float32]:
    """White and pink noise from a place in the stock on, (2, length)."""
    places = np.arange(place, place + length) % _NOISES
    return np.asarray(_noises().take(places, axis=1), np.float32)


@cache
def _noises() -> NDArray[np.float32]:
    """White and pink noise of standard deviation 1 that go round, (2, _NOISES)."""
    white = np.random.default_rng(0).standard_normal((2, _NOISES))
    shape = np.maximum(np.fft.rfftfreq(_NOISES, 1 / SAMPLE_RATE), LOWEST)  # below, none hears it
    white[1] = np.fft.irfft(np.fft.rfft(white[1]) / np.sqrt(shape))
    return np.asarray(white / white.std(axis=1, keepdims=True), np.float32)


def _spoken(magnitudes: NDArray[np.float64], effect: Effect) -> NDArray[np.float64]:
    """Magnitudes (columns, 401) of another voice at another microphone."""
    if effect.pitch != 1 or effect.formant != 1:
        logarithms = np.log(np.maximum(magnitudes, 1e-6)).astype(np.float32)
        envelope = np.asarray(cv2.GaussianBlur(logarithms, _REACH, ENVELOPE / _BIN), np.float32)
        voice = _stretched(logarithms - envelope, effect.pitch)
        magnitudes = np.exp(voice + _stretched(envelope, effect.formant)).astype(np.float64)
    if effect.equaliser is not None:
        magnitudes = np.asarray(magnitudes * 10 ** (_CURVES @ np.array(effect.equaliser) / 20))
    return magnitudes


def _stretched(values: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Move what is at bin k to bin k * factor; the last bin goes on where nothing comes."""
    if factor == 1:
        return values
    last = values.shape[1] - 1
    place = np.minimum(np.arange(last + 1) / factor, last)
    left = np.minimum(place.astype(np.int64), last - 1)
    part = (place - left).astype(np.float32)
    return np.asarray(values[:, left] * (1 - part) + values[:, left + 1] * part)


def _between(limits: tuple[float, float], part: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * part


def _amplitude(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def _curves() -> NDArray[np.float64]:
    """How much each control frequency says at each bin, straight over octaves, (401, points)."""
    octaves = np.log2(np.maximum(np.arange(FFT // 2 + 1) * _BIN, 1.0))
    points = np.log2(EQUALISER_POINTS)
    return np.column_stack([np.interp(octaves, points, row) for row in np.eye(len(points))])


_CURVES = _curves()
