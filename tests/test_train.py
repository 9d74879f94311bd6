"""The training command and its loop, from a prepared dataset to packed weights."""

from __future__ import annotations

import copy
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lipgan_cli.engine import train as module
from lipgan_cli.engine.config import TrainConfig, Variant, parse_augmentations
from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.data.samples import Draws, batches
from lipgan_cli.engine.gan.checkpoint import Checkpoints
from lipgan_cli.engine.gan.core import Core
from lipgan_cli.engine.gan.inference import Animator
from lipgan_cli.engine.gan.packing import load_generator
from lipgan_cli.engine.gan.recipes import strategy
from lipgan_cli.engine.media.audio import mel_windows
from lipgan_cli.engine.metrics.response import Response
from lipgan_cli.engine.paths import locked
from lipgan_cli.engine.run.folder import find_run, new_run, read_config

FEW = ("--width", 4, "--iterations", 3, "--batch", 2, "--log-every", 1, "--evaluate-every", 2)


def lines(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_train_writes_weights_log_sheets_and_checkpoints(lipgan, home, prepare_toy):
    data = prepare_toy({"s1/a": 14, "s1/b": 14, "s2/c": 14}, test=("s1/b",))
    ran = lipgan("train", "--data", data, "--variant", "lipgan", "--name", "toy", *FEW)
    assert ran.code == 0, ran.stderr
    run = home / "runs" / "toy"
    assert ran.stdout == f"{run / 'weights.safetensors'}\n"
    assert [p.name for p in sorted((run / "checkpoints").iterdir())] == ["00000002", "00000003"]
    assert cv2.imread(str(run / "sheets" / "00000003.png")).shape == (3 * 96, 12 * 96, 3)
    log = lines(run)
    steps = [line for line in log if "generator_loss" in line]
    assert [line["iteration"] for line in steps] == [1, 2, 3]
    assert {
        "critic_loss",
        "critic_face",
        "critic_audio",
        "generator_l1",
        "generator_critic",
        "psnr",
        "ssim",
        "learning_rate",
        "gradient_critic",
        "gradient_generator",
    } <= steps[0].keys()
    evaluations = [line for line in log if "evaluation" in line]
    assert [line["iteration"] for line in evaluations] == [2, 3]
    assert {"right", "copy", "gap_to_still"} <= evaluations[0]["evaluation"]["s1"].keys()
    assert {"right", "audio_response"} <= evaluations[0]["evaluation"]["all"].keys()
    load_generator(run / "weights.safetensors")


def test_json_gives_the_summary(lipgan, prepare_toy):
    data = prepare_toy({"s1/a": 14})
    ran = lipgan(
        "train",
        "--data",
        data,
        "--variant",
        "l1",
        "--width",
        4,
        "--iterations",
        1,
        "--batch",
        2,
        "--json",
    )
    assert ran.code == 0, ran.stderr
    summary = json.loads(ran.stdout)
    assert summary["iterations"] == 1
    assert summary["weights"].endswith("weights.safetensors")
    assert summary["run"].split("/")[-1].startswith("l1-small-")


def test_ctrl_c_saves_and_resume_goes_on(lipgan, home, prepare_toy, monkeypatch):
    data = prepare_toy({"s1/a": 14}, test=())
    step = Core.step

    def interrupted(self, batch, iteration, watch):
        if iteration == 1:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, iteration, watch)

    monkeypatch.setattr(Core, "step", interrupted)
    arguments = ("--data", data, "--variant", "l1", "--name", "toy", *FEW, "--iterations", 4)
    ran = lipgan("train", *arguments)
    assert ran.code == 130
    assert "go on with --resume toy" in ran.stderr
    monkeypatch.setattr(Core, "step", step)
    ran = lipgan("train", "--resume", "toy")
    assert ran.code == 0, ran.stderr
    whole = lipgan("train", *arguments[:5], "whole", *arguments[6:])
    assert whole.code == 0, whole.stderr
    resumed, never_stopped = (
        load_generator(home / "runs" / name / "weights.safetensors").state_dict()
        for name in ("toy", "whole")
    )
    assert all(torch.equal(resumed[key], never_stopped[key]) for key in resumed)
    steps = [x["iteration"] for x in lines(home / "runs" / "toy") if "generator_loss" in x]
    assert steps == [1, 2, 3, 4]


def in_a_process(name, *arguments, limits="pass"):
    """Start `lipgan train` as a process of its own."""
    code = f"import sys; from lipgan_cli.cli import run; {limits}; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "train", "--name", name, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def same_state(one, other):
    """Whether two runs' last checkpoints have the same networks, averages and moments of Adam."""
    states = []
    for run in (one, other):
        last = Checkpoints(run / "checkpoints").all()[-1]
        states.append([load_file(path) for path in sorted(last.glob("*.safetensors"))])
    (first, second), (third, fourth) = states
    assert {"critic.face.0.0.weight", "generator.tail.2.weight"} & (first | second).keys()
    return all(
        a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
        for a, b in ((first, third), (second, fourth))
    )


@pytest.mark.parametrize("variant", ["lipgan", "wgan-gp"])
def test_kill_9_costs_only_what_came_after_the_last_checkpoint(lipgan, home, prepare_toy, variant):
    data = prepare_toy({"s1/a": 14})
    few = (*FEW, "--iterations", 16, "--evaluate-every", 5)
    arguments = ("--data", data, "--variant", variant, *few)
    process = in_a_process("killed", *arguments)
    checkpoints = Checkpoints(home / "runs" / "killed" / "checkpoints")
    while len(checkpoints.all()) < 2:
        assert process.poll() is None, "the run ended before it was killed"
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not (home / "runs" / "killed" / "weights.safetensors").exists()
    assert lipgan("train", "--resume", "killed").code == 0
    assert lipgan("train", "--name", "whole", *arguments).code == 0
    assert same_state(home / "runs" / "killed", home / "runs" / "whole")


def test_a_full_disk_costs_only_what_came_after_the_last_checkpoint(lipgan, home, prepare_toy):
    data = prepare_toy({"s1/a": 14})
    arguments = ("--data", data, "--variant", "lipgan", *FEW)
    # A file that may not grow fails in the same way as a disk without room.
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"
    process = in_a_process("full", *arguments, limits=full)
    said = process.communicate()[1].splitlines()
    assert process.returncode == 1
    assert "cannot write generator.safetensors" in said[-2], said
    assert list((home / "runs" / "full" / "checkpoints").iterdir()) == []
    assert lipgan("train", "--resume", "full").code == 0
    assert lipgan("train", "--name", "whole", *arguments).code == 0
    assert same_state(home / "runs" / "full", home / "runs" / "whole")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "not a prepared dataset"),
        (["--data", "TOY", "--subset", "huge"], "no subset 'huge'"),
        (["--data", "TOY", "--subset", "test"], "subset test of .* is empty"),
        (
            ["--data", "TOY", "--reference-offset", "30"],
            "no clip of the subset small has 61 frames",
        ),
        (["--data", "TOY", "--reference-offset", "6..1"], "no reference frame has a distance"),
        (["--data", "TOY", "--augment", "hue,mirrors"], "there is no augmentation 'mirrors'"),
        (["--data", "TOY", "--device", "abacus"], "the device 'abacus' cannot be used"),
        (["--data", "TOY/dataset.json"], "not a prepared dataset"),
        (["--data", "TOY", "--from", "ghost"], "there is no model ghost"),
        (["--data", "TOY", "--from", "TOY/dataset.json"], "is not a weights file"),
        (
            ["--data", "TOY", "--batch", 128, "--accumulate", 3],
            "a batch of 128 cannot be divided: 1 processes, 3 parts",
        ),
        (["--data", "TOY", "--batch", 128, "--variant", "expert"], "parts, windows of 5 frames"),
        (["--data", "TOY", "--variant", "gan", "--recipe", "thesis"], "thesis has no variant gan"),
        (["--data", "TOY", "--variant", "l1", "--readout", "joint"], "l1 has no critic"),
        (["--data", "TOY", "--variant", "l1", "--l1-weight", 0], "generator nothing to learn"),
        (["--data", "TOY", "--variant", "wgan", "--iterations", 4], "generator never moves"),
        (["--data", "TOY", "--variant", "l1", "--critic-reference"], "l1 has no critic"),
        (["--data", "TOY", "--expert", "TOY/dataset.json"], "lipgan uses no expert"),
        (["--data", "TOY", "--expert-iterations", 9], "lipgan uses no expert: no --expert-it"),
        (["--data", "TOY", "--name", "../x"], "'../x' cannot name a run"),
        (["--resume", "ghost"], "there is no run called ghost"),
        (["--resume", "x", "--name", "y"], "--resume keeps the runs' own settings: no --name"),
        ([], "there is no prepared dataset"),
    ],
)
def test_bad_input_is_one_line(lipgan, home, prepare_toy, arguments, message):
    toy = str(prepare_toy({"s1/a": 14}))
    ran = lipgan("train", *(str(a).replace("TOY", toy) for a in arguments))
    assert ran.code == 2
    assert ran.stdout == ""
    error = ran.stderr.splitlines()
    assert len(error) <= 2
    assert re.search(message, error[0]), error
    assert not (home / "runs").exists()  # nothing was begun


def test_a_run_is_not_overwritten(lipgan, prepare_toy):
    data = prepare_toy({"s1/a": 14})
    arguments = (
        "train",
        "--data",
        data,
        "--variant",
        "l1",
        "--name",
        "toy",
        "--iterations",
        1,
        "--batch",
        2,
    )
    assert lipgan(*arguments).code == 0
    ran = lipgan(*arguments)
    assert ran.code == 2
    assert "exists already" in ran.stderr


@pytest.mark.parametrize("loss", [float("nan"), -2e6])
def test_a_run_that_diverges_stops(lipgan, home, prepare_toy, monkeypatch, loss):
    data = prepare_toy({"s1/a": 14})
    monkeypatch.setattr(Core, "step", lambda *_: {"generator_loss": torch.tensor(loss)})
    ran = lipgan("train", "--data", data, "--name", "toy", *FEW)
    assert ran.code == 1
    assert "training has diverged at iteration 1" in ran.stderr
    assert Checkpoints(home / "runs" / "toy" / "checkpoints").all() == []


def test_a_session_ends_when_its_time_is_up(lipgan, home, prepare_toy):
    data = prepare_toy({"s1/a": 14})
    arguments = ("--data", data, "--variant", "l1", "--name", "toy", *FEW, "--evaluate-every", 100)
    ran = lipgan("train", *arguments, "--max-minutes", 0)
    assert ran.code == 0, ran.stderr
    assert "the time is up at iteration 1; go on with --resume toy" in ran.stderr
    run = home / "runs" / "toy"
    assert ran.stdout == f"{run / 'weights.safetensors'}\n"
    assert [x["iteration"] for x in lines(run) if "evaluation" in x] == [1]
    assert lipgan("train", "--resume", "toy").code == 0
    assert [x["iteration"] for x in lines(run) if "generator_loss" in x] == [1, 2, 3]


def test_a_line_of_the_log_has_the_generator_s_figures(lipgan, home, prepare_toy):
    data = prepare_toy({"s1/a": 14})
    few = (*FEW, "--iterations", 9, "--critic-steps", 3, "--log-every", 2)
    assert lipgan("train", "--data", data, "--variant", "wgan", "--name", "toy", *few).code == 0
    steps = [line for line in lines(home / "runs" / "toy") if "critic_loss" in line]
    assert [line["iteration"] for line in steps] == [3, 6, 9]
    assert all({"generator_loss", "gradient_generator", "ssim"} <= line.keys() for line in steps)


@pytest.mark.parametrize(
    ("given", "device", "here", "cores", "expected"),
    [
        (None, "cpu", 1, 16, 0),
        (3, "cpu", 1, 16, 3),
        (None, "cuda", 1, 16, 8),
        (None, "cuda", 4, 16, 3),
        (None, "cuda", 1, 1, 0),
        (0, "cuda", 1, 16, 0),
    ],
)
def test_a_gpu_gets_processes_that_load(monkeypatch, given, device, here, cores, expected):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(here))
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    session = module.Session(torch.device(device), given)
    assert module.workers_of(session) == expected


def test_evaluations_on_training_clips_are_told(lipgan, prepare_toy):
    alone = prepare_toy({"s1/a": 14})
    ran = lipgan("train", "--data", alone, "--variant", "l1", *FEW)
    assert "evaluations are on clips that are trained on" in ran.stderr
    apart = prepare_toy({"s1/a": 14, "s1/b": 14}, test=("s1/b",), name="apart")
    ran = lipgan("train", "--data", apart, "--variant", "l1", *FEW, "--name", "other")
    assert "trained on" not in ran.stderr


def test_the_time_in_which_an_expert_learns_counts(lipgan, home, prepare_toy, monkeypatch):
    data = prepare_toy({"s1/a": 80, "s1/b": 60}, test=("s1/b",))
    now = time.monotonic
    expert_of = module.expert_of
    waited = 0.0

    def slow(*arguments):
        nonlocal waited
        waited += 120
        return expert_of(*arguments)

    monkeypatch.setattr(module, "expert_of", slow)
    monkeypatch.setattr(module.time, "monotonic", lambda: now() + waited)
    few = (*FEW, "--batch", 10, "--expert-iterations", 2, "--iterations", 9, "--max-minutes", 1)
    assert lipgan("train", "--data", data, "--variant", "expert", "--name", "x", *few).code == 0
    assert Checkpoints(home / "runs" / "x" / "checkpoints").all()[-1].name == "00000001"


def test_a_damaged_crop_is_named_and_the_run_goes_on_when_it_is_mended(lipgan, home, prepare_toy):
    data = prepare_toy({"s1/a": 14})
    crops = sorted((data / "clips" / "s1" / "a").glob("*.jpg"))
    whole = [crop.read_bytes() for crop in crops]
    for crop in crops:
        crop.write_bytes(crop.read_bytes()[:100])
    ran = lipgan("train", "--data", data, "--variant", "l1", "--name", "toy", *FEW)
    assert ran.code == 1
    assert "missing or damaged" in ran.stderr.splitlines()[-2]
    for crop, content in zip(crops, whole, strict=True):
        crop.write_bytes(content)
    assert lipgan("train", "--resume", "toy").code == 0


def test_a_run_without_progress_ends_early(lipgan, home, prepare_toy):
    data = prepare_toy({"s1/a": 14})
    still = ("--learning-rate", 1e-30, "--ema", 0, "--norm-momentum", 0)
    few = (*FEW, "--iterations", 30, "--evaluate-every", 1, "--patience", 2)
    ran = lipgan("train", "--data", data, "--variant", "l1", "--name", "toy", *few, *still)
    assert ran.code == 0, ran.stderr
    assert "no better score in 2 evaluations: ended at iteration 3" in ran.stderr
    ran = lipgan("train", "--resume", "toy")
    assert ran.code == 0
    assert "no better score in 2 evaluations" in ran.stderr
    assert lines(home / "runs" / "toy")[-1]["iteration"] == 3


def test_a_collapse_is_told(lipgan, prepare_toy, monkeypatch):
    """Faces that stop to depend on the sound, after they did; and those that never came to."""
    answers = iter([Response(0.3, 0.9), Response(0.01, 0.9), Response(0.3, 0.02)])
    monkeypatch.setattr(module, "respond", lambda *_: next(answers))
    data = prepare_toy({"s1/a": 14})
    few = (*FEW, "--iterations", 30, "--evaluate-every", 1, "--max-minutes", 0)
    said = []
    for arguments in (("--data", data, "--variant", "l1", "--name", "toy", *few), None, None):
        ran = lipgan("train", *(arguments or ("--resume", "toy", "--max-minutes", 0)))
        said.append([line for line in ran.stderr.splitlines() if "collapse" in line])
    start = "the generated mouths do not depend on the"
    assert said == [
        [],
        [f"collapse at iteration 2: {start} sound (response 0.010)"],
        [f"collapse at iteration 3: {start} person's face (response 0.020)"],
    ]


def test_the_recipe_of_the_thesis(lipgan, home, prepare_toy):
    data = prepare_toy({"s1/a": 14})
    arguments = ("--data", data, "--variant", "wgan-gp", "--name", "toy", *FEW, "--iterations", 5)
    ran = lipgan("train", "--recipe", "thesis", *arguments, "--ema", 0.5)
    assert ran.code == 0, ran.stderr
    assert "recipe thesis: the seed covers networks" in ran.stderr
    run = home / "runs" / "toy"
    assert lines(run)[0]["corrections"][0].startswith("the penalty is at the step's own")
    config = TrainConfig.from_json((run / "config.json").read_text("utf-8"))
    assert (config.seed, config.decay, config.norm_momentum) == (10, 0.0, 0.8)
    assert (config.batch, config.ema) == (2, 0.5)  # what is given comes first


@pytest.mark.parametrize("variant", ["expert", "lipgan+expert"])
def test_an_expert_is_trained_first_and_can_be_given(lipgan, home, prepare_toy, variant):
    data = prepare_toy({"s1/a": 42, "s2/b": 42})
    arguments = ("--data", data, "--variant", variant, *FEW, "--batch", 5)
    ran = lipgan("train", *arguments, "--name", "first", "--expert-iterations", 2)
    assert ran.code == 0, ran.stderr
    runs = home / "runs"
    assert "generator_expert" in lines(runs / "first")[0]
    expert = runs / "first" / "expert.safetensors"
    ran = lipgan("train", *arguments, "--name", "second", "--expert", expert)
    assert ran.code == 0, ran.stderr
    assert (runs / "second" / "expert.safetensors").read_bytes() == expert.read_bytes()
    one, other = (
        load_generator(runs / name / "weights.safetensors") for name in ("first", "second")
    )
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_two_processes_train_one_run(home, prepare_toy):
    data = prepare_toy({"s1/a": 14})
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m")
    arguments = ("lipgan_cli", "train", "--data", data, "--variant", "l1", "--name", "toy", *FEW)
    command = [sys.executable, *launcher, *map(str, arguments), "--batch", "4"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"{home / 'runs' / 'toy' / 'weights.safetensors'}\n"
    assert [x["iteration"] for x in lines(home / "runs" / "toy") if "psnr" in x] == [1, 2, 3]


def test_a_dataset_that_changed_cannot_be_resumed(lipgan, prepare_toy):
    data = prepare_toy({"s1/a": 14, "s1/b": 14})
    arguments = ("--data", data, "--variant", "l1", "--name", "toy", *FEW)
    assert lipgan("train", *arguments).code == 0
    (data / "subsets" / "small.txt").write_text("s1/a\n")
    ran = lipgan("train", "--resume", "toy")
    assert ran.code == 2
    assert "has changed since the run began" in ran.stderr


def test_two_processes_cannot_train_one_run(lipgan, home, prepare_toy):
    data = prepare_toy({"s1/a": 14})
    assert lipgan("train", "--data", data, "--variant", "l1", "--name", "toy", *FEW).code == 0
    with locked(home / "runs" / "toy"):
        ran = lipgan("train", "--resume", "toy")
    assert ran.code == 2
    assert "another run is writing" in ran.stderr


@pytest.mark.slow
def test_audio_decides_the_mouth_of_an_overfitted_clip(prepare_toy):
    folder = prepare_toy({"s1/a": 24})
    clips = Dataset.open(folder).clips("full")
    config = TrainConfig(
        Variant.LIPGAN, str(folder), "full", width=8, batch=8, augment=(), mouth_weight=4.0
    )
    core = Core(strategy(config), config, 200, torch.device("cpu"))
    for iteration, batch in enumerate(batches(Draws(clips, config, 200), 0)):
        core.step(batch, iteration)
    animator = Animator(copy.deepcopy(core.averaged), core.device)
    clip = clips[0]
    faces = np.stack([clip.face(i) for i in (2, 6, 10, 14)])
    loud, quiet = (
        animator.faces(faces[::-1].copy(), faces, mel_windows(clip.mel(), np.full(4, frame / 20)))
        for frame in (5, 9)
    )
    lips = np.s_[..., 74:82, 42:54, :]
    opened, closed = (clip.face(frame)[lips].mean() for frame in (5, 9))
    assert loud[lips].mean() < 120  # dark where the mouth is open
    assert quiet[lips].mean() - loud[lips].mean() > (closed - opened) / 4


def test_a_run_begins_with_given_weights(lipgan, home, prepare_toy):
    data = prepare_toy({"s1/a": 14})
    arguments = ("--data", data, "--variant", "l1", *FEW)
    assert lipgan("train", *arguments, "--name", "first").code == 0
    first = home / "runs" / "first" / "weights.safetensors"
    still = (*arguments, "--learning-rate", 1e-30, "--iterations", 1, "--ema", 0)
    ran = lipgan("train", *still, "--name", "second", "--from", first)
    assert ran.code == 0, ran.stderr
    first.write_bytes(b"the file may change once the run has begun")
    assert lipgan("train", "--resume", "second").code == 0
    checkpoint = home / "runs" / "second" / "checkpoints" / "00000001" / "generator.safetensors"
    given = load_generator(home / "runs" / "second" / "initial.safetensors")
    trained = load_generator(checkpoint)
    for one, other in zip(given.parameters(), trained.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-20)


def test_weights_of_another_width_are_refused(lipgan, home, prepare_toy):
    data = prepare_toy({"s1/a": 14})
    arguments = ("--data", data, "--variant", "l1", *FEW)
    assert lipgan("train", *arguments, "--name", "first").code == 0
    first = home / "runs" / "first" / "weights.safetensors"
    ran = lipgan("train", *arguments, "--width", 8, "--name", "second", "--from", first)
    assert ran.code == 2
    assert "is of width 4, not 8" in ran.stderr
    assert not (home / "runs" / "second").exists()


def test_augmentation_and_distances_are_settings_of_a_run(lipgan, home, prepare_toy):
    data = prepare_toy({"s1/a": 14})
    chosen = ("--augment", "sound,warp,hue", "--reference-offset", "1..6")
    arguments = ("--data", data, "--variant", "l1", *FEW, "--iterations", 1, "--name", "toy")
    ran = lipgan("train", *arguments, *chosen)
    assert ran.code == 0, ran.stderr
    config = read_config(home / "runs" / "toy")
    assert config.augment == parse_augmentations("hue,warp,sound")
    assert (config.reference_offset, config.reference_reach) == (1, 6)
    ran = lipgan("train", *arguments, "--augment", "mirrors")
    assert ran.code == 2
    assert "none, photometric, geometric, warp, sound, all, brightness" in ran.stderr


def test_a_new_run_keeps_its_config(prepare_toy):
    config = TrainConfig(Variant.L1, str(prepare_toy({"s1/a": 14})), "small", batch=5)
    run = new_run(config, "a [b] ü")
    kept = TrainConfig.from_json((run / "config.json").read_text("utf-8"))
    assert replace(kept, clips="") == config
    assert find_run("a [b] ü") == run


def test_plots_are_drawn_and_events_written_as_training_goes(lipgan, home, prepare_toy):
    pytest.importorskip("tensorboard")
    arguments = ("--data", prepare_toy({"s1/a": 14}), "--variant", "l1", "--name", "toy", *FEW)
    assert lipgan("train", *arguments, "--iterations", 2).code == 0
    run = home / "runs" / "toy"
    plots = {path.name for path in (run / "plots").iterdir()}
    assert {"losses.png", "quality.png", "evaluations.png"} <= plots
    assert not (run / "tensorboard").exists()
    assert lipgan("train", "--resume", "toy", "--tensorboard").code == 0
    assert len(list((run / "tensorboard").iterdir())) == 1


def test_plots_that_cannot_be_drawn_are_told_and_do_not_end_the_run(
    lipgan, home, prepare_toy, monkeypatch
):
    def fail(run):
        raise OSError("the disk is\nfull")

    monkeypatch.setattr("lipgan_cli.engine.train.draw", fail)
    data = prepare_toy({"s1/a": 14})
    ran = lipgan("train", "--data", data, "--variant", "l1", "--name", "toy", *FEW)
    assert ran.code == 0
    notes = [line for line in ran.stderr.splitlines() if "the plots could not be drawn" in line]
    assert len(notes) == 2  # evaluations at 2 and 3
    assert "OSError" in notes[0]
    assert ran.stdout == f"{home / 'runs' / 'toy' / 'weights.safetensors'}\n"
