"""Several processes take the step that one process takes with the whole batch."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.gan.world import World, local_device

STEP = """
import os
import sys
import torch
from lipgan_cli.engine.config import TrainConfig, Variant
from lipgan_cli.engine.gan.batch import Batch
from lipgan_cli.engine.gan.core import Core
from lipgan_cli.engine.gan.recipes import strategy
from lipgan_cli.engine.gan.world import joined_world

with joined_world(torch.device("cpu")) as world:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    config = TrainConfig(
        Variant(sys.argv[2]), "", "", width=2, batch=4, critic_steps=1,
        half_precision=False,
    )
    core = Core(strategy(config), config, 10, torch.device("cpu"), world=world)
    core.generator.eval()
    random = torch.Generator().manual_seed(1)
    sides = [torch.rand(4, *shape, generator=random) for shape in
             ((3, 96, 96), (3, 96, 96), (1, 80, 27), (1, 80, 27))]
    share = slice(world.rank * 4 // world.size, (world.rank + 1) * 4 // world.size)
    gradients = {}
    for iteration in range(3):  # both kinds of fake pairs are among them
        core.step(Batch(*(side[share] for side in sides)), iteration)
        for name, network in core.networks().items():
            for key, parameter in network.named_parameters():
                gradients[f"{iteration} {name} {key}"] = parameter.grad.clone()
    told = world.most(7 if world.rank == world.size - 1 else 0)
    assert told == 7, told
    assert world.share(world.rank) == 0
    if world.first:
        torch.save(gradients, sys.argv[1])
# Torch's own threads now and then abort an interpreter that ends.
os._exit(0)
"""


def gradients(tmp_path, processes, variant):
    script = tmp_path / "step.py"
    script.write_text(STEP)
    out = tmp_path / f"{variant}-{processes}.pt"
    launcher = [] if processes == 1 else ["-m", "torch.distributed.run", "--standalone"]
    launcher += [f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *launcher, str(script), str(out), variant]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return torch.load(out, weights_only=True)


def test_two_processes_have_the_gradients_of_one(tmp_path):
    alone = gradients(tmp_path, 1, "lipgan")
    together = gradients(tmp_path, 2, "lipgan")
    assert alone.keys() == together.keys()
    assert any(name.startswith("2 critic") for name in alone)
    for name, gradient in alone.items():
        assert gradient.dtype == torch.float64
        assert torch.allclose(gradient, together[name], rtol=0, atol=1e-9), name
    assert max(gradient.abs().max() for gradient in alone.values()) > 1e-3


def test_one_process_is_a_world_of_its_own():
    world = World()
    assert world.first
    assert world.most(3) == 3
    assert world.share("x") == "x"


def test_each_process_of_a_machine_takes_its_own_gpu(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert local_device(torch.device("cuda")) == torch.device("cuda:3")
    assert local_device(torch.device("cpu")) == torch.device("cpu")
    with pytest.raises(InputError, match="4 processes cannot all train on cuda:1"):
        local_device(torch.device("cuda:1"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match="4 processes on a machine with 2 GPUs"):
        local_device(torch.device("cuda"))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    assert local_device(torch.device("cuda:1")) == torch.device("cuda:1")
