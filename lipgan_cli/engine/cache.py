"""Results that the next run can use again: arrays under a key, in a folder of bounded size.

An entry is a .npz file, named after its key and with the key inside. It appears whole or not at
all. A folder that is full, read-only or damaged is no error: every result is then made anew.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from lipgan_cli import __version__
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.paths import atomic_path, cache_dir

FORMAT = 1  # of an entry
GIB = 1 << 30
DEFAULT_CAP = 2 * GIB
CAP_VARIABLE = "LIPGAN_CACHE_GB"
LEFT_OVER_SECONDS = 3600  # a file that has been in the making for longer was given up

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
Key: TypeAlias = Mapping[str, Json]
Arrays: TypeAlias = dict[str, NDArray[Any]]

_ABOUT = "about.json"
_ENTRY = re.compile(r"[0-9a-f]{64}\.npz")
_IN_THE_MAKING = re.compile(r"\.[0-9a-f]+\.[0-9a-f]+\.part\.npz")  # as atomic_path names it


@dataclass(frozen=True)
class Usage:
    """What a cache holds; sizes in bytes."""

    folder: Path
    entries: int
    size: int
    cap: int


@dataclass(frozen=True)
class Cache:
    """Arrays by key, the least recently used removed when they pass `cap` bytes; 0 keeps none.

    A key names everything that the arrays depend on: the content of the source by its hash, each
    parameter. The versions of this package and of the entries are added to it.
    """

    folder: Path
    cap: int

    def get(self, key: Key) -> Arrays | None:
        """Return the arrays that were put under `key`, None where there are none whole."""
        if self.cap == 0:
            return None
        text = _text(key)
        path = self._path(text)
        try:
            with zipfile.ZipFile(path) as archive:
                arrays = _read(archive, text)
        except FileNotFoundError:
            return None
        except Exception:  # damaged, in whatever way
            arrays = None
        with suppress(OSError):  # a folder that cannot be written may still be read
            if arrays is None:
                path.unlink()
            else:
                os.utime(path)
        return arrays

    def put(self, key: Key, arrays: Mapping[str, NDArray[Any]]) -> bool:
        """Keep the arrays under `key` and return whether they could be kept.

        Raises:
            ValueError: an array of objects.
        """
        if sum(array.nbytes for array in arrays.values()) > self.cap or self.cap == 0:
            return False
        text = _text(key)
        path = self._path(text)
        try:
            with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
                _write(archive, text, arrays)
            self._make_room()
            return path.exists()
        except (OSError, LipganError):
            return False

    def usage(self) -> Usage:
        """Return what there is."""
        files = list(_files(self.folder))
        return Usage(
            folder=self.folder,
            entries=sum(1 for file in files if file.entry),
            size=sum(file.size for file in files),
            cap=self.cap,
        )

    def clear(self) -> int:
        """Remove everything and return how many entries there were.

        Raises:
            LipganError: a file cannot be removed.
        """
        removed = 0
        for file in _files(self.folder):
            try:
                file.path.unlink(missing_ok=True)
            except OSError as error:
                raise LipganError(
                    f"cannot remove {file.path}: {error.strerror}",
                    "try again when no other run uses it, or check the folder's permissions",
                ) from error
            removed += file.entry
        return removed

    def _path(self, text: str) -> Path:
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()}.npz"

    def _make_room(self) -> None:
        """Remove what runs left half-made, then the least recently used entries past the cap."""
        files = sorted(_files(self.folder), key=lambda file: file.used)
        given_up = time.time() - LEFT_OVER_SECONDS
        over = sum(file.size for file in files) - self.cap
        for file in files:
            if (over > 0) if file.entry else (file.used < given_up):
                with suppress(OSError):
                    file.path.unlink(missing_ok=True)
                    over -= file.size


def open_cache() -> Cache:
    """Return the user's cache: its folder, and its cap as `LIPGAN_CACHE_GB` says.

    Raises:
        InputError: `LIPGAN_CACHE_GB` is not a number from 0 on.
    """
    told = os.environ.get(CAP_VARIABLE)
    try:
        cap = float(told) * GIB if told else DEFAULT_CAP
    except ValueError:
        cap = math.nan
    if not 0 <= cap < math.inf:
        raise InputError(
            f"{CAP_VARIABLE} is {told!r}, not a size", "give GiB such as 4 or 0.5; 0 keeps nothing"
        )
    return Cache(cache_dir(), int(cap))


def content_hash(path: Path) -> str:
    """Return the SHA-256 of the whole file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "check the file") from error


@dataclass(frozen=True)
class _File:
    path: Path
    entry: bool  # else it is in the making
    size: int  # bytes
    used: float  # seconds since the epoch


def _files(folder: Path) -> Iterator[_File]:
    """Yield the cache's own files, and nothing that others put into the folder."""
    try:
        paths = list(folder.iterdir())
    except OSError:
        return
    for path in paths:
        entry = _ENTRY.fullmatch(path.name) is not None
        if entry or _IN_THE_MAKING.fullmatch(path.name):
            with suppress(OSError):  # another run may have removed it
                status = path.stat()
                yield _File(path, entry, status.st_size, status.st_mtime)


def _text(key: Key) -> str:
    whole = {"key": key, "version": __version__, "format": FORMAT}
    return json.dumps(whole, sort_keys=True, allow_nan=False)


def _write(archive: zipfile.ZipFile, text: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    archive.writestr(_ABOUT, json.dumps({"key": text, "arrays": list(arrays)}))
    for name, array in arrays.items():
        with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
            npy.write_array(stream, np.asanyarray(array), allow_pickle=False)


def _read(archive: zipfile.ZipFile, text: str) -> Arrays | None:
    about = json.loads(archive.read(_ABOUT))
    if about["key"] != text:
        return None
    arrays = {}
    for name in about["arrays"]:  # and not those that a damaged table of contents lists
        with archive.open(f"{name}.npy") as stream:
            arrays[name] = npy.read_array(stream, allow_pickle=False)
            if stream.read(1):  # the checksum is compared at the end alone
                return None
    return arrays
