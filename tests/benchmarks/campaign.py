"""How fast many messages on one recording are: `python tests/benchmarks/campaign.py [MESSAGES]`.

A presenter of 1280x720 at 25 fps, 10 s, says MESSAGES (100) messages of 5 s: first each a sound of
its own, then a text in which one phrase of some 4 s is the same in all (with espeak-ng, where it is
installed), then the same texts with nothing shared, then a few of the first as separate runs of
`lipgan sync`. At last comes the memory: a small presenter of 2 s, a narrow network, and 1,000 brief
texts with a shared phrase, beside 100 of them; `--no-memory` leaves them out, `--memory` all else.
All are processes of their own, with a cache of their own.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from imageio_ffmpeg import get_ffmpeg_exe
from sync import make_clip, make_speech

from lipgan_cli.engine.gan.generator import Generator
from lipgan_cli.engine.gan.packing import save_packed

SECONDS = 5
SEPARATE = 4
NAMES = ("Anna", "Bob", "Clara", "David", "Emma", "Frank", "Greta", "Henry", "Ida", "Jonas")
TEXT = "Hello {name}! Your parcel has left our house, and will be with you in a few days from now."
BRIEF = "Hello {name}! See you soon."


def main() -> None:
    """Print the figures."""
    counts = [int(word) for word in sys.argv[1:] if word.isdecimal()] or [100]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["LIPGAN_HOME"] = str(folder / "home")
        if "--memory" not in sys.argv:
            speed(counts[0], folder)
        if "--no-memory" not in sys.argv:
            memory(folder)


def speed(count: int, folder: Path) -> None:
    """Print how fast messages are."""
    face = make_clip(folder / "presenter.mp4", 10)
    sounds = [make_speech(folder / f"{k}.wav", SECONDS, 100 + k % 60) for k in range(count)]
    report("sounds", face, table(folder, ("audio",), ([each.name] for each in sounds)), folder)
    if shutil.which("espeak-ng"):
        messages = table(folder, ("name",), ([name(k)] for k in range(count)))
        report("texts", face, messages, folder, "--text", TEXT)
        report("unshared", face, messages, folder, "--text", TEXT, "--pause", "0.3")
    separate(face, sounds[:SEPARATE], folder)


def memory(folder: Path) -> None:
    """Print the peak memory of few and of many messages."""
    weights = folder / "narrow.safetensors"
    save_packed(Generator(4).state_dict(), weights, {})
    large = make_clip(folder / "large.mp4", 2)
    small = folder / "small.mp4"
    command = [get_ffmpeg_exe(), "-v", "error", "-y", "-i", large, "-vf", "scale=320:180", small]
    subprocess.run(command, check=True)
    for count in (100, 1000):
        messages = table(folder, ("name",), ([f"{name(k)} {k}"] for k in range(count)))
        report(f"{count} small", small, messages, folder, "--text", BRIEF, "--weights", weights)


def name(number: int) -> str:
    """Return one of 100 names."""
    return f"{NAMES[number % 10]} {NAMES[number // 10 % 10]}"


def table(folder: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """Write a table of messages."""
    path = folder / "messages.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *columns])
        writer.writerows([f"m{number}", *row] for number, row in enumerate(rows))
    return path


def report(what: str, face: Path, messages: Path, folder: Path, *options: str | Path) -> None:
    """Print what a campaign took."""
    output = folder / "out"
    shutil.rmtree(output, ignore_errors=True)
    told, wall, peak = run(folder, face, "--messages", messages, "-o", output, *options)
    print(
        f"{what}: {told['made']} messages, {told['seconds']:.0f} s of video in {wall:.0f} s, "
        f"{told['seconds'] / wall:.2f} x real time, start-up "
        f"{(told['started'] + wall - told['elapsed']) / wall:.1%}, {peak:.0f} MB",
        flush=True,
    )


def separate(face: Path, sounds: Sequence[Path], folder: Path) -> None:
    """Print what the same messages take one by one; the faces are in the cache."""
    began, seconds = time.monotonic(), 0.0
    for sound in sounds:
        told, _, _ = run(folder, face, sound, "-o", folder / "one.mp4", "-f")
        seconds += told["seconds"]
    wall = time.monotonic() - began
    print(f"separate: {len(sounds)} runs, {seconds / wall:.2f} x real time", flush=True)


def run(folder: Path, *arguments: str | Path) -> tuple[dict[str, Any], float, float]:
    """Run the command; return its report, its seconds and its peak memory in MB."""
    report = folder / "report.json"
    started = time.monotonic()
    with report.open("wb") as written:
        command = [sys.executable, "-m", "lipgan_cli", "sync", *arguments, "--json", "-q"]
        process = subprocess.Popen(command, stdout=written)
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    if status:
        raise SystemExit(f"lipgan sync ended with {os.waitstatus_to_exitcode(status)}")
    return json.loads(report.read_bytes()), wall, usage.ru_maxrss / 1000


if __name__ == "__main__":
    main()
