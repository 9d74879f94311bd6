"""How the engine tells of its progress without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One running piece of work."""

    def advance(self, steps: float = 1) -> None:
        """Report that `steps` more units are done."""

    def show(self, **figures: float) -> None:
        """Show live figures (losses, rates) beside the bar."""


class Progress(Protocol):
    """Receives tasks and remarks; the command line draws them, tests record them."""

    def task(
        self, description: str, total: float | None = None, unit: str = ""
    ) -> AbstractContextManager[Task]:
        """Open a task of `total` units (None when unknown), shown until the context ends."""

    def note(self, message: str) -> None:
        """Tell the user one line that is not an error."""


Listener = Callable[[str, float, float | None], None]
"""A function that hears of progress: step, units done, units in all (None when unknown)."""


class _SilentTask:
    def advance(self, steps: float = 1) -> None:
        pass

    def show(self, **figures: float) -> None:
        pass


class Silent:
    """A progress that tells nobody."""

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        yield _SilentTask()

    def note(self, message: str) -> None:
        pass


def listening(progress: Progress | Listener | None) -> Progress:
    """Return a progress that tells a function, or nobody."""
    if progress is None:
        return Silent()
    return _Told(progress) if callable(progress) else progress


class _Told(Silent):
    """Tells a function of every step."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        yield _Counted(self._listener, description, total)


class _Counted(_SilentTask):
    def __init__(self, listener: Listener, description: str, total: float | None) -> None:
        self._listener, self._description, self._total = listener, description, total
        self._done = 0.0
        listener(description, self._done, total)

    def advance(self, steps: float = 1) -> None:
        self._done += steps
        self._listener(self._description, self._done, self._total)
