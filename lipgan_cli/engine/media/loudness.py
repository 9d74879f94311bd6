"""One loudness for all speech, so that a network hears how something is said and not how loud."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.audio import SAMPLE_RATE, Samples

LEVEL = -15.6
"""Decibels of full scale: the mean of 30 clips of GRID's first speaker, which differ by 1."""
FRAME = SAMPLE_RATE // 50  # samples: 20 ms
SILENCE = -60.0  # dB: frames below are none of the speech, whatever it is
GATE = 20.0  # dB: frames that much below the mean of the others are pauses
MOST_GAIN = 20.0  # dB, up or down: beyond, the noise of a recording would become its speech


def levelled(samples: Samples) -> Samples:
    """Bring speech (n,) to one loudness; silence and near silence are left alone.

    The loudness is that of the active frames of 20 ms, found by two gates, an absolute one and
    one relative to what passes it (as in ITU-R BS.1770, without its weighting by frequency).
    """
    return samples * gain(samples)


def gain(samples: Samples) -> np.float32:
    """The factor that brings speech (n,) to one loudness: 1 for silence and near silence."""
    level = loudness(samples)
    if level is None:
        return np.float32(1)
    decibels = np.clip(LEVEL - level, -MOST_GAIN, MOST_GAIN)
    return np.float32(10 ** (decibels / 20))


def loudness(samples: Samples) -> float | None:
    """The mean power of the active frames, decibels of full scale; None where there are none."""
    power = _powers(samples)
    heard = power[power > 10 ** (SILENCE / 10)]
    if not len(heard):
        return None
    active = heard[heard > heard.mean() * 10 ** (-GATE / 10)]
    return float(10 * np.log10(active.mean()))


def _powers(samples: Samples) -> NDArray[np.float64]:
    """The mean power of every whole frame."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return np.asarray(np.einsum("ij,ij->i", frames, frames), np.float64) / FRAME
