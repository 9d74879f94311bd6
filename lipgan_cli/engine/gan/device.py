"""Which device computes, and in which precision it is fastest."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.workers import cores

CPU = Path("/proc/cpuinfo")
"""Where Linux tells about the processor; elsewhere Python knows as much."""


def choose_device(name: str | None = None) -> torch.device:
    """The device called `name`, or by itself: CUDA, then Apple's MPS, then the CPU.

    Raises:
        InputError: there is no such device here.
    """
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
        usable = device.type in {"cpu", "cuda", "mps"}
    except (RuntimeError, AssertionError, NotImplementedError):
        usable = False
    if not usable:
        raise InputError(
            f"the device {name!r} cannot be used here", "one of cpu, cuda, mps; or leave it out"
        )
    return device


def tune(device: torch.device) -> None:
    """Let a GPU choose its quickest kernels: shapes stay the same from step to step."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")


def share_cores() -> None:
    """Leave a quarter of the cores, one at least, to what works beside the network.

    Threads of the network that wait for each other while a decoder or an encoder has their core
    cost more than they bring.
    """
    most = max(1, cores() * 3 // 4)
    torch.set_num_threads(min(torch.get_num_threads(), most))


def fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 on `device`: it has the instructions for it.

    Of CPUs, AMX has, and AMD's AVX512; Intel's AVX512 multiplies bf16 at half of the rate of fp32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        avx512 = torch.cpu._is_avx512_bf16_supported() and not _made_by_intel()
        return bool(avx512 or torch.cpu._is_amx_tile_supported())
    return False


def _made_by_intel() -> bool:
    return "GenuineIntel" in (CPU.read_text() if CPU.is_file() else platform.processor())


def fast_dtype(device: torch.device) -> torch.dtype:
    """The fastest type to run a trained network in that is precise enough for 8-bit pictures."""
    if fast_bf16(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else torch.float32
