"""What a run is made of: dataclasses that travel as JSON beside every checkpoint."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, get_type_hints

from lipgan_cli.engine.errors import InputError


class Variant(StrEnum):
    """The loss strategies; `gan.losses.STRATEGIES` has a row for each."""

    LIPGAN = "lipgan"
    WGAN_GP = "wgan-gp"
    L1WGAN_GP = "l1wgan-gp"
    L1 = "l1"


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam's parameters."""

    learning_rate: float
    beta1: float
    beta2: float


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the outcome of a training run, but for the data itself.

    Attributes:
        variant: the loss strategy.
        dataset: the prepared dataset's folder.
        subset: the subset trained on.
        clips: hash of its list, so that a resumed run draws from the same; filled in by the run.
        initial: file of the generator's weights to begin with; empty for random ones.
        width: channels after the first layer; 32 is the paper's.
        epochs: passes over as many frames as the subset has.
        iterations: critic steps in all; 0 takes it from `epochs`.
        batch: samples in an iteration.
        seed: seeds the networks, the samples and the mixes of penalties.
        learning_rate: Adam's; 0 takes the strategy's own.
        decay: part of the run at its end over which the learning rate falls to zero, 0..1.
        ema: decay of the moving average of the generator's weights, a step; 0 switches it off.
        mouth_weight: how much more a pixel of the mouth region counts in the L1 loss.
        reference_offset: least distance of reference and target, frames.
        balance: exponent of a speaker's clip count in its chance of being drawn: 1 draws every
            clip alike, 0 every speaker alike.
        augment: whether light, colour and left and right vary.
        half_precision: None takes bf16 where the device is faster with it.
        log_every: iterations between lines of the log.
        evaluate_every: iterations between evaluations and checkpoints; 0 is once an epoch.
        evaluate_clips: test clips a speaker in an evaluation.
    """

    variant: Variant
    dataset: str
    subset: str
    clips: str = ""
    initial: str = ""
    width: int = 32
    epochs: int = 20
    iterations: int = 0
    batch: int = 128
    seed: int = 10
    learning_rate: float = 0.0
    decay: float = 0.2
    ema: float = 0.999
    mouth_weight: float = 1.0
    reference_offset: int = 6
    balance: float = 0.5
    augment: bool = True
    half_precision: bool | None = None
    log_every: int = 20
    evaluate_every: int = 0
    evaluate_clips: int = 5

    def iterations_of_an_epoch(self, frames: int) -> int:
        """Iterations that draw as many samples as a subset has frames."""
        return max(1, frames // self.batch)

    def planned_iterations(self, frames: int) -> int:
        """Iterations in all, on a subset of `frames` frames."""
        return self.iterations or self.epochs * self.iterations_of_an_epoch(frames)

    def to_json(self) -> str:
        """The same as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """Read what `to_json` wrote.

        Raises:
            InputError: a key is unknown, one without a default is missing, or a value is wrong.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            unknown = values.keys() - {field.name for field in dataclasses.fields(cls)}
            if unknown:
                raise InputError(
                    f"unknown settings in a run's config: {', '.join(sorted(unknown))}"
                )
            kinds = get_type_hints(cls)
            for name, value in values.items():
                if name != "variant" and not isinstance(value, _accepted(kinds[name])):
                    raise InputError(f"a run's config has {name} = {value!r}")
            return cls(**{**values, "variant": Variant(values["variant"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"a run's config cannot be read: {error!r}") from error


def _accepted(kind: Any) -> Any:
    return int | float if kind is float else kind
