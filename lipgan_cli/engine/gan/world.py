"""The processes that train one run together; one process alone is the simplest case.

`torchrun` starts them, on one machine or on many. Gradients are averaged here and not by
DistributedDataParallel: a step asks the critic several times before it steps and differentiates it
twice under a penalty, for which that wrapper is not made. Every network's gradients travel once a
step, as one block.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

from lipgan_cli.engine.errors import InputError

Value = TypeVar("Value")

_PATIENCE = timedelta(hours=6)  # the first process may measure for long while the others wait


@dataclass(frozen=True)
class World:
    """This process's number, from 0, and how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that logs, measures and writes."""
        return self.rank == 0

    def average_gradients(self, network: nn.Module) -> None:
        """Replace the gradients of a network by their mean over the processes."""
        if self.size == 1:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        block = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(block)
        block /= self.size
        places = torch.split(block, [gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, places, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def most(self, here: int) -> int:
        """The greatest of all processes' numbers: all of them hear the same answer."""
        if self.size == 1:
            return here
        told = torch.tensor(here, device="cuda" if dist.get_backend() == "nccl" else "cpu")
        dist.all_reduce(told, dist.ReduceOp.MAX)
        return int(told.item())

    def share(self, value: Value) -> Value:
        """The first process's value, in all of them."""
        if self.size == 1:
            return value
        held = [value]
        dist.broadcast_object_list(held)
        return held[0]


@contextmanager
def joined_world(device: torch.device) -> Iterator[World]:
    """Join the processes that `torchrun` started, if it did; else the world is this process."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield World(dist.get_rank(), size)
        dist.barrier()  # the first process keeps what the others meet in: it leaves with them
    finally:
        dist.destroy_process_group()


def local_device(device: torch.device) -> torch.device:
    """The device of this process among those of its machine: the n-th process takes GPU n.

    Raises:
        InputError: there are fewer GPUs than processes, or all are to take the same one.
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if processes == 1 or device.type != "cuda":
        return device
    if str(device) != "cuda":
        raise InputError(
            f"{processes} processes cannot all train on {device}",
            "give --device cuda: each takes a GPU of its own",
        )
    if processes > torch.cuda.device_count():
        raise InputError(
            f"{processes} processes on a machine with {torch.cuda.device_count()} GPUs",
            f"torchrun --nproc-per-node {torch.cuda.device_count()}",
        )
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
