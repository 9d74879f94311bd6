"""A command that a user gives to be run for every text: arguments with places in them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lipgan_cli.engine.cache import content_hash
from lipgan_cli.engine.errors import InputError

EXAMPLE = "--tts 'piper -m voice.onnx -f {output}'"
RUNNERS = {
    *("sh", "bash", "dash", "zsh", "ksh", "fish", "cmd", "powershell", "pwsh"),
    *("python", "python3", "perl", "ruby", "node"),
}
"""Programs that run an argument as code."""
REQUOTERS = {".bat", ".cmd", "ssh"}
"""Batch files and the remote shell, which tell arguments apart again."""
OPERATORS = {"|", "||", "&", "&&", ";", "<", "<<", ">", ">>", "2>", "2>&1", "&>"}

_PLACE = re.compile(r"\{(\w+)\}")
# What makes a runner run the argument that follows.
_CODE = re.compile(r"-\w*[ce]|/[ck]|-command", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True)
class Command:
    """A program and its arguments, in which `{output}` and `{text}` are filled in."""

    program: str  # its path
    arguments: tuple[str, ...]

    @property
    def reads(self) -> bool:
        """Whether the text is read from standard input: there is no place for it."""
        return not any("{text}" in word for word in self.arguments)

    def fill(self, line: str, output: Path) -> list[str]:
        """Return what is run for a text in one line."""
        return [self.program, *(_filled(word, line, output) for word in self.arguments)]

    def contents(self) -> list[str]:
        """Return the hash of each file that the command names, program and all, with its name."""
        words = [self.program, *(word.partition("=")[2] or word for word in self.arguments)]
        return [f"{Path(path).name}={digest}" for path in words if (digest := _digest(path))]


def parse_command(template: str) -> Command:
    """Return the command of a template, which is quoted as for a shell.

    Raises:
        InputError: the program is not found, or the template cannot be used.
    """
    try:
        words = [os.path.expanduser(word) for word in shlex.split(template)]  # noqa: PTH111
    except ValueError as error:
        raise InputError(
            f"the voice's command {template!r} cannot be told apart: {error}", "close its quotes"
        ) from error
    _check_words(template, words)
    program = shutil.which(words[0])
    if program is None:
        raise InputError(
            f"the voice's program {words[0]!r} is not found",
            "install it, or give its path: --tts '/path/to/program ... {output}'",
        )
    program = str(Path(program).absolute())
    _check_safe(words, program)
    return Command(program, tuple(words[1:]))


def in_one_line(text: str) -> str:
    """Return a text with single blanks between its words, and nothing that is no writing."""
    written = text.encode("utf-8", "ignore").decode()  # half a surrogate pair is none
    return " ".join(_CONTROL.sub(" ", written).split())


def _check_words(template: str, words: Sequence[str]) -> None:
    """Check that a template says where the sound goes, and nothing that only a shell knows."""
    if not words:
        raise InputError("the voice's command is empty", f"give a program: {EXAMPLE}")
    places = {place for word in words for place in _PLACE.findall(word)}
    if "output" not in places:
        raise InputError(
            f"the voice's command {template!r} does not say where the sound goes",
            f"put {{output}} where the program takes the file to write: {EXAMPLE}",
        )
    unknown = sorted(places - {"output", "text"})
    if unknown:
        raise InputError(
            f"the voice's command has {{{unknown[0]}}}, which nothing is filled into",
            "known are {output} and {text}; the columns of a table belong into the text",
        )
    for word in words:
        if word in OPERATORS:
            raise InputError(
                f"the voice's command has a {word!r}, and no shell runs it",
                "put the commands into a script, and name the script",
            )


def _check_safe(words: Sequence[str], program: str) -> None:
    """Check that a text, which may come from anybody, is never run as a command."""
    names = {Path(word).stem.lower() for word in (program, *words)}
    run = names & RUNNERS and any(
        _CODE.fullmatch(flag) and "{text}" in word for flag, word in pairwise(words)
    )
    again = (names | {Path(program).suffix.lower()}) & REQUOTERS
    if run or (again and any("{text}" in word for word in words)):
        raise InputError(
            "the voice's command would run the text as a command",
            "leave out {text}: then it comes on standard input",
        )


def _digest(path: str) -> str | None:
    with suppress(OSError, ValueError, InputError):  # a word need not be a file's name
        if Path(path).is_file():
            return content_hash(Path(path))[:16]
    return None


def _filled(word: str, line: str, output: Path) -> str:
    """Fill a word's places, once: what is in the text stays as it is."""
    values = {"output": str(output.absolute()), "text": line}
    filled = _PLACE.sub(lambda place: values[place[1]], word)
    # A text that begins with a dash is no option.
    return f" {filled}" if word.startswith("{text}") and filled.startswith("-") else filled
