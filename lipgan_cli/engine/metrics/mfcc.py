"""MFCC: the sound as the published SyncNet hears it, 13 figures at 100 moments a second.

The numbers are those of python_speech_features 0.6 at its defaults, which that network was made
with: a window without a taper, the first figure replaced by the logarithm of the window's energy.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from lipgan_cli.engine.media.audio import SAMPLE_RATE

COEFFICIENTS = 13
COLUMNS_PER_SECOND = 100

STEP = SAMPLE_RATE // COLUMNS_PER_SECOND
WINDOW = 400  # samples: 25 ms
FFT = 512
FILTERS = 26
PRE_EMPHASIS = 0.97
LIFTER = 22
FULL_SCALE = 1 << 15  # int16
BLOCK = 4096  # columns computed at once

Sound = NDArray[np.float32] | NDArray[np.int16]


def mfcc(samples: Sound) -> NDArray[np.float64]:
    """Return the MFCC of a sound at 16 kHz, (13, columns).

    Samples are int16, or float in [-1, 1], which is rounded to int16 first. Column k begins at
    sample 160 * k; the last one is filled with zeros beyond the end.
    """
    columns = 1 + max(0, -((WINDOW - len(samples)) // STEP))
    lifter = 1 + LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / LIFTER)
    out = np.empty((COEFFICIENTS, columns))
    for first in range(0, columns, BLOCK):
        last = min(first + BLOCK, columns)
        sound = _emphasised(samples, first * STEP, (last - 1) * STEP + WINDOW)
        windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::STEP]
        power = np.abs(np.fft.rfft(windows, FFT, axis=1)) ** 2 / FFT
        bands = _logarithm(power @ _filters().T)
        out[:, first:last] = (dct(bands, axis=1, norm="ortho")[:, :COEFFICIENTS] * lifter).T
        out[0, first:last] = _logarithm(power.sum(axis=1))
    return out


def _emphasised(samples: Sound, first: int, last: int) -> NDArray[np.float64]:
    """Return pre-emphasised samples first..last-1, zero beyond the end of the sound."""
    heard = np.asarray(samples[max(first - 1, 0) : last])
    if heard.dtype.kind == "f":
        heard = np.clip(np.rint(heard * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    start = 0 if first else 1  # sample first - 1 stands at 0; before the sound it is zero
    sound = np.zeros(1 + last - first)
    sound[start : start + len(heard)] = heard
    emphasised = sound[1:] - PRE_EMPHASIS * sound[:-1]
    emphasised[max(len(samples) - first, 0) :] = 0
    return emphasised


def _logarithm(energies: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithm: NDArray[np.float64] = np.log(
        np.where(energies == 0, np.finfo(np.float64).eps, energies)
    )
    return logarithm


@cache
def _filters() -> NDArray[np.float64]:
    """Return triangles equally wide in mel from 0 to 8000 Hz with corners on whole bins (26, 257).

    Mel are those of 2595 * log10(1 + Hz / 700).
    """
    highest = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, highest, FILTERS + 2) / 2595) - 1)
    corners = np.floor((FFT + 1) * hertz / SAMPLE_RATE)
    bins = np.arange(FFT // 2 + 1)
    return np.stack([np.interp(bins, corners[j : j + 3], [0, 1, 0]) for j in range(FILTERS)])
