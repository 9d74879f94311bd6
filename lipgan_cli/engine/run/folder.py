"""A run's folder: making it, finding it, reading what decides it.

config.json                 every setting
initial.safetensors         the weights that the run began with, where it was given some
expert.safetensors          the lip-sync expert, where the strategy has one
log.jsonl                   figures of iterations and of evaluations
plots/losses.png ...        the same figures drawn
tensorboard/                the same as TensorBoard's event files, where they are asked for
sheets/00000600.png         reference, generated face, ground truth
checkpoints/00000600/       what a run resumes from
weights.safetensors         the best generator, packed
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from lipgan_cli.engine.config import TrainConfig
from lipgan_cli.engine.data.dataset import Clip, Dataset
from lipgan_cli.engine.data.samples import Draws
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.gan.expert import FRAMES
from lipgan_cli.engine.gan.packing import load_generator
from lipgan_cli.engine.gan.recipes import strategy
from lipgan_cli.engine.paths import atomic_path, runs_dir
from lipgan_cli.engine.run.expert import copy_expert
from lipgan_cli.engine.run.generators import DEFAULT


def new_run(config: TrainConfig, name: str | None = None, processes: int = 1) -> Path:
    """Make the folder of a new run, with its config and the weights that it begins with.

    Raises:
        InputError: as `check_run`, or a run of that name exists.
    """
    config = check_run(config, name, processes)
    name = name or f"{config.variant}-{config.subset}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    run = runs_dir() / name
    if run.exists():
        raise InputError(f"the run {run} exists already", f"--resume {name}, or another --name")
    with atomic_path(run, force=False) as temporary:
        temporary.mkdir(parents=True)
        (temporary / "config.json").write_text(config.to_json(), "utf-8")
        if config.initial:
            shutil.copyfile(config.initial, initial_weights(temporary))
        if config.expert:
            copy_expert(Path(config.expert), temporary)
    return run


def check_run(config: TrainConfig, name: str | None = None, processes: int = 1) -> TrainConfig:
    """Check that a run can be begun; returns its settings with what the dataset adds to them.

    Raises:
        InputError: the settings do not go together, the dataset or given weights cannot be used,
            or the name cannot be a folder's.
    """
    check_batch(config, processes)
    if config.frozen_norm and not config.initial:
        raise InputError("--frozen-norm has nothing to keep without --from", "give both")
    clips = Dataset.open(Path(config.dataset)).clips(config.subset)
    Draws(clips, config, 1, window=window_of(config))
    if config.initial:
        _check_width(config)
    if window_of(config) == 1:
        given = {
            "--expert": config.expert,
            "--expert-iterations": config.expert_iterations != TrainConfig.expert_iterations,
        }
        for option in (option for option, there in given.items() if there):
            raise InputError(f"{config.variant} uses no expert: no {option}", "leave it out")
    if name is not None and (Path(name).name != name or name == ".." or "\0" in name):
        raise InputError(f"{name!r} cannot name a run", "give a name without a folder")
    if name == DEFAULT:
        raise InputError(f"{name!r} is lipgan's own generator, not a run", "give another --name")
    return dataclasses.replace(config, clips=_digest(clips))


def window_of(config: TrainConfig) -> int:
    """How many consecutive frames a run's samples come in: the expert's window, or one."""
    return FRAMES if strategy(config).expert_weight else 1


def check_batch(config: TrainConfig, processes: int) -> None:
    """Check that a batch can be divided as the run does it.

    Raises:
        InputError: it cannot.
    """
    window = window_of(config)
    parts = processes * config.accumulate
    if config.batch % (parts * window) or config.batch < 2 * parts:  # batch norm needs two samples
        raise InputError(
            f"a batch of {config.batch} cannot be divided: {processes} processes,"
            f" {config.accumulate} parts, windows of {window} frames",
            f"--batch {fitting_batch(config, processes)}",
        )


def fitting_batch(config: TrainConfig, processes: int) -> int:
    """The largest batch up to the run's own that can be divided as the run does it."""
    least = processes * config.accumulate * max(window_of(config), 2)
    return max(1, config.batch // least) * least


def _check_width(config: TrainConfig) -> None:
    width = load_generator(Path(config.initial)).width
    if width != config.width:
        raise InputError(
            f"{config.initial} is of width {width}, not {config.width}", f"--width {width}"
        )


def find_run(name: str) -> Path:
    """The folder of the run called `name`, or at the path `name`.

    Raises:
        InputError: there is no such run.
    """
    for run in (runs_dir() / name, Path(name)):
        if (run / "config.json").is_file():
            return run
    known = sorted(path.parent.name for path in runs_dir().glob("*/config.json"))
    hint = f"the runs are {', '.join(known)}" if known else "there are no runs yet"
    raise InputError(f"there is no run called {name}", hint)


def find_runs(names: Sequence[str]) -> list[Path]:
    """The folders of runs by name or path, each once; in a name of the user's, * stands for any.

    Raises:
        InputError: there is no run to one of the names.
    """
    found: list[Path] = []
    for name in names:
        pattern = "*" in name and not Path(name).is_absolute()
        known = sorted(runs_dir().glob(f"{name}/config.json")) if pattern else []
        found += [path.parent for path in known] or [find_run(name)]
    return list(dict.fromkeys(found))


def initial_weights(run: Path) -> Path:
    """The file of the weights that a run began with."""
    return run / "initial.safetensors"


def read_config(run: Path) -> TrainConfig:
    """A run's settings.

    Raises:
        InputError: they cannot be read.
    """
    try:
        return TrainConfig.from_json((run / "config.json").read_text("utf-8"))
    except InputError as error:
        raise InputError(f"{run / 'config.json'}: {error.message}", error.hint) from error


def training_clips(dataset: Dataset, config: TrainConfig) -> list[Clip]:
    """The clips that a run is trained on.

    Raises:
        InputError: there are none, or others than when the run began.
    """
    clips = dataset.clips(config.subset)
    if config.clips not in {"", _digest(clips)}:
        raise InputError(
            f"the subset {config.subset} of {config.dataset} has changed since the run began",
            "begin a new run",
        )
    return clips


def held_out_clips(dataset: Dataset, config: TrainConfig) -> list[Clip]:
    """The first test clips of each speaker; without any, of the subset that is trained on."""
    try:
        clips = dataset.clips("test")
    except InputError:
        clips = dataset.clips(config.subset)
    speakers: dict[str, list[Clip]] = {}
    for clip in clips:
        speakers.setdefault(clip.speaker, []).append(clip)
    return [clip for own in speakers.values() for clip in own[: config.evaluate_clips]]


def _digest(clips: list[Clip]) -> str:
    """What a list of clips is known by: a resumed run must draw from the same."""
    return hashlib.sha256("\n".join(clip.key for clip in clips).encode()).hexdigest()[:16]
