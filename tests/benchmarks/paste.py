"""What pasting a face costs, by its size: `python tests/benchmarks/paste.py`.

The portrait of skimage with grain, and a face that differs from it around the mouth. One thread.
"""

from __future__ import annotations

import time

import cv2
import numpy as np

from lipgan_cli.engine.media.blend import Pixels, crop, paste
from lipgan_cli.engine.media.choices import Blend

REPEATS = 30


def main() -> None:
    """Print milliseconds of CPU a frame, the median of many."""
    cv2.setNumThreads(1)
    print(f"{'side':>6}{'crop':>10}{'none':>10}{'feather':>10}  ms")
    for side in (100, 150, 200, 300, 400, 600):
        frame, place = portrait(side)
        original = crop(frame, place)
        generated = other_mouth(original)
        spent: dict[str, list[float]] = {"crop": [], **{blend.value: [] for blend in Blend}}
        for _ in range(REPEATS):
            started = time.thread_time()
            crop(frame, place)
            spent["crop"].append(time.thread_time() - started)
            for blend in Blend:
                copy = frame.copy()
                started = time.thread_time()
                paste(copy, place, generated, original, blend)
                spent[blend.value].append(time.thread_time() - started)
        times = [1000 * float(np.median(spent[name])) for name in ("crop", "none", "feather")]
        print(f"{side:>6}" + "".join(f"{milliseconds:>10.2f}" for milliseconds in times))


def portrait(side: int) -> tuple[Pixels, tuple[int, int, int]]:
    """Return an I420 frame with a face, and the square of that face."""
    from skimage.data import astronaut

    size = round(side * 240 / 96) // 2 * 2
    rgb = cv2.resize(astronaut()[20:260, 100:340], (size, size), interpolation=cv2.INTER_CUBIC)
    grainy = rgb + np.random.default_rng(0).normal(0, 3, (size, size, 1))
    frame = cv2.cvtColor(np.clip(grainy, 0, 255).astype(np.uint8), cv2.COLOR_RGB2YUV_I420)
    return frame, (round(79 * side / 96), round(64 * side / 96), side)


def other_mouth(face: Pixels) -> Pixels:
    """Return a softer, darker face crop with another mouth."""
    other = cv2.GaussianBlur(face, (0, 0), 1.2)
    cv2.ellipse(other, (48, 66), (16, 8), 0, 0, 360, (90, 30, 40), -1)
    return (other * 0.9).astype(np.uint8)


if __name__ == "__main__":
    main()
