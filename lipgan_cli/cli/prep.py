"""`lipgan prep`: make a dataset of faces and mels from videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from lipgan_cli.cli import console
from lipgan_cli.cli.options import Json, Quiet
from lipgan_cli.engine.data.corpus import SubsetSizes
from lipgan_cli.engine.errors import InputError

if TYPE_CHECKING:
    from lipgan_cli.engine.data.shelf import ClipOffset

SIZES = SubsetSizes()
REASONS_SHOWN = 10
WORST_SHOWN = 5
FRAME_MS = 40.0  # of film at 25 a second, as the judge has it


def prep(
    corpus: Annotated[
        Path,
        typer.Argument(
            metavar="VIDEOS",
            help="A folder with a folder of videos per speaker, a folder of videos, or one video.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="The dataset's folder, instead of one by --name."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="The dataset's name in your data folder; by default that of VIDEOS.",
        ),
    ] = None,
    test_dir: Annotated[
        Path | None,
        typer.Option(
            "--test-dir",
            metavar="DIR",
            help="A second folder of videos: those alone are for testing, VIDEOS for training.",
        ),
    ] = None,
    small: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help=f"Clips of a speaker in the subset small, at most; {SIZES.small} by default.",
        ),
    ] = None,
    full: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help=f"Clips of a speaker in the subset full, at most; {SIZES.full} by default.",
        ),
    ] = None,
    test: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help=f"Clips of a speaker in the subset test, at most; {SIZES.test} by default.",
        ),
    ] = None,
    max_offset: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="MS",
            help="Leave out clips whose sound is further off, either way; 0 is no limit.",
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option("--jobs", "-j", min=0, metavar="N", help="Processes; 0 is one per core."),
    ] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Let the workers of a Dask scheduler make the clips: tcp://host:8786.",
        ),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Cut the faces out of VIDEOS, with the mel of their sound, and draw the subsets.

    Prints the dataset's folder. Run again with more videos, it adds them: what is there already is
    left alone, and no clip moves between training and testing. How far sound and picture are apart
    is found for every clip.
    """
    from lipgan_cli.engine.prepare import PrepareRequest, dataset_folder
    from lipgan_cli.engine.prepare import prepare as make

    if output is not None and name is not None:
        raise InputError("--output and --name both say where the dataset goes", "leave one out")
    if scheduler is not None and jobs:
        raise InputError("--jobs and --scheduler both say who makes the clips", "leave one out")
    request = PrepareRequest(
        corpus=corpus,
        output=output or dataset_folder(name, corpus),
        test_dir=test_dir,
        processes=jobs,
        scheduler=scheduler,
        small=small,
        full=full,
        test=test,
        max_offset_ms=max_offset,
    )
    progress = console.progress(quiet)
    summary = make(request, progress)
    reasons = Counter(clip.reason for clip in summary.left_out)
    for reason, count in reasons.most_common(REASONS_SHOWN):
        example = next(clip.source for clip in summary.left_out if clip.reason == reason)
        others = f" and {count - 1} more" if count > 1 else ""
        progress.note(f"left out: {example}{others}: {reason}")
    if len(reasons) > REASONS_SHOWN:
        progress.note(f"and more, listed in {summary.dataset / 'left_out.jsonl'}")
    speed = ""
    if summary.times_real_time is not None:
        speed = (
            f"; {summary.video_seconds:.0f} s of video in {summary.seconds:.0f} s, "
            f"{summary.times_real_time:.1f} times real time"
        )
    progress.note(
        f"{summary.prepared} clips prepared, {summary.present} were there, "
        f"{len(summary.left_out)} left out{speed}"
    )
    for line in _offset_lines(summary.offsets):
        progress.note(line)
    progress.note(
        "clips: " + ", ".join(f"{count} in {subset}" for subset, count in summary.subsets.items())
    )
    if json:
        console.print_json(summary)
    else:
        console.print_result(summary.dataset)


def _offset_lines(offsets: Sequence[ClipOffset]) -> Iterator[str]:
    """How far sound and picture are apart in the clips, and where they are furthest."""
    clear, unclear, unjudged = [], [], 0
    for each in offsets:
        if each.offset_ms is None:
            unjudged += 1
        elif each.clear:
            clear.append((each.offset_ms, each.key))
        else:
            unclear.append(each.key)
    if clear:
        near = sum(abs(late) <= FRAME_MS for late, _ in clear)
        yield (
            f"sound against picture: {_late(median(late for late, _ in clear))} at the median, "
            f"within a frame ({FRAME_MS:.0f} ms) in {near} of {_clips(len(clear))}"
        )
        far = sorted(clear, key=lambda pair: -abs(pair[0]))
        worst = [f"{key} {_late(late)}" for late, key in far[:WORST_SHOWN] if abs(late) > FRAME_MS]
        if worst:
            yield f"furthest apart: {', '.join(worst)}; all are in --json and offsets.json"
    if unclear:
        shown = ", ".join(unclear[:WORST_SHOWN]) + (", ..." if unclear[WORST_SHOWN:] else "")
        yield f"sound and picture do not fit together in {_clips(len(unclear))}: {shown}"
    if unjudged:
        yield f"too short, or too little sound, to be judged: {_clips(unjudged)}"


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count} clips"


def _late(milliseconds: float) -> str:
    return f"{abs(milliseconds):.0f} ms {'early' if milliseconds < 0 else 'late'}"
