"""What a run is made of: dataclasses that travel as JSON beside every checkpoint."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

from lipgan_cli.engine.errors import InputError


class Variant(StrEnum):
    """The loss strategies; `gan.losses.STRATEGIES` has a row for each."""

    LIPGAN = "lipgan"
    WGAN_GP = "wgan-gp"
    L1WGAN_GP = "l1wgan-gp"
    WGAN_GP_L1 = "wgan-gp+l1"
    WGAN_LP = "wgan-lp"
    WGAN_DIV = "wgan-div"
    WGAN_C = "wgan-c"
    WGAN_C_EPS = "wgan-c-eps"
    WGAN = "wgan"
    LSGAN = "lsgan"
    GAN = "gan"
    NSGAN = "nsgan"
    DRAGAN = "dragan"
    EXPERT = "expert"
    LIPGAN_EXPERT = "lipgan+expert"
    L1 = "l1"


class Recipe(StrEnum):
    """Where settings that are not given come from; `gan.recipes` has those of each."""

    DEFAULT = "default"
    THESIS = "thesis"  # its tables 5.3 and 5.4
    PRESENTER = "presenter"  # a trained generator is fitted to one person


class ReadoutName(StrEnum):
    """How a critic's two embeddings become one number; `gan.readouts` has a function for each."""

    DISTANCE = "distance"
    CLOSENESS = "closeness"
    JOINT = "joint"
    ADDITIVE = "additive"


class PenaltyName(StrEnum):
    """The gradient penalties; `gan.penalties` has a function for each."""

    INTERPOLATED = "interpolated"
    ONE_SIDED = "one-sided"
    SIXTH_POWER = "sixth-power"
    AROUND_REAL = "around-real"
    AT_FAKE = "at-fake"


class Initialisation(StrEnum):
    """How the weights of convolutions are drawn; biases begin at zero, but for `torch`'s own."""

    TORCH = "torch"
    NORMAL = "normal"
    XAVIER = "xavier"
    HE = "he"


class Augmentation(StrEnum):
    """What may vary in a training sample; `data.pictures` and `data.sounds` say how much."""

    BRIGHTNESS = "brightness"
    CONTRAST = "contrast"
    GAMMA = "gamma"
    HUE = "hue"  # colour of the light, saturation and hue
    MONOCHROME = "monochrome"
    NOISE = "noise"
    JPEG = "jpeg"
    BLUR = "blur"
    JITTER = "jitter"  # place and size of the crop
    ROTATION = "rotation"
    SHEAR = "shear"
    MIRROR = "mirror"
    WARP = "warp"  # a face of another shape
    GAIN = "gain"
    SOUND_NOISE = "sound-noise"
    EQUALISER = "equaliser"
    REVERB = "reverb"
    PITCH = "pitch"
    FORMANT = "formant"


_PHOTOMETRIC = tuple(Augmentation)[:8]
_GEOMETRIC = tuple(Augmentation)[8:12]
SOUND = tuple(Augmentation)[13:]

GROUPS: Mapping[str, tuple[Augmentation, ...]] = MappingProxyType(
    {
        "none": (),
        "photometric": _PHOTOMETRIC,
        "geometric": _GEOMETRIC,
        "warp": (Augmentation.WARP,),
        "sound": SOUND,
        "all": tuple(Augmentation),
    }
)
"""Names that stand for several augmentations."""


def augmentations(names: Iterable[str]) -> tuple[Augmentation, ...]:
    """Return the augmentations of these names and groups, each once, in the order of the enum.

    Raises:
        InputError: a name is neither an augmentation nor a group.
    """
    chosen: set[Augmentation] = set()
    for name in names:
        if name in GROUPS:
            chosen.update(GROUPS[name])
        elif name in set(Augmentation):
            chosen.add(Augmentation(name))
        else:
            known = ", ".join(dict.fromkeys([*GROUPS, *Augmentation]))
            raise InputError(f"there is no augmentation {name!r}", f"one or more of {known}")
    return tuple(one for one in Augmentation if one in chosen)


def parse_augmentations(text: str) -> tuple[Augmentation, ...]:
    """Read `photometric,mirror,warp`: groups and names, with commas between them.

    Raises:
        InputError: a name is neither an augmentation nor a group.
    """
    return augmentations(name.strip() for name in text.split(","))


def parse_distances(text: str) -> tuple[int, int]:
    """Read `6`, a least distance of frames, or `1..6`, least and greatest; greatest 0: no limit.

    Raises:
        InputError: it is no such number or range, or the range is empty.
    """
    least, dots, greatest = text.partition("..")
    numbers = [least, greatest] if dots else [least]
    if not all(number.strip().isdecimal() for number in numbers):
        raise InputError(f"{text!r} is no distance in frames", "a number like 6, or a range 1..6")
    offset, reach = int(least), int(greatest) if dots else 0
    if offset < 1 or (dots and reach < offset):
        raise InputError(
            f"no reference frame has a distance of {text}", "a number like 6, or a range 1..6"
        )
    return offset, reach


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam's parameters."""

    learning_rate: float
    beta1: float
    beta2: float


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the outcome of a training run, but for the data itself.

    None in a setting of the loss takes the strategy's own.

    Attributes:
        variant: the loss strategy.
        dataset: the prepared dataset's folder.
        subset: the subset trained on.
        recipe: where settings that were not given came from.
        clips: hash of its list, so that a resumed run draws from the same; filled in by the run.
        initial: file of the generator's weights to begin with; empty for random ones.
        expert: file of the lip-sync expert; empty to train one where the strategy needs it.
        expert_iterations: steps in which an expert is trained.
        readout: how the critic's embeddings become a judgement.
        critic_steps: critic steps for every generator step.
        penalty: the critic's gradient penalty.
        penalty_weight: its factor, lambda.
        l1_weight: of the reconstruction in the generator's loss.
        critic_weight: of the critic's part in the generator's loss.
        expert_weight: of the expert's part in the generator's loss.
        learning_rate: Adam's.
        beta1: Adam's, for the mean of the gradients.
        beta2: Adam's, for the mean of their squares.
        width: channels after the first layer; 32 is the paper's.
        critic_norm: whether the critic has instance norm.
        critic_reference: whether the critic sees the reference face too.
        norm_momentum: part of a batch's statistics in the running ones of batch norm.
        frozen_norm: whether batch norm keeps the statistics of the weights that the run began with.
        initialisation: how weights are drawn.
        epochs: passes over as many frames as the subset has.
        iterations: critic steps in all; 0 takes it from `epochs`.
        batch: samples in an iteration, over all processes.
        accumulate: parts in which a process takes its share of a batch, one after the other.
        seed: seeds the networks, the samples and the mixes of penalties.
        warmup: iterations over which the learning rate rises from zero.
        decay: part of the run at its end over which the learning rate falls to zero, 0..1.
        ema: decay of the moving average of the generator's weights, a step; 0 switches it off.
        patience: evaluations without a better score after which the run ends; 0 is never.
        mouth_weight: how much more a pixel of the mouth region counts in the L1 loss.
        reference_offset: least distance of reference and target, frames.
        reference_reach: greatest distance of reference and target, frames; 0: no limit.
        balance: exponent of a speaker's clip count in its chance of being drawn: 1 draws every
            clip alike, 0 every speaker alike.
        augment: what varies in the samples.
        half_precision: None takes bf16 where the device is faster with it.
        log_every: iterations between lines of the log.
        evaluate_every: iterations between evaluations and checkpoints; 0 is once an epoch.
        evaluate_clips: test clips a speaker in an evaluation.
    """

    variant: Variant
    dataset: str
    subset: str
    recipe: Recipe = Recipe.DEFAULT
    clips: str = ""
    initial: str = ""
    expert: str = ""
    expert_iterations: int = 1500
    readout: ReadoutName | None = None
    critic_steps: int | None = None
    penalty: PenaltyName | None = None
    penalty_weight: float | None = None
    l1_weight: float | None = None
    critic_weight: float | None = None
    expert_weight: float | None = None
    learning_rate: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    width: int = 32
    critic_norm: bool = True
    critic_reference: bool = False
    norm_momentum: float = 0.2
    frozen_norm: bool = False
    initialisation: Initialisation = Initialisation.TORCH
    epochs: int = 20
    iterations: int = 0
    batch: int = 128
    accumulate: int = 1
    seed: int = 10
    warmup: int = 0
    decay: float = 0.2
    ema: float = 0.999
    patience: int = 0
    mouth_weight: float = 1.0
    reference_offset: int = 6
    reference_reach: int = 0
    balance: float = 0.5
    augment: tuple[Augmentation, ...] = (
        Augmentation.BRIGHTNESS,
        Augmentation.CONTRAST,
        Augmentation.GAMMA,
        Augmentation.HUE,
        Augmentation.MONOCHROME,
        Augmentation.MIRROR,
    )
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
            return cls(**{name: _read(name, value, kinds[name]) for name, value in values.items()})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"a run's config cannot be read: {error!r}") from error


def _read(name: str, value: Any, kind: Any) -> Any:
    """A value of JSON as the field's own kind; an error where it does not fit."""
    if name == "augment" and isinstance(value, list):
        return augmentations(map(str, value))
    kinds = get_args(kind) or (kind,)
    for choice in kinds:
        if isinstance(choice, type) and issubclass(choice, StrEnum) and isinstance(value, str):
            return choice(value)
    if float in kinds:
        kinds = (*kinds, int)
    if (
        name == "augment"
        or not isinstance(value, kinds)
        or (isinstance(value, bool) and bool not in kinds)
    ):
        raise InputError(f"a run's config has {name} = {value!r}")
    return value
