"""`lipgan score --mos-kit` and `--mos-results`: what people think of generated videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lipgan_cli.cli import console
from lipgan_cli.engine.errors import InputError

if TYPE_CHECKING:
    from lipgan_cli.engine.metrics.opinions import Estimate, Opinions
    from lipgan_cli.engine.metrics.table import Table
    from lipgan_cli.engine.progress import Progress


def kit_or_results(
    kit: Path | None,
    results: Path | None,
    pairs: int | None,
    paths: Sequence[Path],
    progress: Progress,
    json: bool,
) -> None:
    """Make a kit of folders of videos, or sum up files of answers."""
    if kit is not None and results is not None:
        raise InputError("--mos-kit and --mos-results are two steps", "give one of them")
    if kit is not None:
        from lipgan_cli.engine.metrics.mos import make_kit

        made = make_kit(kit, paths, trials=pairs, progress=progress)
        progress.note(
            f"{made.pairs} pairs of {len(made.systems)} systems and {made.clips} clips: give the "
            f"folder to the raters, and keep {made.key} to yourself"
        )
        if json:
            console.print_json(made)
        else:
            console.print_result(made.page)
        return
    from lipgan_cli.engine.metrics.opinions import read_opinions

    assert results is not None
    found = read_opinions(results, paths)
    if json:
        console.print_json(found)
        return
    for path in found.replaced:
        progress.note(f"{path} is replaced by a later file of the same rater")
    for rater in found.unfinished:
        progress.note(f"{rater} has not answered all pairs")
    console.tables(_tables(found))


def _tables(found: Opinions) -> list[Table]:
    from lipgan_cli.engine.metrics.mos import QUESTIONS
    from lipgan_cli.engine.metrics.table import Table

    scores = tuple(
        (system, question.text, *_estimate(own[question.key], 2))
        for system, own in found.scores.items()
        for question in QUESTIONS
        if question.key in own
    )
    columns = ("system", "question", "mean, 1 to 5", "low", "high", "ratings", "raters", "clips")
    people = "1 rater" if found.raters == 1 else f"{found.raters} raters"
    tables = [Table("", columns, scores, f"{people}; {found.method}")]
    if found.preferences:
        rows = tuple(
            (each.first, each.second, each.wins, each.ties, each.losses, *_estimate(each.share, 2))
            for each in found.preferences
        )
        names = ("first", "second", "first preferred", "no difference", "second preferred")
        shares = ("share of first", "low", "high", "ratings", "raters", "clips")
        tables.append(Table("", (*names, *shares), rows))
    return tables


def _estimate(estimate: Estimate, digits: int) -> tuple[str | int | None, ...]:
    figures = (estimate.mean, estimate.low, estimate.high)
    told = (None if value is None else f"{value:.{digits}f}" for value in figures)
    return (*told, estimate.ratings, estimate.raters, estimate.clips)
