"""A run's log: a line of JSON for every few iterations and for every evaluation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from lipgan_cli.engine.paths import atomic_path


class Log:
    """An open log, written line by line."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, iteration: int, values: Mapping[str, Any]) -> None:
        """Add a line."""
        self._file.write(json.dumps({"iteration": iteration, **values}) + "\n")


@contextmanager
def open_log(run: Path, first: int) -> Iterator[Log]:
    """Append to a run's log from iteration `first` on; what a lost stretch wrote is dropped."""
    path = log_file(run)
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    with atomic_path(path) as temporary:
        kept = [line for line in lines if _iteration(line) <= first]
        temporary.write_text("".join(f"{line}\n" for line in kept), "utf-8")
    with path.open("a", buffering=1, encoding="utf-8") as file:
        yield Log(file)


def log_file(run: Path) -> Path:
    """The file of a run's log."""
    return run / "log.jsonl"


def read_log(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, each with its `iteration`; a line cut short is left out."""
    path = log_file(run)
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if _iteration(line) < float("inf")]


def _iteration(line: str) -> float:
    try:
        return float(json.loads(line)["iteration"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line cut short by a crash
