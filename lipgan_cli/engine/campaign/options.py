"""What can be asked of a campaign, and what it answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from lipgan_cli.engine.campaign.shards import Shard
from lipgan_cli.engine.campaign.speaking import (
    DEFAULT_LOUDNESS_LUFS,
    DEFAULT_PAUSE_SECONDS,
    check_speaking,
)
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.sync.options import SyncOptions


@dataclass(frozen=True)
class CampaignOptions:
    """One recording, many messages.

    Attributes:
        film: how every film is made: its `speech` is the table of messages, "-" for standard input,
            its `output` the folder of the films; its `sheet` is one of all films.
        template: what is spoken, with {columns}; None: the rows say it.
        tts: the command that speaks; None: espeak-ng.
        voice: of espeak-ng.
        loudness_lufs: of what is spoken, by EBU R128.
        pause_seconds: between two phrases.
        min_sync: least confidence of the judge, below which a film is rejected; None: no gate.
        limit: rows to make at most.
        retry_failed: make again what has failed or was rejected, and nothing else.
        shard: the share of the rows to make.
        workers: films made side by side; None: one for every four cores, two at least.
        scheduler: address of a Dask scheduler, whose workers make the films.
    """

    film: SyncOptions
    template: str | None = None
    tts: str | None = None
    voice: str | None = None
    loudness_lufs: float = DEFAULT_LOUDNESS_LUFS
    pause_seconds: float = DEFAULT_PAUSE_SECONDS
    min_sync: float | None = None
    limit: int | None = None
    retry_failed: bool = False
    shard: Shard | None = None
    workers: int | None = None
    scheduler: str | None = None

    @property
    def table(self) -> Path | None:
        """The table's file; None for standard input."""
        return None if str(self.film.speech) == "-" else Path(self.film.speech)

    @property
    def folder(self) -> Path:
        """Where the films go."""
        return Path(self.film.output)


@dataclass(frozen=True)
class CampaignSummary:
    """What a run has done."""

    folder: Path
    manifest: Path
    rows: int  # of the table, or of the shard
    kept: int  # whose films had been made before
    kept_rejected: int  # of these, though the gate is against them
    made: int
    failed: int
    rejected: int  # made, and below the least confidence
    left: int  # still to be made: beyond the limit, or not asked for
    seconds: float  # of the films made in this run
    elapsed: float  # seconds that the run took
    started: float  # seconds until the first film was begun
    speed: float | None  # seconds of film a second; None where none was made
    strays: tuple[str, ...]  # films in the folder that no row has any more
    sheet: tuple[Path, ...]


@dataclass(frozen=True)
class Forecast:
    """What a run would do."""

    rows: int
    kept: int
    todo: int
    failed_before: int  # of those that are to be made
    seconds: float  # of film
    tried: int  # messages that were made, and thrown away, to know the rest
    expected_seconds: float
    expected_bytes: int
    free_bytes: int  # on the disk of the folder


def check_numbers(options: CampaignOptions) -> None:
    """Check what has a range of its own.

    Raises:
        InputError: a number is out of it.
    """
    check_speaking(options.loudness_lufs, options.pause_seconds)
    if options.limit is not None and options.limit < 1:
        raise InputError(f"a limit of {options.limit} messages", "give 1 or more")
    if options.shard is not None and options.film.sheet is not None:
        raise InputError(
            "--shard and --sheet do not go together",
            "draw the sheet when all shards are done: the same command without --shard",
        )
    if options.retry_failed and options.film.force:
        raise InputError(
            "--retry-failed and --force do not go together", "--force makes all rows again"
        )
    if options.workers is not None and options.scheduler is not None:
        raise InputError(
            "--workers and --scheduler do not go together", "a cluster has its own workers"
        )
    if options.workers is not None and options.workers < 1:
        raise InputError(f"{options.workers} workers", "give 1 or more")
    least = options.min_sync
    if least is not None and not (0 <= least <= 1 and math.isfinite(least)):
        raise InputError(f"a least confidence of {least:g}", "give 0 to 1, such as 0.1")
