"""A run's log: a line of JSON for every few iterations and for every evaluation."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

from lipgan_cli.engine.paths import atomic_path
from lipgan_cli.engine.run.events import Events, open_events


class Log:
    """An open log, written line by line.

    A line has its `iteration`, and in `seconds` how long the run had been trained, evaluations
    and earlier sessions included.
    """

    def __init__(self, file: IO[str], earlier: float = 0.0, events: Events | None = None) -> None:
        self._file = file
        self._events = events
        self._began = time.monotonic() - earlier

    def write(self, iteration: int, values: Mapping[str, Any]) -> None:
        """Add a line."""
        seconds = round(time.monotonic() - self._began, 1)
        line = {"iteration": iteration, "seconds": seconds, **values}
        self._file.write(json.dumps(line) + "\n")
        if self._events is not None:
            self._events.write(iteration, values)


@contextmanager
def open_log(run: Path, first: int, tensorboard: bool = False) -> Iterator[Log]:
    """Append to a run's log from iteration `first` on; what a lost stretch wrote is dropped.

    With `tensorboard`, its lines go to event files as well.

    Raises:
        InputError: TensorBoard is asked for and not installed.
    """
    path = log_file(run)
    earlier = 0.0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for line in log_lines(run):
            if line["iteration"] <= first:
                file.write(json.dumps(line) + "\n")
                earlier = _number(line.get("seconds"), earlier)
    events = open_events(run, first) if tensorboard else nullcontext(None)
    with events as opened, path.open("a", buffering=1, encoding="utf-8") as file:
        yield Log(file, earlier, opened)


def log_file(run: Path) -> Path:
    """The file of a run's log."""
    return run / "log.jsonl"


def log_lines(run: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's log one by one, each with its `iteration`; one cut short is left out."""
    path = log_file(run)
    if path.exists():
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                line = read_line(text)
                if line is not None:
                    yield line


def read_line(text: str) -> dict[str, Any] | None:
    """What a line of a log says; None where a crash cut it short."""
    try:
        line = json.loads(text)
        known = isinstance(line, dict) and math.isfinite(line["iteration"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    return line if known else None


def _number(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) else otherwise
