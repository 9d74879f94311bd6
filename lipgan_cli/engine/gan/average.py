"""The moving average of a generator's weights."""

from __future__ import annotations

import copy

import torch

from lipgan_cli.engine.gan.generator import Generator


class Average:
    """An exponential moving average that forgets the first, random weights quickly.

    Whole lists of tensors move at once and the count stays on the CPU: a GPU need not wait.
    """

    def __init__(self, generator: Generator, decay: float) -> None:
        self.generator = copy.deepcopy(generator).requires_grad_(False)
        self.decay = decay
        self.count = 0  # updates

    @torch.no_grad()
    def update(self, generator: Generator) -> None:
        """Take in the weights after a step; the first ones replace what there was."""
        first = self.count == 0
        new = 1.0 if first else 1 - min(self.decay, (1 + self.count) / (10 + self.count))
        kept, current = (list(g.state_dict().values()) for g in (self.generator, generator))
        pairs = list(zip(kept, current, strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([one for one, _ in floats], [other for _, other in floats], new)
        for one, other in pairs:
            if not one.is_floating_point():
                one.copy_(other)
        self.count += 1
