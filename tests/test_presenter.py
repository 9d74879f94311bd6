"""Fitting a generator to one presenter: a recording is prepared, fitted to, and spoken with."""

from __future__ import annotations

import json
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lipgan_cli.engine import train as engine
from lipgan_cli.engine.config import Recipe, TrainConfig, Variant, parse_augmentations
from lipgan_cli.engine.gan.generator import Generator
from lipgan_cli.engine.gan.packing import load_generator, save_packed
from lipgan_cli.engine.gan.recipes import PRESENTER_SETTINGS, SETTINGS
from lipgan_cli.engine.media.video import probe
from lipgan_cli.engine.run import forecast
from lipgan_cli.engine.run.folder import read_config
from lipgan_cli.engine.run.generators import BUILT_IN

FEW = ("--iterations", 4, "--batch", 4, "--log-every", 1, "--evaluate-every", 2)


def lines(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def evaluations(run):
    return {line["iteration"]: line["evaluation"] for line in lines(run) if "evaluation" in line}


@pytest.fixture
def base(home):
    """A narrow generator that has seen noise alone, as if it were of the run `base`."""
    torch.manual_seed(3)
    generator = Generator(4)
    for _ in range(10):
        generator(torch.rand(4, 6, 96, 96), torch.randn(4, 1, 80, 27))
    run = home / "runs" / "base"
    run.mkdir(parents=True)
    save_packed(generator.state_dict(), run / "weights.safetensors", {})
    return run


@pytest.fixture
def presenter(prepare_toy):
    """The presenter's dataset, with held-out parts."""
    keys = {f"anna/anna-{number:03d}": 30 for number in range(3)}
    return prepare_toy(keys, test=("anna/anna-001",), name="anna")


def test_from_a_recording_to_a_film_that_speaks(lipgan, home, film_head, base, tmp_path):
    source = film_head(tmp_path / "anna.mp4", 46)
    prepared = lipgan("prep", source)
    assert (prepared.code, prepared.stdout) == (0, f"{home / 'datasets' / 'anna'}\n")
    fit = ("train", "--recipe", "presenter", "--from", "base", "--data", "anna")
    ran = lipgan(*fit, "--name", "my-anna", *FEW, "--learning-rate", 1e-5)
    assert ran.code == 0, ran.stderr
    run = home / "runs" / "my-anna"
    assert ran.stdout == f"{run / 'weights.safetensors'}\n"
    assert "trained on" not in ran.stderr  # the evaluations are on parts that are held out
    config = read_config(run)
    assert (config.recipe, config.variant, config.width) == (Recipe.PRESENTER, Variant.L1, 4)
    assert sorted(evaluations(run)) == [0, 2, 4]
    assert {"right", "swapped", "gap_to_swapped"} <= evaluations(run)[0]["anna"].keys()
    with wave.open(str(tmp_path / "speech.wav"), "wb") as speech:
        speech.setparams((1, 2, 16000, 0, "NONE", ""))
        speech.writeframes(np.random.default_rng(5).integers(-9000, 9000, 16000, "<i2").tobytes())
    out = tmp_path / "out.mp4"
    for name in ("my-anna", run, run / "weights.safetensors"):
        arguments = (source, tmp_path / "speech.wav", "-o", out, "--preset", "ultrafast", "-f")
        ran = lipgan("sync", *arguments, "--weights", name)
        assert (ran.code, ran.stdout) == (0, f"{out}\n"), ran.stderr
        assert probe(out).frames == 10
    ran = lipgan("sync", *arguments, "--weights", "my-ana")
    assert ran.code == 2
    assert ran.stderr.splitlines() == [
        "error: there is no model my-ana",
        "hint: give a file of weights, or a name: default, base, my-anna",
    ]
    scored = lipgan("score", "--data", "anna", "--model", "base", "--model", "my-anna", "--json")
    assert [model["name"] for model in json.loads(scored.stdout)["models"]] == ["base", "my-anna"]


def test_the_recipe_sets_little_and_what_is_given_comes_first(
    lipgan, home, presenter, base, monkeypatch
):
    trained = []
    monkeypatch.setattr(engine, "train", lambda run, *_: trained.append(read_config(run)))
    few = ("train", "--recipe", "presenter", "--data", presenter)
    assert lipgan(*few, "--name", "one").code == 0
    given = ("--variant", "lipgan", "--from", "base", "--subset", "small", "--batch", 8)
    ran = lipgan(*few, "--name", "two", *given, "--augment", "none", "--no-frozen-norm")
    assert ran.code == 0, ran.stderr
    one, two = trained
    plain = TrainConfig(Variant.L1, one.dataset, "full", clips=one.clips)
    changed = {name for name in vars(one) if getattr(one, name) != getattr(plain, name)}
    assert changed == PRESENTER_SETTINGS.keys() - {"subset", "variant", "epochs"} | {"recipe"}
    assert (one.initial, one.width, one.frozen_norm) == (str(BUILT_IN), 32, True)
    assert (two.variant, two.subset, two.batch) == (Variant.LIPGAN, "small", 8)
    assert (two.augment, two.frozen_norm, two.width) == ((), False, 4)
    assert two.initial == str(base / "weights.safetensors")
    assert two.patience == one.patience == PRESENTER_SETTINGS["patience"]
    first = load_file(home / "runs" / "one" / "initial.safetensors")
    assert first.keys() == load_file(BUILT_IN).keys()


def test_every_recipe_has_settings_that_there_are():
    assert SETTINGS.keys() == set(Recipe)
    fields = vars(TrainConfig(Variant.L1, "", "")).keys()
    assert all(settings.keys() <= fields for settings in SETTINGS.values())
    # A presenter has one face, one colour and two sides, but others may lend a voice.
    varied = set(PRESENTER_SETTINGS["augment"])
    assert not varied & set(parse_augmentations("mirror,monochrome,warp"))
    assert set(parse_augmentations("pitch,formant")) <= varied


@pytest.mark.parametrize("variant", ["l1", "lipgan"])
def test_frozen_statistics_stay_and_all_else_learns(lipgan, home, presenter, base, variant):
    fit = ("train", "--recipe", "presenter", "--from", "base", "--data", presenter, *FEW)
    assert lipgan(*fit, "--name", "fit", "--variant", variant).code == 0
    assert lipgan(*fit, "--name", "loose", "--variant", variant, "--no-frozen-norm").code == 0
    began = load_generator(home / "runs" / "fit" / "initial.safetensors").state_dict()
    for name, kept in (("fit", True), ("loose", False)):
        last = home / "runs" / name / "checkpoints" / "00000004" / "generator.safetensors"
        ended = load_generator(last).state_dict()
        running = [key for key in began if key.endswith(("running_mean", "running_var"))]
        assert len(running) == 2 * 47
        assert all(torch.equal(began[key], ended[key]) for key in running) == kept
        learnt = [key for key in began if key.endswith((".weight", ".bias"))]
        assert any("face_encoder" in key for key in learnt)
        assert not any(torch.equal(began[key], ended[key]) for key in learnt if "norm" not in key)


def test_a_fit_that_helps_nothing_leaves_the_weights_as_they_were(
    lipgan, home, presenter, base, monkeypatch
):
    """The weights that it began with are measured too, and stay the best."""

    def spoil(core, *_):
        with torch.no_grad():
            core.averaged.tail[2].bias += 5.0
        return {"generator_loss": torch.tensor(1.0)}

    monkeypatch.setattr(engine.Core, "step", spoil)
    fit = ("train", "--recipe", "presenter", "--from", "base", "--data", presenter)
    few = ("--iterations", 40, "--evaluate-every", 1, "--batch", 4, "--patience", 3)
    ran = lipgan(*fit, *few, "--name", "worse")
    assert ran.code == 0, ran.stderr
    assert "no better score in 3 evaluations: ended at iteration 3" in ran.stderr
    run = home / "runs" / "worse"
    assert sorted(evaluations(run)) == [0, 1, 2, 3]
    given, best = (
        load_generator(run / f"{name}.safetensors").state_dict() for name in ("initial", "weights")
    )
    for name, weights in given.items():
        assert torch.allclose(weights.float(), best[name].float(), rtol=0.02, atol=1e-3), name


def test_a_fit_that_was_stopped_goes_on_as_if_it_never_had(lipgan, home, presenter, base):
    fit = ("train", "--recipe", "presenter", "--from", "base", "--data", presenter, *FEW)
    assert lipgan(*fit, "--name", "whole").code == 0
    assert lipgan(*fit, "--name", "parts", "--max-minutes", 0).code == 0
    run = home / "runs" / "parts"
    assert sorted(evaluations(run)) == [0, 1]
    shutil.rmtree(base)
    assert lipgan("train", "--resume", "parts").code == 0
    assert sorted(evaluations(run)) == [0, 1, 2, 4]
    last = Path("checkpoints", "00000004", "training.safetensors")
    one, other = (load_file(home / "runs" / name / last) for name in ("parts", "whole"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_fit_killed_before_its_first_iteration_measures_the_beginning_once(
    lipgan, home, presenter, base, monkeypatch
):
    fit = ("train", "--recipe", "presenter", "--from", "base", "--data", presenter, *FEW)
    step = engine.Core.step

    def killed(*_):
        raise RuntimeError("killed")

    monkeypatch.setattr(engine.Core, "step", killed)
    assert lipgan(*fit, "--name", "anna").code == 1
    run = home / "runs" / "anna"
    assert sorted(evaluations(run)) == [0]
    monkeypatch.setattr(engine.Core, "step", step)
    assert lipgan("train", "--resume", "anna").code == 0
    assert [line["iteration"] for line in lines(run) if "evaluation" in line] == [0, 2, 4]


def test_how_long_it_takes_is_told_at_the_start(lipgan, presenter, base, monkeypatch):
    monkeypatch.setattr(forecast, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(forecast, "LATER_SECONDS", 1e9)
    fit = ("train", "--recipe", "presenter", "--from", "base", "--data", presenter)
    ran = lipgan(*fit, "--iterations", 20, "--batch", 2, "--evaluate-every", 100, "--name", "x")
    assert ran.code == 0, ran.stderr
    told = [line for line in ran.stderr.splitlines() if "here, until" in line]
    assert len(told) == 1
    assert told[0].startswith("at most about 1 minute here, until ")


def test_what_makes_no_sense_is_refused(lipgan, home, presenter):
    for arguments, message in (
        (("--frozen-norm",), "--frozen-norm has nothing to keep without --from"),
        (("--name", "default"), "'default' is lipgan's own generator, not a run"),
        (("--recipe", "presenter", "--from", "nobody"), "there is no model nobody"),
        (("--recipe", "presenter", "--width", 8), "is of width 32, not 8"),
    ):
        ran = lipgan("train", "--data", presenter, *arguments)
        assert ran.code == 2
        assert message in ran.stderr.splitlines()[0]
    assert not (home / "runs").exists()
