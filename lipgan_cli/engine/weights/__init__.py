"""Weights of others: where their files lie, and whether they are those that were published.

They are looked for in the user's folder, then in the package face_recognition_models, where it is
installed. What is found is verified before it is used, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.paths import weights_dir
from lipgan_cli.engine.weights import converted
from lipgan_cli.engine.weights.registry import Version, WeightsFile, named, of_file

PACKAGE = "face_recognition_models"


class State(StrEnum):
    """What lies where a file of weights belongs."""

    MISSING = "missing"
    VERIFIED = "verified"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Installed:
    """A file of the registry, and a place where it lies, or belongs where it is missing.

    `version` is the published one, where the file is verified.
    """

    weights: WeightsFile
    path: Path
    state: State
    version: Version | None

    @property
    def own(self) -> bool:
        """Whether it lies in the user's folder, and not in an installed package."""
        return self.path.parent == weights_dir()


def inspect(row: WeightsFile) -> Installed:
    """Look for a verified file of weights; else one that is damaged is told."""
    damaged = None
    for found in copies(row):
        if found.state is State.VERIFIED:
            return found
        damaged = damaged or found
    return damaged or Installed(row, weights_dir() / row.stored, State.MISSING, None)


def copies(row: WeightsFile) -> Iterator[Installed]:
    """Every file that lies where these weights are looked for, verified as it is asked for."""
    own = (weights_dir() / name for name in dict.fromkeys((row.stored, row.file)))
    for path in (*own, *_packaged(row.file)):
        if path.is_file():
            version = version_of(row, path)
            state = State.VERIFIED if version else State.DAMAGED
            yield Installed(row, path, state, version)


def version_of(row: WeightsFile, path: Path) -> Version | None:
    """Which published version of the weights a file is, or was made from; None where it is none."""
    try:
        status = path.stat()
        if row.pickled and path.suffix == ".safetensors":
            digest = _converted_from(path, status.st_size, status.st_mtime_ns)
        else:
            same = status.st_size == row.size
            digest = _sha256(path, status.st_size, status.st_mtime_ns) if same else None
    except OSError:
        return None
    return row.version(digest)


def find(name: str) -> Path:
    """The path of a verified file of weights.

    Raises:
        InputError: it is not installed, or is not the file that was published.
    """
    path = find_installed(name)
    if path is None:
        raise InputError(
            f"the weights {name} are not installed ({weights_dir() / named(name).stored})",
            f"lipgan download-weights {name} fetches them, --from FILE takes a copy",
        )
    return path


def find_installed(name: str) -> Path | None:
    """The path of a verified file of weights; None where it is not installed.

    Raises:
        InputError: what lies there is not the file that was published.
    """
    found = inspect(named(name))
    if found.state is State.DAMAGED:
        raise InputError(
            f"{found.path} is not the file that was published: its size or SHA-256 differs",
            f"lipgan download-weights {name} fetches it again",
        )
    return found.path if found.state is State.VERIFIED else None


def find_file(file: str) -> Path | None:
    """As `find_installed`, by the published file's name; None also for one that is not known."""
    row = of_file(file)
    return None if row is None else find_installed(row.name)


def remove(row: WeightsFile) -> tuple[Path, ...]:
    """Remove weights from the user's folder, with what was begun of them; return what is gone.

    Raises:
        LipganError: a file cannot be removed.
    """
    gone = []
    for path in (*(weights_dir() / name for name in {row.stored, row.file}), *parts(row)):
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LipganError(
                f"cannot remove {path}: {error.strerror}", "check the folder's permissions"
            ) from error
        gone.append(path)
    return tuple(sorted(gone))


def parts(row: WeightsFile) -> list[Path]:
    """What there is in the user's folder of a file that was begun: none of it has its name."""
    stems = {Path(row.file).stem, Path(row.file).stem[:40]}  # `atomic_path` cuts a long one
    begun = {path for stem in stems for path in weights_dir().glob(f".{stem}.*")}
    return sorted(path for path in begun if ".part" in path.suffixes)


def _packaged(file: str) -> Iterator[Path]:
    """Where an installed face_recognition_models has a file.

    The package is not imported: older ones need pkg_resources.
    """
    package = find_spec(PACKAGE)
    if package is not None:
        for folder in package.submodule_search_locations or ():
            yield Path(folder) / "models" / file


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, changed: int) -> str:
    """The SHA-256 of a file, read once while its size and its time of change stay the same."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@lru_cache(maxsize=64)
def _converted_from(path: Path, size: int, changed: int) -> str | None:
    """As `_sha256`, of the published file that a converted one was made from."""
    return converted.source_of(path)
