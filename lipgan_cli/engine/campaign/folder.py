"""A campaign's folder: one presenter, one set of options, and who may write in it.

campaign.json                 the presenter and the options that all its films have in common
manifest.jsonl                a line for every attempt; of shard 2 of 8: manifest-2-of-8.jsonl
anna.mp4 ...                  the films
.lock, .lock-all, .lock-2-of-8    held by the runs at work; left behind, they hold nothing
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from lipgan_cli.engine.cache import Json
from lipgan_cli.engine.campaign.manifest import (
    Entry,
    Manifest,
    manifests,
    open_manifest,
    read_entries,
)
from lipgan_cli.engine.campaign.shards import Shard
from lipgan_cli.engine.errors import BusyError, InputError
from lipgan_cli.engine.paths import atomic_path, locked

FORMAT = 1  # of campaign.json
PATIENCE = 10.0
"""Seconds to wait for others that are just opening the folder; each takes milliseconds."""
LEFT_OVER_SECONDS = 3600
"""A film that has been in the making for longer was given up; asked where others are at work."""

_IDENTITY = "campaign.json"
_DOOR = ".lock"  # held while a run opens the folder
_LOCK = re.compile(r"\.lock-(all|[0-9]+-of-([0-9]+))")
_IN_THE_MAKING = re.compile(r"\.(.*)\.[0-9a-f]{8}\.part(\.[^.]*)?")  # as atomic_path names it
_HASH = re.compile(r"[0-9a-f]{64}")
_ANEW = "give another folder, or --force to make everything anew"


@dataclass(frozen=True)
class Identity:
    """What all films of a campaign have in common."""

    presenter: str  # SHA-256 of the recording's content
    name: str = field(compare=False)  # of its file, for people; another name is no difference
    options: Mapping[str, Json]  # that change picture or sound of every film


@dataclass(frozen=True)
class Folder:
    """A campaign's folder that this run may write in."""

    path: Path
    manifest: Manifest
    entries: Mapping[str, Entry]  # by id, the last about each message when it was opened


def check_folder(
    folder: Path, identity: Identity, outputs: Iterable[Path], force: bool = False
) -> None:
    """Check that a campaign can be made in a folder; writes nothing.

    outputs: of all rows, relative to the folder.

    Raises:
        InputError: it is no folder or cannot be written; or, without `force`, it is another
            campaign's, or no campaign's and has files that films would replace.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder", "give another output folder")
    if not folder.exists():
        above = next(each for each in folder.absolute().parents if each.exists())
        if not above.is_dir():
            raise InputError(f"{above} is a file, not a folder", "give another output folder")
        return
    if not os.access(folder, os.W_OK):
        raise InputError(f"cannot write into {folder}", "choose another folder")
    if force:
        return
    if (folder / _IDENTITY).exists():
        differences = _differences(_read_identity(folder), identity)
        # A run that has made nothing, with a wrong recording say, binds nobody.
        if differences and read_entries(folder):
            raise InputError(f"{folder} is another campaign's: {'; '.join(differences)}", _ANEW)
        return
    taken = [path.name for path in manifests(folder)]
    taken += [output.as_posix() for output in outputs if _there(folder / output)]
    if taken:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise InputError(f"{folder} is no campaign's, and holds {taken[0]}{more} already", _ANEW)


@contextmanager
def open_folder(
    folder: Path,
    identity: Identity,
    outputs: Iterable[Path],
    shard: Shard | None = None,
    force: bool = False,
) -> Iterator[Folder]:
    """Hold a campaign's folder, or a shard of it; makes it, and says in it whose it is.

    Shards of one count may be at work at once. What killed runs have left half-made is removed.

    Raises:
        BusyError: another run is at work that might make the same rows.
        InputError: as `check_folder`.
    """
    outputs = list(outputs)
    check_folder(folder, identity, outputs, force)  # before anything is put into it
    with ExitStack() as held:
        with locked(folder, _DOOR, PATIENCE):
            held.enter_context(_claimed(folder, shard))
            check_folder(folder, identity, outputs, force)
            if not _is(folder, identity):
                _refuse_others(folder, shard, alone=True)
                _write_identity(folder, identity)
        _sweep(folder, [*outputs, Path(_IDENTITY)], 0 if shard is None else LEFT_OVER_SECONDS)
        manifest = held.enter_context(open_manifest(folder / manifest_name(shard)))
        yield Folder(folder, manifest, read_entries(folder))


def manifest_name(shard: Shard | None) -> str:
    """Return the name of the manifest that a run writes."""
    return f"manifest{_suffix(shard)}.jsonl"


def _suffix(shard: Shard | None) -> str:
    return "" if shard is None else f"-{shard.number}-of-{shard.count}"


def _lock_name(shard: Shard | None) -> str:
    return f".lock{_suffix(shard) or '-all'}"


@contextmanager
def _claimed(folder: Path, shard: Shard | None) -> Iterator[None]:
    """Hold a shard, or all; to be entered at the door."""
    with ExitStack() as held:
        try:
            held.enter_context(locked(folder, _lock_name(shard)))
        except BusyError as error:
            what = f"{folder}" if shard is None else f"shard {shard} of {folder}"
            raise BusyError(f"another run is writing {what}", error.hint) from error
        _refuse_others(folder, shard, alone=shard is None)
        yield


def _refuse_others(folder: Path, shard: Shard | None, alone: bool) -> None:
    """Check that no run is at work that this one cannot be beside.

    alone: beside nobody; else beside shards of the same count.

    Raises:
        BusyError: there is one.
    """
    for path in sorted(folder.glob(".lock-*")):
        lock = _LOCK.fullmatch(path.name)
        if lock is None or path.name == _lock_name(shard):
            continue
        fits = shard is not None and lock[2] == str(shard.count)
        if alone or not fits:
            try:
                with locked(folder, path.name):
                    pass
            except BusyError as error:
                who = "a run without shards" if lock[2] is None else f"shard {lock[1]}"
                who = who.replace("-of-", "/")
                raise BusyError(f"{who} is writing {folder}", error.hint) from error


def _read_identity(folder: Path) -> Identity:
    path = folder / _IDENTITY
    try:
        told = json.loads(path.read_text("utf-8"))
        version = told["format"]
        if version == FORMAT:
            presenter = told["presenter"]
            return Identity(presenter["sha256"], presenter["name"], dict(told["options"]))
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}", "check its permissions"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged or not a campaign's", _ANEW) from error
    raise InputError(f"{path} is of format {version}, not {FORMAT}", _ANEW)


def _is(folder: Path, identity: Identity) -> bool:
    """Return whether a folder is this campaign's already."""
    try:
        return not _differences(_read_identity(folder), identity)
    except InputError:
        return False


def _write_identity(folder: Path, identity: Identity) -> None:
    told = {
        "format": FORMAT,
        "presenter": {"name": identity.name, "sha256": identity.presenter},
        "options": dict(identity.options),
    }
    with atomic_path(folder / _IDENTITY) as temporary:
        temporary.write_text(json.dumps(told, indent=2) + "\n", "utf-8")


def _differences(there: Identity, here: Identity) -> list[str]:
    """Return in words what a folder has otherwise than this campaign."""
    differences = []
    if there.presenter != here.presenter:
        other = "another recording of that name" if there.name == here.name else here.name
        differences.append(f"presenter {there.name}, not {other}")
    given = json.loads(json.dumps(here.options))  # as it would be read
    for name in dict.fromkeys([*there.options, *given]):
        old, new = there.options.get(name), given.get(name)
        if old != new:
            differences.append(f"{name} {_told(old)}, not {_told(new)}")
    return differences


def _told(value: Json) -> str:
    if isinstance(value, str):
        return value[:12] if _HASH.fullmatch(value) else value or "(empty)"
    return "none" if value is None else json.dumps(value)


def _sweep(folder: Path, outputs: Iterable[Path], least_age: float) -> None:
    """Remove what killed runs have left of these outputs, where it is `least_age` seconds old."""
    made = {(output.parent, output.stem[:40], output.suffix) for output in outputs}
    latest = time.time() - least_age
    for parent in {parent for parent, _, _ in made}:
        for path in (folder / parent).glob(".*.part*"):
            left = _IN_THE_MAKING.fullmatch(path.name)
            if left is not None and (parent, left[1], left[2] or "") in made:
                with suppress(OSError):  # it costs space and nothing else
                    if path.stat().st_mtime <= latest:
                        path.unlink()


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False
