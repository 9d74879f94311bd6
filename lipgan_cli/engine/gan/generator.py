"""The LipGAN generator: a face and a sound in, the same face speaking that sound out.

Layer tables: KR et al. 2019 (arXiv:2003.00418) as counted by Liljegren and Nordqvist (Lund
2021:E33, section 5.2.1): 37,087,763 trainable parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIDE = 96
"""Height and width of a face, pixels."""

WIDTH = 32
"""Channels after the first layer, in the paper."""

MASK_ROW = SIDE // 2
"""First row of the target face that is hidden from the network."""


class Block(nn.Module):
    """A convolution, batch norm and ReLU, then residual units at the same size."""

    def __init__(
        self, convolution: nn.Conv2d | nn.ConvTranspose2d, channels: int, units: int = 0
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm: nn.Module = nn.BatchNorm2d(channels)
        self.units = nn.ModuleList(ResidualUnit(channels) for _ in range(units))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu_(self.norm(self.convolution(x)))
        for unit in self.units:
            x = unit(x)
        return x


class ResidualUnit(nn.Module):
    """One 3x3 convolution with batch norm, added to its input before the ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, 1, 1)
        self.norm: nn.Module = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu_(self.norm(self.convolution(x)) + x)


def _down(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int | tuple[int, int],
    padding: int,
    units: int = 0,
) -> Block:
    return Block(nn.Conv2d(inputs, outputs, kernel, stride, padding), outputs, units)


def _up(inputs: int, outputs: int, units: int) -> Block:
    return Block(nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1), outputs, units)


class Generator(nn.Module):
    """Paints the hidden lower half of a target face so that it speaks a given sound.

    The face encoder never sees the sound, so `encode_face` can be computed once for a picture
    and reused for every sentence. Channel counts are multiples of `width`, those of the paper by
    default; a narrow generator serves quick experiments.
    """

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.width = w = width
        self.face_encoder = nn.ModuleList(
            [
                _down(6, w, 1, 1, 0),  # 96
                _down(w, 2 * w, 4, 2, 1, units=2),  # 48
                _down(2 * w, 4 * w, 3, 2, 1, units=3),  # 24
                _down(4 * w, 8 * w, 3, 2, 1, units=2),  # 12
                _down(8 * w, 16 * w, 3, 2, 1, units=2),  # 6
                _down(16 * w, 16 * w, 4, 2, 1),  # 3
                nn.Sequential(_down(16 * w, 16 * w, 3, 1, 0), _down(16 * w, 16 * w, 1, 1, 0)),  # 1
            ]
        )
        self.audio_encoder = nn.Sequential(
            _down(1, w, 3, 1, 1, units=2),  # 80 x 27
            _down(w, 2 * w, 3, 3, 1, units=2),  # 27 x 9
            _down(2 * w, 4 * w, 3, (3, 1), 1, units=2),  # 9 x 9
            _down(4 * w, 8 * w, 3, 3, 1, units=2),  # 3 x 3
            _down(8 * w, 16 * w, 3, 1, 0),  # 1 x 1
            _down(16 * w, 16 * w, 1, 1, 0),
        )
        self.decoder = nn.ModuleList(
            [
                Block(nn.ConvTranspose2d(32 * w, 16 * w, 3, 2), 16 * w),  # 3
                _up(32 * w, 16 * w, units=2),  # 6
                _up(32 * w, 8 * w, units=2),  # 12
                _up(16 * w, 4 * w, units=2),  # 24
                _up(8 * w, 2 * w, units=2),  # 48
                _up(4 * w, w, units=0),  # 96
            ]
        )
        self.tail = nn.Sequential(
            _down(2 * w, w // 2, 3, 1, 1), _down(w // 2, w // 2, 3, 1, 1), nn.Conv2d(w // 2, 3, 1)
        )

    def encode_face(self, faces: Tensor) -> list[Tensor]:
        """Encode (B, 6, 96, 96) faces into seven feature maps, from 96x96 down to 1x1."""
        features = []
        for block in self.face_encoder:
            faces = block(faces)
            features.append(faces)
        return features

    def encode_audio(self, mel: Tensor) -> Tensor:
        """Encode (B, 1, 80, 27) mel windows into (B, 512, 1, 1)."""
        encoded: Tensor = self.audio_encoder(mel)
        return encoded

    def decode(self, features: list[Tensor], audio: Tensor) -> Tensor:
        """Paint (B, 3, 96, 96) faces in [0, 1] from encoded faces and encoded sound."""
        *skips, embedding = features
        x = torch.cat([embedding, audio], 1)  # (B, 1024, 1, 1)
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            x = torch.cat([skip, block(x)], 1)
        return torch.sigmoid(self.tail(x))  # (B, 3, 96, 96)

    def forward(self, faces: Tensor, mel: Tensor) -> Tensor:
        """Paint (B, 3, 96, 96) in [0, 1] from faces (B, 6, 96, 96) and mel (B, 1, 80, 27)."""
        return self.decode(self.encode_face(faces), self.encode_audio(mel))


def face_input(reference: Tensor, target: Tensor) -> Tensor:
    """Join a reference and a target, both RGB (B, 3, 96, 96) in [0, 1], into the network's input.

    The lower half of the target is zeroed: channels 0..2 are the reference, 3..5 the target.
    """
    masked = target.clone()
    masked[:, :, MASK_ROW:] = 0
    return torch.cat([reference, masked], 1)  # (B, 6, 96, 96)
