"""`lipgan train`: train a loss strategy on a prepared dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lipgan_cli.cli import console
from lipgan_cli.cli.options import Device, Json, Quiet
from lipgan_cli.engine.config import (
    GROUPS,
    TrainConfig,
    Variant,
    parse_augmentations,
    parse_distances,
)
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.paths import require_file


def train(
    context: typer.Context,
    variant: Annotated[Variant, typer.Option(help="The loss strategy.")] = Variant.LIPGAN,
    subset: Annotated[str, typer.Option(help="What to train on: small, full or test.")] = "small",
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The prepared dataset; by default the only one."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The run's name; by default from variant, subset and time.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="Go on with this run (name or folder), with its own settings."
        ),
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option("--from", metavar="WEIGHTS", help="Begin with these weights of a generator."),
    ] = None,
    width: Annotated[
        int, typer.Option(min=2, help="Channels after the first layer; 32 is the paper's size.")
    ] = TrainConfig.width,
    epochs: Annotated[
        int, typer.Option(min=1, help="Passes over as many frames as the subset has.")
    ] = TrainConfig.epochs,
    iterations: Annotated[
        int, typer.Option(min=0, help="Critic steps in all, in place of --epochs; 0 for epochs.")
    ] = TrainConfig.iterations,
    batch: Annotated[int, typer.Option(min=2, help="Samples an iteration.")] = TrainConfig.batch,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seeds everything.")
    ] = TrainConfig.seed,
    learning_rate: Annotated[
        float, typer.Option(min=0, help="Adam's; 0 takes the strategy's own.")
    ] = TrainConfig.learning_rate,
    decay: Annotated[
        float,
        typer.Option(min=0, max=1, help="Last part of the run in which the rate falls to zero."),
    ] = TrainConfig.decay,
    ema: Annotated[
        float,
        typer.Option(min=0, max=0.99999, help="Decay of the generator's moving average; 0 is off."),
    ] = TrainConfig.ema,
    mouth_weight: Annotated[
        float, typer.Option(min=0, help="Weight of a mouth pixel in the L1 loss; others have 1.")
    ] = TrainConfig.mouth_weight,
    reference_offset: Annotated[
        str,
        typer.Option(
            metavar="N[..M]", help="Least (and greatest) distance of reference and target, frames."
        ),
    ] = str(TrainConfig.reference_offset),
    balance: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="1 draws every clip alike, 0 every speaker alike, between: between."
        ),
    ] = TrainConfig.balance,
    augment: Annotated[
        str,
        typer.Option(
            metavar="NAMES", help=f"What varies in the samples: {', '.join(GROUPS)}, or by name."
        ),
    ] = ",".join(TrainConfig.augment),
    half_precision: Annotated[
        bool | None, typer.Option(help="bf16 or not; by default where the device is faster.")
    ] = TrainConfig.half_precision,
    log_every: Annotated[
        int, typer.Option(min=1, help="Iterations between lines of the log.")
    ] = TrainConfig.log_every,
    evaluate_every: Annotated[
        int, typer.Option(min=0, help="Iterations between checkpoints; 0 for once an epoch.")
    ] = TrainConfig.evaluate_every,
    evaluate_clips: Annotated[
        int, typer.Option(min=1, help="Test clips a speaker in an evaluation.")
    ] = TrainConfig.evaluate_clips,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load samples.")] = 0,
    device: Device = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a loss strategy on a prepared dataset; prints the file of the trained weights.

    Every evaluation measures held-out clips, writes a checkpoint and a sheet of generated faces.
    Ctrl-C saves a checkpoint before it stops; --resume goes on from there.
    """
    from lipgan_cli.engine import train as engine
    from lipgan_cli.engine.data.dataset import resolve
    from lipgan_cli.engine.gan.device import choose_device
    from lipgan_cli.engine.run.folder import find_run, new_run

    chosen = choose_device(device)
    if resume is not None:
        _refuse_new_settings(context)
        run = find_run(resume)
    else:
        offset, reach = parse_distances(reference_offset)
        config = TrainConfig(
            variant=variant,
            dataset=str(resolve(data).resolve()),
            subset=subset,
            initial="" if initial is None else str(require_file(initial, "weights").resolve()),
            width=width,
            epochs=epochs,
            iterations=iterations,
            batch=batch,
            seed=seed,
            learning_rate=learning_rate,
            decay=decay,
            ema=ema,
            mouth_weight=mouth_weight,
            reference_offset=offset,
            reference_reach=reach,
            balance=balance,
            augment=parse_augmentations(augment),
            half_precision=half_precision,
            log_every=log_every,
            evaluate_every=evaluate_every,
            evaluate_clips=evaluate_clips,
        )
        run = new_run(config, name)
    summary = engine.train(run, chosen, console.progress(quiet), workers)
    if json:
        console.print_json(summary)
    else:
        console.print_result(summary.weights)


def _refuse_new_settings(context: typer.Context) -> None:
    """A resumed run keeps the settings that it was begun with."""
    free = {"resume", "workers", "device", "json", "quiet"}
    for name in context.params.keys() - free:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise InputError(
                f"--resume keeps the run's own settings: no --{name.replace('_', '-')} beside it",
                "leave it out, or begin a new run",
            )
