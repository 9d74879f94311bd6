"""Where weights are taken from, and which ones are meant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.weights import registry
from lipgan_cli.engine.weights.registry import WeightsFile

ALL = "all"

_FILES_HINT = "lipgan download-weights --list --json shows the names of the files"
_SUFFIXES = {".dat", ".bz2", ".pth", ".model", ".safetensors"}

Source = Path | str | None
"""A file or folder, the URL of a file or a mirror; None stands for the addresses that are known."""


def source_of(text: str | None) -> Source:
    """What `--from` means: the URL where it has a scheme, else a path.

    Raises:
        InputError: there is no such path, or the URL is none of http or https.
    """
    if text is None:
        return None
    if "://" not in text:
        path = Path(text)
        if not path.exists():
            raise InputError(f"{path} does not exist", "give a file, a folder or a URL")
        return path
    if urlsplit(text).scheme not in {"http", "https"} or not urlsplit(text).netloc:
        raise InputError(f"{text} is no URL of http or https", "give a file, a folder or a URL")
    return text


def chosen(names: Sequence[str], source: Source = None) -> tuple[WeightsFile, ...]:
    """The files that are meant by names, or by what they are taken from.

    Without names these are the ones that a file's or a URL's name says or that a folder has, else
    the recommended ones.

    Raises:
        InputError: there is no such name, or nothing is meant.
    """
    if ALL in names:
        rows = registry.REGISTRY
    elif names:
        rows = tuple(registry.named(name) for name in dict.fromkeys(names))
    elif isinstance(source, Path) and source.is_dir():
        rows = tuple(row for row in registry.REGISTRY if copies_in(source, row))
        if not rows:
            raise InputError(f"{source} has none of the known files", _FILES_HINT)
    elif source is not None and is_file(source):
        file = source.name if isinstance(source, Path) else urlsplit(source).path.split("/")[-1]
        row = registry.of_file(file)
        if row is None:
            raise InputError(f"{file} is none of the known files", "name the weights, too")
        rows = (row,)
    else:
        rows = registry.recommended()
    if len(rows) > 1 and source is not None and is_file(source):
        raise InputError(f"{source} is one file, for one name", "give a folder, or one name")
    return rows


def is_file(source: Path | str) -> bool:
    """Whether it is one file, and neither a folder nor a mirror."""
    if isinstance(source, Path):
        return not source.is_dir()
    return Path(urlsplit(source).path).suffix in _SUFFIXES


def _names(row: WeightsFile) -> tuple[str, ...]:
    """The names that the file may have elsewhere: as published, packed, or as lipgan keeps it."""
    return tuple(dict.fromkeys((row.file, f"{row.file}.bz2", row.stored)))


def copies_in(folder: Path, row: WeightsFile) -> list[Path]:
    """What a folder has under the file's names."""
    return [folder / name for name in _names(row) if (folder / name).is_file()]


def addresses(row: WeightsFile, source: str | None) -> tuple[str, ...]:
    """Where the file is had: its own addresses, or those that it would have at a mirror."""
    if source is None:
        return row.urls
    if is_file(source):
        return (source,)
    return tuple(f"{source.rstrip('/')}/{name}" for name in _names(row))
