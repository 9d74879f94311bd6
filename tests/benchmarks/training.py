"""Samples a second of training as `lipgan train` does it, data included, on any device.

    python tests/benchmarks/training.py DATASET [variant] [batch] [workers] [seconds]

DATASET is a prepared one. Prints the rate, and the arithmetic that it amounts to beside what the
device's own bf16 matrix product reaches in the same run. One sample of a `lipgan` step takes 18
GFLOP: three passes of the generator (2.29 G multiply-adds) and those of the critic.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from lipgan_cli.engine.config import TrainConfig, Variant
from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.data.samples import Draws, batches
from lipgan_cli.engine.gan.core import Core
from lipgan_cli.engine.gan.device import choose_device, tune
from lipgan_cli.engine.gan.recipes import strategy
from lipgan_cli.engine.train import Session, workers_of

GFLOP = 18  # a sample of a `lipgan` step
WARM_UP = 5  # iterations


def main(
    dataset: str,
    variant: str = "lipgan",
    batch: int = 128,
    workers: int | None = None,
    seconds: float = 30,
) -> None:
    device = choose_device()
    tune(device)
    workers = workers_of(Session(device, workers))
    config = TrainConfig(Variant(variant), dataset, "full", batch=batch)
    draws = Draws(Dataset.open(Path(dataset)).clips("full"), config, 1_000_000)
    core = Core(strategy(config), config, 1_000_000, device)
    began = done = 0.0
    for iteration, samples in enumerate(batches(draws, 0, workers)):
        core.step(samples, iteration, watch=(iteration + 1) % config.log_every == 0)
        if iteration < WARM_UP:
            wait(device)
            began = time.perf_counter()
            continue
        done += 1
        if iteration % 10 == 0:
            wait(device)
        if time.perf_counter() - began > seconds:
            break
    wait(device)
    rate = done * batch / (time.perf_counter() - began)
    teraflops, peak = rate * GFLOP / 1000, matrix_product(device)
    print(f"{variant}, {device}, batch {batch}, {workers} workers, bf16 {core.half_precision}")
    print(f"{rate:.1f} samples/s")
    if variant == "lipgan":
        print(f"{teraflops:.2f} TFLOP/s, {teraflops / peak:.0%} of a bf16 product's {peak:.2f}")


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def matrix_product(device: torch.device) -> float:
    """TFLOP/s of large bf16 matrix products, the best of a few."""
    side = 8192 if device.type == "cuda" else 2048
    one, other = torch.randn(2, side, side, device=device, dtype=torch.bfloat16)

    def seconds(work: Callable[[], object]) -> float:
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        return time.perf_counter() - began

    return 2 * side**3 / min(seconds(lambda: one @ other) for _ in range(10)) / 1e12


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
