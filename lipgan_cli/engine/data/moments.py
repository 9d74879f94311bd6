"""Moments of clips: windows of consecutive faces with their sound, for the lip-sync expert."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.random import Generator as Random
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lipgan_cli.engine.data.dataset import Clip, speaker_chances
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.gan.expert import FRAMES
from lipgan_cli.engine.media.audio import SILENCE, mel_windows

APART = 5
"""Least distance of two moments of an item, frames: their faces do not overlap."""

BALANCE = 0.5
"""Exponent of a speaker's clip count in its chance of being drawn."""

Moment = tuple[Tensor, Tensor]
"""Faces (K, 5, 96, 96, 3) uint8 RGB and mel windows (K, 80, 27) of one clip."""


class Moments(Dataset[Moment]):
    """Item number n, the same every time it is asked for: `windows` moments of one clip.

    Whoever is to tell them apart has nothing but the speech to go by: same speaker, same sentence,
    same light. A speaker is drawn first, then a clip, then moments at least `APART` frames apart,
    each set of them as likely as any other.
    """

    def __init__(
        self, clips: Sequence[Clip], seed: int, items: int, windows: int, augment: bool = True
    ) -> None:
        needed = 1 + APART * (windows - 1)
        usable = [clip for clip in clips if len(clip.starts(FRAMES)) >= needed]
        if not usable:
            raise InputError(
                f"no clip has {needed + FRAMES - 1} consecutive frames with a face,"
                " which the lip-sync expert learns from",
                "prepare longer clips",
            )
        self.seed, self.items, self.windows, self.augment = seed, items, windows, augment
        self.speakers: dict[str, list[Clip]] = {}
        for clip in usable:
            self.speakers.setdefault(clip.speaker, []).append(clip)

    def __len__(self) -> int:
        return self.items

    @cached_property
    def speaker_chances(self) -> NDArray[np.float64]:
        """The chance of each speaker, in the order of `speakers`."""
        return speaker_chances(self.speakers, BALANCE)

    def __getitem__(self, number: int) -> Moment:
        if not 0 <= number < self.items:
            raise IndexError(number)
        random = np.random.default_rng((self.seed, number))
        speaker = random.choice(len(self.speakers), p=self.speaker_chances)
        clips = list(self.speakers.values())[speaker]
        clip = clips[random.integers(len(clips))]
        first = clip.starts(FRAMES)
        first = first[spread(random, len(first), self.windows)]
        faces, mel = windows_at(clip, first)
        if self.augment:
            faces = vary(faces, random)
            mel = louder(mel, random)
        return torch.from_numpy(np.ascontiguousarray(faces)), torch.from_numpy(mel)


def spread(random: Random, places: int, count: int) -> NDArray[np.int64]:
    """Draw `count` of `places` places, ascending and at least `APART` from each other."""
    free = places - (count - 1) * (APART - 1)
    drawn = np.sort(random.choice(free, count, replace=False))
    return np.asarray(drawn + np.arange(count) * (APART - 1), np.int64)


def windows_at(
    clip: Clip, first: NDArray[np.integer]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The windows that begin at the kept frames `first`: faces (K, 5, 96, 96, 3), mel (K, 80, 27).

    Raises:
        LipganError: a file of the clip is missing or damaged.
    """
    needed = np.unique(first[:, None] + np.arange(FRAMES))
    read = {int(i): clip.face(int(i)) for i in needed}
    faces = np.stack([[read[int(i) + step] for step in range(FRAMES)] for i in first])
    return faces, mel_windows(clip.mel(), clip.times[first + FRAMES // 2])


def vary(faces: NDArray[np.uint8], random: Random) -> NDArray[np.uint8]:
    """Change gamma, brightness, colour and left and right of RGB faces (..., 3), all alike."""
    gamma = 2.0 ** random.uniform(-0.4, 0.4)
    gain = 2.0 ** random.uniform(-0.3, 0.3) * 2.0 ** random.uniform(-0.15, 0.15, 3)
    curve = np.clip(np.linspace(0, 1, 256)[:, None] ** gamma * gain, 0, 1) * 255  # (256, 3)
    table = curve.round().astype(np.uint8)[None]  # (1, 256, 3)
    varied = cv2.LUT(faces.reshape(1, -1, 3), table).reshape(faces.shape)
    return np.asarray(varied[..., ::-1, :] if random.random() < 0.5 else varied, np.uint8)


def louder(mel: NDArray[np.float32], random: Random) -> NDArray[np.float32]:
    """Make the sound up to 4 dB louder or softer; what is silent stays so."""
    gain = np.float32(random.uniform(-0.32, 0.32))  # 8 is 100 dB
    changed = np.clip(mel + gain, SILENCE, -SILENCE)
    return np.where(mel > SILENCE, changed, mel).astype(np.float32)
