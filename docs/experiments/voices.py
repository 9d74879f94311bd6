"""Teach a generator other voices: `python docs/experiments/voices.py IN DATA STEPS OUT`.

The generator's encoder of sound learns to give for a training clip's sound, in another voice, at
another microphone, in a room or in noise (`engine/data/sounds.py`), what it gave for the sound as
it was recorded. No face is needed, so that a step takes a fraction of one of `lipgan train`, and
nothing else of the generator changes.

DATA is the folder of a prepared dataset. A step has 32 moments of 16 clips, each in two
variations. What differs is measured by how far it moves the first layer of the decoder.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from lipgan_cli.engine.config import SOUND
from lipgan_cli.engine.data.dataset import Dataset, speaker_chances
from lipgan_cli.engine.data.sounds import draw_effect, heard
from lipgan_cli.engine.gan.generator import Block, Generator
from lipgan_cli.engine.gan.packing import load_generator, save_packed
from lipgan_cli.engine.media.audio import mel_windows
from lipgan_cli.engine.metrics.protocol import speakers_of
from lipgan_cli.engine.weights.converted import read_about

BALANCE = 0.5
"""Of the speakers, as in `lipgan train`."""
CLIPS = 16
"""Whose moments are mixed."""
MOMENTS = 24
"""Of each of them."""
VARIATIONS = 2
BATCH = 32
LEARNING_RATE = 2e-4
DECAY = 0.6
"""Last part of the steps, in which the learning rate falls to zero."""


class Sounds(IterableDataset[tuple[Tensor, Tensor]]):
    """Mel windows as recorded (B, 1, 80, 27) and varied (B, variations, 1, 80, 27), without end."""

    def __init__(self, data: Path) -> None:
        self.speakers = speakers_of(Dataset.open(data).clips("full"))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        random = np.random.default_rng(0)
        shelves = list(self.speakers.values())
        chances = speaker_chances(self.speakers, BALANCE)
        while True:
            recorded, varied = [], []
            for shelf in random.choice(len(shelves), CLIPS, p=chances):
                clip = shelves[shelf][random.integers(len(shelves[shelf]))]
                times = random.permutation(clip.times)[:MOMENTS]
                sound = clip.sound()
                effects = [draw_effect(random, SOUND) for _ in range(VARIATIONS)]
                recorded.append(mel_windows(clip.mel(), times))
                varied.append(np.stack([heard(sound, times, effect) for effect in effects], 1))
            true = torch.from_numpy(np.concatenate(recorded)).unsqueeze(1)
            other = torch.from_numpy(np.concatenate(varied)).unsqueeze(2)
            order = torch.from_numpy(random.permutation(len(true)))
            yield from zip(
                torch.split(true[order], BATCH), torch.split(other[order], BATCH), strict=True
            )


def importance(generator: Generator) -> Tensor:
    """How far each difference of two embeddings moves the decoder's first layer: (512, 512)."""
    first = generator.decoder[0]
    assert isinstance(first, Block)
    assert isinstance(first.norm, nn.BatchNorm2d)
    assert first.norm.running_var is not None
    slope = first.norm.weight / torch.sqrt(first.norm.running_var + first.norm.eps)
    sounds = first.convolution.weight[-16 * generator.width :]  # after those of the face
    moved = (sounds * slope[:, None, None]).flatten(1)
    metric = moved @ moved.T
    return metric / metric.diagonal().mean()


def main(weights: Path, data: Path, steps: int, output: Path) -> None:
    """Write the weights with the new encoder of sound."""
    torch.manual_seed(0)
    generator = load_generator(weights)  # for evaluation: batch norm keeps its statistics
    student, teacher = generator.audio_encoder, copy.deepcopy(generator.audio_encoder)
    with torch.no_grad():
        metric = importance(generator)
    optimiser = torch.optim.Adam(student.parameters(), LEARNING_RATE)
    falling = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (1 - step / steps) / DECAY)
    )
    lost = spread = 0.0
    for step, (true, other) in zip(
        range(1, steps + 1), DataLoader(Sounds(data), None, num_workers=1), strict=False
    ):
        with torch.no_grad():
            asked = teacher(true).flatten(1)
        away = student(other.flatten(0, 1)).flatten(1) - asked.repeat_interleave(VARIATIONS, 0)
        loss = ((away @ metric) * away).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        falling.step()
        apart = asked - asked.mean(0)
        lost += float(loss.detach())
        spread += float(((apart @ metric) * apart).sum(1).mean())
        if step % 50 == 0:
            sys.stderr.write(f"{step} of {steps}: {lost / spread:.3f} of the sounds' variance\n")
            lost = spread = 0.0
    save_packed(generator.state_dict(), output, {**read_about(weights), "voices": steps})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
