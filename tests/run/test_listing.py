"""The list of runs: what each is, how far it is, and folders that are damaged."""

from __future__ import annotations

import json
import os

import pytest

from lipgan_cli.engine.config import TrainConfig, Variant
from lipgan_cli.engine.run.listing import list_runs

EVALUATIONS = [
    {"iteration": 20, "evaluation": {"all": {"right": 20.0, "gap_to_swapped": 0.5}}},
    {"iteration": 40, "evaluation": {"all": {"right": 22.0, "gap_to_swapped": -0.001}}},
    {"iteration": 60, "evaluation": {"all": {"right": 21.0, "gap_to_swapped": 0.9}, "x": 1}},
]


@pytest.fixture
def make_run(home):
    """Write a run's folder: `make_run("a", [{"iteration": 20}], iterations=100)`."""

    def make(name, lines=(), *, dataset="nowhere", changed=1_700_000_000, **settings):
        run = home / "runs" / name
        run.mkdir(parents=True)
        config = TrainConfig(Variant.L1, str(dataset), "small", **settings)
        (run / "config.json").write_text(config.to_json())
        if lines:
            (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        for path in (*run.iterdir(), run):
            os.utime(path, (changed, changed))
        return run

    return make


def test_a_run_tells_how_far_it_is_and_its_best_evaluation(make_run):
    run = make_run("a", [*EVALUATIONS, {"iteration": 70, "psnr": 30.0}], iterations=100)
    (summary,) = list_runs()
    assert (summary.name, summary.folder) == ("a", run)
    assert (summary.variant, summary.subset) == ("l1", "small")
    assert (summary.iterations, summary.planned) == (70, 100)
    assert (summary.mouth_psnr, summary.gap_to_swapped) == (22.0, -0.001)
    assert summary.changed.timestamp() == 1_700_000_000
    assert summary.problem == ""


def test_a_log_cut_short_counts_up_to_there(make_run):
    run = make_run("a", [{"iteration": 20}], iterations=100)
    with (run / "log.jsonl").open("a") as file:
        file.write('{"iteration": 40, "evaluation": {"al')
    (summary,) = list_runs()
    assert (summary.iterations, summary.mouth_psnr) == (20, None)


def test_a_checkpoint_counts_where_the_log_is_behind(make_run):
    run = make_run("a", [{"iteration": 20}], iterations=100)
    for name in ("00000031", "00000050", "junk"):
        (run / "checkpoints" / name).mkdir(parents=True)
        if name != "00000050":  # which was not finished
            (run / "checkpoints" / name / "state.json").write_text("{}")
    assert list_runs()[0].iterations == 31


def test_epochs_are_counted_on_the_dataset(make_run, prepare_toy):
    data = prepare_toy({"s1/a": 14, "s1/b": 10})
    make_run("known", dataset=data, epochs=3, batch=5)
    make_run("unknown", epochs=3)
    planned = {summary.name: summary.planned for summary in list_runs()}
    assert planned == {"known": 3 * (24 // 5), "unknown": None}


def test_the_last_changed_is_first(make_run):
    for name, changed in (("b", 100), ("c", 300), ("a", 100), ("d", 200)):
        make_run(name, changed=changed)
    assert [summary.name for summary in list_runs()] == ["c", "d", "a", "b"]


def test_damaged_folders_are_listed_with_the_reason(make_run, home):
    make_run("good", iterations=5)
    make_run("unknown key").joinpath("config.json").write_text('{"colour": 1}')
    make_run("cut short").joinpath("config.json").write_text('{"variant": ')
    make_run("not text").joinpath("config.json").write_bytes(b"\xff\xfe\x00")
    make_run("log is a folder").joinpath("log.jsonl").mkdir()
    (home / "runs" / "empty").mkdir()
    (home / "runs" / ".half.part").mkdir()
    (home / "runs" / "a file").write_text("")
    problems = {summary.name: summary.problem for summary in list_runs()}
    assert problems.pop("good") == ""
    assert problems.pop("empty") == "it has no config.json"
    assert "unknown settings in a run's config: colour" in problems.pop("unknown key")
    assert "a run's config cannot be read" in problems.pop("cut short")
    assert problems.keys() == {"not text", "log is a folder"}
    assert all(problems.values())


def test_the_command_prints_a_table(lipgan, make_run, home):
    make_run("[b]x", EVALUATIONS, iterations=100)
    make_run("fresh", changed=1_600_000_000)
    ran = lipgan("train", "--list")
    assert (ran.code, ran.stderr) == (0, "")
    head, _, *rows = ran.stdout.splitlines()
    assert head.split("  ")[0] == "run"
    assert "problem" not in head
    assert [row.split()[:7] for row in rows] == [
        ["[b]x", "l1", "small", "60", "100", "22.00", "+0.00"],
        ["fresh", "l1", "small", "0", "-", "-", "-"],
    ]
    (home / "runs" / "empty").mkdir()
    assert "it has no config.json" in lipgan("train", "--list").stdout


def test_json_gives_data(lipgan, make_run):
    run = make_run("a", EVALUATIONS, iterations=100)
    ran = lipgan("train", "--list", "--json")
    (told,) = json.loads(ran.stdout)
    changed = told.pop("changed")
    assert changed.startswith("2023-11-1")
    assert told == {
        "name": "a",
        "folder": str(run),
        "iterations": 60,
        "planned": 100,
        "variant": "l1",
        "subset": "small",
        "mouth_psnr": 22.0,
        "gap_to_swapped": -0.001,
        "problem": "",
    }


def test_without_runs_the_list_is_empty(lipgan, home):
    ran = lipgan("train", "--list")
    assert (ran.code, ran.stdout) == (0, "")
    assert ran.stderr == f"there are no runs in {home / 'runs'}\n"
    assert lipgan("train", "--list", "--json").stdout == "[]\n"
    assert not (home / "runs").exists()
