"""One file from one address, over a network that breaks: what came is kept, and gone on from.

What comes is written to a `.part` file beside its place. A note beside that says which file of the
server's it is the beginning of; it is gone on from only where the server still has that very file.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lipgan_cli import __version__
from lipgan_cli.engine.progress import Progress, Task

BLOCK = 1 << 18  # bytes
TIMEOUT = 30.0  # seconds without a byte
SLOWEST = 1000  # bytes a second
PATIENCE = 60.0  # seconds over which a server may be slower
LONGEST_PAUSE = 60.0  # seconds that a server may make us wait

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_PAGE = (b"<!doctype html", b"<html")


class AddressError(Exception):
    """An address did not give the file.

    Attributes:
        passing: it may do so later.
        after: seconds after which the server asks to be tried again.
    """

    def __init__(self, reason: str, passing: bool = False, after: float = 0) -> None:
        super().__init__(reason)
        self.passing = passing
        self.after = after


class _SlowError(AddressError):
    """What comes is too slow to be waited for, here and now."""


class _RestGoneError(AddressError):
    """The server does not give what follows on what is here, though that is not all."""


@dataclass(frozen=True)
class Size:
    """How many bytes an address has to give: exactly so many, where that is known, or at most."""

    exact: int | None
    most: int


@dataclass(frozen=True)
class _Begun:
    """What is here of an address's file: bytes, what names it to the server, bytes in all."""

    have: int = 0
    validator: str = ""
    length: int | None = None


def host(url: str) -> str:
    """The server that an address names."""
    return urlsplit(url).netloc.rpartition("@")[2]


def fetch(
    url: str, part: Path, size: Size, title: str, progress: Progress, pause: float = 0
) -> None:
    """Bring the file at an address into `part`, from where it broke off.

    Where it breaks off again, it goes on after `pause` seconds, as long as something comes.

    Raises:
        AddressError: the address does not give it; what came of it is kept where that is of use.
        OSError: `part` cannot be written.
    """
    while True:
        begun = _begun(url, part)
        try:
            _go_on(url, part, begun, size, title, progress)
            return
        except _RestGoneError:
            if not begun.have:
                raise
            discard(part)
            continue
        except _SlowError:
            raise
        except AddressError as error:
            if not error.passing or _begun(url, part).have <= begun.have:
                raise
            progress.note(f"{title}: {host(url)}: {error}; going on from there")
        time.sleep(pause)


def discard(part: Path) -> None:
    """Remove what came of a file, and the note beside it."""
    _note_of(part).unlink(missing_ok=True)
    part.unlink(missing_ok=True)


def _go_on(url: str, part: Path, begun: _Begun, size: Size, title: str, progress: Progress) -> None:
    if begun.length is not None and begun.have == begun.length:
        return
    headers = {"User-Agent": f"lipgan/{__version__}", "Accept-Encoding": "identity"}
    if begun.have:
        headers |= {"Range": f"bytes={begun.have}-", "If-Range": begun.validator}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http and https alone
    with _reasons_told():
        # An opener of its own reads the variables that name proxies.
        response = urllib.request.build_opener().open(request, timeout=TIMEOUT)
    with response:
        start, length = _place(response, begun)
        _check(response, length, size)
        if start == 0:
            _begin(url, part, response, length)
        try:
            _receive(response, part, start, length, size, title, progress)
        except AddressError as error:
            if not error.passing:
                discard(part)
            raise


def _begun(url: str, part: Path) -> _Begun:
    """What can be gone on from; nothing where the server could not tell whether it fits."""
    try:
        have = part.stat().st_size
        note = json.loads(_note_of(part).read_text("utf-8"))
        if note["url"] == url and note["validator"]:
            return _Begun(have, str(note["validator"]), note["length"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # there is nothing, or the note was never finished
    return _Begun()


def _begin(url: str, part: Path, response: Any, length: int | None) -> None:
    """Begin anew: the note goes first and comes last, so that it never tells of other bytes."""
    discard(part)
    part.touch()
    tag = response.headers.get("ETag", "")
    validator = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
    note = {"url": url, "validator": validator, "length": length}
    _note_of(part).write_text(json.dumps(note), "utf-8")


def _note_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _place(response: Any, begun: _Begun) -> tuple[int, int | None]:
    """Where in the file the answer begins, and how long the whole file is, where that is told."""
    if response.status != http.client.PARTIAL_CONTENT:
        told = response.headers.get("Content-Length", "")
        return 0, int(told) if told.isdigit() else None
    given = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if given is None or int(given[1]) != begun.have:
        raise _RestGoneError("it gave another part of the file than was asked for", passing=True)
    return begun.have, int(given[2]) if given[2].isdigit() else begun.length


def _check(response: Any, length: int | None, size: Size) -> None:
    """Check what can be known before the first byte."""
    if response.headers.get_content_type() == "text/html":
        raise AddressError("it gave a web page, not the file")
    if length is not None and size.exact is not None and length != size.exact:
        raise AddressError(f"it gave {length:,} bytes, not {size.exact:,}")
    if length is not None and length > size.most:
        raise AddressError(f"it gave more than {size.most:,} bytes")


def _receive(
    response: Any,
    part: Path,
    start: int,
    length: int | None,
    size: Size,
    title: str,
    progress: Progress,
) -> None:
    received = start
    total = size.exact if length is None else length
    description = f"downloading {title}" + (", the rest" if start else "")
    rest = None if total is None else total - start
    with progress.task(description, rest, "B") as task, part.open("ab") as stream:
        for block in _blocks(response, task):
            if not received and block.lstrip()[:14].lower().startswith(_PAGE):
                raise AddressError("it gave a web page, not the file")
            received += len(block)
            if received > size.most:
                raise AddressError(f"it gave more than {size.most:,} bytes")
            stream.write(block)
    if total is not None and received < total:
        raise AddressError(
            f"the connection closed after {received:,} of {total:,} bytes", passing=True
        )
    if size.exact is not None and received > size.exact:
        raise AddressError(f"it gave more than {size.exact:,} bytes")


def _blocks(response: Any, task: Task) -> Iterator[bytes]:
    """Yield what comes, as it comes, unless it comes too slowly."""
    since, fresh = time.monotonic(), 0
    while True:
        with _reasons_told():
            block = response.read1(BLOCK)
        if not block:
            return
        yield block
        task.advance(len(block))
        fresh += len(block)
        passed = time.monotonic() - since
        if passed >= PATIENCE:
            if fresh < SLOWEST * passed:
                raise _SlowError(f"it gave {fresh / passed:.0f} bytes a second", passing=True)
            since, fresh = time.monotonic(), 0


@contextmanager
def _reasons_told() -> Iterator[None]:
    """Turn what the network raises into a reason in a few words."""
    try:
        yield
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            error.close()
            raise _RestGoneError("it no longer has the rest", passing=True) from error
        passing = error.code in {408, 429} or error.code >= 500
        after = 0.0
        with suppress(ValueError):  # absent, or a date
            after = min(float(error.headers.get("Retry-After", "")), LONGEST_PAUSE)
        error.close()
        raise AddressError(f"HTTP {error.code} {error.reason}", passing, after) from error
    except urllib.error.URLError as error:
        raise AddressError(_words(error.reason), passing=True) from error
    except (OSError, http.client.HTTPException) as error:
        raise AddressError(_words(error), passing=True) from error


def _words(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return f"no answer for {TIMEOUT:g} seconds"
    if isinstance(reason, http.client.IncompleteRead):
        return "the connection closed too early"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__
