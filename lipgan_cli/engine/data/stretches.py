"""Stretches of clips: windows of mouths and all the sound about them, for the lip-sync judge."""

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
from lipgan_cli.engine.data.memory import Memory
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.audio import BANDS, COLUMNS_PER_SECOND, SILENCE, centre_columns
from lipgan_cli.engine.media.faces import CROP
from lipgan_cli.engine.metrics.judge import FPS, HEARD, TOP
from lipgan_cli.engine.metrics.lipsync import REACH, Windows, stretch, windows

SECONDS = 3.0
"""Length of a stretch."""
WINDOWS = 16
"""Windows of mouths drawn from one."""
BALANCE = 0.5
"""Exponent of a speaker's clip count in its chance of being drawn."""
MEMORY = 1 << 30
"""Bytes of faces that are kept: those of an hour and a quarter."""

MOMENTS = round(SECONDS * COLUMNS_PER_SECOND) + 2 * REACH
"""Columns of a stretch that its windows are compared with."""

SHIFT, ZOOM, ROTATION = 4.0, 0.1, 8.0  # pixels, part of the size, degrees: either way
GAMMA, CONTRAST = 0.5, 0.4  # stops, either way
NOISE, BLUR = 8.0, 1.2  # grey levels and pixels, at most
LOUDER, TILT = 0.5, 0.6  # of the mel's eight (100 dB), either way; the tilt is from end to end
VOICE = 3  # bands by which a voice moves up or down
HUM = -4.0, 0.0  # level of a noise behind the sound, in the mel's units
SOMETIMES = 0.5  # chance of noise, blur or hum

Stretch = tuple[Tensor, Tensor, Tensor, Tensor]
"""Mouths (K, 5, 48, 96) uint8 grey; the moment of each one's own sound (K,), of 0..335; the mel
about the stretch (80, 356); which moments have a sound (336,)."""


class Stretches(Dataset[Stretch]):
    """Item number n, the same every time it is asked for: windows of a stretch, and its sound.

    A speaker is drawn first, then a clip, then where its stretch begins; of a shorter clip it is
    the whole.

    Raises:
        InputError: no clip has a second of faces.
    """

    def __init__(self, clips: Sequence[Clip], seed: int, items: int) -> None:
        self.seed, self.items = seed, items
        self.speakers: dict[str, list[tuple[Clip, Windows]]] = {}
        for clip in clips:
            laid = windows(clip.times)
            if len(laid.times) >= FPS:
                self.speakers.setdefault(clip.speaker, []).append((clip, laid))
        if not self.speakers:
            raise InputError("no clip has a second of faces", "prepare longer clips")
        self._memory: Memory[NDArray[np.uint8]] = Memory(MEMORY)

    def __len__(self) -> int:
        return self.items

    @cached_property
    def speaker_chances(self) -> NDArray[np.float64]:
        """The chance of each speaker, in the order of `speakers`."""
        return speaker_chances(self.speakers, BALANCE)

    def __getitem__(self, number: int) -> Stretch:
        if not 0 <= number < self.items:
            raise IndexError(number)
        random = np.random.default_rng((self.seed, number))
        speaker = random.choice(len(self.speakers), p=self.speaker_chances)
        shelf = list(self.speakers.values())[speaker]
        clip, laid = shelf[random.integers(len(shelf))]
        longest = round(SECONDS * FPS)
        start = int(random.integers(max(1, len(laid.times) - longest + 1)))
        near = start + np.flatnonzero(
            laid.times[start : start + longest] < laid.times[start] + SECONDS
        )
        drawn = np.sort(random.choice(near, WINDOWS, replace=len(near) < WINDOWS))
        mel = clip.mel()
        first = int(centre_columns(laid.times[start : start + 1])[0]) - REACH
        moments = first + np.arange(MOMENTS)
        sound = vary_sound(stretch(mel, first - HEARD, MOMENTS + 2 * HEARD), random)
        faces = self._memory.get(clip.key, lambda: _grey(clip))
        mouths = vary_mouths(faces, laid.faces[drawn], random)
        return (
            torch.from_numpy(mouths),
            torch.from_numpy(laid.columns[drawn] - first),
            torch.from_numpy(sound),
            torch.from_numpy((moments >= 0) & (moments < mel.shape[1])),
        )


def _grey(clip: Clip) -> NDArray[np.uint8]:
    """All faces of a clip, (n, 96, 96)."""
    faces = (cv2.cvtColor(clip.face(i), cv2.COLOR_RGB2GRAY) for i in range(len(clip)))
    return np.stack(list(faces)).astype(np.uint8, copy=False)


def vary_mouths(
    faces: NDArray[np.uint8], chosen: NDArray[np.int64], random: Random
) -> NDArray[np.uint8]:
    """Cut the lower halves (K, 5, 48, 96) out of grey faces (n, 96, 96), all varied alike.

    Place, size, turn, left and right, gamma, contrast, sharpness; and noise.
    """
    turn = np.asarray(
        cv2.getRotationMatrix2D(
            (CROP / 2, 3 * CROP / 4),
            random.uniform(-ROTATION, ROTATION),
            random.uniform(1 - ZOOM, 1 + ZOOM),
        ),
        np.float64,
    )
    turn[:, 2] += random.uniform(-SHIFT, SHIFT, 2) - (0, TOP)
    if random.random() < 0.5:
        turn[0] = -turn[0]
        turn[0, 2] += CROP - 1
    levels = np.linspace(0, 1, 256) ** 2.0 ** random.uniform(-GAMMA, GAMMA)
    levels = (levels - 0.5) * 2.0 ** random.uniform(-CONTRAST, CONTRAST) + 0.5
    table = (levels.clip(0, 1) * 255).round().astype(np.uint8)
    blur = random.uniform(0.3, BLUR) if random.random() < SOMETIMES else 0.0
    grain = random.uniform(0, NOISE) if random.random() < SOMETIMES else 0.0
    needed, places = np.unique(chosen, return_inverse=True)
    cut = np.empty((len(needed), CROP - TOP, CROP), np.uint8)
    for row, number in enumerate(needed):
        face = cv2.warpAffine(
            faces[number], turn, (CROP, CROP - TOP), borderMode=cv2.BORDER_REFLECT_101
        )
        face = cv2.LUT(face, table)
        if blur:
            face = cv2.GaussianBlur(face, (0, 0), blur)
        cut[row] = face
    if grain:
        noise = random.standard_normal(cut.shape, np.float32) * np.float32(grain)
        cut = np.clip(cut + noise, 0, 255).astype(np.uint8)
    return cut[places.reshape(chosen.shape)]


def vary_sound(mel: NDArray[np.float32], random: Random) -> NDArray[np.float32]:
    """Change loudness, timbre and pitch of a mel (80, columns), and put noise behind it."""
    voice = int(random.integers(-VOICE, VOICE + 1))
    moved = mel[np.clip(np.arange(BANDS) + voice, 0, BANDS - 1)]
    slope = np.linspace(-0.5, 0.5, BANDS)[:, None] * random.uniform(-TILT, TILT)
    changed = moved + (random.uniform(-LOUDER, LOUDER) + slope)
    if random.random() < SOMETIMES:
        hum = random.uniform(*HUM) + slope + random.normal(0, 0.3, mel.shape)
        # Magnitudes add; a unit of the mel is 12.5 dB.
        changed = np.logaddexp(changed * 1.439, hum * 1.439) / 1.439
    else:
        changed = np.where(moved > SILENCE, changed, SILENCE)
    return np.clip(changed, SILENCE, -SILENCE).astype(np.float32)
