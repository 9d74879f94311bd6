"""Where nobody speaks: the recording's own mouth at rest, and nothing to be heard."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lipgan_cli.engine.media.audio import SILENCE, column_count, read_audio
from lipgan_cli.engine.media.demo import SPEECH
from lipgan_cli.engine.media.picture import luma
from lipgan_cli.engine.media.references import Gallery
from lipgan_cli.engine.sync import painter, speech
from lipgan_cli.engine.sync.speech import hear


@pytest.fixture
def half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody speaks in the first second, and nobody afterwards."""

    def activity(samples: np.ndarray, stopped: object) -> np.ndarray:
        return (np.arange(column_count(samples)) < 80).astype(np.float32)

    monkeypatch.setattr(speech, "activity", activity)


@pytest.mark.usefixtures("half")
def test_in_silence_and_only_there_the_mouth_is_the_recording_s_own(
    studio: Any, network: Any, rendered: list[np.ndarray]
) -> None:
    film = studio.film("face.mp4", studio.scenes(50))
    network.paint = lambda target: 255 - target
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 32000)
    summary = studio.sync(film, studio.wav("speech.wav", 2.0, noise))
    pairs = zip(rendered, studio.source(film), strict=True)
    changed = np.array([np.abs(luma(frame).astype(int) - luma(own)).mean() for frame, own in pairs])
    # The stub paints a negative; the mouth at rest is a face like those of the film.
    assert (changed[:25] > 0.7).all()
    assert (changed[27:] < 0.2).all()
    assert changed[26] < changed[24]
    assert summary.silence == ((1.0, 2.0),)


@pytest.mark.usefixtures("half", "rendered")
def test_what_is_heard_without_speech_is_silence(studio: Any, network: Any) -> None:
    """Noise goes on all the time."""
    film = studio.film("face.mp4", studio.scenes(50))
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 32000)
    studio.sync(film, studio.wav("speech.wav", 2.0, noise))
    assert (network.windows[5:20] > SILENCE).all()
    assert (network.windows[30:] == SILENCE).all()  # from 1.17 s on: a window reaches so far


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize("loud", [0.0, 0.003, 0.05])
def test_a_silent_file_however_noisy_is_silence(studio: Any, network: Any, loud: float) -> None:
    film = studio.film("face.mp4", studio.scenes(20))
    noise = np.random.default_rng(0).normal(0, loud, 24000).clip(-1, 1)
    summary = studio.sync(film, studio.wav("speech.wav", 1.5, noise))
    assert (network.windows == SILENCE).all()
    assert summary.silence == ((0.0, 1.5),)


@pytest.mark.usefixtures("half")
def test_one_picture_may_have_an_open_mouth_and_stands_for_nothing(
    studio: Any, network: Any, rendered: list[np.ndarray]
) -> None:
    film = studio.film("face.mp4", studio.scenes(1))
    network.paint = lambda target: 255 - target
    studio.sync(film, studio.wav("speech.wav", 2.0))
    assert all(np.array_equal(frame, rendered[0]) for frame in rendered)
    assert len(network.seen) > 0


def test_the_mouth_at_rest_is_the_one_that_silence_changes_least() -> None:
    """Three faces with mouths open by 30, 2 and 16 rows; silence closes each."""
    faces = np.full((3, 96, 96, 3), 170, np.uint8)
    for face, rows in zip(faces, (30, 2, 16), strict=True):
        face[60 : 60 + rows, 34:62] = 40
    shut = np.full((96, 96, 3), 170, np.uint8)
    shut[60:62, 34:62] = 40

    class Closing:
        def faces(self, reference: Any, target: Any, windows: Any, keys: Any = None) -> Any:
            assert (windows == SILENCE).all()
            return np.stack([shut] * len(target))

    galleries = [Gallery.of(some) for some in (list(faces), [faces[0]], [faces[0]])]
    places = ([1, 2, 3], [20], [60])
    film = SimpleNamespace(cuts=np.array([0, 50]), references=tuple(map(np.array, places)))
    rest, same_scene, alone = painter.resting(film, galleries, Closing())
    assert np.array_equal(rest, faces[1])
    assert np.array_equal(same_scene, faces[1])  # of the same person, a moment before
    assert alone is None


def test_real_speech_is_silent_between_its_sentences_alone(studio: Any) -> None:
    found = hear(SPEECH, read_audio(SPEECH), 0.0, lambda: False)
    assert found.spoken.max() == 1
    assert (found.mel[:, found.spoken == 0] == SILENCE).all()
    assert (found.mel[:, found.spoken == 1] > SILENCE).mean() > 0.8
    times = np.arange(124) / 25
    still = found.stillness(times)
    for first, last in found.silences():
        assert last - first > 0.3
        inside = (times > first + 0.1) & (times < last - 0.1)
        assert (still[inside] > 0).all()
    assert (still == 0).mean() > 0.5


def test_silences_are_told_from_300_ms_on() -> None:
    spoken = np.ones(160, np.float32)
    spoken[:24] = 0  # 0.3 s: a pause for breath
    spoken[40:65] = 0
    spoken[130:] = 0
    mel = np.zeros((80, 160), np.float32)
    found = speech.Speech(Path("a.wav"), Fraction(199, 100), None, 0.0, mel, spoken)
    assert found.silences() == ((0.5, 0.8125), (1.625, 1.99))
