"""Loudness as broadcasters measure it (ITU-R BS.1770-4, EBU R128), and sound brought to it."""

from __future__ import annotations

import math
from fractions import Fraction

import av
import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from lipgan_cli.engine.media.audio import Samples

CEILING = -1.0
"""Decibels of full scale that no true peak passes: coders overshoot."""
MOST_PRESSED = 12.0  # dB: a sound with higher peaks stays softer than it was to be
CLOSE = 0.05  # LU
TURNS = 8  # of approaching a loudness from which pressed peaks take a part
LEAST_SLOPE = 0.2  # LU gained by a decibel

SILENT = -70.0  # LUFS: the meter's absolute gate, and what it says of silence
SHORTEST_SECONDS = 0.4  # the meter's block: it says nothing of a shorter sound
REACH_SECONDS = 0.005  # before and after a peak in which the gain moves
OVERSAMPLED = 4  # as BS.1770-4, annex 2 has it


def integrated(samples: Samples, rate: int) -> float | None:
    """Return the gated loudness of mono sound (n,) in LUFS, None where it is silent.

    By FFmpeg's meter. A sound of less than 400 ms is measured as if it went on again and again.
    """
    if not len(samples):
        return None
    block = round(SHORTEST_SECONDS * rate)
    if len(samples) < block:
        samples = np.tile(samples, 1 + -(-block // len(samples)))
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=rate, layout="mono", format="flt", time_base=Fraction(1, rate)
    )
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    told = SILENT
    for first in range(0, len(samples), rate):  # in seconds, so that no long sound is copied whole
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[None, first : first + rate], np.float32), "flt", "mono"
        )
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), first
        source.push(frame)
        told = _drained(sink, told)
    source.push(None)
    told = _drained(sink, told)
    return told if told > SILENT else None


def _drained(sink: av.filter.FilterContext, told: float) -> float:
    """Return the loudness of all that the meter has passed on, `told` where it says no more."""
    while True:
        try:
            passed = sink.pull()
        except (av.BlockingIOError, av.EOFError):
            return told
        assert isinstance(passed, av.AudioFrame)
        told = float(passed.metadata.get("lavfi.r128.I", told))


def true_peak(samples: Samples, rate: int) -> float:
    """Return the highest peak of mono sound (n,) between samples too, in decibels of full scale."""
    highest = float(_peaks(samples, rate).max(initial=0))
    return 20 * math.log10(highest) if highest else -math.inf


def levelled(samples: Samples, rate: int, lufs: float) -> Samples:
    """Bring mono sound (n,) to a loudness, with no true peak above the ceiling.

    Peaks that would pass it are pressed, by 12 dB at most: a sound that is hardly more than peaks
    stays softer. Silence is left alone.
    """
    level = integrated(samples, rate)
    if level is None:
        return samples
    peaks, ceiling = _peaks(samples, rate), 10 ** (CEILING / 20)
    most = 20 * math.log10(ceiling / float(peaks.max())) + MOST_PRESSED
    gain = min(lufs - level, most)
    last_gain, last = gain - 1, lufs - 1  # where nothing is pressed, both go the same way
    for _ in range(TURNS):
        pressed = samples * _eased(10 ** (gain / 20), peaks, ceiling, rate)
        reached = integrated(pressed, rate)
        if reached is None or abs(lufs - reached) < CLOSE or gain == most:
            break
        slope = float(np.clip((reached - last) / (gain - last_gain), LEAST_SLOPE, 1))
        last_gain, last = gain, reached
        gain = min(gain + (lufs - reached) / slope, most)
    # Between samples a moving gain may leave a hundredth of a decibel too much.
    return pressed * np.float32(min(1, ceiling / float(_peaks(pressed, rate).max())))


def _eased(
    factor: float, peaks: NDArray[np.float32], ceiling: float, rate: int
) -> NDArray[np.float32]:
    """Return a gain that is `factor` but where peaks need less, and moves smoothly, (n,)."""
    reach = 2 * round(REACH_SECONDS * rate) + 1
    # The least gain near by, then its mean over as much: at a peak all of that is low enough.
    low = minimum_filter1d(np.minimum(factor, ceiling / np.maximum(peaks, 1e-9)), reach)
    return np.asarray(uniform_filter1d(low, reach, mode="nearest"), np.float32)


def _peaks(samples: Samples, rate: int) -> NDArray[np.float32]:
    """Return the highest magnitude at and after each sample up to the next one, (n,)."""
    if not len(samples):
        return np.zeros(0, np.float32)
    finer = np.abs(soxr.resample(samples, rate, OVERSAMPLED * rate, "VHQ"))
    # The resampler takes away what is near the highest frequency, and with it from the peaks.
    highest = np.maximum(np.abs(samples), finer.reshape(-1, OVERSAMPLED).max(axis=1))
    return np.asarray(highest, np.float32)
