"""`lipgan prep`: what it prints, where it writes, how it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lipgan_cli.cli.prep import _offset_lines
from lipgan_cli.engine import prepare as module
from lipgan_cli.engine.data.shelf import ClipOffset, LeftOut
from lipgan_cli.engine.prepare import PrepareRequest, PrepareSummary

Lipgan = Callable[..., Any]

OFFSETS = (
    ClipOffset("s1/a", 3.0, 0.4),
    ClipOffset("s1/[b]", 80.4, 0.3),
    ClipOffset("s1/c", -81.2, 0.2),
    ClipOffset("s2/d", None, None),
    ClipOffset("s2/e", 20.6, 0.4),
    ClipOffset("s2/[f]", -480.0, 0.1),
)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[PrepareRequest]:
    """Let the engine do nothing but record what it was asked."""
    asked: list[PrepareRequest] = []

    def prepare(request: PrepareRequest, progress: object) -> PrepareSummary:
        asked.append(request)
        return PrepareSummary(
            dataset=request.output,
            prepared=3,
            present=2,
            left_out=(
                LeftOut(Path("a[b].mp4"), "no face in 75 frames"),
                LeftOut(Path("c.mp4"), "no face in 75 frames"),
                LeftOut(Path("d.mp4"), "has no audio track"),
            ),
            frames_without_face=4,
            video_seconds=9.0,
            seconds=0.5,
            times_real_time=18.0,
            subsets={"small": 1, "full": 4, "test": 1},
            offsets=OFFSETS,
        )

    monkeypatch.setattr(module, "prepare", prepare)
    return asked


def test_the_dataset_is_the_result_and_the_rest_is_talk(
    lipgan: Lipgan, requests: list[PrepareRequest], home: Path, tmp_path: Path
) -> None:
    (tmp_path / "GRID").mkdir()
    ran = lipgan("prep", tmp_path / "GRID")
    assert ran.code == 0
    assert ran.stdout == f"{home / 'datasets' / 'GRID'}\n"
    assert ran.stderr.splitlines() == [
        "left out: a[b].mp4 and 1 more: no face in 75 frames",
        "left out: d.mp4: has no audio track",
        "3 clips prepared, 2 were there, 3 left out; 9 s of video in 0 s, 18.0 times real time",
        "sound against picture: 12 ms late at the median, within a frame (40 ms) in 2 of 4 clips",
        "furthest apart: s1/c 81 ms early, s1/[b] 80 ms late; all are in --json and offsets.json",
        "sound and picture do not fit together in 1 clip: s2/[f]",
        "too short, or too little sound, to be judged: 1 clip",
        "clips: 1 in small, 4 in full, 1 in test",
    ]


@pytest.mark.parametrize(
    ("late", "lines"),
    [
        ([], []),
        ([None, None], ["too short, or too little sound, to be judged: 2 clips"]),
        ([-40.0], ["40 ms early at the median, within a frame (40 ms) in 1 of 1 clip"]),
        (
            [50.0, -60.0, 70.0, -80.0, 90.0, 100.0, 0.0],
            [
                "50 ms late at the median, within a frame (40 ms) in 1 of 7 clips",
                "s1/5 100 ms late, s1/4 90 ms late, s1/3 80 ms early, s1/2 70 ms late, s1/1 60 ms",
            ],
        ),
    ],
)
def test_the_worst_offsets_are_told(late: list[float | None], lines: list[str]) -> None:
    offsets = [ClipOffset(f"s1/{n}", each, 0.5) for n, each in enumerate(late)]
    told = list(_offset_lines(offsets))
    assert len(told) == len(lines)
    for line, expected in zip(told, lines, strict=True):
        assert expected in line


def test_unclear_clips_do_not_count_and_are_told() -> None:
    offsets = [ClipOffset(f"s1/{n}", 500.0, 0.1) for n in range(7)]
    assert list(_offset_lines(offsets)) == [
        "sound and picture do not fit together in 7 clips: s1/0, s1/1, s1/2, s1/3, s1/4, ..."
    ]
    clear = [ClipOffset("s1/a", -20.0, 0.15), ClipOffset("s1/b", None, None)]
    assert list(_offset_lines([*offsets[:5], *clear])) == [
        "sound against picture: 20 ms early at the median, within a frame (40 ms) in 1 of 1 clip",
        "sound and picture do not fit together in 5 clips: s1/0, s1/1, s1/2, s1/3, s1/4",
        "too short, or too little sound, to be judged: 1 clip",
    ]


def test_quiet_and_json(lipgan: Lipgan, requests: list[PrepareRequest], tmp_path: Path) -> None:
    ran = lipgan("prep", tmp_path, "-o", tmp_path / "out", "--quiet", "--json")
    assert (ran.code, ran.stderr) == (0, "")
    data = json.loads(ran.stdout)
    assert data["dataset"] == str(tmp_path / "out")
    assert data["prepared"] == 3
    assert data["times_real_time"] == 18
    assert data["subsets"] == {"small": 1, "full": 4, "test": 1}
    assert data["left_out"][0]["reason"] == "no face in 75 frames"
    assert data["offsets"][0] == {"key": "s1/a", "offset_ms": 3.0, "confidence": 0.4}
    assert data["offsets"][3] == {"key": "s2/d", "offset_ms": None, "confidence": None}


def test_every_option_reaches_the_engine(
    lipgan: Lipgan, requests: list[PrepareRequest], home: Path, tmp_path: Path
) -> None:
    options = ["--name", "mine", "--test-dir", "tests", "--jobs", 3]
    options += ["--max-offset", 80.5]
    assert lipgan("prep", "in", *options, "--small", 1, "--full", 2, "--test", 0).code == 0
    assert requests == [
        PrepareRequest(
            corpus=Path("in"),
            output=home / "datasets" / "mine",
            test_dir=Path("tests"),
            processes=3,
            small=1,
            full=2,
            test=0,
            max_offset_ms=80.5,
        )
    ]


def test_the_scheduler_reaches_the_engine_and_leaves_no_choice_of_processes(
    lipgan: Lipgan, requests: list[PrepareRequest]
) -> None:
    assert lipgan("prep", "in", "--scheduler", "tcp://host:8786").code == 0
    assert (requests[0].scheduler, requests[0].processes) == ("tcp://host:8786", 0)
    ran = lipgan("prep", "in", "--scheduler", "tcp://host:8786", "--jobs", 2)
    assert (ran.code, ran.stdout) == (2, "")
    assert "error: --jobs and --scheduler" in ran.stderr
    assert len(requests) == 1


def test_a_limit_of_0_is_no_limit_and_less_is_refused(
    lipgan: Lipgan, requests: list[PrepareRequest]
) -> None:
    assert lipgan("prep", "in", "--max-offset", 0).code == 0
    assert requests[0].max_offset_ms == 0
    ran = lipgan("prep", "in", "--max-offset", -1)
    assert (ran.code, ran.stdout) == (2, "")
    assert "--max-offset" in ran.stderr
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "missing does not exist"),
        (["empty"], "holds no video"),
        (["empty", "-o", "x", "--name", "y"], "--output and --name"),
        (["empty", "--name", "a/b"], "cannot name a dataset"),
        (["text.mp4"], "text.mp4 cannot be prepared: is not a video"),
        (["folder", "--test-dir", "missing"], "missing does not exist"),
        (["folder", "-o", "text.mp4"], "is a file"),
        (["folder", "-o", "folder"], "not a prepared dataset"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    lipgan: Lipgan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("this is no video\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a [1] ü.mp4").write_text("neither is this\n")
    ran = lipgan("prep", *arguments)
    assert ran.code == 2
    assert ran.stdout == ""
    errors = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in ran.stderr
