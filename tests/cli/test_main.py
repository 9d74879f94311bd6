"""The frame of the command line: help, version, errors, exit codes, signals."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

import lipgan_cli
from lipgan_cli import cli
from lipgan_cli.cli import console
from lipgan_cli.engine.errors import InputError, LipganError

COMMANDS = {"prep", "train", "sync", "score", "download-weights", "verify", "cache"}
HEAVY = {
    *("torch", "torchvision", "cv2", "dlib", "av", "librosa", "skimage", "numpy", "scipy"),
    "matplotlib",
}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Make a function the whole of the command line."""

    def replace(function: Callable[[], None]) -> None:
        app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
        app.command()(function)
        monkeypatch.setattr(cli, "app", app)

    return replace


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_help_names_the_commands(lipgan):
    ran = lipgan("--help")
    assert ran.code == 0
    assert ran.stderr == ""
    listed = {line.split()[0] for line in ran.stdout.split("Commands:")[1].splitlines() if line}
    assert listed == COMMANDS


@pytest.mark.parametrize("command_name", sorted(COMMANDS))
def test_every_command_has_help_and_quiet(lipgan, command_name):
    ran = lipgan(command_name, "--help")
    assert ran.code == 0
    assert f"Usage: lipgan {command_name}" in ran.stdout
    assert "--quiet" in ran.stdout


def test_help_is_fast_and_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from lipgan_cli.cli import run\n"
        "assert run(['--help']) == 0\n"
        f"print(sorted(set({sorted(HEAVY)!r}) & set(sys.modules)), file=sys.stderr)"
    )
    seconds = []
    for _ in range(6):
        began = os.times()
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        ended = os.times()
        assert (ran.returncode, ran.stderr) == (0, "[]\n")
        # Processor time, which does not depend on what else the machine does.
        used = ended.children_user + ended.children_system
        seconds.append(used - began.children_user - began.children_system)
    assert min(seconds) < 0.3


def test_without_arguments_shows_the_help(lipgan):
    ran = lipgan()
    assert ran.code == 2
    assert "Usage: lipgan" in ran.stdout + ran.stderr


def test_version_tells_what_a_bug_report_needs(lipgan, home: Path):
    ran = lipgan("--version")
    assert ran.code == 0
    told = {line.split()[0]: line.split(None, 1)[1] for line in ran.stdout.splitlines()}
    names = ["lipgan", "Python", "torch", "ffmpeg", "dlib", "device", "datasets", "runs", "weights"]
    assert list(told) == names
    assert told["lipgan"] == lipgan_cli.__version__
    assert "does not load" not in ran.stdout
    assert "bf16" in told["device"]
    assert told["datasets"] == str(home / "datasets")


def test_version_survives_a_broken_library(lipgan, monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    ran = lipgan("--version")
    assert ran.code == 0
    assert "dlib      does not load (ModuleNotFoundError" in ran.stdout


def test_the_module_runs_as_a_program():
    ran = subprocess.run(
        [sys.executable, "-m", "lipgan_cli", "--help"], capture_output=True, text=True
    )
    assert ran.returncode == 0
    assert "Usage: lipgan " in ran.stdout


def test_completion_is_offered(lipgan):
    assert "--install-completion" in lipgan("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["snyc"], "No such command 'snyc'"),
        (["--nonsense"], "No such option: --nonsense"),
        (["train", "--nonsense"], "No such option: --nonsense"),
    ],
)
def test_usage_errors_exit_with_2(lipgan, arguments, said):
    ran = lipgan(*arguments)
    assert ran.code == 2
    assert ran.stdout == ""
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_bad_input_is_one_line_and_a_hint(lipgan, command):
    command(raising(InputError("a[b].mp4 is not a video", "give a video or a photo")))
    assert lipgan() == (2, "", "error: a[b].mp4 is not a video\nhint: give a video or a photo\n")


def test_a_failure_exits_with_1(lipgan, command):
    command(raising(LipganError("the encoder stopped at frame 12 (0.48 s)")))
    assert lipgan() == (1, "", "error: the encoder stopped at frame 12 (0.48 s)\n")


def test_what_the_user_typed_is_printed_literally_and_on_one_line(lipgan, command):
    command(raising(InputError("[bold]x[/bold] a\nb\x1b[31m.mp4 \udcff ü 嘴", "see [link]")))
    assert lipgan().stderr == (
        "error: [bold]x[/bold] a\\nb\\x1b[31m.mp4 \\udcff ü 嘴\nhint: see [link]\n"
    )


def test_an_unforeseen_error_is_one_line(lipgan, command):
    command(raising(ZeroDivisionError("float\ndivision")))
    ran = lipgan()
    assert (ran.code, ran.stdout) == (1, "")
    assert ran.stderr == (
        "error: internal error: ZeroDivisionError: float\\ndivision\n"
        "hint: set LIPGAN_DEBUG=1 and run it again for the traceback\n"
    )


def test_an_error_of_the_system_names_the_file(lipgan, command):
    command(raising(OSError(errno.ENOSPC, "No space left on device", "/full/out.mp4")))
    ran = lipgan()
    assert ran.code == 1
    assert ran.stderr.startswith("error: /full/out.mp4: No space left on device\n")


@pytest.mark.parametrize("error", [ValueError("boom"), InputError("bad"), LipganError("worse")])
def test_the_traceback_is_there_for_the_asking(lipgan, command, monkeypatch, error):
    monkeypatch.setenv("LIPGAN_DEBUG", "1")
    command(raising(error))
    assert "Traceback (most recent call last)" in lipgan().stderr
    monkeypatch.setenv("LIPGAN_DEBUG", "0")
    assert "Traceback" not in lipgan().stderr


def test_ctrl_c_exits_with_130(lipgan, command):
    command(raising(KeyboardInterrupt()))
    assert lipgan() == (130, "", "interrupted\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_a_process_let_it_clean_up(lipgan, command, tmp_path, number):
    left = tmp_path / "left.part"

    def work() -> None:
        left.touch()
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            left.unlink()

    command(work)
    outside = signal.signal(number, signal.SIG_DFL)  # whoever runs the tests may ignore it
    try:
        assert lipgan() == (128 + number, "", "terminated\n")
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, outside)
    assert not left.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_signal_goes_to_a_command_that_handles_ctrl_c_itself(lipgan, command):
    heard = []

    def work() -> None:
        before = signal.signal(signal.SIGINT, lambda *_: heard.append("once"))
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            heard.append("saved")
            raise KeyboardInterrupt
        finally:
            signal.signal(signal.SIGINT, before)

    command(work)
    assert lipgan() == (143, "", "terminated\n")
    assert heard == ["once", "saved"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_signal_ends_the_run_where_ctrl_c_is_ignored(lipgan, command):
    def work() -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        finally:
            signal.signal(signal.SIGINT, before)

    command(work)
    assert lipgan().code == 143


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_worker_just_ends_on_a_signal(lipgan, command):
    ready, tell = os.pipe()

    def work() -> None:
        worker = os.fork()
        if worker == 0:
            os.write(tell, b".")
            time.sleep(10)
            os._exit(0)
        os.read(ready, 1)
        os.kill(worker, signal.SIGTERM)
        _, status = os.waitpid(worker, 0)
        console.print_result(os.WTERMSIG(status))

    command(work)
    assert lipgan() == (0, f"{signal.SIGTERM.value}\n", "")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no /dev/full nor SIGPIPE")
def test_a_reader_that_has_gone_is_no_reason_to_complain():
    code = (
        "import sys, typer\n"
        "from lipgan_cli import cli\n"
        "app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)\n"
        "@app.command()\n"
        "def many():\n"
        "    for _ in range(100_000): cli.console.print_result('x' * 100)\n"
        "cli.app = app\n"
        "sys.exit(cli.run([]))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_a_file_name_that_is_no_text_is_printed_as_it_is():
    code = (
        "import sys, typer\n"
        "from lipgan_cli import cli\n"
        "app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)\n"
        "@app.command()\n"
        "def name(): cli.console.print_result('out\\udcff.mp4')\n"
        "cli.app = app\n"
        "sys.exit(cli.run([]))\n"
    )
    environment = {**os.environ, "PYTHONUTF8": "1"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"out\xff.mp4\n", b"")
