"""Where the time goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up the seconds of each step; steps of different threads overlap."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.first_frame = 0.0  # seconds from the beginning to the first finished frame
        self._started = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds from the beginning until now."""
        return time.perf_counter() - self._started

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to a step."""
        started = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - started
            self.seconds[name] = self.seconds.get(name, 0.0) + taken
