"""A run's expert: learnt once, measured, kept, given from another run."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch
from safetensors import safe_open

from lipgan_cli.engine.data.dataset import Clip, Dataset
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.gan.expert import Expert, save_expert
from lipgan_cli.engine.progress import Silent
from lipgan_cli.engine.run import expert as of_run
from lipgan_cli.engine.run.expert import copy_expert, expert_file, expert_of, learn, measure
from lipgan_cli.engine.run.learning import rate

CPU = torch.device("cpu")


class Recorded(Silent):
    """Keeps what is shown of each task, and presses Ctrl-C after some steps."""

    def __init__(self, stop_after=None):
        self.shown, self.totals, self.stop_after = [], [], stop_after

    @contextmanager
    def task(self, description, total=None, unit=""):
        self.totals.append((total, unit))
        yield self

    def show(self, **figures):
        self.shown.append(figures)

    def advance(self, steps=1):
        if len(self.shown) == self.stop_after:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(of_run, "CLIPS", 2)
    monkeypatch.setattr(of_run, "WINDOWS", 3)
    monkeypatch.setattr(of_run, "Expert", partial(Expert, 4))


@pytest.fixture
def clips(prepare_toy):
    data = prepare_toy({"s1/a": 17, "s1/b": 17, "s2/c": 16, "s3/d": 4}, test=("s2/c", "s3/d"))
    dataset = Dataset.open(data)
    return dataset.clips("full"), dataset.clips("test")


def same(one, other):
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def test_an_expert_is_learnt_once_and_then_read(tmp_path, clips):
    train, held_out = clips
    progress = Recorded()
    expert = expert_of(tmp_path, train, held_out, 7, 2, CPU, progress)
    assert not expert.training
    assert not any(p.requires_grad for p in expert.parameters())
    assert progress.totals == [(2, "iterations"), (2, "clips")]
    shown = {"iterations/s", "loss", "accuracy"}
    assert [figures.keys() for figures in progress.shown] == [shown] * 2
    assert [path.name for path in tmp_path.iterdir() if path.name != "toy"] == [
        "expert.safetensors"
    ]
    again = Recorded()
    assert same(expert_of(tmp_path, train, held_out, 8, 2, CPU, again), expert)
    assert again.totals == []


def test_the_header_tells_what_it_learnt_from_and_how_well(tmp_path, clips):
    train, held_out = clips
    expert_of(tmp_path, train, held_out, 7, 1, CPU, Silent())
    with safe_open(expert_file(tmp_path), "pt") as file:
        about = json.loads(file.metadata()["about"])
    assert {name: about[name] for name in ("clips", "seed", "iterations")} == {
        "clips": 2,
        "seed": 7,
        "iterations": 1,
    }
    # The clip of s3 is shorter than a window.
    assert about["found"].keys() == {"s2", "all"}
    assert about["found"]["s2"].keys() == {"windows", "clips", "confidence", "measured"}
    assert about["found"]["all"]["measured"] == 1


def test_the_seed_decides_the_expert_and_nothing_else_is_touched(clips):
    train, _ = clips
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = learn(train, 7, 2, CPU, Silent())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert same(one, learn(train, 7, 2, CPU, Silent()))
    assert not same(one, learn(train, 8, 2, CPU, Silent()))


def test_ctrl_c_leaves_nothing(tmp_path, clips):
    train, held_out = clips
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(KeyboardInterrupt):
        expert_of(run, train, held_out, 7, 3, CPU, Recorded(stop_after=1))
    assert list(run.iterdir()) == []


def test_a_loss_that_is_no_number_is_told(clips, monkeypatch):
    monkeypatch.setattr(of_run, "own_loss", lambda *given: given[0].sum() * float("nan"))
    with pytest.raises(LipganError, match="iteration 1"):
        learn(clips[0], 7, 2, CPU, Silent())


def test_the_learning_rate_rises_and_falls():
    rates = [rate(done, 1000, of_run.WARM_UP) for done in range(1001)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) > 0.97
    assert 90 <= rates.index(max(rates)) <= 100
    assert rates[500] == pytest.approx(0.5)
    assert rates[1000] == pytest.approx(0, abs=1e-9)


class Coded:
    """A clip whose faces are as bright as its sound is loud, each moment in its own way."""

    speaker = "s1"
    starts = Clip.starts

    def __init__(self, late=0):
        self.levels = np.random.default_rng(0).random(24)
        self.frames, self.times = np.arange(24), np.arange(24) / 20
        self.late = late

    def __len__(self):
        return 24

    def face(self, i):
        return np.full((96, 96, 3), round(self.levels[i] * 255), np.uint8)

    def mel(self):
        return np.repeat(np.roll(self.levels, self.late) * 8 - 4, 4)[None].repeat(80, 0)


class Reader(Expert):
    """Reads the level off the middle face, and off the middle column."""

    def forward(self, faces, mel):
        levels = faces[:, 2, 0, 70, 48], mel[:, 0, 0, 13] / 8 + 0.5
        return tuple(torch.stack([(3 * x).cos(), (3 * x).sin()], 1).float() for x in levels)


@pytest.mark.parametrize(("late", "found"), [(0, 1.0), (1, 1.0), (2, 0.0)])
def test_a_sound_is_found_within_a_frame(late, found):
    figures = measure(Reader(4), [Coded(late)], Silent())
    assert figures.keys() == {"s1", "all"}
    assert figures["s1"].clips == found
    assert abs(figures["s1"].windows - found) < 0.3
    assert 0.1 < figures["s1"].confidence < 1


def test_measuring_nothing_gives_nothing(clips):
    assert measure(Expert(4), [clip for clip in clips[1] if len(clip) < 5], Silent()) == {}


def test_an_expert_is_copied_into_a_run(tmp_path, clips):
    given = tmp_path / "given.safetensors"
    torch.manual_seed(2)
    expert = Expert(4)
    save_expert(expert, given, {})
    run = tmp_path / "run"
    run.mkdir()
    copy_expert(given, run)
    assert expert_file(run).read_bytes() == given.read_bytes()
    assert same(expert_of(run, *clips, 7, 1, CPU, Silent()), expert)


def test_another_file_is_not_copied(tmp_path):
    given = tmp_path / "given.safetensors"
    given.write_text("no weights")
    with pytest.raises(InputError, match="not an expert's file"):
        copy_expert(given, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_clips_that_are_too_short_are_told(tmp_path, clips):
    with pytest.raises(InputError, match="consecutive frames"):
        expert_of(tmp_path, clips[1][1:], clips[1], 7, 1, CPU, Silent())
