"""What the user sees: results on stdout, progress and talk on stderr.

rich is loaded where it is needed: `--help` draws nothing.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from fractions import Fraction
from pathlib import Path

from lipgan_cli.engine.metrics.table import Table, is_number
from lipgan_cli.engine.progress import Progress, Silent


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
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table as RichTable
    from rich.text import Text

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
    from rich.console import Console

    console = Console(stderr=True)
    if sys.stderr.isatty() and not console.is_dumb_terminal:
        from lipgan_cli.cli.bars import TerminalProgress

        return TerminalProgress(console)
    return NotesOnly()


class NotesOnly(Silent):
    """Prints notes as plain lines and draws no bars: for logs and pipes."""

    def note(self, message: str) -> None:
        print_note(message)


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
