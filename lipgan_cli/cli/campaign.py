"""`lipgan sync --messages`: one recording, many messages."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lipgan_cli.cli import console
from lipgan_cli.engine.errors import InputError, LipganError

if TYPE_CHECKING:
    from lipgan_cli.engine.campaign.options import CampaignOptions, CampaignSummary, Forecast
    from lipgan_cli.engine.sync import SyncOptions

MIB = 1 << 20

Messages = Annotated[
    Path | None,
    typer.Option(
        "--messages",
        metavar="TABLE",
        help="One video for every row of a .csv, .tsv or .jsonl, or of standard input (-).",
    ),
]
Text = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="TEMPLATE",
        help="What all rows speak, with their columns filled in: 'Hello {name}!'",
    ),
]
Tts = Annotated[
    str | None,
    typer.Option(
        "--tts",
        metavar="COMMAND",
        help="What speaks texts: 'piper --model de.onnx -f {output}'; by default espeak-ng.",
    ),
]
VoiceName = Annotated[
    str | None,
    typer.Option(
        "--voice",
        metavar="NAME",
        help="The voice of espeak-ng, such as en-us or de (en).",
    ),
]
Loudness = Annotated[
    float | None,
    typer.Option(
        "--loudness",
        metavar="LUFS",
        help="Of what is spoken from text, by EBU R128 (-16).",
    ),
]
Pause = Annotated[
    float | None,
    typer.Option(
        "--pause",
        metavar="S",
        help="Between two phrases of a text, seconds (0.5).",
    ),
]
MinSync = Annotated[
    float | None,
    typer.Option(
        "--min-sync",
        metavar="C",
        help="Reject a video whose lip-sync has less confidence than this.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", help="Make no more than so many."),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Check all, try a few, and tell how long all of them take.",
    ),
]
RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed",
        help="Make again what has failed or was rejected, and nothing else.",
    ),
]
ShardOf = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Make the Ith of N shares of the rows, for job arrays.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="Videos made side by side; by default one for every four cores, 2 to 8.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Let the workers of a Dask scheduler make them: tcp://host:8786.",
    ),
]


def check_alone(given: Mapping[str, object]) -> None:
    """Refuse options of a campaign where there is none.

    Raises:
        InputError: one is given.
    """
    for option, value in given.items():
        if value is not None and value is not False:
            raise InputError(f"{option} needs --messages", "name the table of the messages")


def options(
    film: SyncOptions,
    *,
    template: str | None,
    tts: str | None,
    voice: str | None,
    loudness: float | None,
    pause: float | None,
    min_sync: float | None,
    limit: int | None,
    retry_failed: bool,
    shard: str | None,
    workers: int | None,
    scheduler: str | None,
) -> CampaignOptions:
    """Return what is asked of a campaign; what is not given has the engine's defaults.

    Raises:
        InputError: the shard is none.
    """
    from lipgan_cli.engine.campaign.options import CampaignOptions
    from lipgan_cli.engine.campaign.shards import parse_shard
    from lipgan_cli.engine.campaign.speaking import DEFAULT_LOUDNESS_LUFS, DEFAULT_PAUSE_SECONDS

    return CampaignOptions(
        film,
        template=template,
        tts=tts,
        voice=voice,
        loudness_lufs=DEFAULT_LOUDNESS_LUFS if loudness is None else loudness,
        pause_seconds=DEFAULT_PAUSE_SECONDS if pause is None else pause,
        min_sync=min_sync,
        limit=limit,
        retry_failed=retry_failed,
        shard=None if shard is None else parse_shard(shard),
        workers=workers,
        scheduler=scheduler,
    )


def run(options: CampaignOptions, dry: bool, quiet: bool, json: bool) -> None:
    """Make the films of a campaign, or tell what they would need.

    Raises:
        LipganError: some could not be made.
    """
    given = io.BytesIO() if sys.stdin is None else sys.stdin.buffer  # None where it is closed
    if dry:
        from lipgan_cli.engine.campaign.forecast import forecast

        told = forecast(options, console.progress(quiet), given)
        if json:
            console.print_json(told)
        else:
            _print_rows(_foretold(told))
        return
    from lipgan_cli.engine.campaign import campaign

    made = campaign(options, console.progress(quiet), given)
    if json:
        console.print_json(made)
    else:
        if not quiet:
            console.print_note(_told(made))
        console.print_result(made.manifest)
    rejected = made.rejected + made.kept_rejected
    if made.failed or rejected:
        raise LipganError(
            f"failed: {made.failed:,}, rejected: {rejected:,}, of {made.rows:,} messages",
            f"{made.manifest} says why; the next run tries the failed ones again, "
            "--retry-failed the rejected ones too",
        )


def _told(made: CampaignSummary) -> str:
    parts = [f"{made.made:,} of {made.rows:,} messages made"]
    if made.kept:
        parts += [f"{made.kept:,} there before"]
    if made.left:
        parts += [f"{made.left:,} left"]
    if made.speed is not None:
        rate = f"{made.seconds:.0f} s of video in {made.elapsed:.0f} s"
        parts += [f"{rate}, {made.speed:.2f} times real time"]
    if made.strays:
        parts += [f"{len(made.strays):,} videos in the folder are of no row any more"]
    if made.sheet:
        parts += [f"drawn in {made.sheet[0]}"]
    return ", ".join(parts)


def _foretold(told: Forecast) -> list[tuple[str, str]]:
    return [
        ("messages", f"{told.rows:,}, of which {told.kept:,} are there"),
        ("to be made", f"{told.todo:,}, {told.failed_before:,} of which failed before"),
        ("video", f"{told.seconds:,.0f} s"),
        ("expected time", f"{_span(told.expected_seconds)}, from {told.tried} that were tried"),
        ("expected size", f"{told.expected_bytes / MIB:,.1f} MiB"),
        ("free on the disk", f"{told.free_bytes / MIB:,.0f} MiB"),
    ]


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _print_rows(rows: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows) + 2
    console.print_result("\n".join(f"{name:<{width}}{value}" for name, value in rows))
