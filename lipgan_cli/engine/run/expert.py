"""A run's lip-sync expert: learnt once from real clips, measured, kept in the run's folder."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from lipgan_cli.engine.data.dataset import Clip
from lipgan_cli.engine.data.moments import Moment, Moments, windows_at
from lipgan_cli.engine.gan.device import fast_bf16
from lipgan_cli.engine.gan.expert import FRAMES, Expert, load_expert, own_loss, save_expert
from lipgan_cli.engine.paths import atomic_path
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.run.learning import taught
from lipgan_cli.engine.run.offsets import ClipOffsets, Found, clip_offsets, found

CLIPS = 8
"""Clips in a batch."""

WINDOWS = 8
"""Moments of a clip in a batch, told apart from each other."""

WEIGHT_DECAY = 0.01
WARM_UP = 100
"""Iterations over which the learning rate rises."""

PIECE = 64
"""Windows embedded at once when an expert is measured."""


def expert_file(run: Path) -> Path:
    """The file of a run's expert."""
    return run / "expert.safetensors"


def expert_of(
    run: Path,
    clips: Sequence[Clip],
    held_out: Sequence[Clip],
    seed: int,
    iterations: int,
    device: torch.device,
    progress: Progress,
) -> Expert:
    """The run's expert, frozen and on `device`; where the run has none yet, it is learnt first.

    It is written whole or not at all: what is stopped halfway begins anew. On a CPU with the
    same number of threads, the same clips and seed give the same expert.

    Raises:
        InputError: the run's file is not an expert's, or no clip is long enough.
        LipganError: a clip is damaged, the loss is no longer a number, or nothing can be written.
    """
    path = expert_file(run)
    if not path.exists():
        expert = learn(clips, seed, iterations, device, progress)
        measured = measure(expert, held_out, progress)
        about = {
            "clips": len(clips),
            "seed": seed,
            "iterations": iterations,
            "found": {name: dataclasses.asdict(figures) for name, figures in measured.items()},
        }
        with atomic_path(path) as temporary:
            save_expert(expert, temporary, about)
    return load_expert(path).to(device)


def copy_expert(file: Path, run: Path) -> None:
    """Give a run an expert that was learnt before.

    Raises:
        InputError: `file` is not an expert's, or is damaged.
    """
    load_expert(file)
    with atomic_path(expert_file(run)) as temporary:
        shutil.copyfile(file, temporary)


def learn(
    clips: Sequence[Clip], seed: int, iterations: int, device: torch.device, progress: Progress
) -> Expert:
    """Teach a new expert to tell the moments of a clip apart, from faces to sounds and back.

    Raises:
        InputError: no clip is long enough.
        LipganError: a clip is damaged, or the loss is no longer a number.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        expert = Expert().to(device)
    moments = Moments(clips, seed, iterations * CLIPS, WINDOWS)
    batches = DataLoader(moments, CLIPS, generator=torch.Generator())  # torch's own stays untouched

    def losses(batch: Moment) -> tuple[Tensor, Tensor]:
        faces, mel = batch
        seen, heard = _embed(expert, faces.to(device), mel.to(device))
        loss = (
            own_loss(seen, heard, expert.scale) + own_loss(heard, seen, expert.scale)
        ).mean() / 2
        own = (seen @ heard.mT).argmax(-1) == torch.arange(WINDOWS, device=device)
        return loss, own.float().mean()

    name = "the lip-sync expert"
    return taught(expert, name, batches, losses, iterations, WARM_UP, WEIGHT_DECAY, progress)


def _embed(expert: Expert, faces: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
    """Embed moments as the dataset gives them, (..., 5, 96, 96, 3) and (..., 80, 27)."""
    shape = mel.shape[:-2]
    device = faces.device
    pictures = faces.flatten(0, -5).permute(0, 1, 4, 2, 3).float() / 255  # (W, 5, 3, 96, 96)
    with torch.autocast(device.type, torch.bfloat16, enabled=fast_bf16(device)):
        seen, heard = expert(pictures, mel.flatten(0, -3)[:, None])
    return seen.unflatten(0, shape), heard.unflatten(0, shape)


def measure(expert: Expert, clips: Sequence[Clip], progress: Progress) -> dict[str, Found]:
    """How well an expert finds the true sound on held-out clips: each speaker, and `all`.

    Clips without two windows of consecutive frames are left out, and speakers without others.

    Raises:
        LipganError: a clip is damaged.
    """
    speakers: dict[str, list[ClipOffsets]] = {}
    with progress.task("measuring the lip-sync expert", len(clips), "clips") as task:
        for clip in clips:
            first = clip.starts(FRAMES)
            if len(first) > 1:
                offsets = clip_offsets(_scores(expert, clip, first), clip.frames[first])
                speakers.setdefault(clip.speaker, []).append(offsets)
            task.advance()
    everyone = [offsets for own in speakers.values() for offsets in own]
    return {name: found(own) for name, own in (speakers | {"all": everyone}).items() if own}


@torch.no_grad()
def _scores(expert: Expert, clip: Clip, first: NDArray[np.intp]) -> NDArray[np.float32]:
    """Cosines of all windows of a clip with all their sounds, (windows, windows)."""
    device = expert.log_scale.device
    seen, heard = [], []
    for some in np.array_split(first, math.ceil(len(first) / PIECE)):
        faces, mel = (torch.from_numpy(part).to(device) for part in windows_at(clip, some))
        of_faces, of_sounds = _embed(expert, faces, mel)
        seen.append(of_faces)
        heard.append(of_sounds)
    return np.asarray((torch.cat(seen) @ torch.cat(heard).mT).cpu().numpy(), np.float32)
