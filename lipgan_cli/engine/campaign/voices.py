"""The seam to text to speech: a voice is a program that writes a sound file of a text."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import IO, Protocol

import numpy as np

from lipgan_cli.engine.campaign.command import EXAMPLE, Command, in_one_line, parse_command
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.audio import read_audio

LIMIT_SECONDS = 300.0  # for one phrase: a large neural voice on an old machine takes a minute
QUIETEST = 10 ** (-60 / 20)  # a sound without a higher sample is silent
DEFAULT_LANGUAGE = "en"  # of espeak-ng

ESPEAK = "espeak-ng"

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_TOLD = 4096  # bytes of the end of what a program said


class Voice(Protocol):
    """What speaks; may be asked by several threads at once."""

    @property
    def name(self) -> str:
        """All that its sound depends on: equal names speak alike."""

    def say(self, text: str, output: Path) -> None:
        """Write a sound file of `text`, in one line, to `output`.

        Raises:
            LipganError: it fails, or writes nothing that can be heard.
        """

    def stop(self) -> None:
        """End what is being said in other threads, and say no more."""


def choose_voice(command: str | None, voice: str | None = None) -> Voice:
    """Return the voice of a command template, or without one that of espeak-ng.

    `command` is as `command_voice` takes it, `voice` one of espeak-ng's.

    Raises:
        InputError: there is no such program or voice, or the template cannot be used.
    """
    if command is None:
        return espeak_voice(voice or DEFAULT_LANGUAGE)
    if voice is not None:
        raise InputError(
            f"the voice {voice!r} is one of espeak-ng's, and a command is given",
            "name the voice inside the command, as its program wants it",
        )
    return command_voice(command)


def espeak_voice(language: str) -> CommandVoice:
    """Return a voice of espeak-ng: a language ("de", "en-us"), or more ("en+f3").

    Raises:
        InputError: it is not installed, or has no such voice.
    """
    program = shutil.which(ESPEAK)
    if program is None:
        raise InputError(
            f"no text to speech is installed: {ESPEAK} is not found",
            f"install {ESPEAK} (apt, dnf, brew install {ESPEAK}), or name a program: {EXAMPLE}",
        )
    if _answer([program, "-v", language, "-q", "--stdin"]) is None:
        raise InputError(
            f"{ESPEAK} has no voice {language!r}",
            f"{ESPEAK} --voices lists what it has, such as en-us, de or fr",
        )
    told = _answer([program, "--version"]) or ""
    version = re.search(r"\d+(\.\d+)+\S*", told)
    # Text in UTF-8 (-b 1) from standard input.
    command = Command(program, ("-b", "1", "-v", language, "--stdin", "-w", "{output}"))
    return CommandVoice(command, f"{ESPEAK} {version[0] if version else told.strip()} {language}")


def command_voice(template: str, limit_seconds: float = LIMIT_SECONDS) -> CommandVoice:
    """Return the voice of a command: a program and its arguments, quoted as for a shell.

    `{output}` becomes the file to write, `{text}` what is to be said. Without `{text}` the program
    reads that from standard input, one line of UTF-8. No shell runs the command, and the text is
    filled in after the arguments have been told apart: it can never be more than one argument.

    The voice is named after the command and the content of every file that the command names.

    Raises:
        InputError: the program is not found, or the template cannot be used.
    """
    command = parse_command(template)
    name = " ".join([shlex.join(shlex.split(template)), *command.contents()])
    return CommandVoice(command, name, limit_seconds)


class CommandVoice:
    """A program that is started for every text."""

    def __init__(self, command: Command, name: str, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._command = command
        self._name = name
        self._limit = limit_seconds
        self._lock = Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    @property
    def name(self) -> str:
        return self._name

    def say(self, text: str, output: Path) -> None:
        line = in_one_line(text)
        if not line:
            raise InputError(f"there is nothing to say in {text!r}", "give a text with words")
        output.unlink(missing_ok=True)  # or it would be taken for what the program has written
        with tempfile.TemporaryFile() as heard, tempfile.TemporaryFile() as said:
            heard.write(f"{line}\n".encode() if self._command.reads else b"")
            heard.seek(0)
            what = self._run(line, output, heard, said)
            if what is None:
                what = _fault(output)
            if what is not None:
                raise self._failure(what, line, _last_line(said))

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill(process)

    def _run(self, line: str, output: Path, heard: IO[bytes], said: IO[bytes]) -> str | None:
        """Run the program to its end and return what went wrong, None where nothing did."""
        words = self._command.fill(line, output)
        # Python's own programs would read standard input as the locale has it.
        variables = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        try:
            # In a session of its own it can be ended with all that it has started. Files, because
            # pipes that nobody reads or that a child holds open would stop everything.
            process = subprocess.Popen(
                words, stdin=heard, stdout=said, stderr=said, env=variables, start_new_session=True
            )
        except OSError as error:
            return f"cannot be started: {error.strerror or error}"
        try:
            with self._lock:
                self._running.add(process)
                if self._stopped:
                    _kill(process)
            code = process.wait(self._limit)
        except subprocess.TimeoutExpired:
            return f"has not ended after {self._limit:g} s"
        finally:
            with self._lock:
                self._running.discard(process)
                _kill(process)
        if self._stopped:
            raise LipganError("the voice was stopped")
        if code < 0:
            return f"was ended by signal {-code}"
        return f"ended with exit code {code}" if code else None

    def _failure(self, what: str, line: str, said: str) -> LipganError:
        short = line if len(line) <= 40 else f"{line[:39]}…"
        return LipganError(
            f"the voice {Path(self._command.program).name!r} {what}, at {short!r}"
            f"{f': {said}' if said else ''}",
            "run its command by hand with this text",
        )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program that still runs, with all that it has started."""
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True)
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _answer(words: Sequence[str]) -> str | None:
    """Return what a program says, given no input; None where it fails."""
    with suppress(OSError, ValueError, subprocess.TimeoutExpired):
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
        )
        return None if done.returncode else done.stdout.decode("utf-8", "replace")
    return None


def _fault(output: Path) -> str | None:
    """Return what is wrong with a sound file, None where it can be heard."""
    if not output.is_file():
        return "has written no sound"
    if output.stat().st_size == 0:
        return "has written an empty file"
    try:
        samples = read_audio(output)
    except InputError:
        return "has written a file that is no sound"
    return None if np.abs(samples).max(initial=0) > QUIETEST else "has written silence"


def _last_line(said: IO[bytes]) -> str:
    """Return the last line that a program has said, without what is no writing."""
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - _TOLD))
    lines = _COLOUR.sub("", said.read().decode("utf-8", "replace")).splitlines()
    return next((line for line in map(in_one_line, reversed(lines)) if line), "")[:300]
