"""Where the time of `lipgan sync` goes: `python tests/benchmarks/sync.py [FACE SPEECH]`.

Without arguments it makes a clip of 640x480 at 25 fps, 10 s, with a moving face of 250 pixels, and
20 s of noise to speak, and paints with a network that has learnt nothing: the time is the same.
"""

from __future__ import annotations

import math
import resource
import sys
import time
import wave
from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import cv2
import numpy as np

from lipgan_cli.engine import sync as engine
from lipgan_cli.engine.gan.generator import Generator
from lipgan_cli.engine.gan.inference import Animator
from lipgan_cli.engine.media import detectors, film
from lipgan_cli.engine.progress import Silent

WIDTH, HEIGHT, FPS = 640, 480, 25


def main() -> None:
    """Make a video with every step timed, and print what each took."""
    spent: dict[str, float] = defaultdict(float)
    engine.Animator.load = lambda path, device: Animator(Generator().eval(), device)
    time_calls(spent, detectors.HogDetector, "detect", "detect")
    time_calls(spent, Animator, "faces", "generate")
    time_calls(spent, engine, "crop", "cut")
    time_calls(spent, engine, "paste", "blend")
    time_calls(spent, engine.VideoWriter, "write", "wait for encoder")
    time_items(spent, film, "read_frames", "decode (own thread)")
    time_calls(spent, engine, "watch", "first reading, all of it")
    with TemporaryDirectory() as name:
        folder = Path(name)
        if len(sys.argv) == 3:
            face, speech = Path(sys.argv[1]), Path(sys.argv[2])
        else:
            face, speech = make_clip(folder / "face.mp4", 10), make_speech(folder / "a.wav", 20)
        summary = engine.sync(engine.SyncRequest(face, speech, folder / "out.mp4"), Silent())
    for step, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        share = seconds / summary.frames * 1000
        print(f"{step:<26}{seconds:8.2f} s {share:8.2f} ms a frame of the output")
    usage = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own, encoder = (use.ru_utime + use.ru_stime for use in usage)
    print(f"CPU: {own:.1f} s here, start-up included, {encoder:.1f} s in the encoder")
    print(f"peak memory: {usage[0].ru_maxrss / 1024:.0f} MB")
    print(
        f"{summary.frames} frames, {summary.seconds:.2f} s of video in {summary.elapsed:.2f} s: "
        f"{summary.speed:.2f} x real time"
    )


def time_calls(spent: dict[str, float], owner: Any, name: str, step: str) -> None:
    """Add the time of every call of `owner.name` to `spent`."""
    function: Callable[..., Any] = getattr(owner, name)

    def timed(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spent[step] += time.perf_counter() - started

    setattr(owner, name, timed)


def time_items(spent: dict[str, float], owner: Any, name: str, step: str) -> None:
    """Add the time that `owner.name` takes to make its items to `spent`."""
    function: Callable[..., Iterator[Any]] = getattr(owner, name)

    def timed(*arguments: Any) -> Iterator[Any]:
        items = function(*arguments)
        while True:
            started = time.perf_counter()
            item = next(items, None)
            spent[step] += time.perf_counter() - started
            if item is None:
                return
            yield item

    setattr(owner, name, timed)


def make_clip(path: Path, seconds: int) -> Path:
    """Write a clip with a face of 250 pixels that moves before a noisy wall."""
    from skimage import data

    head = cv2.resize(data.astronaut()[40:204, 140:304], (460, 460), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).integers(-6, 7, (8, HEIGHT, WIDTH, 3), dtype=np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast"}
        for number in range(seconds * FPS):
            picture = np.full((HEIGHT, WIDTH, 3), 120, np.int16)
            left = 90 + round(60 * math.sin(number / 20))
            picture[10:470, left : left + 460] = head
            noisy = np.clip(picture + grain[number % 8], 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(stream.encode())
    return path


def make_speech(path: Path, seconds: int) -> Path:
    """Write noise."""
    noise = np.random.default_rng(0).integers(-8000, 8000, seconds * 16000)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(noise.astype("<i2").tobytes())
    return path


if __name__ == "__main__":
    main()
