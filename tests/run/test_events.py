"""TensorBoard's event files: an extra that may be missing."""

from __future__ import annotations

import sys

import pytest

from lipgan_cli.engine.run.events import open_events
from lipgan_cli.engine.run.log import open_log

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def scalars(run):
    events = accumulator.EventAccumulator(str(run / "tensorboard")).Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_the_log_goes_to_tensorboard_too(tmp_path):
    with open_log(tmp_path, 0, tensorboard=True) as log:
        log.write(20, {"psnr": 15.5, "words": "no"})
        log.write(40, {"psnr": 16.5})
        log.write(40, {"evaluation": {"s1": {"right": 20.5}}})
    assert scalars(tmp_path) == {
        "psnr": [(20, 15.5), (40, 16.5)],
        "evaluation/s1/right": [(40, 20.5)],
    }


def test_without_being_asked_there_are_no_events(tmp_path):
    with open_log(tmp_path, 0) as log:
        log.write(20, {"psnr": 15.5})
    assert not (tmp_path / "tensorboard").exists()


def test_a_lost_stretch_is_hidden(tmp_path):
    for first, value in ((0, 1.0), (20, 2.0)):
        with open_events(tmp_path, first) as events:
            for iteration in (first + 20, first + 40):
                events.write(iteration, {"x": value})
    assert scalars(tmp_path) == {"x": [(20, 1.0), (40, 2.0), (60, 2.0)]}


def test_tensorboard_that_is_missing_is_told_before_a_run_begins(
    lipgan, home, prepare_toy, monkeypatch
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    ran = lipgan("train", "--data", prepare_toy({"s1/a": 14}), "--tensorboard")
    assert ran.code == 2
    error, hint = ran.stderr.splitlines()
    assert "TensorBoard cannot be used" in error
    assert hint == "hint: pip install 'lipgan-cli[tensorboard]'"
    assert not (home / "runs").exists()
