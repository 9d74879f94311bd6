"""How fast the generator paints: `python tests/benchmarks/generator.py [ROUNDS]`.

The shipped weights, eager in fp32 as they were trained, beside the `Animator`: on frames that it
has not seen, and on frames whose features it remembers. All take turns in one process; figures are
medians over the rounds, and how far the pictures are from those in fp32.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from skimage.data import astronaut

from lipgan_cli.engine.gan.generator import face_input
from lipgan_cli.engine.gan.inference import DEFAULT_WEIGHTS, Animator
from lipgan_cli.engine.gan.packing import load_generator

BATCH = 8


def main() -> None:
    """Print frames a second and ratios."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    generator = load_generator(DEFAULT_WEIGHTS)
    animator = Animator.load(None, torch.device("cpu"))
    random = np.random.default_rng(0)
    faces = np.stack([astronaut()[k : k + 96, 180 : 180 + 96] for k in range(60, 60 + BATCH)])
    mel = random.uniform(-4, 2, (BATCH, 80, 27)).astype(np.float32)

    @torch.inference_mode()
    def eager() -> np.ndarray:
        pictures = torch.from_numpy(faces).permute(0, 3, 1, 2) / 255
        painted = generator(face_input(pictures, pictures), torch.from_numpy(mel)[:, None])
        return (painted * 255).permute(0, 2, 3, 1).numpy()

    ways: dict[str, Callable[[], np.ndarray]] = {
        "eager fp32": eager,
        f"first pass, {animator.dtype}": lambda: animator.faces(faces, faces, mel),
        "features reused": lambda: animator.faces(faces, faces, mel, range(BATCH)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    slow = statistics.median(seconds["eager fp32"])
    for name, taken in seconds.items():
        median = statistics.median(taken)
        print(f"{name:<28}{BATCH / median:7.1f} frames/s {slow / median:6.2f} x")
    error = np.abs(ways[f"first pass, {animator.dtype}"]().astype(np.float32) - eager()).mean()
    print(f"mean difference from fp32: {error:.3f} of 255; {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
