"""Plans of several runs, and runs side by side."""

from __future__ import annotations

import json
import signal

import cv2
import pytest
import torch

from lipgan_cli.engine import train as module
from lipgan_cli.engine.gan.core import Core
from lipgan_cli.engine.paths import locked
from lipgan_cli.engine.run.folder import read_config

PLAN = """
[common]
data = "{data}"
width = 4
batch = 2
iterations = 4
log-every = 1
evaluate-every = 2

[runs.control]
variant = "l1"

[runs."thesis's own"]
variant = "wgan-gp"
recipe = "thesis"
critic-steps = 2
critic-norm = false
reference-offset = "2..5"
"""


@pytest.fixture
def plan(tmp_path, prepare_toy):
    """Write a plan, by default `PLAN`: `plan(); plan("[runs.a]")`."""
    data = prepare_toy({"s1/a": 14, "s1/b": 14, "s2/c": 14}, test=("s1/b", "s2/c"))

    def write(text=PLAN):
        path = tmp_path / "my plan.toml"
        path.write_text(text.replace("{data}", str(data)))
        return path

    return write


def test_a_plan_trains_its_runs_and_compares_them(lipgan, home, plan, tmp_path):
    drawn = tmp_path / "pictures"
    ran = lipgan("train", "--plan", plan(), "--output", drawn)
    assert ran.code == 0, ran.stderr
    header, _, control, thesis = ran.stdout.splitlines()
    assert "mouth PSNR" in header
    assert control.split()[:3] == ["my", "plan-control", "4"]
    assert thesis.startswith("my plan-thesis's own")
    for name, rows in (("comparison.png", 2), ("faces.jpg", 4)):
        picture = cv2.imread(str(drawn / "my plan" / name))
        assert picture.shape[0] >= 96 * rows
        assert picture.std() > 5
    config = read_config(home / "runs" / "my plan-thesis's own")
    assert (config.width, config.ema, config.norm_momentum, config.critic_norm) == (
        4,
        0,
        0.8,
        False,
    )
    assert (config.reference_offset, config.reference_reach) == (2, 5)
    assert (home / "runs" / "my plan-control" / "weights.safetensors").exists()


def test_a_plan_goes_on_where_it_was_left(lipgan, home, plan, monkeypatch):
    assert lipgan("train", "--plan", plan(), "--max-minutes", 0).code == 0
    step, taken = Core.step, []

    def counted(self, *arguments):
        taken.append(self.loss.readout is None)
        return step(self, *arguments)

    monkeypatch.setattr(Core, "step", counted)
    with locked(home / "runs" / "my plan-thesis's own"):
        ran = lipgan("train", "--plan", plan())
    assert ran.code == 0
    assert "my plan-thesis's own: another process trains it" in ran.stderr
    first = len(taken)
    assert 3 <= first <= 4  # whatever there was time for
    assert all(taken)
    assert lipgan("train", "--plan", plan()).code == 0
    assert taken[first:] == [False] * 4


def test_several_plans_stand_apart(lipgan, plan, tmp_path):
    one = plan()
    other = one.with_name("other.toml")
    other.write_text(one.read_text().split("[runs")[0] + "[runs.again]\nvariant = 'l1'\n")
    ran = lipgan("train", "--plan", one, "--plan", other, "-o", tmp_path / "drawn")
    assert ran.code == 0, ran.stderr
    first, second = ran.stdout.split("\n\n")
    assert [line.split()[0] for line in (*first.splitlines()[2:], *second.splitlines()[2:])] == [
        "my",
        "my",
        "other-again",
    ]
    assert (tmp_path / "drawn" / "my plan" / "faces.jpg").exists()
    assert (tmp_path / "drawn" / "other" / "comparison.png").exists()


def test_a_run_that_diverges_does_not_end_the_plan(lipgan, plan, monkeypatch):
    step = Core.step

    def diverging(self, batch, iteration, watch=False):
        figures = step(self, batch, iteration, watch)
        if self.loss.readout is None and iteration == 3:
            figures["generator_loss"] = torch.tensor(float("nan"))
        return figures

    monkeypatch.setattr(Core, "step", diverging)
    ran = lipgan("train", "--plan", plan(), "--json")
    assert ran.code == 0
    assert "my plan-control: training has diverged at iteration 4" in ran.stderr
    control, thesis = json.loads(ran.stdout)
    assert (control["iterations"], thesis["iterations"]) == (2, 4)
    assert (control["samples"], thesis["variant"]) == (4, "wgan-gp")
    assert {"right", "audio_response", "face_response"} <= thesis["figures"]["all"].keys()


def test_a_plan_that_was_changed_is_refused(lipgan, plan):
    assert lipgan("train", "--plan", plan(), "--max-minutes", 0).code == 0
    ran = lipgan("train", "--plan", plan(PLAN.replace("width = 4", "width = 5")))
    assert ran.code == 2
    assert "run my plan-control: it was begun with width = 4, not 5" in ran.stderr


def test_no_run_is_begun_where_one_cannot_be(lipgan, home, plan):
    ran = lipgan("train", "--plan", plan(PLAN.replace("2..5", "50")))
    assert ran.code == 2
    assert "run my plan-thesis's own: no clip of the subset small has 101 frames" in ran.stderr
    assert not (home / "runs").exists()


def test_ctrl_c_in_a_run_s_last_evaluation_ends_the_plan(lipgan, home, plan, monkeypatch):
    measure = module.measure

    def interrupted(animate, clips, *arguments, **options):
        figures = measure(animate, clips, *arguments, **options)
        if (home / "runs" / "my plan-control" / "checkpoints" / "00000004").exists():
            signal.raise_signal(signal.SIGINT)
        return figures

    monkeypatch.setattr(module, "measure", interrupted)
    assert lipgan("train", "--plan", plan()).code == 130
    assert not (home / "runs" / "my plan-thesis's own" / "log.jsonl").exists()


def test_a_full_disk_ends_the_plan(lipgan, plan, monkeypatch):
    def fail(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lipgan_cli.engine.gan.packing.save_file", fail)
    ran = lipgan("train", "--plan", plan(), "-q")
    assert ran.code == 1
    assert "No space left on device" in ran.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width = ", "is no TOML"),
        ("[common]\nwidth = 4", "is no plan"),
        ("[runs]\na = 4", "is no plan"),
        ("[run.a]\nvariant = 'l1'", "is no plan"),
        ("[runs.a]\nvariant = 'l2'", "run a: Invalid value for '--variant'"),
        ("[runs.a]\nwidht = 4", "run a: No such option: --widht"),
        ("[runs.a]\nbatch = 0", "run a: Invalid value for '--batch'"),
        ("[runs.a]\nbatch = [1, 2]", "run a: Invalid value for '--batch'"),
        ("[runs.a]\ndata = 'nowhere'", "not a prepared dataset"),
        ("[runs.a]\ndata = '{data}'\nname = 'x'", "run a: a plan has no --name"),
        ("[runs.a]\ndata = '{data}'\nmax-minutes = 3", "run a: a plan has no --max-minutes"),
        ("[runs.'../a']\ndata = '{data}'", "cannot name a run"),
        ('[runs."a\\u0000"]\ndata = "{data}"', "cannot name a run"),
        ("[runs.a]\ndata = '{data}'\nlist = true", "run a: a plan has no --list"),
        ("[runs.a]\ndata = '{data}'\nhelp = true", "run a: a plan has no --help"),
    ],
)
def test_a_plan_that_is_none_is_one_line(lipgan, home, plan, text, message):
    ran = lipgan("train", "--plan", plan(text))
    assert ran.code == 2
    assert ran.stdout == ""
    error = ran.stderr.splitlines()
    assert len(error) <= 2
    assert message in error[0]
    assert not (home / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plan", "ghost.toml"], "the plan ghost.toml does not exist"),
        (["--plan", "PLAN", "--width", 8], "--plan keeps the runs' own settings: no --width"),
        (["--plan", "PLAN", "--plan", "PLAN"], "two of the plans or runs have one name"),
        (["--plan", "PLAN", "--resume", "x"], "no --resume beside it"),
        (["--compare", "ghost"], "there is no run called ghost"),
        (["--compare", "ghost*"], "there is no run called ghost*"),
        (["--compare", "/nowhere/ghost*"], "there is no run called /nowhere/ghost*"),
        (["--compare", "x", "--variant", "l1"], "no --variant beside it"),
        (["--variant", "l1", "--output", "x"], "--output is for comparisons"),
    ],
)
def test_options_that_do_not_go_together(lipgan, plan, arguments, message):
    ran = lipgan("train", *(str(a).replace("PLAN", str(plan())) for a in arguments))
    assert ran.code == 2
    assert message in ran.stderr.splitlines()[0]


def test_runs_are_compared_by_name_and_pattern(lipgan, home, plan, tmp_path):
    assert lipgan("train", "--plan", plan()).code == 0
    both = lipgan("train", "--compare", "my plan-*", "--json")
    names = [run["name"] for run in json.loads(both.stdout)]
    assert names == ["my plan-control", "my plan-thesis's own"]
    place = home / "runs" / "my plan-thesis's own"
    turned = lipgan("train", "--compare", place, "--compare", "my*", "--json")
    assert [run["name"] for run in json.loads(turned.stdout)] == names[::-1]


def test_a_run_without_an_evaluation_has_a_line_but_no_faces(lipgan, home, plan, tmp_path):
    assert lipgan("train", "--plan", plan()).code == 0
    config = (home / "runs" / "my plan-control" / "config.json").read_text()
    (home / "runs" / "new").mkdir()
    (home / "runs" / "new" / "config.json").write_text(config)
    drawn = tmp_path / "drawn"
    ran = lipgan("train", "--compare", "new", "--compare", "my plan-control", "-o", drawn)
    assert ran.code == 0, ran.stderr
    assert ran.stdout.splitlines()[2].split()[:3] == ["new", "0", "-"]
    assert cv2.imread(str(drawn / "faces.jpg")).shape[0] == 3 * 96
    alone = lipgan("train", "--compare", "new", "-o", tmp_path / "none")
    assert alone.code == 0
    assert "nothing was measured yet: no pictures are drawn" in alone.stderr
    assert not (tmp_path / "none").exists()


def test_a_folder_for_pictures_is_checked_before_any_work(lipgan, home, plan, tmp_path):
    (tmp_path / "file").write_text("")
    ran = lipgan("train", "--plan", plan(), "-o", tmp_path / "file")
    assert ran.code == 2
    assert "cannot make the folder" in ran.stderr
    assert not (home / "runs").exists()
