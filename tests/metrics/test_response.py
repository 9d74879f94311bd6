"""How much faces answer to sound and person, on faces whose answer is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from lipgan_cli.engine.metrics.response import respond


@dataclass
class Still:
    """A clip of faces of one level each, and a mel whose columns tell the frame."""

    key: str
    speaker: str
    levels: np.ndarray

    def __len__(self):
        return len(self.levels)

    @property
    def times(self):
        return np.arange(len(self)) / 20  # 4 columns a frame

    def face(self, index):
        return np.full((96, 96, 3), self.levels[index], np.uint8)

    def mel(self):
        return np.tile(np.repeat(np.arange(len(self), dtype=np.float32), 4) / 10, (80, 1))


def clips(*bases):
    return [Still(f"s/{i}", "s", base + np.arange(6) * 8) for i, base in enumerate(bases)]


def answering(audio, face):
    """A model whose mouths change by `audio` levels a frame and `face` a level of the face."""

    def animate(references, targets, windows):
        frame = windows[:, 0, 13] * 10
        level = references[:, 0, 0, 0] * face + frame * audio
        return np.tile(level.astype(np.uint8)[:, None, None, None], (1, 96, 96, 3))

    return animate


def test_a_model_that_answers_as_real_faces_do():
    response = respond(answering(8, 1), clips(0, 60, 120))
    assert response.audio == pytest.approx(1, abs=0.05)
    assert response.face == pytest.approx(1, abs=0.05)


def test_one_that_is_deaf_and_one_that_paints_one_face():
    deaf = respond(answering(0, 1), clips(0, 60))
    assert deaf.audio == 0
    assert deaf.face == pytest.approx(1, abs=0.05)
    blind = respond(answering(4, 0), clips(0, 60))
    assert blind.audio == pytest.approx(0.5, abs=0.05)
    assert blind.face == 0


def test_a_single_clip_says_nothing_of_faces():
    assert respond(answering(8, 1), clips(0)).face is None
