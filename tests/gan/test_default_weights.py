"""The weights that come with the install."""

from __future__ import annotations

import numpy as np

from lipgan_cli.engine.gan.device import choose_device
from lipgan_cli.engine.gan.inference import DEFAULT_WEIGHTS, Animator
from lipgan_cli.engine.gan.packing import load_generator
from lipgan_cli.engine.media.audio import mel_spectrogram, mel_windows, read_audio
from lipgan_cli.engine.media.demo import SPEECH


def test_they_are_small_and_whole():
    assert DEFAULT_WEIGHTS.stat().st_size <= 40e6
    generator = load_generator(DEFAULT_WEIGHTS)
    assert sum(p.numel() for p in generator.parameters()) == 37_087_763


def test_the_mouth_follows_the_sound(tmp_path):
    from skimage.data import astronaut

    face = np.ascontiguousarray(astronaut()[60:252:2, 130:322:2])[None]
    mel = mel_spectrogram(read_audio(SPEECH))
    windows = mel_windows(mel, np.arange(0.2, 4.8, 0.2))
    painted = Animator.load(None, choose_device("cpu")).faces(face, face, windows).astype(float)
    mouths, brows = painted[:, 54:90, 24:72], painted[:, 10:40, 24:72]
    assert mouths.std(0).mean() > 2 * brows.std(0).mean()
    assert mouths.std(0).mean() > 1
