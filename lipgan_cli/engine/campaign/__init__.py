"""`lipgan sync --messages`: one recording, many messages, one film each.

The recording is decoded, its face followed and encoded once; then films are made side by side, and
the manifest keeps what became of each.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO

from lipgan_cli.engine.campaign.agenda import Reason
from lipgan_cli.engine.campaign.folder import manifest_name, open_folder
from lipgan_cli.engine.campaign.manifest import Entry, Status
from lipgan_cli.engine.campaign.options import CampaignOptions, CampaignSummary
from lipgan_cli.engine.campaign.prepared import Campaign, prepare
from lipgan_cli.engine.campaign.sheet import draw_sheet, keep_face
from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.progress import Listener, Progress, listening
from lipgan_cli.engine.provenance.sidecar import embeds, sidecar_of

LEAST_FREE = 32 << 20
"""Bytes on a disk below which a failure is the disk's."""

__all__ = ["CampaignOptions", "CampaignSummary", "campaign"]


def campaign(
    options: CampaignOptions,
    progress: Progress | Listener | None = None,
    stdin: BinaryIO | None = None,
) -> CampaignSummary:
    """Make a film of every message that has none yet; one that fails stops no other.

    Raises:
        InputError: something given cannot be used; nothing has been made then.
        BusyError: another run is making the same films.
        LipganError: the manifest cannot be written, or the cluster is lost.
    """
    began = time.monotonic()
    listener = listening(progress)
    told = prepare(options, listener, stdin)
    # torch takes seconds to import; what is wrong with the table is told before.
    from lipgan_cli.engine.campaign.making import making
    from lipgan_cli.engine.campaign.rows import rejudged

    options, folder = told.options, told.options.folder
    with open_folder(
        folder, told.identity, told.outputs, options.shard, options.film.force
    ) as held:
        agenda = told.plan(held.entries)
        rows = told.rows(agenda)
        replaced = sum(1 for row in rows if agenda.todo[row.position] is Reason.CHANGED)
        if replaced:
            listener.note(f"rows that have changed, and whose videos are replaced: {replaced:,}")
        finished = told.known(held.entries)
        for position, entry in agenda.kept.items():
            finished[position] = rejudged(entry, options)
            if finished[position] is not entry:
                held.manifest.add(finished[position])
        tally = _Tally()
        with (
            making(told, rows, listener) as (outcomes, started),
            listener.task("speaking", len(rows), "messages") as task,
            closing(outcomes),
        ):
            for row, outcome in outcomes:
                if outcome.entry.status is Status.FAILED:
                    _check_disk(folder, outcome.entry.error)
                held.manifest.add(outcome.entry)
                tally.add(outcome.entry)
                if outcome.entry.error:
                    listener.note(f"{row.message.id}: {outcome.entry.error}")
                finished[row.position] = outcome.entry
                if outcome.entry.status is Status.FAILED:
                    _remove(folder / row.message.output)
                if outcome.portrait is not None:
                    keep_face(folder, outcome.entry, outcome.portrait)
                task.advance()
        pages = _draw(told, finished, listener)
    elapsed = time.monotonic() - began
    return CampaignSummary(
        folder=folder,
        manifest=folder / manifest_name(options.shard),
        rows=len(agenda.todo) + len(agenda.left) + len(agenda.kept),
        kept=len(agenda.kept),
        kept_rejected=sum(finished[each].status is Status.REJECTED for each in agenda.kept),
        made=tally.count[Status.DONE],
        failed=tally.count[Status.FAILED],
        rejected=tally.count[Status.REJECTED],
        left=len(agenda.left) + len(agenda.todo) - len(rows),
        seconds=tally.seconds,
        elapsed=elapsed,
        started=started() - began if rows else elapsed,
        speed=tally.seconds / elapsed if tally.seconds else None,
        strays=agenda.strays,
        sheet=pages,
    )


def _draw(told: Campaign, entries: Mapping[int, Entry], progress: Progress) -> tuple[Path, ...]:
    """Draw the contact sheet of all rows where one is wanted."""
    path = told.options.film.sheet
    if path is None:
        return ()
    ids = [message.id for message in told.messages]
    return draw_sheet(Path(path), told.options.folder, ids, entries, progress)


def _check_disk(folder: Path, said: str) -> None:
    """Go on after a failure, unless it is one that all other rows would share.

    Raises:
        LipganError: the disk is full.
    """
    for place in (folder, Path(tempfile.gettempdir())):
        if shutil.disk_usage(place).free < LEAST_FREE:
            raise LipganError(
                f"there is no room left in {place}: {said}", "make room and run it again"
            )


def _remove(film: Path) -> None:
    """Remove what an earlier run has made of a row, which is not what the row says now."""
    for path in (film, *([] if embeds(film) else [sidecar_of(film)])):
        with suppress(OSError):
            path.unlink(missing_ok=True)


class _Tally:
    """Counts what became of rows."""

    def __init__(self) -> None:
        self.count = dict.fromkeys(Status, 0)
        self.seconds = 0.0

    def add(self, entry: Entry) -> None:
        self.count[entry.status] += 1
        self.seconds += entry.seconds
