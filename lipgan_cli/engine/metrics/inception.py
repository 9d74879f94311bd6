"""The Inception network of FID and KID: pytorch-fid's own, with weights from a local file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_fid import inception
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from lipgan_cli.engine.cache import content_hash
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.metrics.image import Picture
from lipgan_cli.engine.paths import require_file
from lipgan_cli.engine.weights.converted import source_of
from lipgan_cli.engine.weights.tensors import read_tensors

DIMENSIONS = 2048

_SIDE = 299  # pixels; what pytorch-fid brings every picture to


@dataclass(frozen=True)
class Network:
    """The network on a device, cut off behind the layer with so many dimensions.

    `sha256` is that of the published file of its weights: features of different files are not
    comparable.
    """

    layers: torch.nn.Module
    device: torch.device
    dimensions: int
    sha256: str


def load_network(
    weights: Path, device: torch.device | str = "cpu", dimensions: int = DIMENSIONS
) -> Network:
    """Build pytorch-fid's Inception network from a file of its weights, .pth or .safetensors.

    `dimensions` is 64, 192, 768 or 2048: the layer whose features are compared.

    Raises:
        InputError: the file is missing, or is not a state dict of that network.
    """
    what = "the FID network"
    hint = "lipgan download-weights fid-inception fetches the right file"
    state = read_tensors(require_file(weights, what), what, hint)
    block = inception.InceptionV3.BLOCK_INDEX_BY_DIM[dimensions]
    with replaced(inception, "load_state_dict_from_url", lambda *_, **__: state):
        try:
            layers: torch.nn.Module = inception.InceptionV3([block])
        except RuntimeError as error:
            raise InputError(f"{weights} does not hold the FID network", hint) from error
    layers.eval()
    # Statistics of the published file and of the one that was made from it are comparable.
    sha256 = source_of(weights) or content_hash(weights)
    return Network(layers.to(device), torch.device(device), dimensions, sha256)


def prepare(network: Network, picture: Picture) -> torch.Tensor:
    """Bring a uint8 RGB picture (H, W, 3) to the network's size as float RGB (1, 3, 299, 299).

    pytorch-fid does the same to a whole batch inside the network, which then finds nothing left to
    do. One by one, a batch of large frames takes no more memory than one of faces.
    """
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()[None]
    # Divided here, since a GPU would multiply by the inverse and round otherwise.
    scaled = pixels.float().div(255).to(network.device)
    return interpolate(scaled, size=(_SIDE, _SIDE), mode="bilinear", align_corners=False)


def extract(network: Network, prepared: Sequence[torch.Tensor]) -> NDArray[np.float32]:
    """The features (B, D) of one batch or more of prepared pictures, which go through together."""
    with torch.inference_mode():
        found = network.layers(torch.cat(list(prepared)))[0]  # (B, D, H, W)
        pooled = adaptive_avg_pool2d(found, output_size=(1, 1))
    features: NDArray[np.float32] = pooled.squeeze(3).squeeze(2).cpu().numpy()
    return features


@contextmanager
def replaced(module: ModuleType, name: str, value: object) -> Iterator[None]:
    """Give a module another `name` for as long as the block runs."""
    original = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, original)
