"""The offsets of a dataset's clips: measured once, kept, measured again where something changed."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from lipgan_cli.engine.cache import content_hash
from lipgan_cli.engine.data import offsets
from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.data.offsets import measure_offsets
from lipgan_cli.engine.data.shelf import ClipOffset
from lipgan_cli.engine.metrics.judge import HEARD, Judge, load_judge, save_judge
from lipgan_cli.engine.metrics.lipsync import agreement, embed, embed_mel, mouth, verdict
from lipgan_cli.engine.prepare import PrepareRequest, prepare
from lipgan_cli.engine.progress import Silent

KEYS = ("s1/a", "s1/b", "s2/short")


class Told(Silent):
    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)


class OpenMouths:
    """A judge to whom dark, open mouths and loud columns belong together."""

    log_scale = torch.zeros(())

    def __init__(self):
        self.windows = 0

    def embed_faces(self, pictures):
        self.windows += len(pictures)
        return self._either(pictures[:, 2, 30, 48] < 120)

    def embed_sounds(self, mel):
        return self._either(mel[:, 40, HEARD:-HEARD] > 0)

    def _either(self, there):
        out = torch.zeros(*there.shape, 128)
        out[..., 0] = there.float() * 2 - 1
        return out


@pytest.fixture
def dataset(prepare_toy):
    return Dataset.open(prepare_toy(dict(zip(KEYS, (40, 36, 8), strict=True))))


@pytest.fixture
def judge(monkeypatch, tmp_path):
    """The judge at work, in place of the one that comes with the install."""
    judge = OpenMouths()
    file = tmp_path / "judge"
    file.write_text("a judge")
    monkeypatch.setattr(offsets, "DEFAULT_JUDGE", file)
    monkeypatch.setattr(offsets, "load_judge", lambda path: judge if path == file else None)
    return judge


def measured(dataset, *keys, told=None):
    """Return the offsets of clips, in this process."""
    return measure_offsets(dataset, keys, 1, told or Silent())


def remade(dataset, key):
    """Make a clip anew: its clip.json is another one."""
    path = dataset.about_file(key)
    path.write_text(path.read_text("utf-8") + " ", "utf-8")


def apart(offset, expected):
    """By how many ms an offset is another one; the toy's sound repeats every 400 ms."""
    return abs((offset.offset_ms - expected + 200) % 400 - 200)


def test_every_clip_is_measured_in_its_order(dataset, judge):
    found = measured(dataset, *KEYS)
    assert [offset.key for offset in found] == list(KEYS)
    for offset in found[:2]:
        assert apart(offset, 0) < 13
        assert offset.confidence > 0.5
    assert found[2] == ClipOffset("s2/short", None, None)
    clip = dataset.clip("s1/a")
    mouths = [mouth(clip.face(i)) for i in range(len(clip))]
    said = verdict(embed(judge, mouths, clip.times, clip.mel()))
    assert found[0].offset_ms == pytest.approx(said.offset_ms, abs=0.051)
    assert found[0].confidence == pytest.approx(said.confidence, abs=5.1e-5)


def test_a_sound_that_is_late_has_a_positive_offset(dataset, judge):
    path = dataset.path / "clips" / "s1" / "a" / "mel.npz"
    mel = dataset.clip("s1/a").mel()
    late = np.concatenate([np.full((80, 8), -4, np.float32), mel], axis=1)
    np.savez_compressed(path, mel=late)
    (found,) = measured(dataset, "s1/a")
    assert apart(found, 100) < 13


def test_what_was_measured_is_kept(dataset, judge):
    found = measured(dataset, *KEYS)
    judged = judge.windows
    assert judged > 60
    assert measured(dataset, *KEYS) == found
    assert measured(dataset, "s2/short", "s1/a") == [found[2], found[0]]
    assert judge.windows == judged
    kept = json.loads((dataset.path / "offsets.json").read_text())
    assert [clip["key"] for clip in kept["clips"]] == list(KEYS)
    assert kept["clips"][0] == {
        "sha256": content_hash(dataset.about_file("s1/a")),
        "key": "s1/a",
        "offset_ms": found[0].offset_ms,
        "confidence": found[0].confidence,
    }
    assert not list(dataset.path.glob(".*part*"))


def test_nothing_is_loaded_where_nothing_is_missing(dataset, judge, monkeypatch):
    found = measured(dataset, *KEYS)
    monkeypatch.setattr(offsets, "load_judge", None)
    assert measured(dataset, *KEYS) == found


def test_a_new_clip_is_measured_alone(dataset, judge):
    (first,) = measured(dataset, "s1/a")
    before = judge.windows
    found = measured(dataset, "s1/a", "s1/b")
    assert found[0] == first
    assert 20 < judge.windows - before < 45
    assert measured(dataset, "s1/a", "s1/b") == found


def test_a_clip_that_is_made_anew_is_judged_again(dataset, judge):
    measured(dataset, *KEYS)
    before = judge.windows
    remade(dataset, "s1/b")
    measured(dataset, *KEYS)
    assert 20 < judge.windows - before < 45
    before = judge.windows
    measured(dataset, *KEYS)
    assert judge.windows == before


def test_another_judge_judges_all_again(dataset, judge):
    measured(dataset, *KEYS)
    before = judge.windows
    offsets.DEFAULT_JUDGE.write_text("another judge")
    measured(dataset, *KEYS)
    assert judge.windows == 2 * before


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"judge": "%s"}',
        '{"judge": "%s", "clips": []}',
        '{"judge": "%s", "clips": "s1/a"}',
        '{"judge": "%s", "clips": {"s1/a": 5}}',
        '{"judge": "%s", "clips": [{"key": "s1/a", "sha256": "x"}]}',
        '{"judge": "%s", "clips": [{"key": "s1/a", "sha256": "x", "offset_ms": "x"}]}',
        '{"judge": "%s", "clips": [{"key": [], "sha256": "", "offset_ms": 1, "confidence": 1}]}',
        "\udcff",
    ],
)
def test_a_damaged_file_costs_only_work(dataset, judge, content):
    found = measured(dataset, *KEYS)
    path = dataset.path / "offsets.json"
    hash_of_judge = json.loads(path.read_text())["judge"]
    content = content.replace("%s", hash_of_judge)
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    before = judge.windows
    assert measured(dataset, *KEYS) == found
    assert judge.windows == 2 * before
    assert json.loads(path.read_text())["judge"] == hash_of_judge


def test_a_damaged_clip_has_no_offset_and_is_tried_again(dataset, judge):
    picture = dataset.path / "clips" / "s1" / "a" / "00007.jpg"
    whole = picture.read_bytes()
    picture.write_bytes(b"no picture")
    told = Told()
    found = measured(dataset, "s1/a", "s1/b", told=told)
    assert found[0] == ClipOffset("s1/a", None, None)
    assert found[1].offset_ms is not None
    assert told.notes == [f"s1/a: {picture} is missing or damaged"]
    picture.write_bytes(whole)
    again = measured(dataset, "s1/a", "s1/b", told=told)
    assert again[0].offset_ms is not None
    assert again[1] == found[1]
    assert len(told.notes) == 1


@pytest.mark.parametrize(
    ("late", "confidence", "limit", "reason"),
    [
        (41.0, 0.3, 40.0, "sound and picture are more than 40 ms apart"),
        (-41.0, 0.3, 40.0, "sound and picture are more than 40 ms apart"),
        (81.0, 0.3, 80.5, "sound and picture are more than 80.5 ms apart"),
        (40.0, 0.3, 40.0, ""),
        (0.0, 0.15, 40.0, ""),
        (0.0, 0.149, 40.0, "sound and picture do not fit together"),
        (600.0, 0.0, 40.0, "sound and picture do not fit together"),
        (600.0, 0.3, None, ""),
        (600.0, 0.0, None, ""),
        (None, None, 40.0, ""),
    ],
)
def test_clips_that_are_left_out_under_a_limit(late, confidence, limit, reason):
    assert ClipOffset("s1/a", late, confidence).astray(limit) == reason


def test_clips_of_which_nothing_is_known_are_not_clear():
    offsets = [ClipOffset("s1/a", 0.0, each) for each in (0.15, 0.149, -0.1)]
    assert [each.clear for each in offsets] == [True, False, False]
    assert not ClipOffset("s1/a", None, None).clear


def test_the_judge_of_the_install_is_asked(dataset, monkeypatch, tmp_path):
    torch.manual_seed(0)
    file = tmp_path / "judge.safetensors"
    save_judge(Judge(), file, {})
    monkeypatch.setattr(offsets, "DEFAULT_JUDGE", file)
    (found,) = measured(dataset, "s1/a")
    clip = dataset.clip("s1/a")
    mouths = [mouth(clip.face(i)) for i in range(len(clip))]
    said = verdict(embed(load_judge(file), mouths, clip.times, clip.mel()))
    assert found.offset_ms == pytest.approx(said.offset_ms, abs=0.06)


# Real clips


@pytest.fixture(scope="module")
def real(grid_dir, tmp_path_factory):
    """Two clips each of three people, prepared; the judge has learnt from none of these clips."""
    folder = tmp_path_factory.mktemp("offsets")
    clips = ["s1/bbaz4n", "s1/lwaf1a", "s32/bbac1n", "s32/bbap1p", "s33/bbac1s", "s33/bbai4n"]
    for clip in clips:
        target = folder / "in" / f"{clip}.mpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(grid_dir / "test" / f"{clip}.mpg", target)
    with pytest.MonkeyPatch.context() as patch:
        # In this process, which is quicker than to start others.
        patch.setattr(
            "lipgan_cli.engine.prepare.work", lambda do, jobs, _: ((job, do(job)) for job in jobs)
        )
        return prepare(PrepareRequest(folder / "in", folder / "out", full=99), Silent())


def test_real_clips_are_in_sync(real):
    assert len(real.offsets) == 6
    assert real.left_out == ()
    for offset in real.offsets:
        assert abs(offset.offset_ms) <= 40, offset
        assert offset.confidence > 0.2, offset


def test_real_sounds_that_are_shifted_are_found(real):
    judge, dataset = load_judge(), Dataset.open(real.dataset)
    for offset in real.offsets:
        clip = dataset.clip(offset.key)
        mel = clip.mel()
        film = embed(judge, (mouth(clip.face(i)) for i in range(len(clip))), clip.times, mel)
        for frames in (-10, -3, 1, 10):
            columns = round(3.2 * frames)
            silence = np.full((80, abs(columns)), -4, np.float32)
            moved = np.concatenate([silence, mel], axis=1) if columns > 0 else mel[:, -columns:]
            said = verdict(film.against(embed_mel(judge, moved)))
            assert said.offset_ms - offset.offset_ms == pytest.approx(40 * frames, abs=40), offset


def test_real_sounds_agree_better_than_others(real):
    judge, dataset = load_judge(), Dataset.open(real.dataset)
    clips = [dataset.clip(offset.key) for offset in real.offsets]
    films = [
        embed(judge, (mouth(clip.face(i)) for i in range(len(clip))), clip.times, clip.mel())
        for clip in clips
    ]
    for place, film in enumerate(films):
        other = films[place ^ 1]  # the same speaker's other clip
        assert clips[place].speaker == clips[place ^ 1].speaker
        assert agreement(film) > agreement(film.against(other.heard)) + 0.05


def test_a_second_run_judges_nothing(real, monkeypatch):
    monkeypatch.setattr(offsets, "load_judge", None)
    again = prepare(PrepareRequest(real.dataset.parent / "in", real.dataset), Silent())
    assert again.present == 6
    assert again.offsets == real.offsets


def test_a_cluster_judges_where_there_is_enough_to_do(dataset, judge, monkeypatch):
    """Clips come back in any order; what is kept has theirs."""
    asked = []

    def work_on(scheduler, do, jobs, output):
        asked.append((scheduler, len(jobs), output))
        for job in reversed(jobs):
            yield job, do(job)

    monkeypatch.setattr(offsets, "work_on", work_on)
    few = measure_offsets(dataset, KEYS, 1, Silent(), "tcp://host:8786")
    assert asked == []
    kept = (dataset.path / "offsets.json").read_text()
    (dataset.path / "offsets.json").unlink()
    monkeypatch.setattr(offsets, "FEW", 1)
    assert measure_offsets(dataset, KEYS, 1, Silent(), "tcp://host:8786") == few
    assert asked == [("tcp://host:8786", len(KEYS), dataset.path)]
    assert (dataset.path / "offsets.json").read_text() == kept
