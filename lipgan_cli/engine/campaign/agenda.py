"""What a run has to do: the rows that have no film yet, or another than they should."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lipgan_cli.engine.campaign.manifest import Entry, Status
from lipgan_cli.engine.campaign.shards import Shard


@dataclass(frozen=True)
class Wanted:
    """A row's film as it is to be."""

    id: str
    key: str  # names all that it depends on, the presenter and the options among it
    output: Path  # relative to the campaign's folder


class Reason(StrEnum):
    """Why a row is to be made."""

    NEW = "new"  # no attempt is known
    CHANGED = "changed"  # other text, sound or output than when it was made
    LOST = "lost"  # its film is not there any more, or has another size
    FAILED = "failed"  # the last attempt did
    REJECTED = "rejected"  # by the quality gate
    FORCED = "forced"  # anew, because all are


@dataclass(frozen=True)
class Agenda:
    """The rows of a run, by their positions in the table from 0 on, in its order.

    Attributes:
        todo: what this run is to make.
        left: what is missing and not asked for.
        kept: whose film is there and as it should be, though the gate may have rejected it.
        strays: films in the folder whose rows are not in the table any more; outputs as they are
            in the manifest.
    """

    todo: Mapping[int, Reason]
    left: Mapping[int, Reason]
    kept: Mapping[int, Entry]
    strays: tuple[str, ...]


def plan(
    folder: Path,
    table: Sequence[Wanted],
    entries: Mapping[str, Entry],
    shard: Shard | None = None,
    retry_failed: bool = False,
    force: bool = False,
) -> Agenda:
    """Decide what is to be made.

    A plain run makes what is new, changed, lost or failed last time; what the gate has rejected
    would come out the same, and stays. With `retry_failed` it is the failed and the rejected rows
    and no others. With `force` it is all rows.
    """
    todo, left, kept = {}, {}, {}
    for position, wanted in enumerate(table):
        if shard is not None and not shard.has(position):
            continue
        entry = entries.get(wanted.id)
        reason = _reason(folder, wanted, entry)
        if retry_failed:
            if entry is not None and entry.status is not Status.DONE:
                todo[position] = reason or Reason.REJECTED
                continue
        elif reason is not None or force:
            todo[position] = reason or Reason.FORCED
            continue
        if reason is not None:
            left[position] = reason
        elif entry is not None:
            kept[position] = entry
    return Agenda(todo, left, kept, _strays(folder, table, entries))


def _reason(folder: Path, wanted: Wanted, entry: Entry | None) -> Reason | None:
    """Return why a plain run would make a row, None where it would not."""
    if entry is None:
        return Reason.NEW
    if entry.status is Status.FAILED:
        return Reason.FAILED
    if entry.key != wanted.key or entry.output != wanted.output.as_posix():
        return Reason.CHANGED
    return None if _size(folder / wanted.output) == entry.bytes else Reason.LOST


def _strays(folder: Path, table: Sequence[Wanted], entries: Mapping[str, Entry]) -> tuple[str, ...]:
    made = {entry.output for entry in entries.values() if entry.status is not Status.FAILED}
    unwanted = made - {wanted.output.as_posix() for wanted in table}
    return tuple(output for output in sorted(unwanted) if _size(folder / output) is not None)


def _size(path: Path) -> int | None:
    """Return how many bytes a file has, None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
