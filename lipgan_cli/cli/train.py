"""`lipgan train`: train a loss strategy on a prepared dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lipgan_cli.cli import console, judges, runs
from lipgan_cli.cli.options import Device, Json, Quiet
from lipgan_cli.cli.plans import read_plans, train_plans
from lipgan_cli.cli.settings import config_of, given
from lipgan_cli.engine.config import (
    GROUPS,
    Initialisation,
    PenaltyName,
    ReadoutName,
    Recipe,
    TrainConfig,
    Variant,
)
from lipgan_cli.engine.errors import InputError


def train(
    context: typer.Context,
    variant: Annotated[Variant, typer.Option(help="The loss strategy.")] = Variant.LIPGAN,
    recipe: Annotated[
        Recipe,
        typer.Option(
            help="Where settings come from that are not given: ours, the thesis's, or those that "
            "fit a trained generator to one presenter."
        ),
    ] = TrainConfig.recipe,
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
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Begin with the weights of this generator: a file, a run's name, or default.",
        ),
    ] = None,
    readout: Annotated[
        ReadoutName | None, typer.Option(help="How the critic's embeddings become a judgement.")
    ] = None,
    critic_steps: Annotated[
        int | None, typer.Option(min=1, help="Critic steps for every generator step.")
    ] = None,
    penalty: Annotated[
        PenaltyName | None, typer.Option(help="The critic's gradient penalty.")
    ] = None,
    penalty_weight: Annotated[float | None, typer.Option(min=0, help="Its factor, lambda.")] = None,
    l1_weight: Annotated[
        float | None, typer.Option(min=0, help="Of the reconstruction in the generator's loss.")
    ] = None,
    critic_weight: Annotated[
        float | None, typer.Option(min=0, help="Of the critic's part in the generator's loss.")
    ] = None,
    expert_weight: Annotated[
        float | None, typer.Option(min=0, help="Of the lip-sync expert's part in it.")
    ] = None,
    expert: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The expert to use; by default one is trained first."),
    ] = None,
    expert_iterations: Annotated[
        int, typer.Option(min=1, help="Steps in which the expert is trained.")
    ] = TrainConfig.expert_iterations,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Adam's.")] = None,
    beta1: Annotated[
        float | None, typer.Option(min=0, max=0.9999, help="Adam's, for the gradients' mean.")
    ] = None,
    beta2: Annotated[
        float | None, typer.Option(min=0, max=0.99999, help="Adam's, for the squares' mean.")
    ] = None,
    width: Annotated[
        int, typer.Option(min=2, help="Channels after the first layer; 32 is the paper's size.")
    ] = TrainConfig.width,
    critic_norm: Annotated[
        bool, typer.Option(help="Instance norm in the critic.")
    ] = TrainConfig.critic_norm,
    critic_reference: Annotated[
        bool, typer.Option(help="Show the critic the reference face too.")
    ] = TrainConfig.critic_reference,
    norm_momentum: Annotated[
        float,
        typer.Option(min=0, max=1, help="Part of a batch in the running statistics of batch norm."),
    ] = TrainConfig.norm_momentum,
    frozen_norm: Annotated[
        bool, typer.Option(help="Let batch norm keep the statistics of the weights of --from.")
    ] = TrainConfig.frozen_norm,
    initialisation: Annotated[
        Initialisation, typer.Option(help="How weights are drawn.")
    ] = TrainConfig.initialisation,
    half_precision: Annotated[
        bool | None, typer.Option(help="bf16 or not; by default where the device is faster.")
    ] = TrainConfig.half_precision,
    epochs: Annotated[
        int, typer.Option(min=1, help="Passes over as many frames as the subset has.")
    ] = TrainConfig.epochs,
    iterations: Annotated[
        int, typer.Option(min=0, help="Critic steps in all, in place of --epochs; 0 for epochs.")
    ] = TrainConfig.iterations,
    batch: Annotated[int, typer.Option(min=2, help="Samples an iteration.")] = TrainConfig.batch,
    accumulate: Annotated[
        int, typer.Option(min=1, help="Parts in which a batch is taken, to save memory.")
    ] = TrainConfig.accumulate,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seeds everything.")
    ] = TrainConfig.seed,
    warmup: Annotated[
        int, typer.Option(min=0, help="Iterations in which the learning rate rises from zero.")
    ] = TrainConfig.warmup,
    decay: Annotated[
        float,
        typer.Option(min=0, max=1, help="Last part of the run in which the rate falls to zero."),
    ] = TrainConfig.decay,
    ema: Annotated[
        float,
        typer.Option(min=0, max=0.99999, help="Decay of the generator's moving average; 0 is off."),
    ] = TrainConfig.ema,
    patience: Annotated[
        int,
        typer.Option(
            min=0, help="Evaluations without a better score that end the run; 0 is never."
        ),
    ] = TrainConfig.patience,
    log_every: Annotated[
        int, typer.Option(min=1, help="Iterations between lines of the log.")
    ] = TrainConfig.log_every,
    evaluate_every: Annotated[
        int, typer.Option(min=0, help="Iterations between evaluations; 0 for once an epoch.")
    ] = TrainConfig.evaluate_every,
    evaluate_clips: Annotated[
        int, typer.Option(min=1, help="Test clips a speaker in an evaluation.")
    ] = TrainConfig.evaluate_clips,
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
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that load samples; by default as a GPU needs them."),
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="End the session with a checkpoint after this time.")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the log for TensorBoard too.")
    ] = False,
    plans: Annotated[
        list[Path] | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Train the runs of this file one after the other and compare them; repeatable.",
        ),
    ] = None,
    compared: Annotated[
        list[str] | None,
        typer.Option(
            "--compare", metavar="RUN", help="Compare this run with others; repeat it, or use *."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where a comparison is drawn."),
    ] = None,
    judge: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Teach a lip-sync judge for lipgan score instead of a generator, on --data and "
            "--subset (full), with --seed and --iterations, and write it to FILE.",
        ),
    ] = None,
    list_runs: Annotated[
        bool, typer.Option("--list", help="Show the runs that there are, and do nothing else.")
    ] = False,
    device: Device = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a loss strategy on a prepared dataset; prints the file of the trained weights.

    Settings of the loss that show no default have the strategy's own. Every evaluation measures
    held-out clips, writes a checkpoint, a sheet of generated faces and plots of the log. Ctrl-C
    saves a checkpoint before it stops; --resume goes on from there. torchrun -m lipgan_cli
    train ... trains one run with many processes and GPUs.
    """
    if list_runs:
        runs.print_runs(json)
        return
    from lipgan_cli.engine.run.folder import find_run, find_runs, new_run

    if compared:
        _refuse_all_but(context, {"compared", "output", "device", "json", "quiet"}, "--compare")
        runs.print_comparisons({"": find_runs(compared)}, output, device, json)
        return
    if judge is not None:
        allowed = {"judge", *_JUDGE_OPTIONS, "json", "quiet"}
        _refuse_all_but(context, allowed, "--judge", "teaches another network")
        chosen_for_judge = {name: context.params[name] for name in given(context) & _JUDGE_OPTIONS}
        judges.teach_judge(judge, chosen_for_judge, quiet, json)
        return
    from lipgan_cli.engine import train as engine
    from lipgan_cli.engine.gan.device import choose_device
    from lipgan_cli.engine.gan.world import joined_world, local_device
    from lipgan_cli.engine.run.events import check_tensorboard

    if tensorboard:
        check_tensorboard()
    chosen = local_device(choose_device(device))
    session = engine.Session(chosen, workers, max_minutes, tensorboard)
    with joined_world(chosen) as world:
        progress = console.progress(quiet or not world.first)
        if plans:
            _refuse_all_but(context, {"plans", "output", *_SESSION_OPTIONS}, "--plan")
            if world.size > 1:
                raise InputError(
                    "a plan's runs are trained by one process each",
                    "start lipgan train --plan with --device cuda:0, cuda:1 ...: they share it",
                )
            trained = train_plans(read_plans(plans, context), output, session, progress)
            runs.print_comparisons(trained, output, device, json)
            return
        if output is not None:
            raise InputError("--output is for comparisons", "give it with --compare or --plan")
        if resume is not None:
            _refuse_all_but(context, {"resume", *_SESSION_OPTIONS}, "--resume")
            run = find_run(resume)
        else:
            config = config_of(context, world.size)
            run = world.share(new_run(config, name, world.size) if world.first else Path())
        summary = engine.train(run, session, progress, world)
    if summary is None:
        return
    if json:
        console.print_json(summary)
    else:
        console.print_result(summary.weights)


_JUDGE_OPTIONS = {"data", "subset", "seed", "iterations", "device"}
_SESSION_OPTIONS = {"workers", "max_minutes", "tensorboard", "device", "json", "quiet"}


def _refuse_all_but(
    context: typer.Context,
    allowed: set[str],
    chosen: str,
    why: str = "keeps the runs' own settings",
) -> None:
    """What decides a run's outcome was decided when it was begun, or stands in the plan."""
    for parameter in context.command.params:
        if parameter.name in given(context) - allowed:
            raise InputError(
                f"{chosen} {why}: no {parameter.opts[0]} beside it",
                "leave it out, or begin a new run",
            )
