"""Teaching a small network: warm-up, cosine, and a loss that has to stay a number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.progress import Progress

LEARNING_RATE = 1e-3

Network = TypeVar("Network", bound=nn.Module)
Batch = TypeVar("Batch")


def rate(done: int, iterations: int, warm_up: int) -> float:
    """Part of the learning rate: it rises over `warm_up` iterations, and falls along a cosine."""
    return min(1.0, (done + 1) / warm_up) * (1 + math.cos(math.pi * done / iterations)) / 2


def taught(
    network: Network,
    name: str,
    batches: Iterable[Batch],
    losses: Callable[[Batch], tuple[Tensor, Tensor]],
    iterations: int,
    warm_up: int,
    weight_decay: float,
    progress: Progress,
) -> Network:
    """Take a step of AdamW for each batch, and return the network frozen.

    losses: gives the loss of a batch, and the part of it that was found, which is shown.

    Raises:
        LipganError: the loss is no longer a number.
    """
    optimizer = AdamW(network.parameters(), LEARNING_RATE, weight_decay=weight_decay)
    began = time.monotonic()
    with progress.task("learning to judge lip-sync", iterations, "iterations") as task:
        for done, batch in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * rate(done, iterations, warm_up)
            loss, accuracy = losses(batch)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            if not math.isfinite(loss.item()):
                raise LipganError(
                    f"{name}'s loss is no longer a number at iteration {done + 1}",
                    "begin again with another --seed",
                )
            pace = (done + 1) / (time.monotonic() - began)
            task.show(**{"iterations/s": pace}, loss=loss.item(), accuracy=accuracy.item())
            task.advance()
    return network.requires_grad_(False).eval()
