"""The messages of a campaign: the rows of a table, checked before anything is made of them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from lipgan_cli.engine.campaign.table import (
    Fault,
    Row,
    Table,
    listed,
    quoted,
    read_table,
    refusal,
)
from lipgan_cli.engine.campaign.template import (
    LONGEST_TEXT,
    Phrase,
    Template,
    parse_template,
    split_plain,
)
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.coding import CONTAINERS
from lipgan_cli.engine.paths import require_file
from lipgan_cli.engine.provenance.sidecar import embeds, sidecar_of

LONGEST_NAME_BYTES = 200  # a file's name may have 255, and those beside it have a few more
LONGEST_OUTPUT_BYTES = 1000

# What Windows forbids is refused everywhere, so that a folder of films can be copied anywhere.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE
)
_OWN_FILE = re.compile(r"campaign\.json|manifest(-[0-9]+-of-[0-9]+)?\.jsonl", re.IGNORECASE)


@dataclass(frozen=True)
class Message:
    """What one video is to be: either a sound file or phrases are spoken."""

    id: str
    line: int  # of the table, where its row begins
    audio: Path | None  # None: the phrases
    phrases: tuple[Phrase, ...]
    start: float | None  # seconds of the presenter's video, as is the end
    end: float | None
    output: Path  # relative to the output folder
    values: Mapping[str, str]  # the row as read

    @property
    def span(self) -> tuple[Fraction | None, Fraction | None]:
        """Start and end, exactly."""
        first, last = (None if at is None else Fraction(at) for at in (self.start, self.end))
        return first, last


def read_messages(
    table: Path | None,
    stdin: BinaryIO | None,
    template: str | None,
    suffix: str = ".mp4",
    check: Callable[[Message], None] = lambda message: None,
) -> tuple[Message, ...]:
    """Read the messages of a table, or of standard input where there is none.

    Sound files are looked for beside the table, those of standard input in the working folder. With
    a template, it is what all messages speak. The names of outputs end in `suffix` unless the table
    gives them. `check` raises what else is wrong with a message.

    Raises:
        InputError: the table cannot be read, or rows are faulty; it names all faults, one a line.
    """
    spoken = None if template is None else parse_template(template)
    rows = read_table(table, stdin)
    reader = _Reader(rows, spoken, suffix)
    messages = tuple(reader.read(row) for row in rows.rows) if "id" in rows.columns else ()
    reader.check_folders()
    reader.check(messages, check)
    if reader.faults:
        raise refusal(rows.name, reader.faults)
    return messages


class _Reader:
    """Makes messages of rows, and keeps what is wrong with them."""

    def __init__(self, table: Table, template: Template | None, suffix: str) -> None:
        self._columns = table.columns
        self._folder = table.folder
        self._template = template
        self._suffix = suffix
        self._ids: dict[str, int] = {}  # the line of each
        self._outputs: dict[str, int] = {}
        self._folders: dict[str, int] = {}  # of outputs
        self._line = table.header_line
        self.faults = list(table.faults)
        if table.rows:
            self._check_columns()

    def read(self, row: Row) -> Message:
        """Return the message of a row; it is good for nothing where there are faults."""
        self._line = row.line
        name = row.values.get("id", "")
        audio, phrases = self._read_speech(row.values)
        start, end = self._read_span(row.values)
        output = self._read_output(name, row.values.get("output", ""))
        return Message(name, row.line, audio, phrases, start, end, output, row.values)

    def check_folders(self) -> None:
        """Find outputs that others need as a folder."""
        for folder, line in self._folders.items():
            self._line = line
            if folder in self._outputs:
                self._add(
                    f"its output is below that of line {self._outputs[folder]}, which is a file"
                )

    def check(self, messages: Iterable[Message], check: Callable[[Message], None]) -> None:
        """Find what a check says of the messages in whose rows nothing is wrong."""
        faulty = {fault.line for fault in self.faults}
        for message in messages:
            if message.line not in faulty:
                try:
                    check(message)
                except InputError as error:
                    self.faults.append(Fault(message.line, error.message))

    def _add(self, text: str) -> None:
        self.faults.append(Fault(self._line, text))

    def _check_columns(self) -> None:
        has = f"the columns are {listed(self._columns)}"
        if "id" not in self._columns:
            self._add(f"there is no column 'id': {has}")
        if self._template is None:
            if not {"audio", "text"} & set(self._columns):
                self._add(f"there is neither a column 'audio' nor 'text', and no --text: {has}")
        elif unknown := [each for each in self._template.columns if each not in self._columns]:
            self._add(f"there is no column {listed(unknown)}, which --text names: {has}")

    def _read_speech(self, cells: Mapping[str, str]) -> tuple[Path | None, tuple[Phrase, ...]]:
        audio, text = cells.get("audio", ""), cells.get("text", "")
        if self._template is not None:
            own = "text" if text and "text" not in self._template.columns else ""
            if audio or own:
                self._add(
                    f"it has {'audio' if audio else own} of its own beside --text: leave out one"
                )
            return None, self._fill(self._template, cells)
        if audio and text:
            self._add("there are both audio and text: leave one empty")
        elif audio:
            path = self._folder / audio
            try:
                require_file(path, "the audio")
            except InputError as error:
                self._add(error.message.replace(str(path), quoted(str(path), 200)))
            return path, ()
        elif text:
            names = [each for each in self._columns if f"{{{each}}}" in text]
            if names:
                self._add(f"the text has {{{names[0]}}}: columns are filled in for --text alone")
            return None, self._check_phrases(split_plain(text))
        elif {"audio", "text"} & set(self._columns):
            self._add("there is neither audio nor text")
        return None, ()

    def _fill(self, template: Template, cells: Mapping[str, str]) -> tuple[Phrase, ...]:
        empty = [each for each in template.columns if not cells.get(each)]
        if not empty:
            return self._check_phrases(template.fill(cells))
        if known := [each for each in empty if each in self._columns]:
            self._add(f"there is nothing in {listed(known)}, which --text names")
        return ()

    def _check_phrases(self, phrases: tuple[Phrase, ...]) -> tuple[Phrase, ...]:
        length = sum(len(phrase.text) for phrase in phrases)
        if length > LONGEST_TEXT:
            self._add(f"the text has {length:,} characters: {LONGEST_TEXT:,} are the most")
        if not phrases:
            self._add("the text has no word in it")
        return phrases

    def _read_span(self, cells: Mapping[str, str]) -> tuple[float | None, float | None]:
        seconds: dict[str, float | None] = {"start": None, "end": None}
        for name in seconds:
            if cell := cells.get(name):
                seconds[name] = _seconds(cell)
                if seconds[name] is None:
                    self._add(f"the {name} {quoted(cell)} is no number of seconds, such as 2.5")
        start, end = seconds.values()
        if end is not None and end <= (start or 0):
            self._add(f"there is nothing from {start or 0:g} s to {end:g} s: the start comes first")
        return start, end

    def _read_output(self, name: str, given: str) -> Path:
        fault = _name_fault(name)
        if fault:
            self._add(f"the id {quoted(name)} {fault}: it cannot name a file" if name else "no id")
        elif (line := self._ids.setdefault(_alike(name), self._line)) != self._line:
            fault = f"the id {quoted(name)} is that of line {line} too, capitals or not"
            self._add(fault)
        if given:
            fault = _output_fault(given)
            if fault:
                self._add(f"the output {quoted(given)} {fault}")
        if fault:
            return Path()
        output = given or name + self._suffix
        alike = _alike(output)
        if (line := self._outputs.setdefault(alike, self._line)) != self._line:
            self._add(f"the output {quoted(output)} is that of line {line} too, capitals or not")
        if not embeds(Path(output)):  # its credentials lie beside it
            beside = _alike(str(sidecar_of(Path(output))))
            if (line := self._outputs.setdefault(beside, self._line)) != self._line:
                self._add(
                    f"the output {quoted(output)} has its credentials where that of line {line} has"
                )
        if "/" in alike:
            for folder in PurePosixPath(alike).parents:
                self._folders.setdefault(str(folder), self._line)
        return Path(output)


def _seconds(cell: str) -> float | None:
    """Return a number that is not negative, None where the cell is none."""
    try:
        seconds = float(cell)
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None


def _alike(name: str) -> str:
    """Return what is equal for names that some file systems hold for one."""
    return unicodedata.normalize("NFC", name.casefold())


def _name_fault(name: str) -> str:
    """Return why no file or folder can be named so on every system, "" if one can."""
    if not name:
        return "is empty"
    if not name.isprintable():
        return "has a character that cannot be seen"
    if found := _FORBIDDEN.search(name):
        return f"has a {found[0]!r} in it"
    if name.startswith(".") or name.endswith((".", " ")):
        return "begins with a dot or ends with a dot or a space"
    if _RESERVED.match(name):
        return "is a name that Windows keeps for itself"
    if len(name.encode()) > LONGEST_NAME_BYTES:
        return f"is longer than {LONGEST_NAME_BYTES} bytes"
    return ""


def _output_fault(output: str) -> str:
    """Return why no film can be there in the output folder, "" if one can."""
    parts = output.split("/")
    if output.startswith("/"):
        return "is absolute: give it from the output folder on"
    for part in parts:
        if fault := _name_fault(part):
            return f"cannot be made: {quoted(part)} {fault}"
    if len(output.encode()) > LONGEST_OUTPUT_BYTES:
        return f"is longer than {LONGEST_OUTPUT_BYTES} bytes"
    if PurePosixPath(output).suffix.lower() not in CONTAINERS:
        return f"does not end in {', '.join(CONTAINERS)}"
    if _OWN_FILE.fullmatch(parts[0]):
        return f"needs {quoted(parts[0])}, a file of the campaign's own, as a folder"
    return ""
