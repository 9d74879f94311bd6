"""Progress as bars on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich import filesize
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichBars
from rich.progress import Task as RichTask
from rich.table import Column
from rich.text import Text

from lipgan_cli.cli.console import one_line
from lipgan_cli.engine.progress import Task


class TerminalProgress:
    """Draws each task as a bar with its count, rate, times and live figures."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: RichBars | None = None

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        """Draw a task; one opened inside another is drawn below it and goes when it ends."""
        outermost = self._bars is None
        bars = self._bars or _Bars(self._console)
        if outermost:
            self._bars = bars
            bars.start()
        bar = _Bar(bars, one_line(description), total, unit)
        try:
            yield bar
        finally:
            if outermost:
                bars.stop()
                self._bars = None
            else:
                bar.remove()

    def note(self, message: str) -> None:
        """Print one line above the bars."""
        line = Text(one_line(message))
        self._console.print(line, soft_wrap=True)


class _Bar:
    def __init__(self, bars: RichBars, description: str, total: float | None, unit: str) -> None:
        self._bars = bars
        self._id = bars.add_task(description, total=total, unit=unit, figures="")

    def advance(self, steps: float = 1) -> None:
        self._bars.advance(self._id, steps)

    def show(self, **figures: float) -> None:
        text = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        self._bars.update(self._id, figures=text)

    def remove(self) -> None:
        self._bars.remove_task(self._id)


class _Count(ProgressColumn):
    """Done and total, in the task's unit; the unit B is drawn as kB, MB or GB."""

    def render(self, task: RichTask) -> Text:
        unit = task.fields["unit"]
        amounts = [task.completed] if task.total is None else [task.completed, task.total]
        if unit == "B":
            return Text("/".join(filesize.decimal(int(amount)) for amount in amounts))
        return Text(f"{'/'.join(f'{amount:.0f}' for amount in amounts)} {unit}".rstrip())


class _Rate(ProgressColumn):
    def render(self, task: RichTask) -> Text:
        speed = task.finished_speed or task.speed
        if speed is None:
            return Text("")
        if task.fields["unit"] == "B":
            return Text(f"{filesize.decimal(int(speed))}/s")
        return Text(f"{speed:.{0 if speed >= 100 else 1}f}/s")


class _Bars(RichBars):
    """One line a task, as wide as the terminal, and its figures below, wrapped if they must be."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            TextColumn("{task.description}", markup=False, table_column=_column()),
            BarColumn(bar_width=None),
            _Count(_column()),
            _Rate(_column()),
            TimeElapsedColumn(_column()),
            TextColumn("<", markup=False),
            TimeRemainingColumn(table_column=_column()),
            console=console,
        )

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if task.fields["figures"]:
                yield Text(task.fields["figures"])


def _column() -> Column:
    return Column(no_wrap=True)
