"""Moments for the lip-sync expert: which frames, which sound, what varies."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.data.moments import (
    APART,
    Moments,
    louder,
    spread,
    vary,
    windows_at,
)
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.gan.expert import FRAMES
from lipgan_cli.engine.media.audio import mel_windows


def clips_of(folder, drop=()):
    """The clips of a prepared folder; the frames in `drop` had no face in the first one."""
    clips = Dataset.open(folder).clips("full")
    place = clips[0].folder / "clip.json"
    about = json.loads(place.read_text())
    kept = [i for i, frame in enumerate(about["frames"]) if frame not in drop]
    place.write_text(json.dumps({key: [about[key][i] for i in kept] for key in about}))
    return Dataset.open(folder).clips("full")


def test_a_window_begins_where_five_frames_follow_each_other(prepare_toy):
    (clip,) = clips_of(prepare_toy({"s1/a": 14}), drop=(6,))
    # Frames 0..5 and 7..13 are left: indices 0..5 and 6..12.
    assert clip.starts(FRAMES).tolist() == [0, 1, 6, 7, 8]


def test_a_clip_shorter_than_a_window_has_none(prepare_toy):
    (clip,) = clips_of(prepare_toy({"s1/a": 4}))
    assert clip.starts(FRAMES).tolist() == []


@settings(max_examples=30)
@given(count=st.integers(1, 6), extra=st.integers(0, 30), seed=st.integers(0, 99))
def test_moments_keep_their_distance(count, extra, seed):
    places = 1 + APART * (count - 1) + extra
    drawn = spread(np.random.default_rng(seed), places, count)
    assert len(drawn) == count
    assert drawn[0] >= 0
    assert drawn[-1] < places
    assert (np.diff(drawn) >= APART).all()


def test_all_sets_of_moments_are_as_likely():
    random = np.random.default_rng(0)
    drawn = [tuple(spread(random, 7, 2).tolist()) for _ in range(3000)]
    assert set(drawn) == {(0, 5), (0, 6), (1, 6)}
    for pair in set(drawn):
        assert drawn.count(pair) / 3000 == pytest.approx(1 / 3, abs=0.04)


def test_faces_and_sound_belong_together(prepare_toy):
    (clip,) = clips_of(prepare_toy({"s1/a": 14}), drop=(6,))
    faces, mel = windows_at(clip, np.array([1, 6]))
    for place, frames in enumerate([(1, 2, 3, 4, 5), (7, 8, 9, 10, 11)]):
        indices = [clip.frames.tolist().index(frame) for frame in frames]
        assert np.array_equal(faces[place], np.stack([clip.face(i) for i in indices]))
    # The middle frames are 3 and 9, at 20 frames a second.
    assert np.array_equal(mel, mel_windows(clip.mel(), np.array([3 / 20, 9 / 20])))


def test_an_item_is_the_same_every_time_and_differs_from_the_next(prepare_toy):
    clips = clips_of(prepare_toy({"s1/a": 20, "s2/b": 20}))
    one, other = Moments(clips, 3, 5, 3), Moments(clips, 3, 5, 3)
    for number in range(5):
        assert all(torch.equal(a, b) for a, b in zip(one[number], other[number], strict=True))
    assert not torch.equal(one[0][0], one[1][0])
    assert not torch.equal(one[0][0], Moments(clips, 4, 5, 3)[0][0])


def test_an_item_is_several_moments_of_one_clip(prepare_toy):
    clips = clips_of(prepare_toy({"s1/a": 20, "s2/b": 20}))
    moments = Moments(clips, 0, 3, 3, augment=False)
    assert len(moments) == len(list(moments)) == 3
    for faces, mel in moments:
        assert faces.shape == (3, 5, 96, 96, 3)
        assert faces.dtype == torch.uint8
        assert mel.shape == (3, 80, 27)
        owners = {
            clip.key
            for clip in clips
            if all(
                any(same(window, one) for one in moments_of(clip))
                for window in zip(faces.numpy(), mel.numpy(), strict=True)
            )
        }
        assert len(owners) == 1


def moments_of(clip):
    return zip(*windows_at(clip, clip.starts(FRAMES)), strict=True)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_speaker_with_many_clips_is_drawn_more_often_but_not_as_much_more(prepare_toy):
    clips = clips_of(prepare_toy({f"s1/{i}": 5 for i in range(9)} | {"s2/b": 5}))
    moments = Moments(clips, 0, 1, 1)
    assert list(moments.speakers) == ["s1", "s2"]
    assert moments.speaker_chances.tolist() == pytest.approx([0.75, 0.25])


def test_clips_that_are_too_short_are_left_out(prepare_toy):
    clips = clips_of(prepare_toy({"s1/a": 14, "s2/b": 15}))
    assert list(Moments(clips, 0, 1, 3).speakers) == ["s2"]
    with pytest.raises(InputError, match="20 consecutive frames"):
        Moments(clips, 0, 1, 4)


def test_light_and_mirror_are_the_same_in_all_faces_of_an_item():
    face = np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8)
    faces = np.broadcast_to(face, (2, 5, 96, 96, 3))
    for seed in range(6):
        varied = vary(faces, np.random.default_rng(seed))
        assert varied.dtype == np.uint8
        assert (varied == varied[0, 0]).all()
        assert not np.array_equal(varied[0, 0], face)


def test_half_of_the_items_are_mirrored():
    face = np.zeros((1, 5, 96, 96, 3), np.uint8)
    face[..., :48, :] = 200
    left = [
        bool(
            vary(face, np.random.default_rng(seed))[..., :48, :].max()
            > vary(face, np.random.default_rng(seed))[..., 48:, :].max()
        )
        for seed in range(100)
    ]
    assert 0.35 < np.mean(left) < 0.65


def test_loudness_changes_sound_and_leaves_silence():
    mel = np.array([[-4.0, -3.9, 0.0, 3.99]], np.float32)
    for seed in range(5):
        changed = louder(mel, np.random.default_rng(seed))
        assert changed.dtype == np.float32
        assert changed[0, 0] == -4
        assert 0 < abs(changed[0, 2]) <= 0.32
        assert changed.min() >= -4
        assert changed.max() <= 4
