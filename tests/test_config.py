"""A run's config survives the trip through JSON, and nothing else passes for one."""

from __future__ import annotations

import json

import pytest

from lipgan_cli.engine.config import TrainConfig, Variant
from lipgan_cli.engine.errors import InputError


def test_round_trip():
    config = TrainConfig(Variant.WGAN_GP, "some where/[x]", "small", batch=7, half_precision=False)
    assert TrainConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1},
        {"variant": "cubist"},
        {"batch": "many"},
        {"augment": 3.5},
        {"learning_rate": None},
    ],
)
def test_wrong_settings_are_errors(change):
    values = json.loads(TrainConfig(Variant.L1, "d", "small").to_json()) | change
    with pytest.raises(InputError, match=f"(?i){next(iter(change))}"):
        TrainConfig.from_json(json.dumps(values))


def test_settings_that_came_later_take_their_defaults():
    values = json.loads(TrainConfig(Variant.L1, "d", "small", width=16).to_json())
    del values["width"]
    assert TrainConfig.from_json(json.dumps(values)).width == 32


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '"x"'])
def test_other_text_is_no_config(text):
    with pytest.raises(InputError):
        TrainConfig.from_json(text)
