"""What the user sees: results on stdout, progress and talk on stderr."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from fractions import Fraction
from pathlib import Path

from rich import box, filesize
from rich.console import Console, RenderableType
from rich.measure import Measurement
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
from rich.table import Table as RichTable
from rich.text import Text

from lipgan_cli.engine.metrics.table import Table, is_number
from lipgan_cli.engine.progress import Progress, Silent, Task


def print_result(text: object) -> None:
    """Print a result, one line or many, on stdout."""
    print(text, flush=True)


def print_json(data: object) -> None:
    """Print `data` as JSON on stdout.

    Dataclasses become objects, without the fields whose metadata say `"json": False`; paths and
    times become text, and an infinite or undefined number, which JSON cannot write, null.
    """
    print_result(json.dumps(_plain(data), indent=2, ensure_ascii=False, allow_nan=False))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table on stdout, numbers to the right; lines are never wrapped or cut."""
    cells = [[str(cell) for cell in row] for row in rows]
    drawn = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, header_style="")
    for place, name in enumerate(columns):
        numeric = bool(cells) and all(is_number(row[place]) for row in cells)
        drawn.add_column(Text(name), justify="right" if numeric else "left", no_wrap=True)
    for row in cells:
        drawn.add_row(*(Text(cell) for cell in row))
    console = Console(width=10_000, color_system=None, highlight=False)
    width = Measurement.get(console, console.options, drawn).maximum
    with console.capture() as capture:
        console.print(drawn, width=width)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    print_result("\n".join([title, *lines] if title else lines))


def tables(those: Sequence[Table]) -> None:
    """Print tables on stdout, an empty line between them, each with its note below."""
    for number, each in enumerate(those):
        if number:
            print_result("")
        table(each.columns, each.texts(), each.title)
        if each.note:
            print_result(each.note)


def print_error(message: str, hint: str = "", more: Sequence[str] = ()) -> None:
    """Print a failure on stderr: what it is, in lines of their own more, and what to do."""
    print(f"error: {one_line(message)}", *map(one_line, more), sep="\n", file=sys.stderr)
    if hint:
        print(f"hint: {one_line(hint)}", file=sys.stderr)


def print_note(message: str) -> None:
    """Print one line of talk on stderr."""
    print(one_line(message), file=sys.stderr)


def progress(quiet: bool) -> Progress:
    """The progress of a command: nothing when quiet, bars on a terminal, else notes alone."""
    if quiet:
        return Silent()
    console = Console(stderr=True)
    if sys.stderr.isatty() and not console.is_dumb_terminal:
        return TerminalProgress(console)
    return NotesOnly()


class NotesOnly(Silent):
    """Prints notes as plain lines and draws no bars: for logs and pipes."""

    def note(self, message: str) -> None:
        print_note(message)


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


def one_line(text: str) -> str:
    """`text` on one line, with what a terminal would obey (escapes, newlines) made visible."""
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text.strip())
    return "".join(shown)


def _plain(value: object) -> object:
    """`value` in the types that JSON has."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, Fraction)):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = [field for field in dataclasses.fields(value) if field.metadata.get("json", True)]
        return {field.name: _plain(getattr(value, field.name)) for field in shown}
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # a number of numpy's
        return _plain(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be printed as JSON")
