"""A plan: several runs that are trained one after the other, to be compared."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path

from lipgan_cli.engine.config import TrainConfig
from lipgan_cli.engine.errors import BusyError, DivergedError, InputError, LipganError
from lipgan_cli.engine.paths import runs_dir
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.run.folder import check_run, new_run, read_config
from lipgan_cli.engine.train import Session, train


def train_plan(
    plan: Mapping[str, TrainConfig], session: Session, progress: Progress
) -> dict[str, Path]:
    """Train what is left of each run of a plan, by name, and return their folders.

    Processes that are given the same plan share it: a run that another one trains is passed over.
    A run that diverges ends, and the next one begins. The session's minutes are for all together.

    Raises:
        InputError: a run's settings cannot be used, or are not those that it was begun with; then
            none of them is begun.
        LipganError: nothing can be written, or a clip is damaged.
        KeyboardInterrupt: after the first Ctrl-C, with a checkpoint of the run under way.
    """
    for name, config in plan.items():
        try:
            _check(name, config)
        except InputError as error:
            raise InputError(f"run {name}: {error.message}", error.hint) from error
    runs = {name: _begun(name, config) for name, config in plan.items()}
    began = time.monotonic()
    for name, run in runs.items():
        left = session.minutes
        if left is not None:
            left -= (time.monotonic() - began) / 60
            if left <= 0:
                break
        try:
            train(run, dataclasses.replace(session, minutes=left), progress)
        except BusyError:
            progress.note(f"{name}: another process trains it")
        except DivergedError as error:
            progress.note(f"{name}: {error.message}")
    return runs


def _check(name: str, config: TrainConfig) -> None:
    run = runs_dir() / name
    if not run.exists():
        check_run(config, name)
        return
    begun = read_config(run)
    for field in dataclasses.fields(config):
        planned, had = getattr(config, field.name), getattr(begun, field.name)
        if planned != had and field.name != "clips":  # a hash, which the run fills in itself
            raise InputError(
                f"it was begun with {field.name} = {had}, not {planned}",
                f"remove {run}, or call it otherwise in the plan",
            )


def _begun(name: str, config: TrainConfig) -> Path:
    """The run's folder, made unless it is there."""
    run = runs_dir() / name
    if not run.exists():
        try:
            return new_run(config, name)
        except LipganError:
            if not run.exists():  # else another process that has the plan was faster
                raise
    return run
