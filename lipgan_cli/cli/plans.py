"""`lipgan train --plan`: files of runs by name, with the options of the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from lipgan_cli.cli.settings import RUN_SETTINGS, config_of, given
from lipgan_cli.engine.config import TrainConfig
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.paths import check_output, require_file
from lipgan_cli.engine.progress import Progress

if TYPE_CHECKING:
    from lipgan_cli.engine.train import Session


Plans = dict[str, dict[str, TrainConfig]]
"""The runs of each plan, by the names of both."""


def read_plans(paths: Sequence[Path], context: typer.Context) -> Plans:
    """Read plans; their runs' names begin with the file's.

    Raises:
        InputError: one is no plan, or two plans or runs have one name.
    """
    plans = {path.stem: _read(path, context) for path in paths}
    names = [name for plan in plans.values() for name in plan]
    if len(plans) < len(paths) or len(set(names)) < len(names):
        raise InputError("two of the plans or runs have one name", "call them differently")
    return plans


def train_plans(
    plans: Plans, output: Path | None, session: Session, progress: Progress
) -> dict[str, list[Path]]:
    """Train what is left of plans, after a look at where they are to be drawn; returns the runs.

    Raises:
        InputError: a run cannot be begun, or nothing can be written to `output`.
        LipganError: as `engine.plan.train_plan`.
    """
    from lipgan_cli.engine.plan import train_plan
    from lipgan_cli.engine.run.comparison import COMPARISON

    if output is not None:
        for stem in plans:
            check_output(output / stem / COMPARISON)
    every = {name: config for plan in plans.values() for name, config in plan.items()}
    trained = train_plan(every, session, progress)
    return {stem: [trained[name] for name in plan] for stem, plan in plans.items()}


def _read(path: Path, context: typer.Context) -> dict[str, TrainConfig]:
    """Read the runs of a plan: options are read as those of a command.

    A table `[common]` is for every run, `[runs.NAME]` for one, and comes before it.

    Raises:
        InputError: the file is no plan, or a run of it has an option that cannot be used.
    """
    text = require_file(path, "the plan").read_bytes()
    try:
        plan = tomllib.loads(text.decode("utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is no TOML: {error}", "see docs/commands/train.md") from error
    common, runs = plan.pop("common", {}), plan.pop("runs", {})
    tables = [common, runs, *(runs.values() if isinstance(runs, dict) else ())]
    if plan or not runs or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"{path} is no plan", "it has a table [common] and tables [runs.NAME]")
    configs = {}
    for name, own in runs.items():
        try:
            configs[f"{path.stem}-{name}"] = _config(common | own, context)
        except typer.TyperException as error:
            raise InputError(f"{path}, run {name}: {error.format_message()}") from error
        except InputError as error:
            raise InputError(f"{path}, run {name}: {error.message}", error.hint) from error
    return configs


def _config(options: Mapping[str, Any], context: typer.Context) -> TrainConfig:
    if "help" in options:
        raise InputError("a plan has no --help", "leave it out")
    made = context.command.make_context("train", list(_arguments(options)), parent=context.parent)
    run = cast(typer.Context, made)
    for parameter in run.command.params:
        if parameter.name in given(run) - RUN_SETTINGS - {"data"}:
            raise InputError(f"a plan has no {parameter.opts[0]}", "leave it out")
    return config_of(run)


def _arguments(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if isinstance(value, bool):
            yield f"--{'' if value else 'no-'}{name}"
        else:
            yield f"--{name}={value}"
