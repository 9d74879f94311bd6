"""The judge: a small network that hears whether a mouth and a sound belong together.

It embeds five faces, and the sound at one moment, as two vectors of unit length that are near where
both belong together. It learns from real clips alone (`run/judge.py`), is no loss of any training
here, and has another architecture than the expert that is one (`gan/expert.py`), so that a model
cannot have learnt to please it. The idea is that of Chung and Zisserman 2016; the loss is InfoNCE
(van den Oord et al. 2018, arXiv:1807.03748) over the moments of one clip.
"""

from __future__ import annotations

import json
import math
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from lipgan_cli.engine.errors import InputError, LipganError

DEFAULT_JUDGE = Path(str(files("lipgan_cli") / "assets" / "judge.safetensors"))
FORMAT = "lipgan-judge/1"

FPS = 25
"""Frames a second that it looks at, whatever the film has."""
FRAMES = 5
"""Consecutive faces that it looks at: 200 ms."""
TOP = 48
"""First row that it sees: the lower half of a face."""
HEARD = 10
"""Columns of sound on each side of the moment that it hears: 21 in all, 262 ms."""
EMBEDDING = 128
GROUPS = 8
DROPOUT = 0.2
COUNTS = "num_batches_tracked"
"""What batch norms keep that no judgement depends on, and no file has."""


class Judge(nn.Module):
    """Embeds windows of grey faces, and every moment of a sound.

    It judges movement and shape, not light: a window's brightness and contrast are taken out before
    the first layer. The half that hears has no stride in time, so that a whole clip's moments come
    from one pass, one for each mel column; its batch norm makes them depend on nothing else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.face = nn.Sequential(
            *_seen(FRAMES, 32, 5, 2),  # 24 x 48
            *_seen(32, 64, 3, 2),  # 12 x 24
            *_seen(64, 128, 3, 2),  # 6 x 12
            *_seen(128, 128, 3, 1),
            *_seen(128, 192, 3, 2),  # 3 x 6
            nn.Flatten(),
            nn.Dropout(DROPOUT),
            nn.Linear(192 * 3 * 6, EMBEDDING),
        )
        self.audio = nn.Sequential(
            *_heard(1, 24, 2, 1),  # 40 bands
            *_heard(24, 48, 2, 1),  # 20
            *_heard(48, 96, 2, 2),  # 10
            *_heard(96, 160, 2, 2),  # 5
            *_heard(160, 256, 5, 4),  # 1
            nn.Dropout(DROPOUT),
            nn.Conv2d(256, EMBEDDING, 1),
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied by before a softmax (the inverse of its temperature)."""
        return self.log_scale.clamp(max=math.log(100.0)).exp()

    def embed_faces(self, windows: Tensor) -> Tensor:
        """Embed windows of lower halves of faces, grey (N, 5, 48, 96) in [0, 255]: (N, 128)."""
        grey = windows.float()
        deviation, mean = torch.std_mean(grey, (1, 2, 3), keepdim=True)
        plain = (grey - mean) / (deviation + 4)  # a flat picture's noise is no signal
        return functional.normalize(self.face(plain).float(), dim=-1)

    def embed_sounds(self, mel: Tensor) -> Tensor:
        """Embed all moments of mels (N, 80, columns) but the outer ten: (N, columns - 20, 128)."""
        embedded = self.audio(mel[:, None] / 4).float()[:, :, 0]  # (N, 128, columns - 20)
        return functional.normalize(embedded.transpose(1, 2), dim=-1)


def _seen(inputs: int, outputs: int, kernel: int, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2),
        nn.GroupNorm(GROUPS, outputs),
        nn.ReLU(),
    )


def _heard(inputs: int, outputs: int, fewer: int, apart: int) -> tuple[nn.Module, ...]:
    """Take in three columns, `apart` from each other, and make the bands `fewer` times fewer."""
    bands = (5, 0) if fewer == 5 else (3, 1)  # kernel and padding
    return (
        nn.Conv2d(inputs, outputs, (bands[0], 3), (fewer, 1), (bands[1], 0), (1, apart)),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def save_judge(judge: Judge, path: Path, about: dict[str, Any]) -> None:
    """Write a judge in half precision, with `about` (what it learnt from) in the header.

    Raises:
        LipganError: it cannot be written.
    """
    weights = {
        name: tensor.detach().cpu().half().contiguous()
        for name, tensor in judge.state_dict().items()
        if not name.endswith(COUNTS)
    }
    try:
        save_file(weights, path, {"format": FORMAT, "about": json.dumps(about)})
    except (OSError, SafetensorError) as error:
        raise LipganError(f"cannot write {path.name}: {error}", "is the disk full?") from error


def load_judge(path: Path | None = None) -> Judge:
    """Read a judge, frozen and in evaluation mode; None takes the one that comes with the install.

    Raises:
        InputError: the file is not a judge's, or is damaged.
    """
    path = path or DEFAULT_JUDGE
    hint = "give a judge that lipgan train --judge wrote"
    try:
        with safe_open(path, "pt") as file:
            told = (file.metadata() or {}).get("format", "of none of lipgan's files")
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is not a judge's file: {error}", hint) from error
    if told != FORMAT:
        raise InputError(f"{path} has the format {told}, this version reads {FORMAT}", hint)
    judge = Judge()
    counts = {name: value for name, value in judge.state_dict().items() if name.endswith(COUNTS)}
    try:
        judge.load_state_dict(weights | counts)
    except RuntimeError as error:
        raise InputError(f"{path} holds other weights than those of a judge", hint) from error
    return judge.requires_grad_(False).eval()
