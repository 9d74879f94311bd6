"""Training steps a second: the core's fast path against a plain fp32 loop of the same step.

    python tests/benchmarks/train_step.py [batch] [rounds]

Both take LipGAN's step (generator with L1 and contrastive terms, critic with a real and a fake
pair) on the same random batch, in turn; the ratio is that of each round's pair of times.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lipgan_cli.engine.config import TrainConfig, Variant
from lipgan_cli.engine.gan.batch import Batch
from lipgan_cli.engine.gan.core import Core
from lipgan_cli.engine.gan.critic import Critic
from lipgan_cli.engine.gan.device import choose_device
from lipgan_cli.engine.gan.generator import Generator, face_input
from lipgan_cli.engine.gan.losses import STRATEGIES

STEPS = 3  # in a round


def plain_step(device: torch.device) -> Callable[[Batch], None]:
    """The step as one writes it first: fp32, default layout, nothing shared."""
    generator, critic = Generator().to(device), Critic().to(device)
    optimizers = [
        torch.optim.Adam(network.parameters(), 1e-3, (0.5, 0.999))
        for network in (generator, critic)
    ]

    def apart(faces: Tensor, mel: Tensor) -> Tensor:
        one, other = (nn.functional.normalize(x, dim=1) for x in critic(faces, mel))
        return torch.linalg.vector_norm(one - other, dim=1)

    def step(batch: Batch) -> None:
        generated = generator(face_input(batch.reference, batch.target), batch.mel)
        real = apart(batch.target, batch.mel)
        fake = apart(generated.detach(), batch.mel)
        optimizers[1].zero_grad()
        (((real**2).mean() + ((2 - fake).clamp(min=0) ** 2).mean()) / 4).backward()
        optimizers[1].step()
        optimizers[0].zero_grad()
        l1 = nn.functional.l1_loss(generated, batch.target)
        (l1 + 0.01 * (apart(generated, batch.mel) ** 2).mean() / 2).backward()
        optimizers[0].step()

    return step


def main(batch: int = 32, rounds: int = 5) -> None:
    device = choose_device()
    config = TrainConfig(Variant.LIPGAN, "", "", batch=batch)
    core = Core(STRATEGIES[config.variant], config, 1000, device)
    plain = plain_step(device)
    faces, mel = torch.rand(2, batch, 3, 96, 96), torch.rand(2, batch, 1, 80, 27) * 8 - 4
    samples = Batch(faces[0], faces[1], mel[0], mel[1]).to(device)

    def seconds(step: Callable[[], object]) -> float:
        started = time.perf_counter()
        for _ in range(STEPS):
            step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - started) / STEPS

    times = {"core": [], "plain": []}
    for number in range(rounds + 1):
        fast, slow = seconds(lambda: core.step(samples, 0)), seconds(lambda: plain(samples))
        if number:  # the first round warms up
            times["core"].append(fast)
            times["plain"].append(slow)
    for name, values in times.items():
        print(f"{name:6} {batch / statistics.median(values):9.1f} samples/s")
    ratios = [slow / fast for fast, slow in zip(times["core"], times["plain"], strict=True)]
    print(f"ratio  {min(ratios):.2f} to {max(ratios):.2f}, median {statistics.median(ratios):.2f}")
    print(f"{device}, bf16 {core.half_precision}, {torch.get_num_threads()} threads, batch {batch}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
