"""`lipgan prep`: make a dataset of faces and mels from videos."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from lipgan_cli.cli import console
from lipgan_cli.cli.options import Json, Quiet
from lipgan_cli.engine.data.corpus import SubsetSizes
from lipgan_cli.engine.errors import InputError

SIZES = SubsetSizes()
REASONS_SHOWN = 10


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
    jobs: Annotated[
        int,
        typer.Option("--jobs", "-j", min=0, metavar="N", help="Processes; 0 is one per core."),
    ] = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Cut the faces out of VIDEOS, with the mel of their sound, and draw the subsets.

    Prints the dataset's folder. Run again with more videos, it adds them: what is there already is
    left alone, and no clip moves between training and testing.
    """
    from lipgan_cli.engine.prepare import PrepareRequest, dataset_folder
    from lipgan_cli.engine.prepare import prepare as make

    if output is not None and name is not None:
        raise InputError("--output and --name both say where the dataset goes", "leave one out")
    request = PrepareRequest(
        corpus=corpus,
        output=output or dataset_folder(name, corpus),
        test_dir=test_dir,
        processes=jobs,
        small=small,
        full=full,
        test=test,
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
    progress.note(
        "clips: " + ", ".join(f"{count} in {subset}" for subset, count in summary.subsets.items())
    )
    if json:
        console.print_json(summary)
    else:
        console.print_result(summary.dataset)
