"""How the engine tells of its progress without knowing who listens."""

from __future__ import annotations

from collections.abc import Iterator
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
