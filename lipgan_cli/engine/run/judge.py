"""Teaching the lip-sync judge from real clips, and measuring it on clips that it never saw."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from lipgan_cli.engine.data.dataset import Clip, Dataset, read_subset, resolve
from lipgan_cli.engine.data.stretches import Stretches
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.gan.device import choose_device, fast_bf16
from lipgan_cli.engine.media.audio import COLUMNS_PER_SECOND
from lipgan_cli.engine.metrics.judge import FPS, Judge, save_judge
from lipgan_cli.engine.metrics.lipsync import (
    FRAME_MS,
    REACH,
    agreement,
    area_under_curve,
    embed,
    embed_mel,
    mouth,
    stretch,
    verdict,
)
from lipgan_cli.engine.metrics.protocol import MeasuredClip, other_of, speakers_of
from lipgan_cli.engine.paths import atomic_path, check_output
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.run.learning import taught

CLIPS = 10
"""Stretches in a batch."""
WEIGHT_DECAY = 0.05
WARM_UP = 200
"""Iterations over which the learning rate rises."""
ITERATIONS = 3000
"""Of the judge that comes with the install."""
FRAMES_AWAY = REACH * FPS // COLUMNS_PER_SECOND
IGNORED = -100
"""The class of what cross_entropy is to leave out."""
SHIFTS = 10
"""Frames by which sounds are moved, either way, when a judge is measured."""


@dataclass(frozen=True)
class JudgeFigures:
    """How well a judge does on real clips that it never saw.

    Attributes:
        clips: that are long enough to judge.
        in_sync: part of them whose offset is within a frame of 0.
        found: part of all shifts of their sounds, by -10..10 frames, that are found within a frame,
            from the clip's own offset on.
        auc: how often a clip's own sound agrees better with its faces than another clip's of the
            same speaker, over all pairs of clips; None of a speaker with one clip.
        confidence: mean.
    """

    clips: int
    in_sync: float
    found: float
    auc: float | None
    confidence: float


@dataclass(frozen=True)
class JudgeRequest:
    """A judge to be taught: on a subset of a dataset, measured on its test clips."""

    file: Path
    data: Path | None = None
    subset: str = "full"
    seed: int = 2016
    iterations: int = ITERATIONS
    device: str | None = None


@dataclass(frozen=True)
class JudgeSummary:
    """A judge that was taught, and how it does on the test clips of each speaker, and all."""

    file: Path
    iterations: int
    seconds: float
    figures: Mapping[str, JudgeFigures]


def teach(request: JudgeRequest, progress: Progress) -> JudgeSummary:
    """Teach a judge, measure it, and write it whole or not at all.

    Raises:
        InputError: there is no such dataset, or no clip is long enough; the file is there already
            or cannot be written, or there is nothing to learn in.
        LipganError: a clip is damaged, or the loss is no longer a number.
    """
    began = time.monotonic()
    if request.file.is_dir():
        raise InputError(f"{request.file} is a folder, not a file", "give a file to write")
    if request.iterations < 1:
        raise InputError("a judge learns nothing in 0 iterations", "leave --iterations out")
    check_output(request.file, force=False)
    dataset = Dataset.open(resolve(request.data))
    device = choose_device(request.device)
    clips = dataset.clips(request.subset)
    judge = learn(clips, request.seed, request.iterations, device, progress)
    learnt = {clip.key for clip in clips}
    held_out = [dataset.clip(key) for key in read_subset(dataset.path, "test")]
    held_out = [clip for clip in held_out if clip.key not in learnt]
    figures = measure(judge, held_out, progress)
    about = {
        "clips": len(clips),
        "seed": request.seed,
        "iterations": request.iterations,
        "test": {name: asdict(each) for name, each in figures.items()},
    }
    if not figures:
        reason = "are too short" if held_out else "are all among those that it learnt from"
        progress.note(f"no clip is left to measure the judge on: the test clips {reason}")
    with atomic_path(request.file, force=False) as temporary:
        save_judge(judge, temporary, about)
    return JudgeSummary(request.file, request.iterations, time.monotonic() - began, figures)


def measure(judge: Judge, clips: Sequence[Clip], progress: Progress) -> dict[str, JudgeFigures]:
    """Measure a judge on the clips of each speaker, and on `all`.

    Raises:
        LipganError: a clip is damaged.
    """
    results: dict[str, list[_Judged]] = {}
    with progress.task("measuring the judge", len(clips), "clips") as task:
        for own in speakers_of(clips).values() if clips else ():
            for k, clip in enumerate(own):
                found = _judged(judge, clip, other_of(own, k))
                if found is not None:
                    results.setdefault(clip.speaker, []).append(found)
                task.advance()
    everyone = [found for own in results.values() for found in own]
    return {name: _figures(own) for name, own in {**results, "all": everyone}.items() if own}


@dataclass(frozen=True)
class _Judged:
    offset_ms: float
    confidence: float
    found: tuple[bool, ...]  # of each shift
    right: float  # agreement with its own sound
    wrong: float | None  # and with another


def _judged(judge: Judge, clip: MeasuredClip, other: MeasuredClip | None) -> _Judged | None:
    mel = clip.mel()
    film = embed(
        judge, (mouth(clip.face(i)) for i in range(len(clip))), np.asarray(clip.times), mel
    )
    own = verdict(film)
    if own is None:
        return None
    found = []
    for frames in range(-SHIFTS, SHIFTS + 1):
        late = round(frames * COLUMNS_PER_SECOND / FPS)
        moved = replace(film, heard=embed_mel(judge, stretch(mel, -late, mel.shape[1])))
        said = verdict(moved)
        wanted = own.offset_ms + frames * FRAME_MS
        found.append(said is not None and abs(said.offset_ms - wanted) <= FRAME_MS)
    wrong = None
    if other is not None:
        wrong = agreement(replace(film, heard=embed_mel(judge, other.mel())))
    return _Judged(own.offset_ms, own.confidence, tuple(found), agreement(film), wrong)


def _figures(judged: Sequence[_Judged]) -> JudgeFigures:
    wrong = [each.wrong for each in judged if each.wrong is not None]
    return JudgeFigures(
        clips=len(judged),
        in_sync=float(np.mean([abs(each.offset_ms) <= FRAME_MS for each in judged])),
        found=float(np.mean([each.found for each in judged])),
        auc=area_under_curve([each.right for each in judged], wrong),
        confidence=float(np.mean([each.confidence for each in judged])),
    )


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
        return taught(
            judge,
            "the judge",
            DataLoader(stretches, CLIPS, generator=torch.Generator()),
            lambda batch: losses(judge, *(part.to(device) for part in batch)),
            iterations,
            WARM_UP,
            WEIGHT_DECAY,
            progress,
        )


def losses(
    judge: Judge, mouths: Tensor, own: Tensor, mel: Tensor, sounding: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss of a batch of stretches, and the part of windows whose own sound is found.

    Windows without a sound of their own, beyond its end, do not count.

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
    heard_own = sounding.gather(1, own)  # (B, K)
    near = (judge.scale * cosines.gather(2, places)).masked_fill(silent, -torch.inf)
    by_face = functional.cross_entropy(
        near.flatten(0, 1), torch.full_like(own, FRAMES_AWAY).where(heard_own, IGNORED).flatten()
    )
    # And back: whose faces belong to this sound, of all windows of the stretch?
    at_own = cosines.gather(2, own[:, None].expand(-1, own.shape[1], -1))  # (B, K faces, K sounds)
    itself = torch.arange(own.shape[1], device=mel.device).expand(len(own), -1)
    by_sound = functional.cross_entropy(judge.scale * at_own, itself.where(heard_own, IGNORED))
    found = (near.argmax(2) - FRAMES_AWAY).abs() <= 1
    return (by_face + by_sound) / 2, found[heard_own].float().mean()
