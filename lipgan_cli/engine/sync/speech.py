"""The speech as the network hears it, and where it is silent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.audio import (
    COLUMNS_PER_SECOND,
    SAMPLE_RATE,
    Samples,
    mel_spectrogram,
    mel_windows,
)
from lipgan_cli.engine.media.loudness import gain, loudness
from lipgan_cli.engine.media.voice import activity, away_from_speech, hushed, stillness_at

SHORTEST_SILENCE = 0.3  # seconds: a shorter one is a pause for breath


@dataclass(frozen=True, eq=False)
class Speech:
    """A speech, and when the mouth moves to it."""

    path: Path
    seconds: Fraction
    loudness: float | None  # decibels of full scale, None where it is silent
    offset: float  # seconds by which the sound comes later than the mouth
    mel: NDArray[np.float32]  # (80, columns), silent where nobody speaks
    spoken: NDArray[np.float32]  # (columns,) 0 to 1

    def windows(self, times: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return what is heard around each time of the picture (seconds), (n, 80, 27)."""
        return mel_windows(self.mel, times + self.offset)

    def stillness(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far the mouth is at rest at each time of the picture (seconds), 0 to 1."""
        return stillness_at(self._away, times + self.offset)

    @cached_property
    def _away(self) -> NDArray[np.float64]:
        return away_from_speech(self.spoken)  # once, not for every batch of frames

    def silences(self) -> tuple[tuple[float, float], ...]:
        """Return the silences as (first second, second after the last)."""
        still = np.concatenate([[False], self.spoken == 0, [False]])
        edges = np.flatnonzero(np.diff(still.astype(np.int8))) / COLUMNS_PER_SECOND
        pairs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        return tuple(
            (first, min(last, float(self.seconds)))
            for first, last in pairs
            if last - first > SHORTEST_SILENCE
        )


def hear(path: Path, samples: Samples, offset: float, stopped: Callable[[], bool]) -> Speech:
    """Return the speech of a file's mono 16 kHz samples, `offset` seconds later than the mouth.

    The samples are brought to one loudness in place: an hour of them is 230 MB.

    Raises:
        LipganError: it was stopped.
    """
    level = loudness(samples)
    samples *= gain(samples)
    spoken = activity(samples, stopped)
    return Speech(
        path=path,
        seconds=seconds_of(samples),
        loudness=level,
        offset=offset,
        mel=hushed(mel_spectrogram(samples), spoken),
        spoken=spoken,
    )


def seconds_of(samples: Samples) -> Fraction:
    """Return how long mono 16 kHz samples last."""
    return Fraction(len(samples), SAMPLE_RATE)
