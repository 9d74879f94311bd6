"""A run's config survives the trip through JSON, and nothing else passes for one."""

from __future__ import annotations

import json

import pytest

from lipgan_cli.engine.config import (
    GROUPS,
    Augmentation,
    TrainConfig,
    Variant,
    parse_augmentations,
    parse_distances,
)
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
        {"augment": True},
        {"augment": ["mirrors"]},
        {"augment": [["mirror"]]},
        {"batch": None},
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


def test_augmentations_are_read_by_name_and_by_group():
    assert parse_augmentations("none") == ()
    assert parse_augmentations("warp") == (Augmentation.WARP,)
    assert parse_augmentations("warp, mirror,geometric") == (
        Augmentation.JITTER,
        Augmentation.ROTATION,
        Augmentation.SHEAR,
        Augmentation.MIRROR,
        Augmentation.WARP,
    )
    assert parse_augmentations("all") == tuple(Augmentation)
    assert parse_augmentations(",".join(TrainConfig.augment)) == TrainConfig.augment


def test_every_augmentation_is_in_one_group():
    groups = (members for name, members in GROUPS.items() if name not in {"none", "all"})
    assert sorted(one for members in groups for one in members) == sorted(Augmentation)
    assert GROUPS["sound"][0] is Augmentation.GAIN
    assert GROUPS["geometric"][0] is Augmentation.JITTER


@pytest.mark.parametrize("text", ["", "mirrors", "mirror,", "Mirror", "mirror warp"])
def test_an_unknown_augmentation_is_refused_with_the_names_there_are(text):
    with pytest.raises(InputError, match="no augmentation") as refused:
        parse_augmentations(text)
    assert "photometric, geometric" in refused.value.hint
    assert "sound-noise" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "distances"), [("6", (6, 0)), ("1..6", (1, 6)), ("4..4", (4, 4)), ("2 .. 9", (2, 9))]
)
def test_distances(text, distances):
    assert parse_distances(text) == distances


@pytest.mark.parametrize("text", ["", "0", "-1", "6..", "..6", "6..1", "0..6", "1...6", "x", "1.5"])
def test_wrong_distances_are_refused(text):
    with pytest.raises(InputError, match="distance"):
        parse_distances(text)
