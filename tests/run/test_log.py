"""The log: lines of JSON that a crash may cut short, and that a resumed run goes on with."""

from __future__ import annotations

import json
import math

from lipgan_cli.engine.run import log as module
from lipgan_cli.engine.run.log import log_file, log_lines, open_log


def clock(monkeypatch, *times):
    """Let the log's clock tell these seconds, one after the other."""
    left = iter(times)
    monkeypatch.setattr(module.time, "monotonic", lambda: next(left))


def test_a_line_has_its_iteration_and_the_seconds_of_training(tmp_path, monkeypatch):
    clock(monkeypatch, 100, 103.26, 110)
    with open_log(tmp_path, 0) as log:
        log.write(20, {"psnr": 15.5})
        log.write(40, {"evaluation": {"all": {"right": 20.0}}})
    assert [json.loads(line) for line in log_file(tmp_path).read_text().splitlines()] == [
        {"iteration": 20, "seconds": 3.3, "psnr": 15.5},
        {"iteration": 40, "seconds": 10.0, "evaluation": {"all": {"right": 20.0}}},
    ]


def test_a_line_can_be_read_as_soon_as_it_is_written(tmp_path):
    with open_log(tmp_path, 0) as log:
        log.write(20, {"psnr": 15.5})
        assert next(log_lines(tmp_path))["psnr"] == 15.5


def test_a_resumed_run_drops_the_lost_stretch_and_counts_seconds_on(tmp_path, monkeypatch):
    clock(monkeypatch, 0, 5, 9, 1000, 1002)
    with open_log(tmp_path, 0) as log:
        log.write(20, {"psnr": 15.5})
        log.write(40, {"psnr": 16.5})
    with open_log(tmp_path, 20) as log:
        log.write(40, {"psnr": 17.5})
    assert list(log_lines(tmp_path)) == [
        {"iteration": 20, "seconds": 5.0, "psnr": 15.5},
        {"iteration": 40, "seconds": 7.0, "psnr": 17.5},
    ]


def test_what_is_no_line_of_a_log_is_left_out(tmp_path):
    good = ['{"iteration": 1, "x": NaN}', '{"iteration": 2.0}']
    bad = ['{"itera', "[1]", "7", '{"x": 1}', '{"iteration": "3"}', '{"iteration": NaN}', "", '"']
    text = "\n".join([good[0], *bad, good[1], '{"iteration": 4'])
    log_file(tmp_path).write_bytes(text.encode() + b"\xff")
    first, second = list(log_lines(tmp_path))
    assert math.isnan(first["x"])
    assert second == {"iteration": 2.0}


def test_a_run_without_a_log_has_no_lines(tmp_path):
    assert list(log_lines(tmp_path)) == []
