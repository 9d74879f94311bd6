"""Pairs of face crops that PSNR and SSIM are taken of in a second.

    python tests/benchmarks/score.py [pairs] [cores]

Two folders of noisy PNGs of 96x96 are scored by `lipgan score REAL FAKE`: start-up, matching by
name, reading and the summary are in the time, whole pictures and mouths in the figures. The last
line is the work on one pair alone, without reading, on one core.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from lipgan_cli.engine.metrics.image import compare_crop

PAIRS, CORES, REPEATS = 4000, 2, 200


def make(folder: Path, count: int) -> tuple[Path, Path]:
    """Write smooth pictures with grain, about 17 kB each, and others of the same smooth ones."""
    random = np.random.default_rng(0)
    real, fake = folder / "real", folder / "fake"
    for place in (real, fake):
        place.mkdir()
    for number in range(count):
        smooth = cv2.resize(random.uniform(40, 220, (12, 12, 3)), (96, 96))
        for place in (real, fake):
            face = (smooth + random.normal(0, 2.0, (96, 96, 1))).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(place / f"{number:06d}.png"), face)
    return real, fake


def main(count: int = PAIRS, cores: int = CORES) -> None:
    """Print pairs a second of the whole command, and of the measuring alone."""
    with tempfile.TemporaryDirectory() as name:
        real, fake = make(Path(name), count)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
        command = [sys.executable, "-m", "lipgan_cli", "score", str(real), str(fake), "--json"]
        started, before = time.perf_counter(), os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds, after = time.perf_counter() - started, os.times()
        spent = sum(after[2:4]) - sum(before[2:4])
        print(f"lipgan score: {count / seconds:,.0f} pairs/s on {cores} cores, {count:,} pairs")
        print(f"  {seconds:.1f} s, of which processors were busy {spent:.1f} s")
        one, other = (cv2.imread(str(place / "000000.png")) for place in (real, fake))
    if one is None or other is None:
        raise RuntimeError("the pictures cannot be read back")
    times = []
    for _ in range(REPEATS):
        begun = time.thread_time()
        compare_crop(one.astype(np.uint8), other.astype(np.uint8))
        times.append(time.thread_time() - begun)
    print(f"  measuring alone: {1 / float(np.median(times)):,.0f} pairs/s on one core")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
