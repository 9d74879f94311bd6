"""Make a trained mouth move further: `python docs/experiments/articulation.py IN DATA GAIN OUT`.

Scales the generator's embedding of sound round its mean over the speech of the prepared dataset in
the folder DATA, before its last ReLU, and writes the weights with it. Speech are the louder moments
of the clips: round the mean of pauses too, a mouth would open too far with every sound.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.gan.packing import load_generator, save_packed
from lipgan_cli.engine.media.audio import mel_windows
from lipgan_cli.engine.metrics.protocol import speakers_of
from lipgan_cli.engine.weights.converted import read_about

CLIPS = 8
"""Of each speaker, at most."""

EVERY = 7
"""Frames from one sound of a clip to the next."""

SPEECH = 0.7
"""Part of the moments that is taken for speech."""

ABOUT = slice(10, 17)
"""The columns of a window, 90 ms, whose loudness is that of its moment."""


def main(weights: Path, data: Path, gain: float, output: Path) -> None:
    """Write the scaled weights."""
    speakers = speakers_of(Dataset.open(data).clips("full"))
    heard = [clip for own in speakers.values() for clip in own[:CLIPS]]
    windows = np.concatenate([mel_windows(clip.mel(), clip.times[::EVERY]) for clip in heard])
    loudness = windows[:, :, ABOUT].mean((1, 2))
    windows = windows[loudness > np.quantile(loudness, 1 - SPEECH)]
    generator = load_generator(weights)
    *others, last = generator.audio_encoder
    with torch.no_grad():
        sound = torch.from_numpy(windows).unsqueeze(1)
        for block in others:
            sound = block(sound)
        mean = last.norm(last.convolution(sound)).mean((0, 2, 3))
        last.norm.weight.mul_(gain)
        last.norm.bias.mul_(gain).sub_((gain - 1) * mean)
    save_packed(generator.state_dict(), output, {**read_about(weights), "articulation": gain})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
