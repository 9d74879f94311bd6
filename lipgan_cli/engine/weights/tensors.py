"""Reading tensors from files without running what is in them; pickles turned into safetensors."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.weights.converted import content_digest, header_of, source_of


def read_tensors(path: Path, what: str, hint: str) -> dict[str, Tensor]:
    """Read tensors by name: from a .safetensors file, or from a pickle that holds nothing else.

    Such a pickle may have them under "state_dict". `what` names them in errors.

    Raises:
        InputError: the file is damaged, or holds anything else.
    """
    if path.suffix != ".safetensors":
        return unpickled(path, what, hint)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is not a .safetensors file: {error}", hint) from error


def unpickled(path: Path, what: str, hint: str) -> dict[str, Tensor]:
    """Read tensors by name from a pickle that holds nothing else, whatever its name.

    Raises:
        InputError: the file is damaged, or holds anything else.
    """
    try:
        # As a stream, since torch would go by the file's name.
        with path.open("rb") as stream, warnings.catch_warnings():
            # Of a pickle that is not torch's: the error that follows says it better.
            warnings.simplefilter("ignore")
            state: Any = torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged, in whatever way, or with objects whose code would run
        refused = "unsupported global" in str(error).lower()
        told = "holds more than tensors" if refused else "is not a file of PyTorch weights"
        raise InputError(f"{path} {told}", hint) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()
    ):
        raise InputError(f"{path} does not hold {what}", hint)
    # Without the versions that a state dict may carry: counters that an old file lacks are then
    # filled in.
    return dict(state)


def convert(source: Path, target: Path, file: str, sha256: str) -> None:
    """Write the tensors of a pickle as safetensors; both paths may be one.

    `file` and `sha256` are those of the published file: they go into the header.

    Raises:
        InputError: `source` holds anything but tensors.
        LipganError: `target` cannot be written.
    """
    read = unpickled(source, "weights by name", "it is not loaded")
    # Copies, since two names may share values, which safetensors refuses.
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in read.items()}
    header = header_of(file, sha256, content_digest(io.BytesIO(save(tensors))))
    try:
        save_file(tensors, target, header)
    except (OSError, SafetensorError) as error:
        raise LipganError(f"cannot write {target}: {error}", "is the disk full?") from error
    if source_of(target) != sha256:
        raise LipganError(f"{target} was not written whole", "is the disk full or damaged?")
