"""`lipgan train --list`: the runs that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipgan_cli.cli import console

if TYPE_CHECKING:
    from lipgan_cli.engine.run.listing import RunSummary

_COLUMNS = (
    "run",
    "variant",
    "subset",
    "iterations",
    "planned",
    "best mouth PSNR in dB",
    "gap to swapped",
    "last change",
)


def print_runs(json: bool) -> None:
    """Print the user's runs, the last changed first."""
    from lipgan_cli.engine.paths import runs_dir
    from lipgan_cli.engine.run.listing import list_runs

    runs = list_runs()
    if json:
        console.print_json(runs)
    elif not runs:
        console.print_note(f"there are no runs in {runs_dir()}")
    else:
        broken = any(run.problem for run in runs)
        columns = (*_COLUMNS, "problem") if broken else _COLUMNS
        console.table(columns, [_row(run)[: len(columns)] for run in runs])


def _row(run: RunSummary) -> tuple[str, ...]:
    return (
        console.one_line(run.name),
        run.variant or "-",
        run.subset or "-",
        "-" if run.problem else str(run.iterations),
        "-" if run.planned is None else str(run.planned),
        "-" if run.mouth_psnr is None else f"{run.mouth_psnr:.2f}",
        # Adding nothing turns -0.0 into 0.0.
        "-" if run.gap_to_swapped is None else f"{round(run.gap_to_swapped, 2) + 0.0:+.2f}",
        f"{run.changed:%Y-%m-%d %H:%M}",
        console.one_line(run.problem),
    )
