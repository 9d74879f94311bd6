"""Parts: a long recording becomes several clips, so that seconds of it can be held out."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.audio import (
    COLUMNS_PER_SECOND,
    FFT,
    HOP,
    WINDOW,
    Samples,
    centre_columns,
)

WHOLE_SECONDS = 20.0
"""A video up to this long is one clip."""
PART_SECONDS = 10.0
SHORTEST_SECONDS = 5.0
FEWEST = 8
"""Parts of which two are for testing: the control `swapped` takes the sound of another clip."""
GAP_SECONDS = 0.6
"""Between two parts, in neither: 375 ms, all that the sound of one frame is computed from, and the
five frames (200 ms) that the lip-sync judge sees at once. A held-out part shares no sound and no
mouth's movement with what is trained on."""
ROUNDING = 1e-6  # seconds: a frame right on a border is on the same side whatever its rounding
MARGIN = WINDOW // 2 + FFT // 2 // HOP
"""Columns of sound before a part's first frame and after its last: all that their windows hear."""


@dataclass(frozen=True)
class Part:
    """Frames of a recording that become one clip, and where the sound of that begins and ends."""

    frames: range
    number: int | None = None  # None: the whole recording is one clip
    of: int = 1
    columns: tuple[int, int | None] = (0, None)  # of the recording's mel

    @property
    def begins(self) -> float:
        """Seconds of the recording at which the part's own clock is at 0."""
        return self.columns[0] / COLUMNS_PER_SECOND

    def times(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return times of the recording on the part's own clock.

        A frame stays on its column of sound, even half-way between two, where NTSC's rates come.
        """
        if not self.columns[0]:
            return times
        columns = COLUMNS_PER_SECOND * times - self.columns[0]
        own = columns / COLUMNS_PER_SECOND
        return np.where(COLUMNS_PER_SECOND * own < columns, np.nextafter(own, np.inf), own)

    def sound(self, samples: Samples) -> Samples:
        """Return the part's piece of the recording's sound."""
        first, last = self.columns
        return samples[first * HOP : None if last is None else last * HOP]


def part_name(name: str, number: int) -> str:
    """Return the name or key of a part of the recording that has this one."""
    return f"{name}-{number:03d}"


def recording_name(name: str) -> str | None:
    """Return the name or key of the recording that one of this name may be a part of."""
    base, dash, number = name.rpartition("-")
    return base if dash and re.fullmatch(r"[0-9]{3,}", number) else None


def cut(times: NDArray[np.float64]) -> list[Part]:
    """Return the parts of a recording; `times` are those of its frames, and of its end, in seconds.

    They are of one length, about 10 s; where that makes fewer than eight, shorter, down to 5 s.
    """
    begins, seconds = times[:-1], float(times[-1])
    if seconds <= WHOLE_SECONDS:
        return [Part(range(len(begins)))]
    with_gap = seconds + GAP_SECONDS
    most = math.floor(with_gap / (SHORTEST_SECONDS + GAP_SECONDS))
    usual = round(with_gap / (PART_SECONDS + GAP_SECONDS))
    count = max(usual, min(FEWEST, most))
    step = with_gap / count
    parts = []
    for number in range(count):
        bounds = np.array([number * step, (number + 1) * step - GAP_SECONDS])
        first, last = np.searchsorted(begins, bounds - ROUNDING).tolist()
        columns = _columns(begins[first:last])
        parts.append(Part(range(first, last), number, count, columns))
    return parts


def _columns(times: NDArray[np.float64]) -> tuple[int, int | None]:
    if not len(times):  # a picture that stands for as long as a part
        return 0, None
    first, last = centre_columns(times[[0, -1]]).tolist()
    return max(0, first - MARGIN), last + MARGIN
