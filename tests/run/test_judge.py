"""Teaching the lip-sync judge: its loss, its seed, its figures, its file."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from safetensors import safe_open

from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.metrics.judge import HEARD, Judge, load_judge
from lipgan_cli.engine.metrics.lipsync import REACH
from lipgan_cli.engine.progress import Silent
from lipgan_cli.engine.run import judge as of_run
from lipgan_cli.engine.run import learning
from lipgan_cli.engine.run.judge import JudgeRequest, learn, losses, measure, teach
from lipgan_cli.engine.run.learning import rate

CPU = torch.device("cpu")
COLUMNS = 336


class Recorded(Silent):
    """Keeps what is shown of each task, and presses Ctrl-C after some steps."""

    def __init__(self, stop_after=None):
        self.shown, self.totals, self.notes, self.stop_after = [], [], [], stop_after

    def note(self, message):
        self.notes.append(message)

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
    monkeypatch.setattr("lipgan_cli.engine.data.stretches.WINDOWS", 4)


def same(one, other):
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


# The loss


class Given:
    """A judge whose vectors are given: every column of sound is a direction of its own."""

    def __init__(self, seen, scale=100.0):
        self.seen, self.scale = seen, torch.tensor(scale)

    def embed_faces(self, windows):
        assert windows.shape[1:] == (5, 48, 96)
        return self.seen.flatten(0, 1)

    def embed_sounds(self, mel):
        assert mel.shape[1:] == (80, COLUMNS + 2 * HEARD)
        return torch.eye(COLUMNS).expand(len(mel), -1, -1)


OWN = torch.tensor([[48, 60, 100, 287], [50, 110, 200, 250]])
MOUTHS = torch.zeros(2, 4, 5, 48, 96, dtype=torch.uint8)
MEL = torch.zeros(2, 80, COLUMNS + 2 * HEARD)
HEARD_ALL = torch.ones(2, COLUMNS, dtype=torch.bool)


def fitting(late=0):
    """Faces that fit the sound that many columns late."""
    return torch.eye(COLUMNS)[OWN + late]


def test_perfect_vectors_lose_nothing():
    loss, accuracy = losses(Given(fitting()), MOUTHS, OWN, MEL, HEARD_ALL)
    assert 0 <= loss.item() < 1e-6
    assert accuracy.item() == 1


@pytest.mark.parametrize(("late", "accuracy"), [(3, 1.0), (-3, 1.0), (6, 0.0), (-6, 0.0)])
def test_a_sound_is_found_within_a_frame(late, accuracy):
    # The own place has the cosine 0, and one of thirty others 1; of the four windows none is near.
    by_face = math.log(math.exp(5) + 30)
    loss, found = losses(Given(fitting(late), scale=5.0), MOUTHS, OWN, MEL, HEARD_ALL)
    assert loss.item() == pytest.approx((by_face + math.log(4)) / 2, abs=1e-5)
    assert found.item() == accuracy


def test_a_sound_that_is_not_compared_does_not_matter():
    # Two columns late is between frames 0 and 1: all of the 31 places are alike.
    loss, _ = losses(Given(fitting(2)), MOUTHS, OWN, MEL, HEARD_ALL)
    assert loss.item() == pytest.approx((math.log(31) + math.log(4)) / 2, abs=1e-5)


def test_faces_that_are_all_alike_know_nothing():
    loss, _ = losses(Given(torch.zeros(2, 4, COLUMNS)), MOUTHS, OWN, MEL, HEARD_ALL)
    assert loss.item() == pytest.approx((math.log(31) + math.log(4)) / 2, abs=1e-5)


def test_back_from_the_sound_the_own_faces_are_sought():
    # The first two windows of each stretch are mixed up.
    seen = torch.eye(COLUMNS)[OWN[:, [1, 0, 2, 3]]]
    loss, _ = losses(Given(seen, 5.0), MOUTHS, OWN, MEL, HEARD_ALL)
    # Moments 48 and 60 are 12 columns apart: no place that they are compared at (10, 13).
    by_face = (2 * math.log(31) + 2 * math.log(1 + 30 * math.exp(-5))) / 4
    by_sound = (2 * math.log(math.exp(5) + 3) + 2 * math.log(1 + 3 * math.exp(-5))) / 4
    # That of the other stretch, 50 and 110, is too far away.
    assert loss.item() == pytest.approx((by_face + by_sound) / 2, abs=1e-5)


def test_places_without_a_sound_do_not_count():
    sounding = HEARD_ALL.clone()
    sounding[:, 270:] = False  # beyond the end of the sound
    own = torch.tensor([[100, 250], [100, 260]])
    seen = torch.zeros(2, 2, COLUMNS)
    mouths = MOUTHS[:, :2]
    loss, _ = losses(Given(seen), mouths, own, MEL, sounding)
    # Places up to 269: from 250 on, those 0, 3, 6, 10, 13, 16, 19 columns away; from 260, 0, 3, 6.
    by_face = (2 * math.log(31) + math.log(15 + 7) + math.log(15 + 3)) / 4
    assert loss.item() == pytest.approx((by_face + math.log(2)) / 2, abs=1e-5)


def test_windows_beyond_the_end_of_the_sound_teach_nothing():
    sounding = HEARD_ALL.clone()
    sounding[:, 120:] = False
    # Of the last two windows one is near the end of the sound, one far from it.
    own = torch.tensor([[60, 80, 110, 119], [60, 80, 140, 280]])
    seen = torch.eye(COLUMNS)[own]
    seen[1, 2:] = torch.eye(COLUMNS)[110]  # what they look like is wrong
    seen.requires_grad_()
    scale = torch.tensor(100.0, requires_grad=True)
    judge = Given(seen)
    judge.scale = scale
    loss, found = losses(judge, MOUTHS, own, MEL, sounding)
    loss.backward()
    assert 0 <= loss.item() < 1e-6
    assert found.item() == 1
    assert torch.isfinite(seen.grad).all()
    assert torch.isfinite(scale.grad)
    assert seen.grad[1, 2:].abs().max() < 1e-6


def test_every_weight_learns_and_nothing_is_no_number():
    torch.manual_seed(0)
    judge = Judge()
    mouths = torch.randint(0, 256, MOUTHS.shape, dtype=torch.uint8)
    mel = torch.randn(MEL.shape)
    sounding = HEARD_ALL.clone()
    sounding[0, :70] = False  # the first two windows of the first stretch have no sound
    loss, accuracy = losses(judge, mouths, OWN, mel, sounding)
    loss.backward()
    assert 1 < loss.item() < 6
    assert 0 <= accuracy.item() <= 1
    for name, weight in judge.named_parameters():
        assert torch.isfinite(weight.grad).all(), name
        # A bias before batch norm has none.
        biased = name.startswith("audio") and name.endswith("bias")
        assert biased or weight.grad.abs().max() > 0, name


def test_the_learning_rate_rises_and_falls():
    rates = [rate(done, 1000, of_run.WARM_UP) for done in range(1001)]
    assert rates[0] == pytest.approx(0.005)
    assert 180 <= rates.index(max(rates)) <= 200
    assert max(rates) > 0.9
    assert rates[500] == pytest.approx(0.5)
    assert rates[1000] == pytest.approx(0, abs=1e-9)


# Learning


@pytest.fixture
def clips(prepare_toy):
    data = prepare_toy(
        {"s1/a": 40, "s1/b": 40, "s2/c": 40, "s2/d": 30, "s3/e": 8}, test=("s2/c", "s2/d", "s3/e")
    )
    return Dataset.open(data).clips("full")


def test_a_few_iterations_make_it_better(clips, monkeypatch):
    monkeypatch.setattr(of_run, "WARM_UP", 5)
    told = Recorded()
    judge = learn(clips, 1, 40, CPU, told)
    assert not judge.training
    assert not any(weight.requires_grad for weight in judge.parameters())
    assert told.totals == [(40, "iterations")]
    assert {tuple(figures) for figures in told.shown} == {("iterations/s", "loss", "accuracy")}
    shown = [figures["loss"] for figures in told.shown]
    assert len(shown) == 40
    assert np.mean(shown[-8:]) < np.mean(shown[:8]) - 0.2


def test_the_seed_decides_the_judge_and_nothing_else_is_touched(clips):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = learn(clips, 7, 2, CPU, Silent())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert same(one, learn(clips, 7, 2, CPU, Silent()))
    assert not same(one, learn(clips, 8, 2, CPU, Silent()))


def test_the_seed_decides_the_first_weights_too(clips, monkeypatch):
    monkeypatch.setattr(learning, "LEARNING_RATE", 0.0)
    one, other = (learn(clips, seed, 1, CPU, Silent()).face[0].weight for seed in (7, 8))
    assert not torch.equal(one, other)


def test_a_loss_that_is_no_number_is_told(clips, monkeypatch):
    monkeypatch.setattr(
        of_run,
        "losses",
        lambda judge, *batch: (judge.log_scale * math.nan, torch.zeros(())),
    )
    with pytest.raises(LipganError, match="no longer a number at iteration 1"):
        learn(clips, 7, 2, CPU, Silent())


# Measuring


class Coded:
    """A clip whose faces are as bright as its sound is loud, each moment in its own way."""

    def __init__(self, key, frames=60, late=0):
        self.key, self.speaker = key, key.split("/")[0]
        self.levels = np.random.default_rng(sum(key.encode())).random(frames)
        self.times = np.arange(frames) / 25
        self.late = late  # columns

    def __len__(self):
        return len(self.times)

    def face(self, index, /):
        return np.full((96, 96, 3), round(self.levels[index] * 255), np.uint8)

    def mel(self):
        columns = np.arange(len(self) * 16 // 5) - self.late
        frames = np.floor(columns * 25 / 80 + 0.5).astype(int) % len(self)
        return np.tile((8 * self.levels[frames] - 4).astype(np.float32), (80, 1))


class Reader:
    """A judge that compares the middle mouth's brightness with the middle column's level."""

    log_scale = torch.zeros(())

    def embed_faces(self, pictures):
        return self._circle(pictures[:, 2, 20, 40].float() / 255)

    def embed_sounds(self, mel):
        return self._circle((mel[:, 40, HEARD:-HEARD] + 4) / 8)

    def _circle(self, levels):
        out = torch.zeros(*levels.shape, 128)
        out[..., 0], out[..., 1] = (6.28 * levels).cos(), (6.28 * levels).sin()
        return out


def test_a_good_judge_finds_everything():
    clips = [Coded("s1/a"), Coded("s1/b"), Coded("s2/a"), Coded("s2/short", 12)]
    told = Recorded()
    figures = measure(Reader(), clips, told)
    assert list(figures) == ["s1", "s2", "all"]
    assert [each.clips for each in figures.values()] == [2, 1, 3]
    for each in figures.values():
        assert each.in_sync == each.found == 1
        assert 0.8 < each.confidence < 1.2
    assert figures["s1"].auc == figures["all"].auc == 1
    assert told.totals == [(4, "clips")]


def test_a_speaker_with_one_clip_has_no_area():
    figures = measure(Reader(), [Coded("s1/a")], Silent())
    assert figures["s1"].auc is None
    assert figures["all"].auc is None


@pytest.mark.parametrize(("late", "in_sync"), [(2, 1.0), (-2, 1.0), (8, 0.0)])
def test_shifts_are_sought_from_the_clips_own_offset(late, in_sync):
    figures = measure(Reader(), [Coded("s1/a", late=late)], Silent())["all"]
    assert figures.in_sync == in_sync
    assert figures.found == 1


def test_shifts_beyond_its_reach_are_not_found():
    # 20 columns late by itself; 10 frames more are 52, beyond 48, and 9 are 49.
    figures = measure(Reader(), [Coded("s1/a", late=20)], Silent())["all"]
    assert REACH == 48
    assert 18 / 21 <= figures.found <= 20 / 21


def test_a_judge_that_hears_nothing():
    class Deaf(Reader):
        def embed_sounds(self, mel):
            return self._circle(torch.zeros(len(mel), mel.shape[2] - 2 * HEARD))

    figures = measure(Deaf(), [Coded("s1/a"), Coded("s1/b")], Silent())["all"]
    assert figures.found < 0.5
    assert figures.auc == 0.5
    assert figures.confidence < 0.2


def test_measuring_nothing_gives_nothing():
    assert measure(Reader(), [], Silent()) == {}
    assert measure(Reader(), [Coded("s1/a", 12)], Silent()) == {}


# The use case


@pytest.fixture
def data(clips, tmp_path):
    return tmp_path / "toy"


def test_a_judge_is_taught_measured_and_written(data, tmp_path):
    file = tmp_path / "made" / "judge.safetensors"
    told = Recorded()
    summary = teach(JudgeRequest(file, data, "full", 7, 2, "cpu"), told)
    assert summary.file == file
    assert summary.iterations == 2
    assert summary.seconds > 0
    assert told.notes == []
    # The clip of s3 is too short to be judged.
    assert {name: figures.clips for name, figures in summary.figures.items()} == {"s2": 2, "all": 2}
    with safe_open(file, "pt") as opened:
        about = json.loads(opened.metadata()["about"])
    assert about.keys() == {"clips", "seed", "iterations", "test"}
    assert (about["clips"], about["seed"], about["iterations"]) == (2, 7, 2)
    assert about["test"]["s2"]["found"] == summary.figures["s2"].found
    learnt = learn(Dataset.open(data).clips("full"), 7, 2, CPU, Silent())
    weights = load_judge(file).state_dict()
    for name, tensor in learnt.state_dict().items():
        if name in dict(learnt.named_parameters()):
            assert torch.equal(weights[name], tensor.half().float())
    assert [path.name for path in file.parent.iterdir()] == ["judge.safetensors"]


def test_clips_that_it_learnt_from_are_no_test(data, tmp_path):
    told = Recorded()
    summary = teach(JudgeRequest(tmp_path / "judge", data, "test", 7, 1), told)
    assert summary.figures == {}
    (note,) = told.notes
    assert note.startswith("no clip is left to measure the judge on: the test clips are all among")
    with safe_open(tmp_path / "judge", "pt") as opened:
        assert json.loads(opened.metadata()["about"])["test"] == {}


def test_test_clips_that_are_too_short_are_told(prepare_toy, tmp_path):
    data = prepare_toy({"s1/a": 40, "s2/b": 8}, test=("s2/b",), name="short")
    told = Recorded()
    assert teach(JudgeRequest(tmp_path / "judge", data, iterations=1), told).figures == {}
    assert told.notes == ["no clip is left to measure the judge on: the test clips are too short"]


def test_a_dataset_is_found_by_its_name(data, home, tmp_path):
    (home / "datasets").mkdir()
    data.rename(home / "datasets" / "toy")
    assert teach(JudgeRequest(tmp_path / "judge", iterations=1), Silent()).figures.keys() == {
        "s2",
        "all",
    }


def test_ctrl_c_leaves_nothing(data, tmp_path):
    folder = tmp_path / "judges"
    with pytest.raises(KeyboardInterrupt):
        teach(JudgeRequest(folder / "judge", data, iterations=3), Recorded(stop_after=1))
    assert list(folder.iterdir()) == []


def test_a_file_that_comes_while_it_learns_is_kept(data, tmp_path, monkeypatch):
    file = tmp_path / "judge"

    def learn_slowly(*given):
        file.write_text("of somebody else")
        return learn(*given)

    monkeypatch.setattr(of_run, "learn", learn_slowly)
    with pytest.raises(InputError, match="judge exists already"):
        teach(JudgeRequest(file, data, iterations=1), Silent())
    assert file.read_text() == "of somebody else"


def test_what_fails_while_it_is_written_leaves_nothing(data, tmp_path, monkeypatch):
    def full(judge, path, about):
        path.write_text("half of it")
        raise LipganError("cannot write judge", "is the disk full?")

    monkeypatch.setattr(of_run, "save_judge", full)
    folder = tmp_path / "judges"
    with pytest.raises(LipganError, match="cannot write"):
        teach(JudgeRequest(folder / "judge.safetensors", data, iterations=1), Silent())
    assert list(folder.iterdir()) == []


def test_bad_requests_cost_no_learning(data, tmp_path, monkeypatch):
    monkeypatch.setattr(of_run, "learn", None)
    (tmp_path / "file").write_text("mine")
    for request, message in [
        (JudgeRequest(tmp_path, data), "is a folder, not a file"),
        (JudgeRequest(tmp_path / "file" / "judge", data), "cannot make the folder"),
        (JudgeRequest(tmp_path / "file", data), "file exists already"),
        (JudgeRequest(tmp_path / "judge", tmp_path / "nowhere"), "is not a prepared dataset"),
        (JudgeRequest(tmp_path / "judge"), "there is no prepared dataset"),
        (JudgeRequest(tmp_path / "judge", data, "some"), "there is no subset 'some'"),
        (JudgeRequest(tmp_path / "judge", data, iterations=0), "nothing in 0 iterations"),
        (JudgeRequest(tmp_path / "judge", data, device="abacus"), "abacus"),
    ]:
        with pytest.raises(InputError, match=message):
            teach(request, Silent())
    assert not (tmp_path / "judge").exists()
    assert (tmp_path / "file").read_text() == "mine"


def test_clips_that_are_too_short_are_told(prepare_toy, tmp_path):
    data = prepare_toy({"s1/a": 20})
    with pytest.raises(InputError, match="no clip has a second of faces"):
        teach(JudgeRequest(tmp_path / "judge", data), Silent())
