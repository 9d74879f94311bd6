"""A run's loss: the row of its variant and recipe, and what the run sets otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lipgan_cli.engine.config import (
    OptimizerConfig,
    PenaltyName,
    ReadoutName,
    Recipe,
    TrainConfig,
    Variant,
)
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.gan import penalties, readouts
from lipgan_cli.engine.gan.losses import STRATEGIES
from lipgan_cli.engine.gan.recipes import CORRECTIONS, THESIS, strategy


def config(variant, **settings):
    return TrainConfig(variant, "data", "small", **settings)


@pytest.mark.parametrize("variant", Variant)
def test_a_run_that_sets_nothing_gets_the_row(variant):
    assert strategy(config(variant)) == STRATEGIES[variant]


@pytest.mark.parametrize(
    ("variant", "steps", "weight", "adam"),
    [
        (Variant.LIPGAN, 1, 0.0, OptimizerConfig(1e-3, 0.5, 0.999)),
        (Variant.WGAN_GP, 5, 10.0, OptimizerConfig(1e-4, 0.5, 0.9)),
        (Variant.L1WGAN_GP, 5, 10.0, OptimizerConfig(1e-4, 0.5, 0.9)),
    ],
)
def test_the_thesis_has_its_tables(variant, steps, weight, adam):
    loss = strategy(config(variant, recipe=Recipe.THESIS))
    assert (loss.critic_steps, loss.penalty_weight, loss.optimizer) == (steps, weight, adam)
    assert loss.critic_weight == (0 if variant is Variant.L1WGAN_GP else 1)
    assert loss.l1_weight == (0 if variant is Variant.WGAN_GP else 1)
    if variant is Variant.LIPGAN:
        assert (loss.margin, loss.readout) == (2, readouts.distance)
    else:
        assert (loss.readout, loss.penalty) == (readouts.additive, penalties.at_fake)


def test_every_variant_of_the_thesis_says_its_corrections():
    assert THESIS.keys() == CORRECTIONS.keys()
    with pytest.raises(InputError, match="recipe thesis has no variant lsgan") as caught:
        strategy(config(Variant.LSGAN, recipe=Recipe.THESIS))
    assert caught.value.hint == "it has lipgan, wgan-gp, l1wgan-gp"


def test_a_run_s_settings_come_before_the_row_s():
    loss = strategy(
        config(
            Variant.WGAN_GP,
            readout=ReadoutName.ADDITIVE,
            critic_steps=2,
            penalty=PenaltyName.ONE_SIDED,
            penalty_weight=0.5,
            l1_weight=3.0,
            critic_weight=0.0,
            learning_rate=0.5,
            beta1=0.0,
            beta2=0.75,
        )
    )
    assert loss == replace(
        STRATEGIES[Variant.WGAN_GP],
        readout=readouts.additive,
        critic_steps=2,
        penalty=penalties.one_sided,
        penalty_weight=0.5,
        l1_weight=3.0,
        critic_weight=0.0,
        optimizer=OptimizerConfig(0.5, 0.0, 0.75),
    )


@pytest.mark.parametrize("name", ReadoutName)
@pytest.mark.parametrize("penalty", PenaltyName)
def test_every_name_has_its_function(name, penalty):
    variant = Variant.LIPGAN if name is ReadoutName.DISTANCE else Variant.GAN
    loss = strategy(config(variant, readout=name, penalty=penalty, penalty_weight=1.0))
    assert loss.readout is getattr(readouts, name)
    assert loss.penalty is getattr(penalties, penalty.replace("-", "_"))


@pytest.mark.parametrize(
    ("variant", "settings", "message"),
    [
        (Variant.L1, {"readout": ReadoutName.JOINT}, "l1 has no critic: no --readout"),
        (Variant.L1, {"critic_weight": 1.0}, "l1 has no critic: no --critic-weight"),
        (Variant.LSGAN, {"penalty_weight": 1.0}, "lsgan has no penalty: no --penalty-weight"),
        (Variant.GAN, {"penalty": PenaltyName.AT_FAKE}, "gan has no weight for a penalty"),
        (Variant.LIPGAN, {"readout": ReadoutName.JOINT}, "distance goes with lipgan"),
        (Variant.WGAN_GP, {"readout": ReadoutName.DISTANCE}, "distance goes with lipgan"),
    ],
)
def test_a_setting_with_nothing_to_act_on_is_refused(variant, settings, message):
    with pytest.raises(InputError, match=message):
        strategy(config(variant, **settings))
