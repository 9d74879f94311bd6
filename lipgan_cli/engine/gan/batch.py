"""A batch of training samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Training samples: RGB faces (B, 3, 96, 96), mel windows (B, 1, 80, 27).

    Faces are uint8 as they are loaded, and in [0, 1] once they are on a device.
    """

    reference: Tensor
    target: Tensor
    mel: Tensor
    unsynced: Tensor

    def _tensors(self) -> tuple[Tensor, ...]:
        return self.reference, self.target, self.mel, self.unsynced

    def to(self, device: torch.device) -> Batch:
        """The same on `device`, as float: bytes travel there, a quarter of what floats are."""
        there = (tensor.to(device, non_blocking=True) for tensor in self._tensors())
        return Batch(*(x.float() / 255 if x.dtype == torch.uint8 else x for x in there))

    def parts(self, count: int) -> list[Batch]:
        """The same in `count` parts of one size."""
        sides = (tensor.chunk(count) for tensor in self._tensors())
        return [Batch(*part) for part in zip(*sides, strict=True)]
