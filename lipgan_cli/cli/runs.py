"""`lipgan train --list` and `--compare`: the runs that there are, and runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lipgan_cli.cli import console

if TYPE_CHECKING:
    from lipgan_cli.engine.run.comparison import Standing
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


_COMPARED = {
    "right": ("mouth PSNR in dB", "{:.2f}"),
    "gap_to_swapped": ("gap to swapped", "{:+.2f}"),
    "gap_to_still": ("gap to still", "{:+.2f}"),
    "ssim": ("mouth SSIM", "{:.3f}"),
    "audio_response": ("response to sound", "{:.2f}"),
    "face_response": ("to the face", "{:.2f}"),
}


def print_comparisons(
    groups: Mapping[str, Sequence[Path]], output: Path | None, device: str | None, json: bool
) -> None:
    """Print the last figures of groups of runs; draw them too where a folder is given."""
    from lipgan_cli.engine.gan.device import choose_device
    from lipgan_cli.engine.run.comparison import draw_comparison, standing

    compared = {name: [standing(run) for run in runs] for name, runs in groups.items()}
    if json:
        console.print_json([one for group in compared.values() for one in group])
    else:
        columns = ("run", "iterations", *(name for name, _ in _COMPARED.values()), "samples/s")
        for place, group in enumerate(compared.values()):
            if place:
                console.print_result("")
            console.table(columns, [_compared_row(one) for one in group])
    if output is None:
        return
    for name, group in compared.items():
        if any(one.figures for one in group):
            draw_comparison(groups[name], output / name, choose_device(device))
        else:
            console.print_note("nothing was measured yet: no pictures are drawn")


def _compared_row(run: Standing) -> tuple[str, ...]:
    figures = run.figures.get("all", {})
    cells = [
        shown.format(figures[name] + 0.0) if name in figures else "-"
        for name, (_, shown) in _COMPARED.items()
    ]
    speed = "-" if run.samples_per_second is None else f"{run.samples_per_second:.0f}"
    return (console.one_line(run.name), str(run.iterations), *cells, speed)
