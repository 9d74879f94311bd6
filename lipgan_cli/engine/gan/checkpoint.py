"""Checkpoints of a run: whole or not at all, in safetensors and JSON; nothing is unpickled."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.gan.core import Core
from lipgan_cli.engine.gan.packing import save_tensors
from lipgan_cli.engine.paths import atomic_path

FORMAT = 1
_WEIGHTS, _TRAINING, _STATE = "generator.safetensors", "training.safetensors", "state.json"


@dataclass(frozen=True)
class State:
    """What a checkpoint says of itself.

    Attributes:
        iteration: iterations done.
        score: the held-out figure that makes a checkpoint the best (mouth PSNR, dB); None when
            it was not measured.
        figures: the evaluation at this point.
    """

    iteration: int
    score: float | None = None
    figures: dict[str, Any] = field(default_factory=dict)


class Checkpoints:
    """The checkpoints of one run, a folder each, named by iteration.

    The last two and the best hold the whole state of training; older ones that were measured
    keep the averaged generator alone, and the others go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Path]:
        """The checkpoint folders, oldest first."""
        return sorted(path.parent for path in self.folder.glob(f"[0-9]*/{_STATE}"))

    def _whole(self) -> list[Path]:
        """Those that hold the whole state of training, oldest first."""
        return [path for path in self.all() if (path / _TRAINING).exists()]

    def save(self, core: Core, state: State) -> Path:
        """Write a checkpoint and thin out the older ones."""
        target = self.place(state)
        with atomic_path(target) as temporary:
            temporary.mkdir(parents=True)
            save_tensors(averaged_weights(core), temporary / _WEIGHTS)
            about = {"variant": core.config.variant.value}
            save_tensors(_training_state(core), temporary / _TRAINING, about)
            _write_state(temporary, state)
        self._thin_out()
        return target

    def describe(self, state: State) -> None:
        """Add to the checkpoint of that iteration what was measured on it."""
        _write_state(self.place(state), state)

    def place(self, state: State) -> Path:
        """The folder of the checkpoint of that iteration."""
        return self.folder / f"{state.iteration:08d}"

    def _thin_out(self) -> None:
        whole = self._whole()
        best = self.best()
        for path in whole[:-2]:
            if read_state(path).score is None:
                path.rename(path.with_name(f".{path.name}.part"))
            elif path != best:
                (path / _TRAINING).unlink()
        for leftover in self.folder.glob(".*.part"):
            shutil.rmtree(leftover, ignore_errors=True)

    def measured(self) -> list[State]:
        """What those that were measured say of themselves, oldest first."""
        states = [read_state(path) for path in self.all()]
        return [state for state in states if state.score is not None]

    def best(self) -> Path | None:
        """The checkpoint with the highest score, the latest of equals; the last if none has one."""

        def rank(path: Path) -> tuple[float, str]:
            score = read_state(path).score
            return (-math.inf if score is None else score, path.name)

        return max(self.all(), key=rank, default=None)

    def restore(self, core: Core) -> State | None:
        """Bring `core` to the newest whole checkpoint; None when there is none.

        Raises:
            InputError: the checkpoint is damaged, of another variant or of other networks.
        """
        whole = self._whole()
        if not whole:
            return None
        state = read_state(whole[-1])
        tensors = _load(whole[-1] / _TRAINING)
        average = _load(whole[-1] / _WEIGHTS)
        try:
            _check_variant(core, whole[-1] / _TRAINING)
            _set_training_state(core, tensors, average)
        except (RuntimeError, KeyError, ValueError) as error:
            raise InputError(
                f"the checkpoint {whole[-1]} does not fit this run: {str(error).splitlines()[0]}",
                "it was made with other settings: begin a new run",
            ) from error
        return state


def read_state(checkpoint: Path) -> State:
    """Read what a checkpoint folder says of itself.

    Raises:
        InputError: it is damaged or of another format.
    """
    try:
        description = json.loads((checkpoint / _STATE).read_text())
        if description.pop("format") != FORMAT:
            raise InputError(f"the checkpoint {checkpoint} has a format that is not known")
        return State(**description)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"the checkpoint {checkpoint} is damaged: {error}") from error


def _write_state(checkpoint: Path, state: State) -> None:
    description = {"format": FORMAT, **state.__dict__}
    with atomic_path(checkpoint / _STATE) as temporary:
        temporary.write_text(json.dumps(description, indent=2))


def weights_file(checkpoint: Path) -> Path:
    """The averaged generator's file in a checkpoint folder."""
    return checkpoint / _WEIGHTS


def averaged_weights(core: Core) -> dict[str, Tensor]:
    """The averaged generator's state, contiguous and on the CPU."""
    return _plain(core.averaged.state_dict())


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}


def _training_state(core: Core) -> dict[str, Tensor]:
    tensors = {"average.count": torch.tensor(core.average.count)}
    for name, network in core.networks().items():
        tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
        for index, moments in core.optimizers[name].state_dict()["state"].items():
            tensors |= {f"adam.{name}.{index}.{key}": value for key, value in moments.items()}
    return _plain(tensors)


def _check_variant(core: Core, path: Path) -> None:
    with safe_open(path, "pt") as file:
        variant = (file.metadata() or {}).get("variant")
    if variant != core.config.variant:
        raise ValueError(f"it is of the variant {variant}")


def _set_training_state(core: Core, tensors: dict[str, Tensor], average: dict[str, Tensor]) -> None:
    core.averaged.load_state_dict(average)
    core.average.count = int(tensors["average.count"])
    for name, network in core.networks().items():
        network.load_state_dict(_below(tensors, f"{name}."))
        moments: dict[int, dict[str, Tensor]] = {}
        parameters = list(network.parameters())
        for key, value in _below(tensors, f"adam.{name}.").items():
            index, _, moment = key.partition(".")
            if value.dim():  # in the parameter's own layout, as Adam had made it
                value = torch.empty_like(parameters[int(index)]).copy_(value)
            moments.setdefault(int(index), {})[moment] = value
        groups = core.optimizers[name].state_dict()["param_groups"]
        core.optimizers[name].load_state_dict({"state": moments, "param_groups": groups})


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{path} is damaged: {error}",
            f"remove the folder {path.parent} to go on from the checkpoint before it",
        ) from error
