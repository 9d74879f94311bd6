"""Training samples drawn from a prepared dataset: which frames go together, and how they vary."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import cv2
import numpy as np
import torch
from numpy.random import Generator as Random
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from lipgan_cli.engine.config import SOUND, TrainConfig
from lipgan_cli.engine.data.dataset import Clip, speaker_chances
from lipgan_cli.engine.data.memory import Memory
from lipgan_cli.engine.data.pictures import vary
from lipgan_cli.engine.data.sounds import Effect, draw_effect, heard
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.gan.batch import Batch
from lipgan_cli.engine.gan.world import World
from lipgan_cli.engine.media.audio import BANDS, WINDOW, mel_windows
from lipgan_cli.engine.media.faces import CROP

UNSYNCED = 6
"""Least distance of unsynced sound from the target, frames: nearer, it might fit as well."""
MEMORY = 1 << 30
"""Bytes of sound that all loading processes together keep: 14,000 mels of three seconds."""

Samples = tuple[Tensor, Tensor, Tensor, Tensor]
"""Reference and target (B, 3, 96, 96) uint8 RGB; true and unsynced mel windows (B, 1, 80, 27)."""


@dataclass(frozen=True)
class Usable:
    """A clip, and where windows of consecutive frames begin in it."""

    clip: Clip
    starts: NDArray[np.intp]

    @property
    def spread(self) -> int:
        """Frames from the first start to the last, -1 where there is none."""
        return int(self.starts[-1] - self.starts[0]) if len(self.starts) else -1


class Draws(Dataset[Samples]):
    """Sample number n, the same every time it is asked for.

    It is frame n % window of window number n // window: consecutive frames of one clip, with one
    reference, one way to vary, and unsynced sound that goes on with the frames. A window is drawn
    with a generator seeded by its number: a speaker first, by its clip count to the power
    `balance`, then one of its clips, the target frames, and a reference from `reference_offset`
    to `reference_reach` frames away from them in the same clip.

    Raises:
        InputError: no clip is long enough, or the batch is no multiple of the window.
    """

    def __init__(
        self, clips: Sequence[Clip], config: TrainConfig, iterations: int, *, window: int = 1
    ) -> None:
        if config.batch % window:
            raise InputError(
                f"a batch of {config.batch} is no multiple of {window} consecutive frames",
                f"a batch of {max(1, config.batch // window) * window}",
            )
        needed = 2 * max(config.reference_offset, UNSYNCED) + window
        usable = [Usable(clip, clip.starts(window)) for clip in clips if len(clip) >= needed]
        # From any start there must be another, where the unsynced sound begins.
        usable = [one for one in usable if one.spread >= 2 * UNSYNCED]
        if not usable:
            raise InputError(
                f"no clip of the subset {config.subset} has {needed} frames with a face"
                + (f", {window} of them in a row" if window > 1 else ""),
                "prepare longer clips, or choose a smaller reference offset",
            )
        self.config = config
        self.window = window
        self.length = iterations * config.batch
        self.speakers: dict[str, list[Usable]] = {}
        for one in usable:
            self.speakers.setdefault(one.clip.speaker, []).append(one)
        self.with_sound = not set(SOUND).isdisjoint(config.augment)

    def __len__(self) -> int:
        return self.length

    @cached_property
    def speaker_chances(self) -> NDArray[np.float64]:
        """The chance of each speaker, in the order of `speakers`."""
        return speaker_chances(self.speakers, self.config.balance)

    def __getitem__(self, number: int) -> Samples:
        """Return one sample, without the dimension of the batch."""
        reference, target, mel, unsynced = self.__getitems__([number])
        return reference[0], target[0], mel[0], unsynced[0]

    def __getitems__(self, numbers: Sequence[int]) -> Samples:
        """Return the samples of these numbers as one batch."""
        size = len(numbers)
        reference, target = np.empty((2, size, 3, CROP, CROP), np.uint8)
        mel, unsynced = np.empty((2, size, 1, BANDS, WINDOW), np.float32)
        row = 0
        for number, group in groupby(numbers, lambda number: number // self.window):
            faces, true, other = self._window(number)
            for frame in (sample % self.window for sample in group):
                cv2.split(faces[0], list(reference[row]))
                cv2.split(faces[1 + frame], list(target[row]))
                mel[row, 0], unsynced[row, 0] = true[frame], other[frame]
                row += 1
        return (
            torch.from_numpy(reference),
            torch.from_numpy(target),
            torch.from_numpy(mel),
            torch.from_numpy(unsynced),
        )

    def _window(
        self, number: int
    ) -> tuple[list[NDArray[np.uint8]], NDArray[np.float32], NDArray[np.float32]]:
        """Draw a window: faces (the reference, then its frames), true and unsynced mel windows."""
        random = np.random.default_rng((self.config.seed, number))
        usable = self._clip(random)
        clip = usable.clip
        start = int(usable.starts[random.integers(len(usable.starts))])
        reference = self._reference(random, len(clip), start)
        other = usable if random.random() < 0.5 else self._clip(random)
        moment = _moment(random, other.starts, start if other is usable else None)
        faces = [clip.face(place) for place in (reference, *range(start, start + self.window))]
        faces = vary(faces, random, self.config.augment)
        effect = draw_effect(random, self.config.augment) if self.with_sound else None
        true = self._heard(clip, start, effect)
        return faces, true, self._heard(other.clip, moment, effect)

    def _heard(self, clip: Clip, start: int, effect: Effect | None) -> NDArray[np.float32]:
        times = clip.times[start : start + self.window]
        if effect is not None:
            return heard(self._memory.get(clip.key, clip.sound), times, effect)
        return mel_windows(self._memory.get(clip.key, clip.mel), times)

    @cached_property
    def _memory(self) -> Memory[NDArray[np.float32]]:
        """What this process keeps of mels, or of sounds where they vary."""
        worker = get_worker_info()
        return Memory(MEMORY // (worker.num_workers if worker else 1))

    @cached_property
    def _shelves(self) -> tuple[NDArray[np.float64], list[list[Usable]]]:
        return np.cumsum(self.speaker_chances), list(self.speakers.values())

    def _clip(self, random: Random) -> Usable:
        chances, shelves = self._shelves
        speaker = min(int(np.searchsorted(chances, random.random(), "right")), len(shelves) - 1)
        clips = shelves[speaker]
        return clips[random.integers(len(clips))]

    def _reference(self, random: Random, frames: int, start: int) -> int:
        """A frame at the distances asked for from the window, each as likely as any other."""
        offset, reach = self.config.reference_offset, self.config.reference_reach or frames
        last = start + self.window - 1
        before = range(max(0, start - reach), max(0, start - offset + 1))
        after = range(min(frames, last + offset), min(frames, last + reach + 1))
        place = int(random.integers(len(before) + len(after)))
        return before[place] if place < len(before) else after[place - len(before)]


def _moment(random: Random, starts: NDArray[np.intp], target: int | None) -> int:
    """A start at which sound is unsynced with a target that starts in the same clip, or at none."""
    before = after = 0
    if target is not None:
        before = int(np.searchsorted(starts, target - UNSYNCED, "right"))
        after = int(np.searchsorted(starts, target + UNSYNCED, "left"))
    place = int(random.integers(before + len(starts) - after))
    return int(starts[place if place < before else after + place - before])


class _Told(Dataset[Samples | LipganError]):
    """Batches, or the error that there is instead of one.

    An error raised in a loading process would come back as text, without its hint.
    """

    def __init__(self, draws: Draws) -> None:
        self.draws = draws

    def __getitems__(self, numbers: Sequence[int]) -> Samples | LipganError:
        try:
            return self.draws.__getitems__(numbers)
        except LipganError as error:
            return error


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
) -> Generator[Batch, None, None]:
    """This process's share of each batch from iteration `first_iteration` on.

    `workers` processes load them; the shares of all processes in `world` make up the batch.
    Faces are uint8, as they travel to the device. Close the generator: its processes take no
    signal to end, not even that which Python sends to those that are left when it exits.

    Raises:
        LipganError: a clip is damaged.
    """
    # OpenCV's threads gain nothing on faces, and a fork would wait for those that it has not got.
    cv2.setNumThreads(1)
    world = world or World()
    share = draws.config.batch // world.size
    loader = DataLoader(
        _Told(draws),
        share,
        sampler=_Share(range(first_iteration * draws.config.batch, len(draws)), share, world),
        num_workers=workers,
        collate_fn=_as_it_is,
        pin_memory=workers > 0 and torch.cuda.is_available(),
        worker_init_fn=_begin,
    )
    loaded = iter(loader)
    try:
        for samples in loaded:
            if isinstance(samples, LipganError):
                raise samples
            yield Batch(*samples)
    finally:
        if workers:
            _end(loaded)


def _end(loaded: Any) -> None:
    """End a loader's processes now, and not when no traceback refers to it any more.

    There is no public way to.
    """
    loaded._shutdown_workers()  # noqa: SLF001
    for worker in loaded._workers:  # noqa: SLF001 - one that has not ended holds Python at exit
        worker.kill()
        worker.join()


def _as_it_is(batch: Any) -> Any:
    return batch


def _begin(worker: int) -> None:
    """Leave signals to the main process, and the other cores to the other workers."""
    if cv2.getNumThreads() != 1:
        cv2.setNumThreads(1)
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
