"""How long a stretch of training will take, from how long it has taken so far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

FIRST_SECONDS = 10.0
FIRST_ITERATIONS = 5
"""Both must have passed before anything is told."""
LATER = 0.25
"""Part of the time left by which the end must have moved to be told again."""
LATER_SECONDS = 120.0
"""And by as much at least."""


@dataclass
class Forecast:
    """What is known of the speed; times are seconds on one clock.

    Attributes:
        began: when the stretch did.
        done: iterations done before it.
        planned: iterations in all.
        every: iterations from one evaluation to the next.
        limit: when the session's time is up; None for never.
        at_most: whether the run may end before that, for want of progress.
    """

    began: float
    done: int
    planned: int
    every: int
    limit: float | None = None
    at_most: bool = False
    _evaluations: list[float] = field(default_factory=list)
    _told: float | None = None

    def evaluated(self, seconds: float) -> None:
        """Take note that an evaluation took so long."""
        self._evaluations.append(seconds)

    def left(self, done: int, now: float) -> float | None:
        """Return the seconds until the stretch ends; None as long as it is too early to tell."""
        trained = now - self.began - sum(self._evaluations)
        iterations = done - self.done
        if iterations < FIRST_ITERATIONS or trained < FIRST_SECONDS:
            return None
        seconds = (self.planned - done) * trained / iterations
        if self._evaluations:
            to_come = -(-self.planned // self.every) - done // self.every
            seconds += to_come * sum(self._evaluations) / len(self._evaluations)
        return seconds if self.limit is None else max(0.0, min(seconds, self.limit - now))

    def news(self, done: int, now: float) -> Iterator[str]:
        """Yield what is to be told: the first forecast, or one that is quite another."""
        left = self.left(done, now)
        if left is None:
            return
        end, known = now + left, self._told
        if known is not None and abs(end - known) <= max(LATER_SECONDS, LATER * left):
            return
        self._told = end
        shown = datetime.now().astimezone() + timedelta(seconds=left)
        most = "at most " if self.at_most else ""
        yield f"{most}about {_length(left)} here, until {_when(shown)}"


def _length(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    if minutes < 120:
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{seconds / 3600:.1f} hours"


def _when(end: datetime) -> str:
    today = end.date() == datetime.now().astimezone().date()
    return f"{end:%H:%M}" if today else f"{end:%H:%M} on {end:%d %B}"
