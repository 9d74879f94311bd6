"""Teaching the lip-sync judge from real clips, and measuring it on clips that it never saw."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW
from torch.utils.data import DataLoader

from lipgan_cli.engine.data.dataset import Clip
from lipgan_cli.engine.data.stretches import Stretches
from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.gan.device import fast_bf16
from lipgan_cli.engine.media.audio import COLUMNS_PER_SECOND
from lipgan_cli.engine.metrics.judge import FPS, Judge
from lipgan_cli.engine.metrics.lipsync import REACH
from lipgan_cli.engine.progress import Progress

CLIPS = 10
"""Stretches in a batch."""
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.05
WARM_UP = 200
"""Iterations over which the learning rate rises; then it falls to zero along a cosine."""
FRAMES_AWAY = REACH * FPS // COLUMNS_PER_SECOND


def learn(
    clips: Sequence[Clip], seed: int, iterations: int, device: torch.device, progress: Progress
) -> Judge:
    """Teach a new judge to find the sound of a window among those around it, and back.

    Raises:
        InputError: no clip is long enough.
        LipganError: a clip is damaged, or the loss is no longer a number.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = Judge().to(device)
        stretches = Stretches(clips, seed, iterations * CLIPS)
        batches = DataLoader(stretches, CLIPS, generator=torch.Generator())
        optimizer = AdamW(judge.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        began = time.monotonic()
        with progress.task("learning to judge lip-sync", iterations, "iterations") as task:
            for done, batch in enumerate(batches):
                for group in optimizer.param_groups:
                    group["lr"] = LEARNING_RATE * _rate(done, iterations)
                loss, accuracy = losses(judge, *(part.to(device) for part in batch))
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                optimizer.step()
                if not math.isfinite(loss.item()):
                    raise LipganError(
                        f"the judge's loss is no longer a number at iteration {done + 1}",
                        "begin again with another --seed",
                    )
                pace = (done + 1) / (time.monotonic() - began)
                task.show(**{"iterations/s": pace}, loss=loss.item(), accuracy=accuracy.item())
                task.advance()
    return judge.requires_grad_(False).eval()


def losses(
    judge: Judge, mouths: Tensor, own: Tensor, mel: Tensor, sounding: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss of a batch of stretches, and the part of windows whose own sound is found.

    Args:
        judge: in training mode.
        mouths: (B, K, 5, 48, 96) grey.
        own: (B, K), the moment of each window's own sound.
        mel: (B, 80, columns + 20).
        sounding: (B, columns), which moments have a sound.
    """
    with torch.autocast(mel.device.type, torch.bfloat16, enabled=fast_bf16(mel.device)):
        seen = judge.embed_faces(mouths.flatten(0, 1)).view(*own.shape, -1)  # (B, K, 128)
        heard = judge.embed_sounds(mel)  # (B, columns, 128)
    cosines = seen @ heard.mT  # (B, K, columns)
    away = torch.arange(-FRAMES_AWAY, FRAMES_AWAY + 1, device=mel.device)
    places = own[..., None] + (away * COLUMNS_PER_SECOND / FPS).round().long()  # (B, K, 31)
    silent = ~sounding[:, None].expand_as(cosines).gather(2, places)
    near = (judge.scale * cosines.gather(2, places)).masked_fill(silent, -torch.inf)
    by_face = functional.cross_entropy(
        near.flatten(0, 1), torch.full((own.numel(),), FRAMES_AWAY, device=mel.device)
    )
    # And back: whose faces belong to this sound, of all windows of the stretch?
    at_own = cosines.gather(2, own[:, None].expand(-1, own.shape[1], -1))  # (B, K faces, K sounds)
    itself = torch.arange(own.shape[1], device=mel.device).expand(len(own), -1)
    by_sound = functional.cross_entropy(judge.scale * at_own, itself)
    found = (near.argmax(2) - FRAMES_AWAY).abs() <= 1
    return (by_face + by_sound) / 2, found.float().mean()


def _rate(done: int, iterations: int) -> float:
    return min(1.0, (done + 1) / WARM_UP) * (1 + math.cos(math.pi * done / iterations)) / 2
