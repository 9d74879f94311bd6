"""How fast `lipgan sync` is, and where its time goes: `python tests/benchmarks/sync.py [DATA]`.

Makes a clip of 1280x720 at 25 fps, 20 s, with one moving face of 330 pixels, and 20 s of sound that
is taken for speech as often as not, and runs the command on them twice, in processes of its own:
the second run finds the faces in the cache. With DATA (the folder that holds grid/ and speech/) the
same for a GRID clip of 360x288, and the detector of the thesis on every frame (MMOD; where its
weights are installed) beside ours. The last lines are of the memory: a clip of 10 minutes and one
of 10 seconds; `--no-memory` leaves them out.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
import wave
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import cv2
import numpy as np

from lipgan_cli.engine.media.detectors import HogDetector, MmodDetector
from lipgan_cli.engine.media.landmarks import find_model
from lipgan_cli.engine.media.picture import luma
from lipgan_cli.engine.media.tracks import find_tracks
from lipgan_cli.engine.media.video import probe, read_frames

WIDTH, HEIGHT, FPS = 1280, 720, 25
SECONDS = 20


def main() -> None:
    """Print the figures."""
    data = next((Path(name) for name in sys.argv[1:] if not name.startswith("-")), None)
    with TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["LIPGAN_HOME"] = str(folder / "home")
        face = make_clip(folder / "face.mp4", SECONDS)
        speech = make_speech(folder / "speech.wav", SECONDS)
        report("1280x720, 20 s", face, speech, folder)
        report("without marks", face, speech, folder, "--no-provenance")
        if data is not None:
            grid = min((data / "grid" / "test" / "s1").iterdir())
            talk = repeated(data / "speech" / "jfk.flac", SECONDS, folder / "talk.wav")
            report("GRID 360x288, 20 s", grid, talk, folder)
            detection(grid)
        if "--no-memory" not in sys.argv:
            for seconds in (10, 600):
                clip = make_clip(folder / f"{seconds}.mp4", seconds)
                sound = make_speech(folder / f"{seconds}.wav", seconds)
                _, _, peak = run(clip, sound, folder / "out.mp4")
                print(f"peak memory, {seconds:4} s of 720p: {peak:.0f} MB")


def report(what: str, face: Path, speech: Path, folder: Path, *options: str) -> None:
    """Print the speed of a first and of a second run."""
    for order in ("first", "second"):
        told, wall, peak = run(face, speech, folder / "out.mp4", *options)
        steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in told["steps"].items())
        print(
            f"{what}, {order} run: {wall:.1f} s with start-up, {told['seconds'] / wall:.2f} x real "
            f"time, first frame after {told['first_frame'] + wall - told['elapsed']:.1f} s, "
            f"{peak:.0f} MB; {steps} s"
        )


def run(
    face: Path, speech: Path, output: Path, *options: str
) -> tuple[dict[str, Any], float, float]:
    """Run the command; return its report, its seconds and its peak memory in MB."""
    command = [sys.executable, "-m", "lipgan_cli", "sync", face, speech, "-o", output, *options]
    report = output.with_suffix(".json")
    started = time.monotonic()
    with report.open("wb") as written:
        process = subprocess.Popen([*command, "--json", "-q", "-f"], stdout=written)
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    if status:
        raise SystemExit(f"lipgan sync ended with {os.waitstatus_to_exitcode(status)}")
    return json.loads(report.read_bytes()), wall, usage.ru_maxrss / 1000


def detection(face: Path) -> None:
    """Print what it costs to find the face by key frames, and by MMOD on every frame."""
    frames = list(read_frames(probe(face)))
    started = time.perf_counter()
    find_tracks(frames, HogDetector())
    ours = (time.perf_counter() - started) / len(frames)
    weights = find_model("mmod_human_face_detector.dat")
    if weights is None:
        print(f"HOG on key frames {ours * 1000:.1f} ms a frame; no MMOD: the extra faces")
        return
    detector = MmodDetector(weights)
    started = time.perf_counter()
    for frame in frames[:10]:
        detector.detect(luma(frame), max(luma(frame).shape))
    theirs = (time.perf_counter() - started) / 10
    print(
        f"HOG on key frames {ours * 1000:.1f} ms a frame, MMOD on every frame "
        f"{theirs * 1000:.0f} ms: {theirs / ours:.0f} times"
    )


def make_clip(path: Path, seconds: int) -> Path:
    """Write a clip with a face of 330 pixels that moves before a wall, with a camera's noise."""
    from skimage import data

    head = cv2.resize(data.astronaut()[30:240, 110:320], (640, 640), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).normal(0, 2, (8, HEIGHT, WIDTH, 1))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast"}
        for number in range(seconds * FPS):
            picture = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
            left = 320 + round(60 * math.sin(number / 20))
            picture[60:700, left : left + 640] = head
            noisy = np.clip(np.rint(picture + grain[number % 8]), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(stream.encode())
    return path


def make_speech(path: Path, seconds: float, pitch: int = 120) -> Path:
    """Write a buzz with a pitch in Hz and the formants of a voice, in syllables."""
    times = np.arange(round(seconds * 16000)) / 16000
    buzz = sum(np.sin(2 * np.pi * pitch * k * times) * loud for k, loud in FORMANTS.items())
    syllables = np.clip(np.sin(2 * np.pi * 4 * times), 0, 1) * (times % 2 < 1.5)
    return write(path, 0.2 * buzz * syllables)


FORMANTS = {k: 1 / (1 + abs(k - 5)) + 1 / (2 + abs(k - 10)) for k in range(1, 30)}


def repeated(path: Path, seconds: int, target: Path) -> Path:
    """Write a speech again and again."""
    from lipgan_cli.engine.media.audio import read_audio

    return write(target, np.resize(read_audio(path), seconds * 16000))


def write(path: Path, sound: np.ndarray) -> Path:
    """Write 16 kHz mono."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return path


if __name__ == "__main__":
    main()
