"""The file of `lipgan train --plan`: runs by name, with the options of the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import typer

from lipgan_cli.cli.settings import RUN_SETTINGS, config_of, given
from lipgan_cli.engine.config import TrainConfig
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.paths import require_file


def read_plan(path: Path, context: typer.Context) -> dict[str, TrainConfig]:
    """Read the runs of a plan: names begin with the file's, options are read as those of a command.

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
    made = context.command.make_context("train", list(_arguments(options)), parent=context.parent)
    run = cast(typer.Context, made)
    for session in sorted(given(run) - RUN_SETTINGS - {"data"}):
        raise InputError(f"a plan has no --{session.replace('_', '-')}", "leave it out")
    return config_of(run)


def _arguments(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if isinstance(value, bool):
            yield f"--{'' if value else 'no-'}{name}"
        else:
            yield f"--{name}={value}"
