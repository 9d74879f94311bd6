"""When the frames of a film are shown, and which one is on screen at that time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

LOWEST_FPS, HIGHEST_FPS = 1, 240
USUAL_FPS = Fraction(25)  # of photos, and of files that name no rate
USUAL_RATES = (
    *(Fraction(1000 * fps, 1001) for fps in (24, 30, 60, 120)),
    *(Fraction(fps) for fps in (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 120)),
)

# A source frame this much of a frame's duration late still counts as on time: containers round
# timestamps, Matroska to whole milliseconds.
LATE = Fraction(1, 4)


@dataclass(frozen=True, eq=False)
class Clock:
    """When each frame begins and the last one ends, in ticks of `base` seconds from the first.

    At a constant rate a tick is a frame; else ticks are the file's own.
    """

    fps: Fraction  # the constant rate, or the mean of a varying one
    base: Fraction  # seconds
    ticks: NDArray[np.int64]  # (frames + 1,)

    @property
    def frames(self) -> int:
        return len(self.ticks) - 1

    @property
    def constant(self) -> bool:
        return self.base * self.fps == 1

    @property
    def duration(self) -> Fraction:
        """Seconds."""
        return int(self.ticks[-1]) * self.base

    def seconds(self, frames: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when frames begin; at a constant rate also beyond the end."""
        ticks = frames if self.constant else self.ticks[frames]
        return ticks.astype(np.float64) * float(self.base)

    def position(self, seconds: float) -> float:
        """Return a time in frames: 2.5 is in the middle of frame 2."""
        tick = seconds / float(self.base)
        if self.constant:
            return tick
        before = int(np.searchsorted(self.ticks, tick, "right")) - 1
        before = min(max(before, 0), self.frames - 1)
        first, last = int(self.ticks[before]), int(self.ticks[before + 1])
        return before + min(max((tick - first) / (last - first), 0.0), 1.0)

    def part(self, first: int, last: int) -> Clock:
        """Return the clock of the frames from `first` to before `last`."""
        ticks = self.ticks[first : last + 1]
        return Clock(self.fps, self.base, ticks - ticks[0])


def constant(fps: Fraction, frames: int) -> Clock:
    """Return the clock of a constant rate."""
    return Clock(fps, 1 / fps, np.arange(frames + 1, dtype=np.int64))


def clock_of(times: Sequence[int], end: int, base: Fraction, rates: Iterable[Fraction]) -> Clock:
    """Return the clock of frames that begin at `times`, sorted, and end at `end`, in ticks.

    It is that of a constant rate where one explains every time: one of `rates`, tried first, or a
    usual one, or the mean.
    """
    ticks = np.array([*times, max(end, times[-1] + 1)], np.int64) - times[0]
    length = int(ticks[-1]) * base
    mean = _kept(len(times) / length)
    for some in (tuple(rates), (*USUAL_RATES, mean)):
        if not some:
            continue
        error, fps = min((_error(ticks, base * fps), fps) for fps in some)
        if error <= LATE:
            return constant(fps, count(length, fps))
    return Clock(mean, base, ticks)


def _kept(fps: Fraction) -> Fraction:
    return min(max(fps, Fraction(LOWEST_FPS)), Fraction(HIGHEST_FPS)).limit_denominator(1001)


def _error(ticks: NDArray[np.int64], scale: Fraction) -> float:
    """Return by how much the frames are off a constant rate at most, in frames."""
    places = ticks[:-1] * float(scale)
    return float(np.abs(places - np.arange(len(places))).max())


@dataclass(frozen=True)
class Timed:
    """A decoded frame and when it is shown."""

    time: float  # seconds since the first frame
    duration: float  # seconds, as the file says; wrong where frames were reordered
    frame: av.VideoFrame


def on_screen(frames: Iterable[Timed], clock: Clock, first: int = 0) -> Iterator[av.VideoFrame]:
    """Yield what is on screen when each frame of the clock begins, from frame `first` on.

    The last frame is shown to the film's end, or where that is too far off (frames at the end are
    damaged or missing), for 1 / fps.
    """
    number, held = first, None
    for upcoming in frames:
        begins = clock.position(upcoming.time)
        while held is not None and number + LATE < begins:
            yield held.frame
            number += 1
        held = upcoming
    if held is None:
        return
    shown, period = float(clock.duration) - held.time, float(1 / clock.fps)
    if not 0 < shown < max(held.duration, period) + period / 2:
        shown = period
    if clock.constant:
        last = count(held.time + shown, clock.fps)
    else:
        last = min(clock.frames, round(clock.position(held.time)) + 1)
    while number < last:
        yield held.frame
        number += 1


def count(seconds: Fraction | float, fps: Fraction) -> int:
    """Return how many frames a film of this length has, at least one."""
    return max(1, math.floor(seconds * fps + Fraction(1, 2)))
