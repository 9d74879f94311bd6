"""The lip-sync of a model: who is compared with what, by a judge that reads levels off pictures."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from lipgan_cli.engine.media.audio import centre_columns
from lipgan_cli.engine.metrics import sync_protocol
from lipgan_cli.engine.metrics.judge import HEARD
from lipgan_cli.engine.metrics.lipsync import Embedded
from lipgan_cli.engine.metrics.sync_protocol import (
    ENOUGH,
    Condition,
    distance,
    measure_sync,
)
from lipgan_cli.engine.progress import Silent


class Coded:
    """A clip whose faces are as bright as its sound is loud, each moment in its own way."""

    def __init__(self, key, frames=60, late=0.0):
        self.key, self.speaker = key, key.split("/")[0]
        seed = sum(key.encode())
        self.levels = np.random.default_rng(seed).random(frames + 40)
        self.times = np.arange(frames) / 25
        self.late = late  # seconds

    def __len__(self):
        return len(self.times)

    def face(self, index, /):
        return np.full((96, 96, 3), round(self.levels[index] * 255), np.uint8)

    def mel(self):
        frame = (np.arange(4 * len(self)) / 80 - self.late) * 25
        levels = self.levels[np.floor(frame + 0.5).astype(int)]  # from the end, before the start
        return np.tile((8 * levels - 4).astype(np.float32), (80, 1))


def circle(levels):
    """Levels of 0..1 as places on a circle: vectors (..., 128)."""
    out = torch.zeros(*levels.shape, 128)
    out[..., 0], out[..., 1] = (6.28 * levels).cos(), (6.28 * levels).sin()
    return out


class Reader:
    """A judge that compares the middle mouth's brightness with the middle column's level."""

    log_scale = torch.zeros(())

    def embed_faces(self, pictures):
        return circle(pictures[:, 2, 20, 40].float() / 255)

    def embed_sounds(self, mel):
        return circle((mel[:, 40, HEARD:-HEARD] + 4) / 8)


class Indifferent(Reader):
    """A judge to whom all sounds are alike."""

    def embed_sounds(self, mel):
        return circle(torch.zeros(len(mel), mel.shape[2] - 2 * HEARD))


def listening(_references, _targets, heard):
    """A model that paints what it hears."""
    levels = ((heard[:, 40, 13] + 4) / 8 * 255).round().astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (len(heard), 96, 96, 3)).copy()


def deaf(references, _targets, _heard):
    return references


@pytest.fixture(scope="module")
def pair():
    (group,) = measure_sync(Reader(), listening, [Coded("s1/a"), Coded("s1/b")])
    return group


def test_each_condition_has_its_figures(pair):
    assert pair.name == "s1"
    assert list(pair.conditions) == [condition.value for condition in Condition]
    assert {figures.clips for figures in pair.conditions.values()} == {2}
    fitting = {"real", "real, shifted", "driven", "right"}
    for name, figures in pair.conditions.items():
        if name in fitting:
            assert 0.8 < figures.confidence < 1.2, name
            assert figures.in_sync == 1, name
            assert figures.offset_ms == pytest.approx(200 if "shifted" in name else 0, abs=7), name
        else:
            assert 0 <= figures.confidence < 0.5, name
    assert pair.real_auc == pair.right_auc == 1
    assert pair.lips is None


def test_a_model_that_does_not_listen_is_found_out():
    (group,) = measure_sync(Reader(), deaf, [Coded("s1/a"), Coded("s1/b")])
    for name in ("driven", "right", "swapped", "still", "copy"):
        assert group.conditions[name].confidence < 0.5
    assert group.conditions["right"].confidence == group.conditions["copy"].confidence
    assert group.real_auc == 1
    assert group.conditions["real"].confidence > 0.8


def test_a_judge_that_does_not_listen_is_found_out():
    (group,) = measure_sync(Indifferent(), listening, [Coded("s1/a"), Coded("s1/b")])
    assert group.real_auc == group.right_auc == 0.5
    # Not 0: where the sound is earlier or later, fewer moments have one.
    assert group.conditions["real"].confidence < 0.1


def test_which_faces_meet_which_sound(monkeypatch):
    own, other = Coded("s1/a", 40), Coded("s1/b", 50)
    asked = []

    def animate(references, targets, heard):
        asked.append((references[:, 0, 0, 0], targets[:, 0, 0, 0]))
        return listening(references, targets, heard)

    monkeypatch.setattr(
        sync_protocol, "embed_mouths", lambda judge, mouths, laid: [m[0, 0] for m in mouths]
    )
    monkeypatch.setattr(sync_protocol, "embed_mel", lambda judge, mel: mel[0])
    films = sync_protocol._judged(Reader(), animate, own, other, None).films
    own_sound, other_sound = own.mel()[0], other.mel()[0]
    columns = centre_columns(own.times)
    real = [own.face(i)[0, 0, 0] for i in range(40)]
    reference = [real[(i + 20) % 40] for i in range(40)]
    by_own, by_other = (
        ((mel[columns] + 4) / 8 * 255).round().astype(int).tolist()
        for mel in (own_sound, other_sound)
    )
    expected = {
        Condition.REAL: (real, own_sound),
        Condition.REAL_SHIFTED: (real, own_sound),
        Condition.REAL_SWAPPED: (real, other_sound),
        Condition.DRIVEN: (by_other, other_sound),
        Condition.RIGHT: (by_own, own_sound),
        Condition.SWAPPED: (by_own, other_sound),
        Condition.STILL: ([0] * 40, own_sound),
        Condition.COPY: (reference, own_sound),
    }
    assert films.keys() == expected.keys()
    for condition, (faces, sound) in expected.items():
        assert films[condition].seen == faces, condition
        assert np.array_equal(films[condition].heard, sound), condition
        late = 16 if condition is Condition.REAL_SHIFTED else 0
        assert films[condition].columns.tolist() == (columns[2:-2] - late).tolist()
    # The model is shown the reference frame and the target for every sound, 40 at once.
    assert len(asked) == 3
    for shown in asked:
        assert [each.tolist() for each in shown] == [reference, real]


def test_batches_change_nothing(pair, monkeypatch):
    sizes = []

    def animate(references, targets, heard):
        sizes.append(len(heard))
        return listening(references, targets, heard)

    monkeypatch.setattr(sync_protocol, "BATCH", 25)
    (group,) = measure_sync(Reader(), animate, [Coded("s1/a"), Coded("s1/b")])
    assert group == pair
    assert sizes == [25, 25, 25, 25, 25, 25, 10, 10, 10] * 2


def test_a_lone_clip_has_no_other_sound():
    (group,) = measure_sync(Reader(), listening, [Coded("s1/a")])
    assert list(group.conditions) == ["real", "real, shifted", "right", "still", "copy"]
    assert group.real_auc is None
    assert group.right_auc is None


def test_speakers_and_all():
    clips = [Coded("s2/a"), Coded("s10/a"), Coded("s10/b"), Coded("s3/short", 12)]
    groups = {group.name: group for group in measure_sync(Reader(), listening, clips)}
    assert list(groups) == ["s2", "s10", "s3", "all"]
    counts = {
        name: group.conditions["real"].clips for name, group in groups.items() if name != "s3"
    }
    assert counts == {"s2": 1, "s10": 2, "all": 3}  # the short clip cannot be judged
    assert groups["s3"].conditions == {}
    assert groups["all"].conditions["driven"].clips == 2
    assert groups["all"].real_auc == groups["s10"].real_auc == 1


def test_sound_that_is_late_by_itself_is_shifted_from_there():
    """`in_sync` of the shifted sound asks whether 200 ms more are found, not 200 ms."""
    (group,) = measure_sync(Reader(), listening, [Coded("s1/a", late=0.1)])
    real, shifted = group.conditions["real"], group.conditions["real, shifted"]
    assert real.offset_ms == pytest.approx(100, abs=7)
    assert real.in_sync == 0
    assert shifted.offset_ms == pytest.approx(300, abs=7)
    assert shifted.in_sync == 1
    assert group.conditions["right"].in_sync == 1


def test_in_sync_is_a_part_of_the_clips():
    (group,) = measure_sync(Reader(), listening, [Coded("s1/a"), Coded("s1/b", late=0.1)])
    assert group.conditions["real"].in_sync == 0.5
    assert group.conditions["real"].offset_ms == pytest.approx(50, abs=7)  # the median of two


# Frechet distance


def test_few_moments_have_no_distance(pair):
    assert all(figures.distance is None for figures in pair.conditions.values())


def cloud(count, apart=0.0):
    random = np.random.default_rng(0)
    seen, heard = random.standard_normal((2, count, 4)).astype(np.float32)
    return Embedded(seen + np.float32(apart), np.arange(count), heard)


def test_distance_of_clouds():
    assert 0 <= distance([cloud(ENOUGH)], [cloud(ENOUGH)]) < 1e-6
    # The same cloud 0.5 further along four of its axes: the square of 0.5, four times.
    assert distance([cloud(ENOUGH, 0.5)], [cloud(ENOUGH)]) == pytest.approx(1, abs=1e-5)
    assert distance([cloud(ENOUGH - 1)], [cloud(ENOUGH)]) is None
    assert distance([cloud(ENOUGH)], [cloud(ENOUGH - 1)]) is None
    halves = [cloud(ENOUGH // 2)] * 2
    assert distance(halves, halves) == pytest.approx(0, abs=1e-6)


def test_moments_without_a_sound_do_not_count():
    whole = cloud(ENOUGH)
    part = Embedded(whole.seen, whole.columns - 1, whole.heard)
    assert distance([part], [whole]) is None


def test_distance_is_never_negative(monkeypatch):
    monkeypatch.setattr("lipgan_cli.engine.metrics.fid.frechet", lambda *_: -1e-9)
    assert distance([cloud(ENOUGH)], [cloud(ENOUGH)]) == 0


def test_distance_is_told_where_there_is_enough(monkeypatch):
    monkeypatch.setattr(sync_protocol, "ENOUGH", 50)
    (group,) = measure_sync(Reader(), listening, [Coded("s1/a")])
    far = {name: figures.distance for name, figures in group.conditions.items()}
    assert far["real"] == pytest.approx(0, abs=1e-6)
    assert far["still"] > far["copy"] > 10 * abs(far["right"])


# Lips


def gapes(faces, _finder):
    """Points of mouths (T, 20, 2), ten wide, that are as open as the faces are bright."""
    points = np.zeros((len(faces), 20, 2))
    points[:, 6, 0] = 10
    points[:, [17, 18, 19], 1] = faces[:, 0, 0, 0, None] / 10
    return points


def test_lips_are_compared_with_the_real_ones(monkeypatch):
    monkeypatch.setattr(sync_protocol, "mouth_points", gapes)
    clips = [Coded("s1/a"), Coded("s1/b"), Coded("s2/a")]
    one, alone, everyone = measure_sync(Reader(), listening, clips, finder=object())
    assert list(one.lips) == ["right", "swapped", "still", "copy"]
    assert list(alone.lips) == ["right", "still", "copy"]
    assert one.lips["right"].correlation > 0.95
    assert one.lips["right"].distance < 0.3 * one.lips["swapped"].distance
    assert abs(one.lips["swapped"].correlation) < 0.4
    assert abs(one.lips["copy"].correlation) < 0.4
    assert one.lips["still"].correlation is None
    total = everyone.lips
    assert total["copy"].distance == pytest.approx(
        (2 * one.lips["copy"].distance + alone.lips["copy"].distance) / 3
    )
    assert total["right"].correlation == pytest.approx(
        (2 * one.lips["right"].correlation + alone.lips["right"].correlation) / 3
    )
    assert total["swapped"] == one.lips["swapped"]


# Progress


def test_progress_counts_frames():
    class Counted(Silent):
        def __init__(self):
            self.totals, self.done = [], 0

        @contextmanager
        def task(self, description, total=None, unit=""):
            self.totals.append((total, unit))
            yield self

        def advance(self, steps=1):
            self.done += steps

        def show(self, **figures):
            raise AssertionError

    told = Counted()
    measure_sync(Reader(), listening, [Coded("s1/a", 30), Coded("s2/a", 31)], progress=told)
    assert told.totals == [(61, "frames")]
    assert told.done == 61
