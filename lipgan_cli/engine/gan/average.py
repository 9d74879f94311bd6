"""The moving average of a network's weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def moving_average(
    decay: float,
) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """An exponential moving average that forgets the first, random weights quickly."""

    @torch.no_grad()
    def update(average: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        new = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        for kept, value in zip(average, current, strict=True):
            if kept.is_floating_point():
                kept.lerp_(value, new)
            else:
                kept.copy_(value)

    return update
