"""The trained generator as the other parts use it: pictures and sound in, pictures out, fast."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from lipgan_cli.engine.gan.device import fast_dtype
from lipgan_cli.engine.gan.generator import Block, Generator, ResidualUnit, face_input
from lipgan_cli.engine.gan.packing import load_generator

DEFAULT_WEIGHTS = Path(str(files("lipgan_cli") / "assets" / "generator.safetensors"))


FEATURES_BYTES = 256 << 20
"""Most that is kept of encoded faces by default: 222 of them in bf16."""


class Animator:
    """Runs a generator on uint8 pictures: batch norm folded, channels last, half precision.

    It takes the generator over: copy one that is still needed. The face encoder runs once when
    reference and target are a single picture for many windows.

    With `batch_statistics`, batch norm takes the statistics of what is painted in one call, as in
    training, and not the running ones: slower, and the faces of a call then depend on each other.
    """

    def __init__(
        self,
        generator: Generator,
        device: torch.device,
        half_precision: bool | None = None,
        batch_statistics: bool = False,
        remembered_bytes: int = FEATURES_BYTES,
    ) -> None:
        self.device = device
        if half_precision is None:
            self.dtype = fast_dtype(device)
        else:
            self.dtype = torch.bfloat16 if half_precision else torch.float32
        network = generator.train() if batch_statistics else fold(generator)
        self.generator = network.to(device, self.dtype).to(memory_format=torch.channels_last)
        self._known: dict[int, list[Tensor]] = {}  # features of faces by key
        self._room = remembered_bytes
        self._remembering = Lock()

    @classmethod
    def load(
        cls,
        path: Path | None,
        device: torch.device,
        batch_statistics: bool = False,
        remembered_bytes: int = FEATURES_BYTES,
    ) -> Animator:
        """Load weights from a file; None takes those that came with the install.

        Raises:
            InputError: the file is not a generator's.
        """
        generator = load_generator(path or DEFAULT_WEIGHTS)
        return cls(
            generator,
            device,
            batch_statistics=batch_statistics,
            remembered_bytes=remembered_bytes,
        )

    @torch.inference_mode()
    def faces(
        self,
        reference: np.ndarray,
        target: np.ndarray,
        windows: np.ndarray,
        keys: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Paint faces, uint8 RGB (B, 96, 96, 3), that speak `windows` (B, 80, 27).

        `reference` and `target` are uint8 RGB (B, 96, 96, 3), or (1, 96, 96, 3) to serve all. With
        `keys` (B), pictures under a key that came before need not be encoded again.
        """
        if keys is None:
            features = self._encode(reference, target)
            if len(features[0]) == 1:
                features = [feature.expand(len(windows), -1, -1, -1) for feature in features]
        else:
            features = self._remembered(reference, target, keys)
        mel = torch.from_numpy(windows).to(self.device, self.dtype).unsqueeze(1)
        painted: Tensor = self.generator.decode(features, self.generator.encode_audio(mel))
        pixels = (painted.float() * 255).round().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).cpu().numpy()

    def _encode(self, reference: np.ndarray, target: np.ndarray) -> list[Tensor]:
        count = max(len(reference), len(target))
        faces = face_input(
            self._pictures(reference).expand(count, -1, -1, -1),
            self._pictures(target).expand(count, -1, -1, -1),
        )
        return self.generator.encode_face(faces.contiguous(memory_format=torch.channels_last))

    def _remembered(
        self, reference: np.ndarray, target: np.ndarray, keys: Sequence[int]
    ) -> list[Tensor]:
        """Return the features of faces by key, encoding those alone that are not known.

        Several threads may ask.
        """
        first = {key: index for index, key in reversed(list(enumerate(keys)))}
        new = [index for key, index in first.items() if key not in self._known]
        here = dict(self._known)
        if new:
            encoded = self._encode(reference[new], target[new])
            for row, index in enumerate(new):
                features = [level[row : row + 1] for level in encoded]
                here[keys[index]] = features
                self._remember(keys[index], features)
        levels = zip(*(here[key] for key in keys), strict=True)
        return [torch.cat(level).contiguous(memory_format=torch.channels_last) for level in levels]

    def _remember(self, key: int, features: list[Tensor]) -> None:
        size = sum(level.nbytes for level in features)
        with self._remembering:
            if size <= self._room and key not in self._known:
                self._room -= size
                self._known[key] = [level.clone() for level in features]

    def _pictures(self, faces: np.ndarray) -> Tensor:
        return torch.from_numpy(faces).to(self.device).permute(0, 3, 1, 2).to(self.dtype) / 255


def fold(generator: Generator) -> Generator:
    """Fold the generator's batch norms into the convolutions before them, in place; return it."""
    for module in generator.eval().modules():
        if isinstance(module, Block | ResidualUnit):
            convolution, norm = module.convolution, module.norm
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None and norm.running_var is not None
            weight, bias = fuse_conv_bn_weights(
                convolution.weight,
                convolution.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
                transpose=isinstance(convolution, nn.ConvTranspose2d),
            )
            convolution.weight, convolution.bias = weight, bias
            module.norm = nn.Identity()
    return generator
