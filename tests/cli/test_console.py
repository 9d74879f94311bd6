"""Results on stdout, talk on stderr, progress only where it can be drawn."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from lipgan_cli.cli import bars, console
from lipgan_cli.engine.progress import Silent


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Summary:
    output: Path
    psnr: float
    rate: Fraction
    colour: Colour
    parts: tuple[int, ...]


def test_json_holds_dataclasses_paths_and_numbers(capsys):
    summary = Summary(Path("a[b] ü.mp4"), float("inf"), Fraction(25, 2), Colour.RED, (1, 2))
    console.print_json({"summary": summary, "nothing": None, "yes": True})
    captured = capsys.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out) == {
        "summary": {
            "output": "a[b] ü.mp4",
            "psnr": None,
            "rate": 12.5,
            "colour": "red",
            "parts": [1, 2],
        },
        "nothing": None,
        "yes": True,
    }
    assert "ü" in captured.out


def test_json_takes_the_numbers_of_numpy(capsys):
    console.print_json([np.float32(0.5), np.int64(3), np.bool_(True), np.array([1.5, np.nan])])
    assert json.loads(capsys.readouterr().out) == [0.5, 3, True, [1.5, None]]


def test_json_refuses_what_it_does_not_know():
    with pytest.raises(TypeError, match="object cannot be printed as JSON"):
        console.print_json({"thing": object()})


def test_a_table_is_aligned_and_literal(capsys):
    console.table(["clip", "PSNR"], [["a[b].mp4", "26.3"], ["[red]c", "7.25"]], title="mouth")
    assert capsys.readouterr().out.splitlines() == [
        "mouth",
        "clip      PSNR",
        "───────────────",
        "a[b].mp4  26.3",
        "[red]c    7.25",
    ]


def test_a_table_is_as_wide_as_it_must_be(capsys):
    name = "x" * 300
    console.table(["clip", "why"], [[name, "no face " * 30]])
    assert f"{name}  {'no face ' * 30}".rstrip() in capsys.readouterr().out.splitlines()


def test_notes_are_plain_lines_on_stderr(capsys):
    progress = console.progress(quiet=False)
    with progress.task("preparing [1]", total=3, unit="clips") as task:
        task.advance()
        task.show(loss=0.5)
        progress.note("left out a[b].mp4\nno face")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "left out a[b].mp4\\nno face\n"


def test_quiet_says_nothing(capsys):
    progress = console.progress(quiet=True)
    assert isinstance(progress, Silent)
    with progress.task("preparing", total=3) as task:
        task.advance()
        progress.note("a remark")
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def drawn(screen) -> bars.TerminalProgress:
    terminal = Console(file=screen, force_terminal=True, width=140)
    return bars.TerminalProgress(terminal)


def test_a_terminal_sees_count_rate_times_and_figures(drawn, screen):
    with drawn.task("training [small]", total=4, unit="steps") as task:
        for _ in range(4):
            task.advance()
        task.show(loss=0.12345, psnr=31.0)
        drawn.note("kept [a]\x1b[2J")
    text = screen.getvalue()
    assert "training [small]" in text
    assert "4/4 steps" in text
    assert "/s" in text
    assert "0:00:00" in text
    assert "loss 0.1235  psnr 31" in text
    assert "kept [a]\\x1b[2J" in text


def test_a_narrow_terminal_has_a_line_a_task_and_wraps_the_figures(screen):
    terminal = Console(file=screen, force_terminal=True, width=80, color_system=None)
    with bars.TerminalProgress(terminal).task("training x", 1200, "iterations") as task:
        task.advance(600)
        task.show(**{f"critic_loss_{i}": 0.1234 for i in range(6)})
    last = screen.getvalue().split("\x1b[2K")[-1].splitlines()
    assert last[0].startswith("training x")
    assert "600/1200 iterations" in last[0]
    assert max(len(line) for line in last) <= 80
    assert "critic_loss_0 0.1234  critic_loss_1 0.1234" in last[1]
    assert "critic_loss_5 0.1234" in last[2]


def test_bytes_are_drawn_in_their_units(drawn, screen):
    with drawn.task("weights", total=95_628_359, unit="B") as task:
        task.advance(1_500_000)
    assert "1.5 MB/95.6 MB" in screen.getvalue()


def test_a_total_may_be_unknown(drawn, screen):
    with drawn.task("reading", unit="frames") as task:
        task.advance(7)
    assert "7 frames" in screen.getvalue()


def test_tasks_nest_and_follow_each_other(drawn, screen):
    with drawn.task("epochs", total=2) as outer:
        for epoch in range(2):
            with drawn.task(f"epoch {epoch}", total=1) as inner:
                inner.advance()
            outer.advance()
    with drawn.task("scoring", total=1) as task:
        task.advance()
    for name in ("epochs", "epoch 0", "epoch 1", "scoring"):
        assert name in screen.getvalue()


def test_the_cursor_comes_back_after_an_error(drawn, screen):
    with pytest.raises(KeyboardInterrupt), drawn.task("work", total=2):
        raise KeyboardInterrupt
    assert screen.getvalue().rstrip().endswith("\x1b[?25h")
