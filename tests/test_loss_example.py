"""The loss strategy of the documentation's example works as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lipgan_cli.engine.config import TrainConfig, Variant
from lipgan_cli.engine.gan.batch import Batch
from lipgan_cli.engine.gan.core import Core

PAGE = Path(__file__).parents[1] / "docs" / "add-a-loss-strategy.md"


@pytest.fixture(scope="module")
def example() -> dict[str, object]:
    """What the page's Python blocks define, run one after the other."""
    names: dict[str, object] = {"__name__": "example"}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, str(PAGE), "exec", dont_inherit=True), names)
    return names


class Painter(nn.Module):
    """A generator of one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(6, 3, 1)

    def forward(self, faces: Tensor, mel: Tensor) -> Tensor:
        return torch.sigmoid(self.layer(faces) + mel.mean((2, 3), keepdim=True))


class Judge(nn.Module):
    """A critic of one layer a side."""

    def __init__(self) -> None:
        super().__init__()
        self.face = nn.Conv2d(3, 4, 96)
        self.audio = nn.Conv2d(1, 4, (80, 27))


def test_the_core_trains_it(example):
    strategy = example["Hinge"]()
    config = TrainConfig(Variant.LIPGAN, "none", "small", batch=2, half_precision=False)
    core = Core(strategy, config, 10, torch.device("cpu"), Painter(), Judge())
    before = [parameter.detach().clone() for parameter in core.generator.parameters()]
    sizes = ((2, 3, 96, 96), (2, 3, 96, 96), (2, 1, 80, 27), (2, 1, 80, 27))
    batch = Batch(*(torch.rand(size) for size in sizes))
    for iteration in range(3):
        figures = core.step(batch, iteration)
    for name in ("critic_real", "critic_fake", "generator_l1", "generator_critic"):
        assert name in figures
    after = list(core.generator.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
