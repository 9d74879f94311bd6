"""The runs in the user's folder, and what became of each."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path

from lipgan_cli.engine.config import TrainConfig
from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.paths import runs_dir
from lipgan_cli.engine.run.figures import ALL, EVALUATION, numbers
from lipgan_cli.engine.run.log import log_file, read_line

_ALL = (EVALUATION, ALL)


@dataclass(frozen=True)
class RunSummary:
    """What a run's folder tells at a glance.

    Attributes:
        iterations: done, as of its log and its checkpoints.
        planned: iterations in all; None where its dataset, which decides that, cannot be read.
        mouth_psnr: the best of its evaluations over all speakers, dB; None before the first.
        gap_to_swapped: in that same evaluation, dB.
        changed: when something was last written.
        problem: why its settings cannot be read; empty where they can.
    """

    name: str
    folder: Path
    changed: datetime
    iterations: int = 0
    planned: int | None = None
    variant: str = ""
    subset: str = ""
    mouth_psnr: float | None = None
    gap_to_swapped: float | None = None
    problem: str = ""


def list_runs() -> list[RunSummary]:
    """The runs in the user's folder, the last changed first; a damaged one is listed as such."""
    place = runs_dir()
    folders = [path for path in place.iterdir() if path.is_dir()] if place.is_dir() else []
    frames = cache(_frames)  # runs of one dataset read it once
    summaries = [_summary(path, frames) for path in folders if not path.name.startswith(".")]
    return sorted(summaries, key=lambda run: (-run.changed.timestamp(), run.name))


def _summary(run: Path, frames: Callable[[str, str], int | None]) -> RunSummary:
    summary = RunSummary(run.name, run, _changed(run))
    try:
        config = TrainConfig.from_json((run / "config.json").read_text("utf-8"))
        logged, best = _scan(run)
    except FileNotFoundError:
        return replace(summary, problem="it has no config.json")
    except (OSError, ValueError, LipganError) as error:
        return replace(summary, problem=str(error))
    done = max([logged, *_checkpoints(run)])
    return replace(
        summary,
        iterations=done,
        planned=_planned(config, frames),
        variant=config.variant.value,
        subset=config.subset,
        mouth_psnr=best.get("right"),
        gap_to_swapped=best.get("gap_to_swapped"),
    )


def _planned(config: TrainConfig, frames: Callable[[str, str], int | None]) -> int | None:
    """Iterations in all, without a look at the dataset where that can be spared."""
    if config.iterations:
        return config.iterations
    found = frames(config.dataset, config.subset)
    return None if found is None else config.planned_iterations(found)


def _scan(run: Path) -> tuple[int, dict[str, float]]:
    """The last iteration in a run's log, and the best evaluation's figures over all speakers.

    Lines without an evaluation are skipped unread: a log may have a hundred thousand.
    """
    best: dict[str, float] = {}
    last: deque[str] = deque(maxlen=2)  # the very last may be cut short
    path = log_file(run)
    if path.exists():
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                last.append(text)
                if f'"{EVALUATION}"' in text:
                    figures = dict(numbers(read_line(text) or {}))
                    here = {name[-1]: y for name, y in figures.items() if name[:-1] == _ALL}
                    if here.get("right", -math.inf) > best.get("right", -math.inf):
                        best = here
    lines = [line for line in map(read_line, last) if line is not None]
    return max((int(line["iteration"]) for line in lines), default=0), best


def _checkpoints(run: Path) -> list[int]:
    """The iterations of a run's checkpoints."""
    folders = (path.parent.name for path in (run / "checkpoints").glob("*/state.json"))
    return [int(name) for name in folders if name.isdecimal()]


def _changed(run: Path) -> datetime:
    """When a run's folder or something right in it was last written."""
    times = [run.stat().st_mtime]
    with suppress(OSError):  # the run may be at work, or not for this user to read
        times += [path.lstat().st_mtime for path in run.iterdir()]
    return datetime.fromtimestamp(int(max(times))).astimezone()


def _frames(dataset: str, subset: str) -> int | None:
    """Frames in a subset of a dataset; None where it cannot be read."""
    try:
        return sum(len(clip) for clip in Dataset.open(Path(dataset)).clips(subset))
    except (LipganError, OSError):
        return None
