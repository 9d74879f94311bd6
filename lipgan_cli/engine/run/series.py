"""The figures of a run as series of numbers, read from its log."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.run.figures import Name, numbers
from lipgan_cli.engine.run.log import log_lines

Numbers: TypeAlias = NDArray[np.float64]

MOST = 1000
"""Stretches that a long series is drawn in: about as many as a picture has columns."""


@dataclass(frozen=True)
class Series:
    """One figure over a run.

    Attributes:
        x: iterations, (n,).
        y: the figure, (n,), finite.
        seconds: time of training until then, (n,), NaN where the log does not say.
    """

    x: Numbers
    y: Numbers
    seconds: Numbers

    def over_hours(self) -> Series:
        """The same over hours of training, where they are known."""
        known = np.isfinite(self.seconds)
        return Series(self.seconds[known] / 3600, self.y[known], self.seconds[known])

    def outline(self) -> Series:
        """The same or, of a long one, the least and the greatest of each stretch in turn."""
        if len(self.x) <= 2 * MOST:
            return self
        starts = self._starts()
        ends = np.minimum.reduceat(self.y, starts), np.maximum.reduceat(self.y, starts)
        at = np.repeat(starts, 2)
        return Series(self.x[at], np.stack(ends, 1).ravel(), self.seconds[at])

    def running_mean(self, part: float = 1 / 30) -> Series:
        """Means over a window of `part` of the series, centred, and shorter at both ends."""
        starts = self._starts()
        counts = np.diff(starts, append=len(self.y)).astype(np.float64)
        x, y, seconds = (np.add.reduceat(v, starts) for v in (self.x, self.y, self.seconds))
        half = int(len(starts) * part / 2)
        window = np.ones(2 * half + 1)
        mean = np.convolve(y, window)[half : half + len(y)]
        mean /= np.convolve(counts, window)[half : half + len(y)]
        return Series(x / counts, mean, seconds / counts)

    def _starts(self) -> NDArray[np.intp]:
        """Where each stretch begins; every point is one of its own in a short series."""
        return np.arange(0, len(self.y), max(1, math.ceil(len(self.y) / MOST)))


def read_series(run: Path) -> dict[Name, Series]:
    """Read every figure of a run's log; what is no finite number is left out."""
    columns: dict[Name, tuple[array[float], array[float], array[float]]] = {}
    for line in log_lines(run):
        iteration, seconds = line.pop("iteration"), line.pop("seconds", None)
        seconds = seconds if isinstance(seconds, int | float) else math.nan
        for name, value in numbers(line):
            if name not in columns:
                columns[name] = array("d"), array("d"), array("d")
            for column, number in zip(columns[name], (iteration, value, seconds), strict=True):
                column.append(number)
    return {name: Series(*map(np.array, three)) for name, three in columns.items()}
