"""What a run gets: the settings of its recipe, and the loss of its variant's row."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lipgan_cli.engine.config import (
    Augmentation,
    PenaltyName,
    ReadoutName,
    Recipe,
    TrainConfig,
    Variant,
)
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.gan import penalties, readouts
from lipgan_cli.engine.gan.losses import STRATEGIES, Contrastive, Loss, Wasserstein
from lipgan_cli.engine.gan.penalties import Penalty
from lipgan_cli.engine.gan.readouts import Readout

THESIS: Mapping[Variant, Loss] = {
    Variant.LIPGAN: Contrastive(critic_weight=1.0),
    Variant.WGAN_GP: Wasserstein(readout=readouts.additive, penalty=penalties.at_fake),
    Variant.L1WGAN_GP: Wasserstein(
        readout=readouts.additive, penalty=penalties.at_fake, l1_weight=1.0, critic_weight=0.0
    ),
}
"""The thesis's tables 5.3 and 5.4, its concatenated readout and its printed penalty."""

THESIS_SETTINGS: Mapping[str, Any] = {
    "epochs": 20,
    "batch": 128,
    "seed": 10,
    "warmup": 0,
    "decay": 0.0,
    "ema": 0.0,
    "mouth_weight": 1.0,
    "norm_momentum": 0.8,
    "reference_offset": 1,
    "reference_reach": 6,
    "balance": 1.0,
    "augment": (),
}
"""Settings of the recipe `thesis` that the command line may still override."""

PRESENTER_SETTINGS: Mapping[str, Any] = {
    "initial": "default",
    "subset": "full",
    "variant": Variant.L1,
    "frozen_norm": True,
    "learning_rate": 3e-4,
    "batch": 32,
    "epochs": 20,
    "patience": 5,
    "ema": 0.99,
    "mouth_weight": 8.0,
    "augment": (
        *(Augmentation.BRIGHTNESS, Augmentation.CONTRAST, Augmentation.GAMMA),
        *(Augmentation.EQUALISER, Augmentation.PITCH, Augmentation.FORMANT),
    ),
}
"""Settings of the recipe `presenter`; docs/presenter.md gives the reason for each."""

SETTINGS: Mapping[Recipe, Mapping[str, Any]] = {
    Recipe.DEFAULT: {},
    Recipe.THESIS: THESIS_SETTINGS,
    Recipe.PRESENTER: PRESENTER_SETTINGS,
}
"""What each recipe sets; the command line comes before it."""

_ALWAYS_CORRECTED = (
    "the seed covers networks, samples and penalties, not numpy's draws alone",
    "unsynced sound, which the thesis does not define, is of another moment or another clip",
    "computed in bf16 where that is faster, penalties apart (--no-half-precision for fp32)",
)

_PENALTY = (
    "the penalty is at the step's own fake pair: the real face where that is unsynced sound (3.14)"
)

CORRECTIONS: Mapping[Variant, tuple[str, ...]] = {
    Variant.LIPGAN: (
        "the hinge of the contrastive loss is on fake pairs, and the critic minimises it (3.16)",
        *_ALWAYS_CORRECTED,
    ),
    Variant.WGAN_GP: (_PENALTY, *_ALWAYS_CORRECTED),
    Variant.L1WGAN_GP: (
        _PENALTY,
        *_ALWAYS_CORRECTED,
        "kept as it is: no gradient of the critic reaches this generator",
    ),
}
"""Where the recipe `thesis` departs from the print, and why; a run logs them."""

_READOUTS: Mapping[ReadoutName, Readout] = {
    ReadoutName.DISTANCE: readouts.distance,
    ReadoutName.CLOSENESS: readouts.closeness,
    ReadoutName.JOINT: readouts.joint,
    ReadoutName.ADDITIVE: readouts.additive,
}

_PENALTIES: Mapping[PenaltyName, Penalty] = {
    PenaltyName.INTERPOLATED: penalties.interpolated,
    PenaltyName.ONE_SIDED: penalties.one_sided,
    PenaltyName.SIXTH_POWER: penalties.sixth_power,
    PenaltyName.AROUND_REAL: penalties.around_real,
    PenaltyName.AT_FAKE: penalties.at_fake,
}


def strategy(config: TrainConfig) -> Loss:
    """The strategy that a run asks for: its variant's row, with what the run sets otherwise.

    Raises:
        InputError: the recipe has no such variant, or a setting has nothing to act on.
    """
    rows = THESIS if config.recipe is Recipe.THESIS else STRATEGIES
    if config.variant not in rows:
        names = ", ".join(rows)
        raise InputError(f"the recipe thesis has no variant {config.variant}", f"it has {names}")
    loss = rows[config.variant]
    own: dict[str, Any] = {
        "readout": config.readout and _READOUTS[config.readout],
        "critic_steps": config.critic_steps,
        "penalty": config.penalty and _PENALTIES[config.penalty],
        "penalty_weight": config.penalty_weight,
        "l1_weight": config.l1_weight,
        "critic_weight": config.critic_weight,
        "expert_weight": config.expert_weight,
    }
    given = {name: value for name, value in own.items() if value is not None}
    _check(loss, given, config)
    adam = {name: getattr(config, name) for name in ("learning_rate", "beta1", "beta2")}
    optimizer = dataclasses.replace(
        loss.optimizer, **{name: value for name, value in adam.items() if value is not None}
    )
    loss = dataclasses.replace(loss, optimizer=optimizer, **given)
    if not (loss.l1_weight or loss.critic_weight or loss.expert_weight):
        raise InputError(
            f"{config.variant} with these weights leaves the generator nothing to learn",
            "give one of --l1-weight, --critic-weight, --expert-weight above 0",
        )
    if 0 < config.iterations < loss.critic_steps:
        raise InputError(
            f"in {config.iterations} iterations with {loss.critic_steps} critic steps each the"
            " generator never moves",
            "more --iterations, or fewer --critic-steps",
        )
    return loss


def _check(loss: Loss, given: Mapping[str, object], config: TrainConfig) -> None:
    variant = config.variant
    critics = given.keys() & {"readout", "penalty", "penalty_weight", "critic_weight"}
    if not config.critic_norm:
        critics |= {"no_critic_norm"}
    if config.critic_reference:
        critics |= {"critic_reference"}
    for name in sorted(critics):
        if loss.readout is None:
            raise InputError(
                f"{variant} has no critic: no --{name.replace('_', '-')}", "leave it out"
            )
    apart = (readouts.distance,)
    if (given.get("readout", loss.readout) in apart) != (loss.readout in apart):
        raise InputError(
            f"the readout distance goes with lipgan, the others with the other variants: {variant}",
            "closeness is minus the distance",
        )
    if "penalty_weight" in given and loss.penalty is None and "penalty" not in given:
        raise InputError(f"{variant} has no penalty: no --penalty-weight", "give --penalty too")
    if "penalty" in given and loss.penalty is None and "penalty_weight" not in given:
        raise InputError(f"{variant} has no weight for a penalty", "give --penalty-weight too")
