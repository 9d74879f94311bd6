"""Fetching weights: from their addresses, a mirror or a local copy; verified, then put in place.

The published bytes are verified first. What is published as a pickle is then turned into
safetensors. A file appears under its name whole and verified or not at all, whatever else runs.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from lipgan_cli.engine.errors import BusyError, InputError, LipganError
from lipgan_cli.engine.paths import check_output, locked, weights_dir
from lipgan_cli.engine.progress import Progress, Silent
from lipgan_cli.engine.weights import Installed, State, inspect, parts, transfer
from lipgan_cli.engine.weights.arrival import OtherFileError, settle
from lipgan_cli.engine.weights.registry import Version, WeightsFile
from lipgan_cli.engine.weights.sources import Source, addresses, copies_in
from lipgan_cli.engine.weights.transfer import AddressError, Size

ROUNDS = 3  # times that the addresses are tried when a failure may pass
PAUSE = 2.0  # seconds before the second round, twice as many before the third
WAIT = 0.2  # seconds between two looks whether another process is done


def download(
    row: WeightsFile,
    progress: Progress | None = None,
    force: bool = False,
    source: Source = None,
    offline: bool = False,
    pause: float = PAUSE,
) -> Installed:
    """Fetch, verify and put in place a file of weights, unless it is there and `force` is false.

    The addresses are tried in order, again after a while where the failure may pass. A file that
    broke off is gone on from. Two processes fetch a file once.

    Raises:
        InputError: the user's folder cannot be written, a local copy is not the file, or it is not
            here and `offline`.
        LipganError: no address gave the file, or it cannot be stored.
    """
    told = progress or Silent()
    there = inspect(row)
    if not force and _settled(there):
        return there
    target = weights_dir() / row.stored
    missing = force or there.state is not State.VERIFIED
    if offline and missing and not isinstance(source, Path):
        raise InputError(
            f"the weights {row.name} are not here and cannot be fetched offline",
            f"take a copy of {row.file} with --from FILE, or put it into {target.parent}",
        )
    check_output(target)
    with _alone(row, told):
        there = inspect(row)  # another process may have brought it
        if not force and _settled(there):
            return there
        if there.state is State.DAMAGED:
            told.note(f"{there.path} is not the file that was published; it is fetched again")
        for path in parts(row):
            if path.suffix not in {".part", ".json"}:  # left by a process that was killed
                path.unlink(missing_ok=True)
        if row.caveat:
            told.note(f"{row.name}: {row.caveat}")
        if there.state is State.VERIFIED and not force:
            version = _from_local(row, there.path, target)
        elif isinstance(source, Path):
            version = _from_local(row, source, target)
        else:
            version = _from_any(row, addresses(row, source), target, told, pause)
        for path in parts(row):
            path.unlink(missing_ok=True)
        if there.state is State.DAMAGED and there.own and there.path != target:
            there.path.unlink(missing_ok=True)
    return Installed(row, target, State.VERIFIED, version)


def _settled(there: Installed) -> bool:
    """Whether nothing is to be done; a pickle that was put into the folder is still turned."""
    name = there.path.name
    return there.state is State.VERIFIED and (not there.own or name == there.weights.stored)


@contextmanager
def _alone(row: WeightsFile, progress: Progress) -> Iterator[None]:
    """Hold the user's folder, when no other process does."""
    with ExitStack() as held:
        told = False
        while True:
            try:
                held.enter_context(locked(weights_dir()))
                break
            except BusyError:
                if not told:
                    progress.note(f"{row.name}: waiting for another download to end")
                told = True
                time.sleep(WAIT)
        yield


def _from_local(row: WeightsFile, source: Path, target: Path) -> Version:
    """Take weights from a local file, or from the first file in a folder that is right."""
    found = copies_in(source, row) if source.is_dir() else [source]
    failed = InputError(f"{source} has no {row.file}", "check the folder, or give the file")
    for path in found:
        try:
            _check_space(row.size, target.parent, row.name)
            return settle(row, path, target)
        except OtherFileError as error:
            failed = InputError(f"{path} is {error}", f"it is not {row.file} as it was published")
        except PermissionError:
            failed = InputError(f"{path} cannot be read", "check its permissions")
    raise failed


def _from_any(
    row: WeightsFile, urls: Sequence[str], target: Path, progress: Progress, pause: float
) -> Version:
    left = list(urls)
    failures: dict[str, AddressError] = {}
    told = ""
    for attempt in range(ROUNDS):
        if attempt and left:
            asked = max((failures[url].after for url in left), default=0)
            time.sleep(max(pause * attempt, asked if pause else 0))
        for url in tuple(left):
            if told:
                progress.note(f"{row.name}: {told}; trying {'again' if attempt else 'the next'}")
            try:
                return _from_one(row, url, target, progress, pause)
            except AddressError as error:
                failures[url] = error
                told = f"{transfer.host(url)}: {error}"
                if not error.passing:
                    left.remove(url)
    reasons = "; ".join(f"{transfer.host(url)}: {error}" for url, error in failures.items())
    raise LipganError(
        f"the weights {row.name} could not be downloaded: {reasons}",
        f"try again later, or take a copy of {row.file} with --from FILE",
    )


def _from_one(
    row: WeightsFile, url: str, target: Path, progress: Progress, pause: float
) -> Version:
    name = urlsplit(url).path.rsplit("/", 1)[-1]
    exact = None if name.endswith((".bz2", ".safetensors")) else row.size
    # What is packed, or has another header, may be a little larger.
    size = Size(exact, row.size + (0 if exact else row.size // 20 + 100_000))
    packed = ".bz2" if name.endswith(".bz2") else ""
    part = target.with_name(f".{row.file}{packed}.part")
    began = part.stat().st_size if part.exists() else 0
    _check_space(2 * row.size - began, target.parent, row.name)
    try:
        transfer.fetch(url, part, size, row.name, progress, pause)
    except OSError as error:
        raise LipganError(
            f"cannot write {part}: {error.strerror}", "make room; what came goes on from there"
        ) from error
    try:
        return settle(row, part, target)
    except OtherFileError as error:
        transfer.discard(part)
        # What was gone on from may have been damaged here: then all of it is fetched again.
        raise AddressError(f"it gave {error}", passing=began > 0) from error


def _check_space(size: int, folder: Path, name: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise LipganError(
            f"{folder} has {free:,} bytes free; fetching {name} takes {size:,}",
            "make room, or move the folder with LIPGAN_HOME",
        )
