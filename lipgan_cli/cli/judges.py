"""`lipgan train --judge`: teach a lip-sync judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lipgan_cli.cli import console


def teach_judge(file: Path, options: dict[str, Any], quiet: bool, json: bool) -> None:
    """Teach a judge and print how it does on test clips; `options` are those of the command."""
    from lipgan_cli.engine.run.judge import JudgeRequest, teach

    progress = console.progress(quiet)
    summary = teach(JudgeRequest(file, **options), progress)
    if json:
        console.print_json(summary)
        return
    rows = [
        (
            name,
            figures.clips,
            f"{100 * figures.in_sync:.0f} %",
            f"{100 * figures.found:.1f} %",
            "-" if figures.auc is None else f"{figures.auc:.3f}",
            f"{figures.confidence:.3f}",
        )
        for name, figures in summary.figures.items()
    ]
    columns = ("test clips", "clips", "in sync", "shifts found", "AUC", "confidence")
    console.table(columns, rows)
