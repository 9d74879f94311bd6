"""Where the user's data lives, and writing files whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from lipgan_cli.engine.errors import BusyError, InputError, LipganError

PAUSE = 0.01  # seconds between two tries to hold a folder


def home() -> Path:
    """The folder of datasets, runs and weights: `LIPGAN_HOME`, or the platform's own.

    Raises:
        InputError: the user has no home.
    """
    return _own_folder() or _of_platform(platformdirs.user_data_path)


def datasets_dir() -> Path:
    """Prepared datasets, one folder each."""
    return home() / "datasets"


def runs_dir() -> Path:
    """Training runs, one folder each: checkpoints, log, sheets."""
    return home() / "runs"


def weights_dir() -> Path:
    """Downloaded weights."""
    return home() / "weights"


def cache_dir() -> Path:
    """What can be made anew: a folder of its own, so that it can be left out of backups.

    Raises:
        InputError: the user has no home.
    """
    own = _own_folder()
    return own / "cache" if own else _of_platform(platformdirs.user_cache_path)


def _own_folder() -> Path | None:
    override = os.environ.get("LIPGAN_HOME")
    return Path(override).expanduser() if override else None


def _of_platform(folder: Callable[[str], Path]) -> Path:
    try:
        return folder("lipgan")
    except RuntimeError as error:
        raise InputError(
            f"no folder of yours is known: {error}", "set LIPGAN_HOME to one"
        ) from error


@contextmanager
def atomic_path(target: Path, force: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `target`, renamed to it when the block ends well.

    The temporary name keeps the suffix, so that writers that go by it work. Whatever goes wrong
    in the block, nothing is left behind. Works for files and for folders.

    Raises:
        InputError: `target` exists and `force` is false, or its folder cannot be written.
    """
    check_output(target, force)
    short = target.stem[:40]  # a file name has 255 bytes at most
    temporary = target.with_name(f".{short}.{secrets.token_hex(4)}.part{target.suffix}")
    try:
        yield temporary
        if force and target.is_dir() and temporary.is_dir():
            shutil.rmtree(target)
        temporary.replace(target)
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        raise LipganError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def check_output(target: Path, force: bool = True) -> None:
    """Check before any work that `target` can be written; makes its folder.

    Raises:
        InputError: it exists and `force` is false, or its folder cannot be written.
    """
    if target.exists() and not force:
        raise InputError(f"{target} exists already", "give another name, or --force to replace it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder {target.parent}: {error.strerror}", "choose another folder"
        ) from error
    if not os.access(target.parent, os.W_OK):
        raise InputError(f"cannot write into {target.parent}", "choose another folder")


@contextmanager
def locked(folder: Path, name: str = ".lock", patience: float = 0.0) -> Iterator[None]:
    """Hold a folder for writing, or what the lock file `name` in it stands for; makes the folder.

    patience: seconds to wait for another run to let go.

    Raises:
        BusyError: another run holds it.
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / name).open("a+b")
    except OSError as error:
        raise InputError(
            f"cannot write into {folder}: {error.strerror}", "choose another folder"
        ) from error
    with handle:
        until = time.monotonic() + patience
        while not _lock(handle.fileno()):
            if time.monotonic() >= until:
                raise BusyError(f"another run is writing {folder}", "wait until it has ended")
            time.sleep(PAUSE)
        yield


def _lock(descriptor: int) -> bool:
    """Lock an open file until it is closed, by whatever means the process ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True  # a file system without locks
    return True


def require_file(path: Path, what: str) -> Path:
    """Return `path` when it is a file that can be read and is not empty.

    Raises:
        InputError: it is missing, a folder, empty or unreadable.
    """
    try:
        there = path.exists()
    except OSError:  # a name that no file can have, or a folder that may not be entered
        there = False
    if not there:
        raise InputError(f"{what} {path} does not exist", "check the path")
    if path.is_dir():
        raise InputError(f"{what} {path} is a folder, not a file", "give one file")
    if not os.access(path, os.R_OK):
        raise InputError(f"{what} {path} cannot be read", "check its permissions")
    if path.stat().st_size == 0:
        raise InputError(f"{what} {path} is empty", "give a file with content")
    return path
