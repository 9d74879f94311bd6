"""Training samples drawn from a prepared dataset: which frames go together, and how they vary."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.random import Generator as Random
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lipgan_cli.engine.config import TrainConfig
from lipgan_cli.engine.data.dataset import Clip
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.gan.batch import Batch
from lipgan_cli.engine.gan.world import World
from lipgan_cli.engine.media.audio import mel_windows

MELS = 4096
"""Clips whose mel is kept in memory: about 80 kB for three seconds."""

Sample = tuple[Tensor, Tensor, Tensor, Tensor]
"""Reference and target (3, 96, 96) uint8 RGB; true and unsynced mel window (1, 80, 27)."""


class Draws(Dataset[Sample]):
    """Sample number n, the same every time it is asked for: drawn with a generator seeded by n.

    A speaker is drawn first, by its clip count to the power `balance`, then one of its clips, a
    target frame, and a reference at least `reference_offset` frames away in the same clip.
    """

    def __init__(
        self, clips: Sequence[Clip], config: TrainConfig, iterations: int, window: int = 1
    ) -> None:
        needed = 2 * config.reference_offset + 1
        usable = [clip for clip in clips if len(clip) >= needed]
        if not usable:
            raise InputError(
                f"no clip of the subset {config.subset} has {needed} frames with a face",
                "prepare longer clips, or choose a smaller reference offset",
            )
        self.config = config
        self.length = iterations * config.batch
        self.speakers: dict[str, list[Clip]] = {}
        for clip in usable:
            self.speakers.setdefault(clip.speaker, []).append(clip)
        self.mels: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return self.length

    @cached_property
    def speaker_chances(self) -> np.ndarray:
        """The chance of each speaker, in the order of `speakers`."""
        counts = np.array([len(clips) for clips in self.speakers.values()], float)
        weights = counts**self.config.balance
        return np.asarray(weights / weights.sum())

    def __getitem__(self, number: int) -> Sample:
        random = np.random.default_rng((self.config.seed, number))
        clip = self._clip(random)
        target = int(random.integers(len(clip)))
        reference = self._other(random, len(clip), target)
        faces = [clip.face(reference), clip.face(target)]
        if self.config.augment:
            faces = vary(faces, random)
        other = clip if random.random() < 0.5 else self._clip(random)
        moment = (
            self._other(random, len(clip), target)
            if other is clip
            else int(random.integers(len(other)))
        )
        return (
            _picture(faces[0]),
            _picture(faces[1]),
            self._window(clip, target),
            self._window(other, moment),
        )

    def _clip(self, random: Random) -> Clip:
        speaker = random.choice(len(self.speakers), p=self.speaker_chances)
        clips = list(self.speakers.values())[speaker]
        return clips[random.integers(len(clips))]

    def _other(self, random: Random, frames: int, target: int) -> int:
        """A frame at least the reference offset away from `target`, each as likely as any other."""
        offset = self.config.reference_offset
        before, after = max(0, target - offset + 1), max(0, frames - target - offset)
        place = int(random.integers(before + after))
        return place if place < before else target + offset + place - before

    def _window(self, clip: Clip, frame: int) -> Tensor:
        if clip.key not in self.mels:
            if len(self.mels) >= MELS:
                self.mels.pop(next(iter(self.mels)))
            self.mels[clip.key] = clip.mel()
        return torch.from_numpy(mel_windows(self.mels[clip.key], clip.times[frame : frame + 1]))


def vary(faces: Sequence[np.ndarray], random: Random) -> list[np.ndarray]:
    """Change light, contrast, gamma, colour and left and right of uint8 RGB faces, all alike."""
    gamma = 2.0 ** random.uniform(-0.4, 0.4)
    gain = 2.0 ** random.uniform(-0.25, 0.25) * 2.0 ** random.uniform(-0.15, 0.15, 3)
    lift = random.uniform(-0.08, 0.08)
    level = np.linspace(0, 1, 256)[:, None]  # (256, 1)
    curve = np.clip(level**gamma * gain + lift, 0, 1) * 255  # (256, 3)
    table = curve.round().astype(np.uint8)[None]  # (1, 256, 3)
    saturation = random.uniform(0.3, 1.3)
    mirrored = random.random() < 0.5
    return [_varied(face, table, saturation, mirrored) for face in faces]


def _varied(face: np.ndarray, table: np.ndarray, saturation: float, mirrored: bool) -> np.ndarray:
    face = cv2.LUT(face, table)
    grey = cv2.cvtColor(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    face = cv2.addWeighted(face, saturation, grey, 1 - saturation, 0)
    return cv2.flip(face, 1) if mirrored else face


def _picture(face: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(face.transpose(2, 0, 1)))


@dataclass(frozen=True)
class _Share:
    """Of each batch's numbers, those of one process."""

    numbers: range
    share: int
    world: World

    def __len__(self) -> int:
        return len(self.numbers) // self.world.size

    def __iter__(self) -> Iterator[int]:
        for first in self.numbers[self.world.rank * self.share :: self.share * self.world.size]:
            yield from range(first, first + self.share)


def batches(
    draws: Draws, first_iteration: int, workers: int = 0, world: World | None = None
) -> Iterator[Batch]:
    """This process's share of each batch from iteration `first_iteration` on.

    `workers` processes load them; the shares of all processes in `world` make up the batch.
    """
    world = world or World()
    share = draws.config.batch // world.size
    loader = DataLoader(
        draws,
        share,
        sampler=_Share(range(first_iteration * draws.config.batch, len(draws)), share, world),
        num_workers=workers,
        pin_memory=workers > 0 and torch.cuda.is_available(),
        worker_init_fn=_leave_signals_to_the_main_process,
    )
    for reference, target, mel, unsynced in loader:
        yield Batch(reference.float() / 255, target.float() / 255, mel, unsynced)


def _leave_signals_to_the_main_process(worker: int) -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
