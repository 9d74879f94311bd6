"""Stretches of clips for the lip-sync judge: what is drawn, and what varies."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from lipgan_cli.engine.data import stretches
from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.data.stretches import (
    MOMENTS,
    WINDOWS,
    Stretches,
    vary_mouths,
    vary_sound,
)
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.audio import SILENCE, centre_columns
from lipgan_cli.engine.metrics.judge import HEARD
from lipgan_cli.engine.metrics.lipsync import REACH


@dataclass
class Numbered:
    """A clip whose face i is as grey as i, and whose column c of sound has the level c / 100."""

    key: str = "s1/a"
    numbers: np.ndarray = field(default_factory=lambda: np.arange(120))  # of frames, 25 a second
    columns: int = 384
    read: list[int] = field(default_factory=list)

    @property
    def speaker(self):
        return self.key.split("/")[0]

    @property
    def times(self):
        return self.numbers / 25

    def __len__(self):
        return len(self.numbers)

    def face(self, i):
        self.read.append(i)
        return np.full((96, 96, 3), self.numbers[i], np.uint8)

    def mel(self):
        return np.tile(np.arange(self.columns, dtype=np.float32) / 100, (80, 1))


@pytest.fixture
def _plain(monkeypatch):
    """Nothing varies."""
    monkeypatch.setattr(
        stretches, "vary_mouths", lambda faces, chosen, random: faces[chosen][..., 48:, :]
    )
    monkeypatch.setattr(stretches, "vary_sound", lambda mel, random: mel)


@pytest.fixture
def two_speakers(prepare_toy):
    data = prepare_toy({f"s1/clip{i}": 40 for i in range(9)} | {"s2/only": 40})
    return Dataset.open(data).clips("full")


# What is drawn


def test_an_item_is_the_same_every_time(two_speakers):
    one, other = Stretches(two_speakers, 3, 50), Stretches(two_speakers, 3, 9000)
    for number in (0, 7, 49):
        assert all(torch.equal(a, b) for a, b in zip(one[number], other[number], strict=True))
    assert not torch.equal(one[0][2], one[1][2])
    assert not torch.equal(one[0][2], Stretches(two_speakers, 4, 50)[0][2])


def test_shapes_and_how_many(two_speakers):
    drawn = Stretches(two_speakers, 3, 6)
    assert len(drawn) == 6
    mouths, own, mel, sounding = drawn[5]
    assert (mouths.shape, mouths.dtype) == ((WINDOWS, 5, 48, 96), torch.uint8)
    assert (own.shape, own.dtype) == ((WINDOWS,), torch.int64)
    assert (mel.shape, mel.dtype) == ((80, MOMENTS + 2 * HEARD), torch.float32)
    assert (sounding.shape, sounding.dtype) == ((MOMENTS,), torch.bool)
    assert (MOMENTS, MOMENTS + 2 * HEARD) == (336, 356)
    with pytest.raises(IndexError):
        drawn[6]
    with pytest.raises(IndexError):
        drawn[-1]
    batches = list(DataLoader(drawn, 4))
    assert [len(batch[0]) for batch in batches] == [4, 2]
    assert torch.equal(batches[1][2][1], mel)


@pytest.mark.usefixtures("_plain")
@pytest.mark.parametrize("frames", [29, 60, 79, 120])
def test_each_window_has_its_own_sound(frames):
    clip = Numbered(numbers=np.arange(frames), columns=frames * 16 // 5)
    drawn = Stretches([clip], 0, 20)
    for number in range(20):
        mouths, own, mel, sounding = drawn[number]
        middle = mouths[:, 2, 20, 40].numpy().astype(int)
        assert mouths[:, :, 20, 40].tolist() == [[m + k for k in range(-2, 3)] for m in middle]
        column = centre_columns(clip.times[middle])
        level = mel[:, own + HEARD]
        np.testing.assert_allclose(level, np.tile(column / 100, (80, 1)), atol=1e-5)
        # Every place that it can be compared with is there.
        assert own.min() >= REACH
        assert own.max() < MOMENTS - REACH
        # Where there is a sound, and where it is silent beyond its ends.
        heard = mel[0, HEARD:-HEARD]
        assert torch.equal(sounding, heard != SILENCE)
        assert sounding[own].all()
        first = int(column[0] - own[0])
        there = (np.arange(MOMENTS) + first >= 0) & (np.arange(MOMENTS) + first < clip.columns)
        assert sounding.tolist() == there.tolist()
        assert len(set(middle.tolist())) == WINDOWS  # none twice where there are enough
        assert (np.diff(middle) > 0).all()


@pytest.mark.usefixtures("_plain")
def test_a_stretch_begins_anywhere_and_is_three_seconds_long():
    drawn = Stretches([Numbered(numbers=np.arange(200), columns=640)], 0, 300)
    spans, firsts = [], []
    for number in range(300):
        mouths, own, _, _ = drawn[number]
        middle = mouths[:, 2, 0, 0].int()
        spans.append(int(middle[-1] - middle[0]))
        firsts.append(int(middle[0]))
        assert own[0] < 120  # the stretch begins at REACH
    assert max(spans) <= 74
    assert max(spans) > 68
    assert min(firsts) < 10
    assert 115 < max(firsts) <= 2 + 121 + 59


@pytest.mark.usefixtures("_plain")
def test_the_sound_may_end_before_the_picture():
    clip = Numbered(columns=100)  # 1.25 s of sound, 4.8 s of faces
    silent = 0
    for number in range(20):
        _, own, mel, sounding = Stretches([clip], 0, 20)[number]
        assert torch.equal(sounding, mel[0, HEARD:-HEARD] != SILENCE)
        silent += int((~sounding[own]).sum())
    assert silent > 0  # it is for the loss to leave those out


@pytest.mark.usefixtures("_plain")
def test_no_window_reaches_over_a_gap_and_few_are_drawn_again():
    numbers = np.concatenate([np.arange(40), np.arange(200, 245)])
    drawn = Stretches([Numbered(numbers=numbers, columns=800)], 0, 60)
    different = Counter()
    for number in range(60):
        mouths, own, mel, _ = drawn[number]
        middle = mouths[:, 2, 0, 0].int()
        assert torch.equal(mouths[:, 4, 0, 0].int() - mouths[:, 0, 0, 0].int(), 0 * middle + 4)
        np.testing.assert_allclose(
            mel[0, own + HEARD], centre_columns(middle.numpy() / 25) / 100, atol=1e-5
        )
        different[len(set(middle.tolist()))] += 1
    assert different[WINDOWS] > 50


def test_a_clip_needs_a_second_of_windows():
    enough, short = Numbered("s1/a", np.arange(29)), Numbered("s1/b", np.arange(28))
    sparse = Numbered("s2/c", np.delete(np.arange(200), np.arange(0, 200, 5)))
    drawn = Stretches([short, enough, sparse], 0, 9)
    assert [(name, [clip.key for clip, _ in own]) for name, own in drawn.speakers.items()] == [
        ("s1", ["s1/a"])
    ]
    for clips in ([], [short], [short, sparse]):
        with pytest.raises(InputError, match="no clip has a second of faces") as error:
            Stretches(clips, 0, 9)
        assert error.value.hint == "prepare longer clips"


def test_speakers_with_few_clips_are_drawn_more_often(two_speakers):
    drawn = Stretches(two_speakers, 0, 9)
    assert drawn.speaker_chances.tolist() == pytest.approx([0.75, 0.25])
    clips = [Numbered(f"s1/{i}") for i in range(9)] + [Numbered("s2/a")]
    drawn = Stretches(clips, 0, 400)
    counts = Counter()
    for number in range(400):
        before = [len(clip.read) for clip in clips]
        drawn._memory.arrays.clear()
        drawn[number]
        counts.update(
            clip.speaker for clip, n in zip(clips, before, strict=True) if len(clip.read) > n
        )
    assert counts["s1"] / 400 == pytest.approx(0.75, abs=0.06)


def test_faces_are_read_once():
    clip = Numbered()
    drawn = Stretches([clip], 0, 9)
    for number in range(9):
        drawn[number]
    assert clip.read == list(range(120))


def test_a_damaged_clip_is_told(prepare_toy):
    data = prepare_toy({"s1/a": 40})
    (data / "clips" / "s1" / "a" / "00007.jpg").write_bytes(b"no picture")
    with pytest.raises(LipganError, match=r"00007\.jpg is missing or damaged"):
        Stretches(Dataset.open(data).clips("full"), 0, 1)[0]


# What varies


class Neutral:
    """Draws the middle of every range, and `chance` for each of the chances in their order."""

    def __init__(self, *chances, **drawn):
        self.chances, self.drawn = list(chances), drawn

    def uniform(self, low, high, size=None):
        middle = (low + high) / 2
        return middle if size is None else np.full(size, middle)

    def integers(self, low, high):
        return self.drawn.get("integer", (low + high) // 2)

    def random(self):
        return self.chances.pop(0) if self.chances else 0.9

    def normal(self, mean, deviation, size):
        return np.full(size, mean)

    def standard_normal(self, size, kind):
        return np.random.default_rng(0).standard_normal(size, kind)


def pictures(count=6):
    return np.random.default_rng(1).integers(0, 256, (count, 96, 96), dtype=np.uint8)


CHOSEN = np.array([[0, 1, 2, 3, 4], [1, 2, 3, 4, 5], [2, 2, 3, 3, 3]])


def test_mouths_that_do_not_vary_are_the_lower_halves():
    faces = pictures()
    assert np.array_equal(vary_mouths(faces, CHOSEN, Neutral()), faces[CHOSEN][..., 48:, :])


def test_mouths_may_be_mirrored():
    faces = pictures()
    mirrored = vary_mouths(faces, CHOSEN, Neutral(0.1))
    assert np.array_equal(mirrored, faces[CHOSEN][..., 48:, ::-1])


@given(seed=st.integers(0, 999))
def test_the_same_face_is_the_same_in_every_window(seed):
    faces = pictures()
    out = vary_mouths(faces, CHOSEN, np.random.default_rng(seed))
    assert (out.shape, out.dtype) == ((3, 5, 48, 96), np.uint8)
    for number in range(6):
        where = out[number == CHOSEN]
        assert (where == where[0]).all()


@given(seed=st.integers(0, 999))
def test_all_faces_of_a_stretch_vary_alike(seed):
    faces = np.repeat(pictures(1), 6, axis=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "NOISE", 0.0)
        out = vary_mouths(faces, CHOSEN, np.random.default_rng(seed))
    assert (out == out[0, 0]).all()


def test_noise_is_of_each_picture():
    faces = np.full((6, 96, 96), 100, np.uint8)
    out = vary_mouths(faces, CHOSEN, Neutral(0.9, 0.9, 0.1))
    different = {out[k, i].tobytes() for k in range(3) for i in range(5)}
    assert len(different) == 6
    assert out.std() == pytest.approx(4, abs=0.2)  # half of the most


def test_varied_mouths_stay_where_they_are():
    """A mouth may move by some pixels: most of what is seen is still the mouth's surroundings."""
    faces = np.zeros((6, 96, 96), np.uint8)
    faces[:, 64:80, 32:64] = 200
    places = []
    for seed in range(60):
        out = vary_mouths(faces, CHOSEN, np.random.default_rng(seed))[0, 0].astype(float)
        weight = np.clip(out - out.min() - 60, 0, None)
        rows, columns = np.indices(out.shape)
        places.append(((rows * weight).sum(), (columns * weight).sum()) / weight.sum())
    places = np.array(places)
    assert np.abs(places - [23.5, 47.5]).max() < 6
    assert places.std(0).min() > 1


def speech(columns=50):
    mel = np.random.default_rng(0).uniform(-4, 3, (80, columns)).astype(np.float32)
    mel[:, 20:30] = SILENCE
    return mel


def test_sound_that_does_not_vary_is_the_same():
    np.testing.assert_allclose(vary_sound(speech(), Neutral()), speech(), atol=1e-6)


def test_a_voice_may_move_by_bands():
    mel = speech()
    higher = vary_sound(mel, Neutral(integer=2))
    np.testing.assert_allclose(higher[:78], mel[2:], atol=1e-6)
    np.testing.assert_allclose(higher[78:], mel[[79, 79]], atol=1e-6)


@given(seed=st.integers(0, 999))
def test_silence_without_a_noise_behind_it_stays_silent(seed):
    mel = speech()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "SOMETIMES", 0.0)
        out = vary_sound(mel, np.random.default_rng(seed))
    assert (out.shape, out.dtype) == (mel.shape, np.float32)
    assert (out[:, 20:30] == SILENCE).all()
    assert np.abs(out).max() <= 4
    assert not np.array_equal(out, mel)


@given(seed=st.integers(0, 999))
def test_noise_behind_a_sound_fills_its_silence(seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "SOMETIMES", 1.0)
        patch.setattr(stretches, "HUM", (-2.0, 0.0))
        out = vary_sound(speech(), np.random.default_rng(seed))
    assert out[:, 20:30].mean() > -2.2
    assert np.abs(out).max() <= 4


def test_a_noise_as_loud_as_the_sound_adds_six_decibels():
    mel = np.full((80, 5), -2, np.float32)  # the noise is drawn from -4 to 0
    louder = vary_sound(mel, Neutral(0.1))
    np.testing.assert_allclose(louder, -2 + 20 * np.log10(2) / 12.5, atol=1e-3)
