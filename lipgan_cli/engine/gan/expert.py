"""The lip-sync expert: a frozen judge of five consecutive faces and their sound, as a loss.

Prajwal et al. 2020 (arXiv:2008.10010, section 3) train it beforehand, on real faces alone, and
never on generated ones: so it keeps judging sync and does not come to judge pictures. Network and
loss are our own.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.gan.packing import save_tensors

FRAMES = 5
"""Consecutive faces in a window."""

FORMAT = "lipgan-expert/1"
WIDTH = 32
EMBEDDING = 256
GROUPS = 4
TOP = 48
"""First row that the expert sees: the lower half of a face."""


class Expert(nn.Module):
    """Embeds windows of faces and of sound in one space, where those that belong together are near.

    It judges movement and shape, not colour: a window's brightness and contrast, channel by
    channel, are taken out before the first layer. Strided kernels are a multiple of their stride
    wide, so that every pixel gets the same share of the gradient. There is no batch norm: the
    expert is the same in training and frozen.
    """

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        w = self.width = width
        self.face = nn.Sequential(
            *_layer(3 * FRAMES, w, 4, 2, 1),  # 24 x 48
            *_layer(w, 2 * w, 4, 2, 1),  # 12 x 24
            *_layer(2 * w, 4 * w, 4, 2, 1),  # 6 x 12
            _Residual(4 * w),
            *_layer(4 * w, 8 * w, 4, 2, 1),  # 3 x 6
            _Residual(8 * w),
            nn.Flatten(),
            nn.Linear(8 * w * 3 * 6, EMBEDDING),
        )
        self.audio = nn.Sequential(
            *_layer(1, w, 3, (2, 1), 1),  # 40 x 27
            *_layer(w, 2 * w, 3, 2, 1),  # 20 x 14
            *_layer(2 * w, 4 * w, 3, 2, 1),  # 10 x 7
            *_layer(4 * w, 8 * w, 3, 2, 1),  # 5 x 4
            nn.Flatten(),
            nn.Linear(8 * w * 5 * 4, EMBEDDING),
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied by before a softmax (the inverse of its temperature)."""
        return self.log_scale.clamp(max=math.log(100.0)).exp()

    def forward(self, faces: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Embed faces and sounds, as many of each or not: two of unit length, (W, 256) float32.

        Args:
            faces: RGB (W, 5, 3, 96, 96) in [0, 1], consecutive frames; rows 48..95 are used.
            mel: (W, 1, 80, 27) in [-4, 4], the window centred on the third of the five.
        """
        return self.embed_faces(faces), self.embed_sounds(mel)

    def embed_faces(self, faces: Tensor) -> Tensor:
        """The face's half of `forward`."""
        lower = faces[..., TOP:, :].float().transpose(1, 2)  # (W, 3, 5, 48, 96)
        plain = functional.group_norm(lower.contiguous(), 3, eps=1e-3)
        return functional.normalize(self.face(plain.flatten(1, 2)).float(), dim=-1)

    def embed_sounds(self, mel: Tensor) -> Tensor:
        """The sound's half of `forward`."""
        return functional.normalize(self.audio(mel / 4).float(), dim=-1)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1), nn.GroupNorm(GROUPS, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.layer(x))


def _layer(
    inputs: int, outputs: int, kernel: int, stride: int | tuple[int, int], padding: int
) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, kernel, stride, padding),
        nn.GroupNorm(GROUPS, outputs),
        nn.ReLU(),
    )


def own_loss(ones: Tensor, others: Tensor, scale: Tensor | float) -> Tensor:
    """-log of the chance that a softmax over all `others` gives to each one's own (InfoNCE).

    van den Oord et al. 2018 (arXiv:1807.03748, equation 4), on scale * cosine.

    Args:
        ones: (..., W, D) of unit length.
        others: (..., S, D) of unit length, S >= W; number i belongs to number i of `ones`.
        scale: what the cosines are multiplied by.

    Returns:
        (..., W), at least 0.
    """
    with torch.autocast(ones.device.type, enabled=False):
        likeness = scale * ones @ others.mT  # (..., W, S)
    return -likeness.log_softmax(-1).diagonal(dim1=-2, dim2=-1)


def sync_loss(expert: Expert, faces: Tensor, mel: Tensor, unsynced: Tensor) -> Tensor:
    """How little the expert finds each window's own sound in its faces: -log P, (W,).

    P is the chance that a softmax gives to the window's own sound among all 2 W sounds of the
    batch, true and unsynced, at the expert's own temperature. The paper (arXiv:2008.10010,
    equations 1 and 2) takes -log of the cosine itself, (v . s) / max(|v| |s|, eps), of embeddings
    that a ReLU keeps above zero, from an expert trained by binary cross-entropy on it. That
    asks for a cosine that means the same for every face and voice, and so for films of very many
    people; which of several sounds fits best is learnt from far less, and a loss that compares
    sounds needs no more. A perfect pair still has P < 1, since a cosine is at most 1.

    Args:
        expert: frozen, or its parameters get gradients too.
        faces: RGB (W, 5, 3, 96, 96) in [0, 1], as generated.
        mel: (W, 1, 80, 27), the sound that they were generated from.
        unsynced: (W, 1, 80, 27), another sound for each.
    """
    sounds = expert.embed_sounds(torch.cat([mel, unsynced]))  # (2 W, 256)
    return own_loss(expert.embed_faces(faces), sounds, expert.scale)


def save_expert(expert: Expert, path: Path, about: dict[str, Any]) -> None:
    """Write an expert with `about` (what it learnt from, figures) in the header.

    Raises:
        LipganError: it cannot be written.
    """
    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in expert.state_dict().items()
    }
    save_tensors(weights, path, {"format": FORMAT, "about": json.dumps(about)})


def load_expert(path: Path) -> Expert:
    """Read an expert, frozen: in evaluation mode, its parameters without gradients.

    Raises:
        InputError: the file is not an expert's, or is damaged.
    """
    hint = "give an expert.safetensors that lipgan wrote"
    try:
        with safe_open(path, "pt") as file:
            told = (file.metadata() or {}).get("format", "of none of lipgan's files")
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is not an expert's file: {error}", hint) from error
    if told != FORMAT:
        raise InputError(f"{path} has the format {told}, this version reads {FORMAT}", hint)
    try:
        expert = Expert(len(weights["face.0.weight"]))
        expert.load_state_dict(weights)
    except (RuntimeError, KeyError) as error:
        raise InputError(f"{path} holds other weights than those of an expert", hint) from error
    return expert.requires_grad_(False).eval()
