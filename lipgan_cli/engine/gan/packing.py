"""Generator weights as a file to hand on: int8 with a scale for every output channel.

A quarter of the float file, in safetensors. A packed weight `name` is stored as int8 beside
`name.scale`, a small one as float16: the first and last layers have few weights, and rounding
those costs the most. Batch-norm values and biases stay float. The header names the format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.gan.generator import Generator

FORMAT = "lipgan-generator/1"
SMALL = 150_000
"""Values of a weight that is not rounded to int8: together 4 % of the paper's generator."""

_SCALE = ".scale"


def pack(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Round weights of two or more dimensions to int8 or, small ones, to float16."""
    packed = {}
    for name, tensor in weights.items():
        if tensor.dim() < 2:
            packed[name] = tensor
            continue
        if tensor.numel() <= SMALL:
            packed[name] = tensor.half()
            continue
        axis = _output_axis(name)
        others = [d for d in range(tensor.dim()) if d != axis]
        scale = (tensor.abs().amax(others, keepdim=True) / 127).clamp(min=1e-12)
        packed[name] = (tensor / scale).round().to(torch.int8)
        packed[name + _SCALE] = scale
    return packed


def unpack(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """Undo `pack`, to within half a step of the rounding; floats pass through."""
    whole = {}
    for name, tensor in packed.items():
        if name + _SCALE in packed:
            whole[name] = tensor.float() * packed[name + _SCALE]
        elif not name.endswith(_SCALE):
            whole[name] = tensor.float() if tensor.dtype == torch.float16 else tensor
    return whole


def _output_axis(name: str) -> int:
    # A transposed convolution keeps its output channels in the second place.
    return (
        1
        if name.startswith("decoder.")
        and name.endswith(".convolution.weight")
        and (".units." not in name)
        else 0
    )


def save_tensors(
    tensors: dict[str, Tensor], path: Path, header: dict[str, str] | None = None
) -> None:
    """Write a safetensors file.

    Raises:
        LipganError: it cannot be written; the disk may be full.
    """
    try:
        save_file(tensors, path, header)
    except (OSError, SafetensorError) as error:
        raise LipganError(f"cannot write {path.name}: {error}", "is the disk full?") from error


def save_packed(weights: dict[str, Tensor], path: Path, about: dict[str, Any]) -> None:
    """Write packed weights with `about` (what trained them, figures) in the header."""
    save_tensors(pack(weights), path, {"format": FORMAT, "about": json.dumps(about)})


def load_generator(path: Path) -> Generator:
    """Read a generator from a packed or a plain float file, in evaluation mode.

    Raises:
        InputError: the file is not a generator's, or is damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            told = (file.metadata() or {}).get("format", FORMAT)
            weights = unpack({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{path} is not a weights file: {error}", "give a .safetensors file that lipgan wrote"
        ) from error
    if told not in {FORMAT, "pt"}:  # "pt" is what safetensors calls any file of torch's
        raise InputError(
            f"{path} has the format {told}, this version reads {FORMAT}", "update lipgan"
        )
    try:
        with torch.device("meta"):  # the weights take the place of nothing
            generator = Generator(len(weights["face_encoder.0.convolution.weight"]))
        generator.load_state_dict(weights, assign=True)
    except (RuntimeError, KeyError) as error:
        raise InputError(
            f"{path} holds other weights than those of the generator",
            "give a generator.safetensors or weights.safetensors that lipgan wrote",
        ) from error
    return generator.eval()
