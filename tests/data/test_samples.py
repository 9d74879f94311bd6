"""Training samples: what is drawn, how often, and what varies."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.config import Augmentation, TrainConfig, Variant
from lipgan_cli.engine.data.dataset import Clip, Dataset
from lipgan_cli.engine.data.samples import Draws, _moment, batches
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.flac import write_flac

ALL = tuple(Augmentation)


def draws(folder, iterations=50, window=1, **settings):
    settings = {"batch": 4, "augment": ()} | settings
    config = TrainConfig(Variant.LIPGAN, str(folder), "full", **settings)
    return Draws(Dataset.open(folder).clips("full"), config, iterations, window=window)


def alone(window=1, **settings):
    """Draws without clips, to ask how they choose."""
    drawn = Draws.__new__(Draws)
    drawn.config = TrainConfig(Variant.L1, "", "full", **settings)
    drawn.window = window
    return drawn


def clip_of(frames):
    return Clip("s/c", "s", Path(), np.array(frames) / 25, np.array(frames))


@pytest.fixture
def two_speakers(prepare_toy):
    return prepare_toy({f"s1/clip{i}": 14 for i in range(9)} | {"s2/only": 14})


@pytest.fixture
def longer(prepare_toy):
    return prepare_toy({"s1/a": 20, "s1/b": 20, "s2/c": 24})


def test_a_sample_is_the_same_every_time(two_speakers):
    one, other = draws(two_speakers, augment=ALL), draws(two_speakers, augment=ALL)
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
    counts = Counter(drawn._clip(random).clip.speaker for _ in range(2000))
    assert counts["s1"] / 2000 == pytest.approx(share, abs=0.04)


@given(
    frames=st.integers(16, 80),
    offset=st.integers(1, 6),
    extra=st.integers(-1, 9),
    window=st.integers(1, 4),
    seed=st.integers(0, 999),
    data=st.data(),
)
def test_references_keep_their_distance(frames, offset, extra, window, seed, data):
    start = data.draw(st.integers(0, frames - window))
    reach = 0 if extra < 0 else offset + extra
    drawn = alone(window, reference_offset=offset, reference_reach=reach)
    reference = drawn._reference(np.random.default_rng(seed), frames, start)
    assert 0 <= reference < frames
    nearest = min(abs(reference - target) for target in range(start, start + window))
    assert offset <= nearest <= (reach or frames)


@pytest.mark.parametrize(
    ("settings", "places"),
    [
        ({"reference_offset": 6}, [0, 1, 2, 14, 15, 16, 17, 18, 19]),
        ({"reference_offset": 1, "reference_reach": 3}, [5, 6, 7, 9, 10, 11]),
        ({"reference_offset": 6, "window": 3}, [0, 1, 2, 16, 17, 18, 19]),
    ],
)
def test_every_reference_at_a_distance_is_drawn(settings, places):
    drawn, random = alone(**settings), np.random.default_rng(0)
    seen = Counter(drawn._reference(random, 20, 8) for _ in range(3000))
    assert sorted(seen) == places
    assert max(seen.values()) < 1.4 * min(seen.values())


def test_unsynced_sound_begins_elsewhere():
    random, starts = np.random.default_rng(0), np.array([0, 1, 2, 9, 10, 17, 18])
    assert {_moment(random, starts, 9) for _ in range(200)} == {0, 1, 2, 17, 18}
    assert {_moment(random, starts, 2) for _ in range(200)} == {9, 10, 17, 18}
    assert {_moment(random, starts, None) for _ in range(200)} == set(starts.tolist())


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
    assert [one.clip.key for one in draws(folder).speakers["s1"]] == ["s1/long"]
    with pytest.raises(InputError, match="has 21 frames with a face"):
        draws(folder, reference_offset=10)


def test_batches_go_on_where_a_run_stopped(two_speakers):
    whole = list(batches(draws(two_speakers, iterations=5), 0))
    rest = list(batches(draws(two_speakers, iterations=5), 3))
    assert len(whole) == 5
    assert len(rest) == 2
    assert torch.equal(whole[3].target, rest[0].target)
    assert whole[0].target.shape == whole[0].reference.shape == (4, 3, 96, 96)
    assert whole[0].mel.shape == whole[0].unsynced.shape == (4, 1, 80, 27)
    assert whole[0].target.dtype == torch.uint8
    there = whole[0].to(torch.device("cpu"))
    assert torch.equal(there.target, whole[0].target.float() / 255)


def test_a_batch_is_its_samples(two_speakers):
    drawn = draws(two_speakers, augment=ALL)
    for row, tensors in enumerate(zip(*drawn.__getitems__([5, 6, 9]), strict=True)):
        alone = drawn[[5, 6, 9][row]]
        assert all(torch.equal(a, b) for a, b in zip(tensors, alone, strict=True))


def test_workers_load_the_same(two_speakers):
    one, two = (list(batches(draws(two_speakers, 3, augment=ALL), 0, n)) for n in (0, 1))
    assert len(one) == len(two) == 3
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a.target, b.target)
        assert torch.equal(a.mel, b.mel)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_clip_is_the_same_error_in_every_process(prepare_toy, workers):
    folder = prepare_toy({"s1/a": 14})
    for path in (folder / "clips" / "s1" / "a").glob("*.jpg"):
        path.write_bytes(b"no picture")
    with pytest.raises(LipganError, match=r"^/.*\.jpg is missing or damaged$") as error:
        list(batches(draws(folder), 0, workers))
    assert error.value.hint == "lipgan prep on the same clips mends it"
    assert not multiprocessing.active_children()  # though the error still refers to the loader


def test_processes_end_when_batches_are_closed(two_speakers):
    loaded = batches(draws(two_speakers, iterations=50), 0, workers=1)
    next(loaded)
    assert len(multiprocessing.active_children()) == 1
    loaded.close()
    assert not multiprocessing.active_children()


# windows of consecutive frames


def test_where_windows_begin():
    clip = clip_of([0, 1, 2, 4, 5, 6, 7, 9])
    assert clip.starts(1).tolist() == list(range(8))
    assert clip.starts(2).tolist() == [0, 1, 3, 4, 5]
    assert clip.starts(3).tolist() == [0, 3, 4]
    assert clip.starts(4).tolist() == [3]
    assert clip.starts(5).tolist() == []


@pytest.mark.parametrize("augment", [(), ALL])
def test_a_window_is_consecutive_frames_with_one_reference(longer, augment):
    drawn = draws(longer, window=4, batch=8, augment=augment)
    reference, target, mel, unsynced = drawn.__getitems__(range(8))
    assert torch.equal(reference[0], reference[3])
    assert not torch.equal(reference[0], reference[4])
    # At 20 frames a second a frame is four columns of the mel.
    for sound in (mel, unsynced):
        assert torch.allclose(sound[1, 0, :, :-4], sound[0, 0, :, 4:], atol=1e-5)
        assert torch.allclose(sound[7, 0, :, :-8], sound[5, 0, :, 8:], atol=1e-5)
    # The rest of a window is as it is when it is asked for alone.
    assert torch.equal(drawn[6][1], target[6])
    assert torch.equal(drawn[6][3], unsynced[6])


def test_a_window_changes_no_number_of_samples(longer):
    plain, windows = draws(longer), draws(longer, window=2)
    assert len(plain) == len(windows) == 200


def test_clips_without_a_run_are_left_out(prepare_toy):
    folder = prepare_toy({"s1/whole": 20, "s1/holes": 20})
    path = folder / "clips" / "s1" / "holes" / "clip.json"
    about = json.loads(path.read_text()) | {"frames": list(range(0, 40, 2))}
    path.write_text(json.dumps(about))
    assert [one.clip.key for one in draws(folder).speakers["s1"]] == ["s1/whole", "s1/holes"]
    two = draws(folder, window=2)
    assert [one.clip.key for one in two.speakers["s1"]] == ["s1/whole"]
    with pytest.raises(InputError, match="has 22 frames with a face, 10 of them in a row"):
        draws(folder, window=10, batch=20)


def test_a_batch_holds_whole_windows(two_speakers):
    with pytest.raises(InputError, match="no multiple of 3") as refused:
        draws(two_speakers, batch=7, window=3)
    assert refused.value.hint == "a batch of 6"


# augmentation


@pytest.mark.parametrize("sound", ["sound-noise", "formant"])
def test_sound_alone_leaves_the_pictures(two_speakers, sound):
    plain = draws(two_speakers, augment=(Augmentation.HUE,))[5]
    varied = draws(two_speakers, augment=(Augmentation.HUE, Augmentation(sound)))[5]
    assert torch.equal(plain[0], varied[0])
    assert torch.equal(plain[1], varied[1])


def test_true_and_unsynced_sound_vary_alike(prepare_toy):
    folder = prepare_toy({"s1/a": 16, "s1/b": 16})
    for place in (folder / "clips" / "s1").iterdir():
        buzz = np.where(np.arange(48000) % 100 < 50, 0.3, -0.3)
        write_flac(place / "sound.flac", buzz)  # the same at every moment
        about = json.loads((place / "clip.json").read_text())
        about["times"] = [1 + time for time in about["times"]]
        (place / "clip.json").write_text(json.dumps(about))
    drawn = draws(folder, augment=(Augmentation.GAIN, Augmentation.EQUALISER))
    levels = []
    for number in range(6):
        _, _, mel, unsynced = drawn[number]
        assert torch.allclose(mel, unsynced, atol=1e-5)
        levels.append(float(mel.mean()))
    assert max(levels) - min(levels) > 0.1
