"""Training samples: what is drawn, how often, and what varies."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.config import TrainConfig, Variant
from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.data.samples import Draws, batches, vary
from lipgan_cli.engine.errors import InputError


def draws(folder, iterations=50, **settings):
    settings = {"batch": 4, "augment": False} | settings
    config = TrainConfig(Variant.LIPGAN, str(folder), "full", **settings)
    return Draws(Dataset.open(folder).clips("full"), config, iterations)


@pytest.fixture
def two_speakers(prepare_toy):
    return prepare_toy({f"s1/clip{i}": 14 for i in range(9)} | {"s2/only": 14})


def test_a_sample_is_the_same_every_time(two_speakers):
    one, other = draws(two_speakers, augment=True), draws(two_speakers, augment=True)
    for number in (0, 7, 150):
        assert all(torch.equal(a, b) for a, b in zip(one[number], other[number], strict=True))
    assert not torch.equal(one[0][1], one[1][1])


def test_another_seed_draws_other_samples(two_speakers):
    one, other = draws(two_speakers, seed=1), draws(two_speakers, seed=2)
    assert not all(torch.equal(one[i][1], other[i][1]) for i in range(10))


def test_shapes(two_speakers):
    reference, target, mel, unsynced = draws(two_speakers)[3]
    assert reference.shape == target.shape == (3, 96, 96)
    assert reference.dtype == torch.uint8
    assert mel.shape == unsynced.shape == (1, 80, 27)


@pytest.mark.parametrize(("balance", "share"), [(1.0, 0.9), (0.0, 0.5), (0.5, 0.75)])
def test_balance_decides_how_often_a_speaker_is_drawn(two_speakers, balance, share):
    drawn = draws(two_speakers, balance=balance)
    assert drawn.speaker_chances.tolist() == pytest.approx([share, 1 - share])
    random = np.random.default_rng(0)
    counts = Counter(drawn._clip(random).speaker for _ in range(2000))
    assert counts["s1"] / 2000 == pytest.approx(share, abs=0.04)


@given(
    frames=st.integers(13, 80), offset=st.integers(1, 6), seed=st.integers(0, 999), data=st.data()
)
def test_references_keep_their_distance(frames, offset, seed, data):
    target = data.draw(st.integers(0, frames - 1))
    drawn = Draws.__new__(Draws)
    drawn.config = TrainConfig(Variant.L1, "", "full", reference_offset=offset)
    reference = drawn._other(np.random.default_rng(seed), frames, target)
    assert 0 <= reference < frames
    assert abs(reference - target) >= offset


def test_every_reference_at_a_distance_is_drawn():
    drawn = Draws.__new__(Draws)
    drawn.config = TrainConfig(Variant.L1, "", "full", reference_offset=6)
    random = np.random.default_rng(0)
    seen = Counter(drawn._other(random, 20, 8) for _ in range(3000))
    assert sorted(seen) == [0, 1, 2, 14, 15, 16, 17, 18, 19]
    assert max(seen.values()) < 1.4 * min(seen.values())


def test_the_window_belongs_to_the_target(two_speakers):
    drawn = draws(two_speakers)
    for number in range(20):
        _, target, mel, _ = drawn[number]
        open_mouth = target[0, 76, 48] < 120  # a low mouth row is dark only where it is open
        assert (mel[0, 40, 13] > 0) == open_mouth


def test_unsynced_sound_is_from_another_moment(two_speakers):
    drawn = draws(two_speakers)
    different = sum(not torch.equal(drawn[i][2], drawn[i][3]) for i in range(40))
    assert different > 20  # this toy's sound repeats itself


def test_clips_too_short_for_the_offset_are_left_out(prepare_toy):
    folder = prepare_toy({"s1/long": 13, "s1/short": 12})
    assert [clip.key for clip in draws(folder).speakers["s1"]] == ["s1/long"]
    with pytest.raises(InputError, match="has 21 frames with a face"):
        draws(folder, reference_offset=10)


def test_batches_go_on_where_a_run_stopped(two_speakers):
    whole = list(batches(draws(two_speakers, iterations=5), 0))
    rest = list(batches(draws(two_speakers, iterations=5), 3))
    assert len(whole) == 5
    assert len(rest) == 2
    assert torch.equal(whole[3].target, rest[0].target)
    assert whole[0].target.shape == (4, 3, 96, 96)
    assert 0 <= whole[0].target.min() <= whole[0].target.max() <= 1


# augmentation


def gradient():
    ramp = np.linspace(20, 230, 96).astype(np.uint8)
    return np.dstack(
        [np.tile(ramp, (96, 1)), np.tile(ramp[:, None], (1, 96)), np.full((96, 96), 90, np.uint8)]
    )


def test_reference_and_target_vary_alike():
    face = gradient()
    for seed in range(20):
        one, other = vary([face, face], np.random.default_rng(seed))
        assert np.array_equal(one, other)
        assert one.dtype == np.uint8
        assert one.shape == (96, 96, 3)


def test_light_colour_and_sides_vary():
    face = gradient()
    varied = [vary([face], np.random.default_rng(seed))[0] for seed in range(40)]
    light = [v.mean() for v in varied]
    assert max(light) - min(light) > 40
    mirrored = [v[:, :48, 0].mean() > v[:, 48:, 0].mean() for v in varied]
    assert 8 < sum(mirrored) < 32
    redness = [v[..., 0].mean() - v[..., 2].mean() for v in varied]
    assert max(redness) - min(redness) > 15
