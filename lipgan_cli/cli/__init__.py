"""The command line: the one place that turns errors into text and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer

from lipgan_cli.cli import cache, console, prep, score, sync, train, verify, weights
from lipgan_cli.engine.errors import FaultsError, LipganError

INTERRUPTED = 130
DEBUG = "LIPGAN_DEBUG"

app = typer.Typer(
    name="lipgan",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from lipgan_cli.cli.about import facts

        console.print_result("\n".join(f"{name:<10}{value}" for name, value in facts()))
        raise typer.Exit


@app.callback()
def lipgan(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print versions, the device and the folders in use (for bug reports), and exit.",
        ),
    ] = False,
) -> None:
    """Make a filmed person, or a photo, speak a new audio track."""


app.command("prep", short_help="Videos to faces, mels and subsets.")(prep.prep)
app.command("train", short_help="Train a variant on a subset, or resume a run.")(train.train)
app.command("sync", short_help="A face and a speech to a video.")(sync.sync)
app.command("score", short_help="PSNR, SSIM and FID of folders, videos or a model.")(score.score)
app.command("download-weights", short_help="Fetch and verify networks of others.")(
    weights.download_weights
)
app.command("verify", short_help="Marks, signer and changes of a video.")(verify.verify)
app.command("cache", short_help="What is kept to make the next run faster.")(cache.cache)


def main() -> None:
    """Run `lipgan` with the process's own arguments, and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run `lipgan` with `arguments` and return its exit code.

    0 done, 1 a failure, 2 bad input, 130 Ctrl-C, 128 + n stopped by signal n.
    """
    stopped: list[int] = []
    code = 0
    _print_undecodable_names()
    try:
        with _stop_signals(stopped):
            app(list(arguments), prog_name="lipgan")
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except LipganError as error:
        _print_traceback_if_asked()
        more = error.faults if isinstance(error, FaultsError) else ()
        console.print_error(error.message, error.hint, more)
        code = error.exit_code
    except Exception as error:
        _print_traceback_if_asked()
        console.print_error(*_unforeseen(error))
        code = 1
    if code == INTERRUPTED:
        code = 128 + stopped[0] if stopped else INTERRUPTED
        console.print_note("terminated" if stopped else "interrupted")
    return code if _flushed() else 1


@contextmanager
def _stop_signals(stopped: list[int]) -> Iterator[None]:
    """Make the signals that ask a process to end do what Ctrl-C does, so that cleanups run.

    A signal is added to `stopped`. One that the caller ignores (nohup) stays ignored.
    """
    owner = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked worker, which nobody waits for: it just ends
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        stopped.append(number)
        on_ctrl_c = signal.getsignal(signal.SIGINT)
        if callable(on_ctrl_c):  # a command may have its own, to end an iteration first
            on_ctrl_c(number, frame)
        else:
            raise KeyboardInterrupt

    names = ("SIGTERM", "SIGHUP")
    wanted = [getattr(signal, name) for name in names if hasattr(signal, name)]
    mine = [number for number in wanted if signal.getsignal(number) is signal.SIG_DFL]
    for number in mine:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


def _unforeseen(error: Exception) -> tuple[str, str]:
    """Message and hint for an error that the engine did not foresee."""
    hint = f"set {DEBUG}=1 and run it again for the traceback"
    if isinstance(error, OSError) and error.strerror:
        named = isinstance(error.filename, (str, bytes, os.PathLike))
        where = f"{os.fsdecode(error.filename)}: " if named else ""
        return f"{where}{error.strerror}", hint
    return f"internal error: {type(error).__name__}: {error}", hint


def _print_traceback_if_asked() -> None:
    if os.environ.get(DEBUG, "0") not in {"", "0"}:
        traceback.print_exc()


def _print_undecodable_names() -> None:
    """Let stdout print file names that are not valid text as the bytes that they are."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")


def _flushed() -> bool:
    """Whether all output went out; a reader that has gone (`| head`) is no reason to complain."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer would be tried again at exit, with a complaint on stderr.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
