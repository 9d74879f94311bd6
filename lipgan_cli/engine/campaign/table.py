"""Tables of messages: CSV, TSV and JSON lines, row by row, each with its line."""

from __future__ import annotations

import csv
import io
import json
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import BinaryIO, TextIO

from lipgan_cli.engine.errors import FaultsError, InputError
from lipgan_cli.engine.paths import require_file

LARGEST_TABLE_BYTES = 1_000_000_000
LONGEST_ROW = 100_000  # characters; fewer than the csv module allows a cell
MOST_FAULTS_SHOWN = 20

_TAB, _JSON = "\t", "json"
_FORMATS = {".tsv": _TAB, ".jsonl": _JSON, ".ndjson": _JSON}  # others: by their first line
_QUOTED = re.compile('"[^"]*"?')
# What no text has: NUL, halves of characters, and what stands where bytes could not be decoded.
_UNUSABLE = re.compile("[\0\ud800-\udfff\ufffd]")


@dataclass(frozen=True)
class Fault:
    """What is wrong at a line of a table, counted from 1; line 0 is the table as a whole."""

    line: int
    text: str


@dataclass(frozen=True)
class Row:
    """The cells of a row by column, without the white space around them.

    A cell that a row of a CSV file lacks is empty; a field that a JSON object lacks is not there.
    """

    line: int  # where it begins
    values: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """The rows that could be read, and the faults of the others."""

    name: str
    folder: Path  # where its relative paths begin
    header_line: int  # 0 where there is none
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    faults: tuple[Fault, ...]


def read_table(path: Path | None, stdin: BinaryIO | None = None) -> Table:
    """Read a table from a file, or from standard input where there is no path.

    Text is UTF-8, or UTF-16 with a byte-order mark. Empty rows are skipped.

    Raises:
        InputError: there is no such file, nothing in it, or its header cannot be used.
    """
    name = "standard input" if path is None else str(path)
    folder = Path() if path is None else path.parent
    data = _read_bytes(path, stdin)
    if len(data) > LARGEST_TABLE_BYTES:
        raise InputError(
            f"{name} has more than {LARGEST_TABLE_BYTES:,} bytes", "split it into several tables"
        )
    coding = "utf-16" if data[:2] in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8-sig"
    lines = _Lines(io.TextIOWrapper(io.BytesIO(data), coding, errors="replace", newline=""))
    try:
        first = _first_line(lines)
    except _RowError as error:
        raise refusal(name, [Fault(lines.number, str(error))]) from error
    if not first:
        raise InputError(f"{name} is empty", "give a table with a column id")
    if first.strip() == "[" or first.lstrip().startswith("[{"):
        raise InputError(f"{name} is a JSON array", "write JSON lines: one object a line")
    kind = _FORMATS.get("" if path is None else path.suffix.lower()) or _recognise(first)
    if kind == _JSON:
        rows, faults = _read_objects(first, lines)
        columns = tuple(dict.fromkeys(column for row in rows for column in row.values))
        header_line = 0
    else:
        header_line, columns, rows, faults = _read_cells(name, kind, first, lines)
    if not rows and not faults:
        raise InputError(f"{name} has no rows", "write one for each message")
    return Table(name, folder, header_line, columns, tuple(rows), tuple(faults))


def refusal(name: str, faults: Iterable[Fault]) -> InputError:
    """Return the error that names a table's faults in the order of their lines, one a line."""
    found = sorted(faults, key=lambda fault: fault.line)
    texts = [f"line {fault.line}: {fault.text}" if fault.line else fault.text for fault in found]
    hint = "mend the table and run it again"
    if len(texts) == 1:
        return InputError(f"{name}{', ' if found[0].line else ': '}{texts[0]}", hint)
    more = len(texts) - MOST_FAULTS_SHOWN
    shown = texts[:MOST_FAULTS_SHOWN] + ([f"and {more:,} more"] if more > 0 else [])
    return FaultsError(f"{name} has {len(texts):,} faults:", shown, hint)


def quoted(text: str, longest: int = 60) -> str:
    """Return a text as a message shows it: in quotes, on one line, cut where it is too long."""
    return repr(text if len(text) <= longest else f"{text[:longest]}...")


def listed(names: Sequence[str]) -> str:
    """Return names as a message lists them."""
    more = ", ..." if len(names) > 20 else ""
    return ", ".join(quoted(name) for name in names[:20]) + more


def find_flaw(cells: Sequence[str]) -> str:
    """Return what is wrong with texts that hold what no text has, "" where nothing is."""
    if not _UNUSABLE.search("".join(cells)):
        return ""
    cell, found = next((cell, found) for cell in cells if (found := _UNUSABLE.search(cell)))
    near = quoted(cell[max(found.start() - 20, 0) : found.start() + 20])
    what = "has a NUL byte" if found[0] == "\0" else "is not UTF-8"
    return f"{near} {what}: save it as UTF-8 text"


class _RowError(Exception):
    """A row cannot be read."""


class _Lines:
    """The lines of a text with their ends; counts them, and the characters of each row."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._left = LONGEST_ROW
        self.number = 0  # of the last line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(self._left + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._left -= len(line)
        if self._left < 0:
            while line and line[-1] not in "\r\n":
                line = self._text.readline(LONGEST_ROW)
            raise _RowError(f"the row is longer than {LONGEST_ROW:,} characters")
        return line

    def begin_row(self) -> int:
        """Return the number of the line with which the next row begins."""
        self._left = LONGEST_ROW
        return self.number + 1


def _read_bytes(path: Path | None, stdin: BinaryIO | None) -> bytes:
    if path is None:
        assert stdin is not None
        return stdin.read(LARGEST_TABLE_BYTES + 1)
    with require_file(path, "the table").open("rb") as file:
        return file.read(LARGEST_TABLE_BYTES + 1)


def _first_line(lines: _Lines) -> str:
    """Return the first line with something on it, "" where there is none."""
    line = next(lines, "")
    while line and not line.strip():
        lines.begin_row()
        line = next(lines, "")
    return line


def _recognise(first: str) -> str:
    """Return the format of a table by its first line: what divides its cells, or JSON."""
    if first.lstrip().startswith("{"):
        return _JSON
    outside = _QUOTED.sub("", first)
    return max(",", ";", _TAB, key=outside.count)


def _read_cells(
    name: str, divider: str, first: str, lines: _Lines
) -> tuple[int, tuple[str, ...], list[Row], list[Fault]]:
    """Return the line of the header of CSV or TSV, its columns, the rows and their faults."""
    parsed = _parse_cells(divider, first, lines)
    header_line, header, flaw = next(parsed)
    columns = tuple(dict.fromkeys(filter(None, header)))
    if twice := [column for column in columns if header.count(column) > 1]:
        flaw = flaw or f"more than one column is called {listed(twice)}"
    if flaw or not columns:
        raise refusal(name, [Fault(header_line, flaw or "no column has a name")])
    rows: list[Row] = []
    faults: list[Fault] = []
    for line, cells, flaw in parsed:
        pairs = list(zip_longest(header, cells, fillvalue=""))
        surplus = next((cell for column, cell in pairs if cell and not column), "")
        if surplus:
            flaw = f"{quoted(surplus)} has no column: a cell with {divider!r} in it needs quotes"
        if flaw:
            faults.append(Fault(line, flaw))
        elif any(cells):
            rows.append(Row(line, {column: cell for column, cell in pairs if column}))
    return header_line, columns, rows, faults


def _parse_cells(divider: str, first: str, lines: _Lines) -> Iterator[tuple[int, list[str], str]]:
    """Yield for each row its line, its cells, and what is wrong if they cannot be used."""
    # Strict: a stray quote would else swallow the rows up to the next one.
    reader = csv.reader(
        chain([first], lines), delimiter=divider, strict=True, skipinitialspace=True
    )
    line = lines.number
    while True:
        cells: list[str] = []
        lost = False
        try:
            cells = [cell.strip() for cell in next(reader)]
            flaw = find_flaw(cells)
        except StopIteration:
            return
        except csv.Error as error:
            flaw = "text follows a closing quote: write a quote inside a quoted cell twice"
            if "end of data" in str(error):
                flaw = "a quote is opened and never closed"
        except _RowError as error:
            flaw = str(error)
            lost = lines.number > line  # nobody can say whether the next line begins a row
            if lost:
                flaw += ": is a quote left open? The lines below were not read"
        yield line, cells, flaw
        if lost:
            return
        line = lines.begin_row()


def _read_objects(first: str, lines: _Lines) -> tuple[list[Row], list[Fault]]:
    """Return the rows of JSON lines and their faults."""
    rows: list[Row] = []
    faults: list[Fault] = []
    texts = chain([first], lines)
    line = lines.number
    while True:
        try:
            text = next(texts)
            values = _parse_object(text) if text.strip() else {}
            if any(values.values()):
                rows.append(Row(line, values))
        except StopIteration:
            return rows, faults
        except _RowError as error:
            faults.append(Fault(line, str(error)))
        line = lines.begin_row()


def _parse_object(text: str) -> dict[str, str]:
    """Return the fields of an object; numbers stay as they are written, null is empty.

    Raises:
        _RowError: it is none, or has a field that is neither text nor a number.
    """
    try:
        fields = json.loads(text, object_pairs_hook=_Fields, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        raise _RowError(f"no JSON at character {error.pos + 1}: {error.msg}") from error
    except RecursionError as error:
        raise _RowError("no field may hold others") from error
    if not isinstance(fields, _Fields):
        raise _RowError(f"{quoted(text.strip())} is no JSON object")
    values: dict[str, str] = {}
    for name, value in fields:
        if not isinstance(value, str | None):
            raise _RowError(f"the field {quoted(name)} is neither text nor a number")
        column = name.strip()
        if column in values:
            raise _RowError(f"the field {quoted(column)} is there twice")
        values[column] = (value or "").strip()
    if flaw := find_flaw([*values, *values.values()]):
        raise _RowError(flaw)
    return values


class _Fields(list[tuple[str, object]]):
    """The fields of a JSON object, those of the same name too."""
