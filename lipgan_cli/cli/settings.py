"""From the options of `lipgan train` to a run's settings."""

from __future__ import annotations

import dataclasses
from typing import Any

import typer

from lipgan_cli.engine.config import TrainConfig, parse_augmentations, parse_distances
from lipgan_cli.engine.paths import require_file

RUN_SETTINGS = {field.name for field in dataclasses.fields(TrainConfig)}
"""The options that a run keeps; the others are for a session."""


def config_of(context: typer.Context, processes: int = 1) -> TrainConfig:
    """The run that a command line asks for.

    Raises:
        InputError: an option has a value that cannot be used, or there is no dataset.
    """
    from lipgan_cli.engine.data.dataset import resolve
    from lipgan_cli.engine.gan.packing import load_generator
    from lipgan_cli.engine.gan.recipes import SETTINGS
    from lipgan_cli.engine.run.folder import fitting_batch
    from lipgan_cli.engine.run.generators import find_model

    options = context.params
    own = {name: options[name] for name in given(context) & RUN_SETTINGS}
    settings: dict[str, Any] = {
        "variant": options["variant"],
        "subset": options["subset"],
        "dataset": str(resolve(options["data"]).resolve()),
        **SETTINGS[options["recipe"]],
        **own,
    }
    if "initial" in settings:
        initial = find_model(settings["initial"]).resolve()
        settings = {"width": load_generator(initial).width, **settings, "initial": str(initial)}
    if "expert" in own:
        settings["expert"] = str(require_file(own["expert"], "weights").resolve())
    if "augment" in own:
        settings["augment"] = parse_augmentations(own["augment"])
    if "reference_offset" in own:
        offset, reach = parse_distances(own["reference_offset"])
        settings |= {"reference_offset": offset, "reference_reach": reach}
    config = TrainConfig(**settings)
    if "batch" not in settings:
        config = dataclasses.replace(config, batch=fitting_batch(config, processes))
    return config


def given(context: typer.Context) -> set[str]:
    """The options that stand on the command line."""

    def stands_there(name: str) -> bool:
        source = context.get_parameter_source(name)
        return source is not None and source.name == "COMMANDLINE"

    return {name for name in context.params if stands_there(name)}
