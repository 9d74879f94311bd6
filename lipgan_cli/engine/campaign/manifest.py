"""A campaign's manifest: a line of JSON for every attempt at a message.

`manifest.jsonl` in the campaign's folder; shard 2 of 8 writes `manifest-2-of-8.jsonl`. Lines are
only ever added. The last one about a message counts, in whichever of the files it is.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import IO, Any

from lipgan_cli.engine.errors import InputError, LipganError

_FILE = re.compile(r"manifest(-[0-9]+-of-[0-9]+)?\.jsonl")


class Status(StrEnum):
    """How an attempt ended."""

    DONE = "done"
    FAILED = "failed"  # there is no film
    REJECTED = "rejected"  # there is one, and the quality gate is against it


def now() -> str:
    """Return the time as entries have it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Entry:
    """A finished attempt at a message.

    Attributes:
        line: of the table.
        row: its values, as they were read.
        key: names all that the film depends on: other keys, other films.
        inputs: SHA-256 by what it is of: presenter, weights, audio or text.
        output: relative to the campaign's folder, with "/".
        seconds: how long the film is; `elapsed` is how long it took.
        quality: the gate's figures; None where there is none.
        moment: the frame that stands for the film on the contact sheet.
        face: centre x, centre y and side of the face's square there, in pixels.
        finished: when, or when the gate judged it anew, in UTC, as ISO 8601.
    """

    id: str
    key: str
    status: Status
    line: int = 0
    row: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    output: str = ""
    bytes: int = 0
    seconds: float = 0.0
    frames: int = 0
    elapsed: float = 0.0
    device: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    quality: Mapping[str, float | None] = field(default_factory=dict)
    moment: int | None = None
    face: tuple[float, float, float] | None = None
    error: str = ""
    finished: str = field(default_factory=now)

    def to_json(self) -> str:
        """Return the entry as one line; numbers that are none become null."""
        told = _strict(vars(self))
        line = json.dumps(told, ensure_ascii=False, allow_nan=False)
        try:
            line.encode()
        except UnicodeEncodeError:  # a path whose bytes are no text
            line = json.dumps(told, allow_nan=False)
        return line

    @classmethod
    def from_json(cls, line: str) -> Entry | None:
        """Return what a line says, None where it is damaged; keys that are not known are left out.

        A key that is missing has its default, except that `finished` is then empty.
        """
        try:
            told = json.loads(line)
            known = {name: told[name] for name in _KINDS if told.get(name) is not None}
            if not all(isinstance(value, _KINDS[name]) for name, value in known.items()):
                return None
            known["status"] = Status(known["status"])
            known["warnings"] = tuple(map(str, known.get("warnings", ())))
            if "face" in known:
                x, y, side = map(float, known["face"])
                known["face"] = (x, y, side)
            return cls(**{"finished": "", **known})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None


_NUMBER = (int, float)
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "id": str,
    "key": str,
    "status": str,
    "line": int,
    "row": dict,
    "inputs": dict,
    "output": str,
    "bytes": int,
    "seconds": _NUMBER,
    "frames": int,
    "elapsed": _NUMBER,
    "device": str,
    "versions": dict,
    "warnings": list,
    "quality": dict,
    "moment": int,
    "face": list,
    "error": str,
    "finished": str,
}
"""What JSON has for the fields of an entry."""


class Manifest:
    """An open manifest; threads may share it."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._lock = Lock()
        self._torn = _torn(file)  # whether the file ends within a line

    def add(self, entry: Entry) -> None:
        """Add an entry; it is on the disk when this returns.

        Raises:
            LipganError: it cannot be written.
        """
        line = entry.to_json().encode() + b"\n"
        with self._lock:
            whole = b"\n" + line if self._torn else line
            self._torn = True
            try:
                written = self._file.write(whole)
                if written != len(whole):
                    raise LipganError(f"cannot write {self._path}", "is the disk full?")
                os.fsync(self._file.fileno())
            except OSError as error:
                raise LipganError(
                    f"cannot write {self._path}: {error.strerror}", "is the disk full?"
                ) from error
            self._torn = False


@contextmanager
def open_manifest(path: Path) -> Iterator[Manifest]:
    """Open a manifest to add to it; what a killed run left of a line stays a line of its own.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        file = path.open("a+b", buffering=0)  # a line goes out in one piece
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}", "choose another folder"
        ) from error
    with file:
        yield Manifest(path, file)


def manifests(folder: Path) -> list[Path]:
    """Return the manifests in a folder, by name."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name))


def read_entries(folder: Path) -> dict[str, Entry]:
    """Return the last entry about each message, by id, out of all manifests of a folder.

    Raises:
        InputError: one cannot be read.
    """
    latest: dict[str, Entry] = {}
    for path in manifests(folder):
        # Within a file the order counts, whatever the clock did; between files the time does.
        for name, entry in _read(path).items():
            if name not in latest or latest[name].finished <= entry.finished:
                latest[name] = entry
    return latest


def _read(path: Path) -> dict[str, Entry]:
    entries = {}
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="\n") as file:
            for line in file:
                entry = Entry.from_json(line)
                if entry is not None:  # a damaged line costs only another try
                    entries[entry.id] = entry
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}", "check its permissions"
        ) from error
    return entries


def _torn(file: IO[bytes]) -> bool:
    end = file.seek(0, os.SEEK_END)
    if end == 0:
        return False
    file.seek(end - 1)
    return file.read(1) != b"\n"


def _strict(value: Any) -> Any:
    """Return a value as JSON knows it: without NaN and infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _strict(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_strict(each) for each in value]
    return value
