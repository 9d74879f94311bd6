"""`lipgan train --judge`: what it prints, what it refuses."""

from __future__ import annotations

import json

import pytest

from lipgan_cli.engine.metrics.judge import load_judge
from lipgan_cli.engine.run import judge as of_run
from lipgan_cli.engine.run.judge import ITERATIONS, JudgeFigures, JudgeRequest, JudgeSummary

FIGURES = {
    "s1": JudgeFigures(clips=20, in_sync=0.95, found=0.9976, auc=0.99123, confidence=0.4361),
    "s[2]": JudgeFigures(clips=1, in_sync=1.0, found=1.0, auc=None, confidence=0.5),
}


@pytest.fixture
def requests(monkeypatch):
    """Let the engine do nothing but record what it was asked."""
    asked = []

    def teach(request, progress):
        asked.append(request)
        return JudgeSummary(request.file, request.iterations, 12.5, FIGURES)

    monkeypatch.setattr(of_run, "teach", teach)
    return asked


def test_a_table_of_the_test_clips(lipgan, requests, tmp_path):
    ran = lipgan("train", "--judge", tmp_path / "judge.safetensors")
    assert (ran.code, ran.stderr) == (0, "")
    lines = [line for line in ran.stdout.splitlines() if "─" not in line]
    assert [line.split() for line in lines] == [
        ["test", "clips", "clips", "in", "sync", "shifts", "found", "AUC", "confidence"],
        ["s1", "20", "95", "%", "99.8", "%", "0.991", "0.436"],
        ["s[2]", "1", "100", "%", "100.0", "%", "-", "0.500"],
    ]


def test_json(lipgan, requests, tmp_path):
    ran = lipgan("train", "--judge", tmp_path / "judge.safetensors", "--json", "--quiet")
    assert (ran.code, ran.stderr) == (0, "")
    assert json.loads(ran.stdout) == {
        "file": str(tmp_path / "judge.safetensors"),
        "iterations": ITERATIONS,
        "seconds": 12.5,
        "figures": {
            "s1": {
                "clips": 20,
                "in_sync": 0.95,
                "found": 0.9976,
                "auc": 0.99123,
                "confidence": 0.4361,
            },
            "s[2]": {"clips": 1, "in_sync": 1.0, "found": 1.0, "auc": None, "confidence": 0.5},
        },
    }


def test_options_that_are_not_given_are_the_judges_own(lipgan, requests, tmp_path):
    assert lipgan("train", "--judge", tmp_path / "j").code == 0
    assert requests == [JudgeRequest(tmp_path / "j")]
    assert (requests[0].subset, requests[0].seed, requests[0].iterations) == ("full", 2016, 3000)


def test_every_option_reaches_the_engine(lipgan, requests, tmp_path):
    options = ["--data", tmp_path, "--subset", "small", "--seed", 4, "--iterations", 9]
    assert lipgan("train", "--judge", tmp_path / "j", *options, "--device", "cpu").code == 0
    assert requests == [JudgeRequest(tmp_path / "j", tmp_path, "small", 4, 9, "cpu")]


@pytest.mark.parametrize(
    "options",
    [
        ["--variant", "l1"],
        ["--epochs", 3],
        ["--batch", 8],
        ["--name", "mine"],
        ["--resume", "mine"],
        ["--expert", "e"],
        ["--expert-iterations", 7],
        ["--max-minutes", 3],
        ["--plan", "p.toml"],
        ["--output", "out"],
        ["--tensorboard"],
    ],
)
def test_options_of_a_run_are_refused(lipgan, requests, tmp_path, options):
    ran = lipgan("train", "--judge", tmp_path / "j", *options)
    assert (ran.code, ran.stdout) == (2, "")
    error, hint = ran.stderr.splitlines()
    assert error == f"error: --judge teaches another network: no {options[0]} beside it"
    assert hint.startswith("hint: ")
    assert requests == []


def test_it_is_refused_beside_a_comparison(lipgan, requests, tmp_path):
    ran = lipgan("train", "--compare", "a", "--judge", tmp_path / "j")
    assert ran.code == 2
    assert requests == []


def test_a_judge_from_the_command_line(lipgan, prepare_toy, tmp_path, monkeypatch):
    monkeypatch.setattr(of_run, "CLIPS", 1)
    data = prepare_toy({"s1/a": 40, "s2/b": 40, "s2/c": 40}, test=("s2/b", "s2/c"))
    file = tmp_path / "a [1] ü.safetensors"
    ran = lipgan("train", "--judge", file, "--data", data, "--iterations", 1, "--json")
    assert (ran.code, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert told["file"] == str(file)
    assert told["figures"].keys() == {"s2", "all"}
    assert told["figures"]["all"]["clips"] == 2
    load_judge(file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "nowhere"], "nowhere is not a prepared dataset"),
        ([], "there is no prepared dataset"),
        (["--data", "toy", "--subset", "some"], "there is no subset 'some'"),
        (["--data", "toy", "--subset", "test"], "the subset test of toy is empty"),
        (["--data", "toy"], "no clip has a second of faces"),
        (["--data", "toy", "--iterations", 0], "nothing in 0 iterations"),
        (["--data", "toy", "--device", "abacus"], "abacus"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    lipgan, prepare_toy, tmp_path, monkeypatch, options, message
):
    prepare_toy({"s1/a": 8})
    monkeypatch.chdir(tmp_path)
    ran = lipgan("train", "--judge", "judge", *options)
    assert (ran.code, ran.stdout) == (2, "")
    error, hint = ran.stderr.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert hint.startswith("hint: ")
    assert not (tmp_path / "judge").exists()


def test_a_file_that_is_there_is_kept(lipgan, tmp_path):
    file = tmp_path / "judge"
    file.write_text("mine")
    ran = lipgan("train", "--judge", file)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[0] == f"error: {file} exists already"
    assert file.read_text() == "mine"


def test_a_folder_is_no_file(lipgan, tmp_path):
    ran = lipgan("train", "--judge", tmp_path)
    assert ran.code == 2
    assert ran.stderr.splitlines()[0] == f"error: {tmp_path} is a folder, not a file"
