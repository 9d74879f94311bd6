"""When each frame of the result is shown, what is heard with it, and how many there are."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from lipgan_cli.engine.media.audio import mel_spectrogram, mel_windows, read_audio
from lipgan_cli.engine.media.loudness import levelled

RATES = [
    *(Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001)),
    *(Fraction(30), Fraction(50), Fraction(60)),
]
VARYING = [0, 40, 75, 130, 160, 300, 340, 355, 420, 460, 520, 560, 610, 640, 700]  # ms


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("fps", RATES, ids=lambda fps: f"{float(fps):.3f}")
def test_a_flash_and_a_click_stay_together(
    studio: Any, network: Any, fps: Fraction, suffix: str
) -> None:
    count, at = 16, 9
    film = studio.film("face.mp4", (studio.scene(k, flash=k == at) for k in range(count)), fps)
    seconds, moment = float(Fraction(23) / fps), float(at / fps)  # once, and a third back
    speech = studio.wav("speech.wav", seconds, studio.click(seconds, moment))
    summary = studio.sync(film, speech, f"out{suffix}")

    wanted = math.floor(Fraction(round(seconds * 16000), 16000) * fps + Fraction(1, 2))
    shown = studio.shown(studio.out(f"out{suffix}"))
    assert summary.frames == len(shown) == wanted
    assert summary.fps == fps
    assert not summary.variable_rate
    assert studio.numbers(y for _, y in shown) == studio.back_and_forth(count, wanted)
    times = np.array([time for time, _ in shown])
    rounding = 1e-5 if suffix == ".mp4" else 0.00051
    assert np.abs(times - np.arange(wanted) / float(fps)).max() < rounding
    (flash, *again) = [time for time, y in shown if y[-20:, -30:].mean() > 200]
    assert len(again) == (wanted > 2 * (count - 1) - at)
    assert abs(studio.heard_click(studio.out(f"out{suffix}")) - flash) < 0.5 / float(fps)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("container", ["face.mp4", "face.mkv"])
def test_a_varying_rate_keeps_the_times_of_the_source(
    studio: Any, network: Any, container: str, suffix: str
) -> None:
    at, count = 7, len(VARYING)
    pictures = (studio.scene(k, flash=k == at) for k in range(count))
    film = studio.film(container, pictures, times=VARYING)
    moment = VARYING[at] / 1000
    speech = studio.wav("speech.wav", 1.4, studio.click(1.4, moment))
    output = studio.out(f"out{suffix}")
    summary = studio.sync(film, speech, output.name)

    shown = studio.shown(output)
    assert summary.variable_rate
    assert summary.frames == len(shown)
    order = studio.numbers(y for _, y in shown)
    assert order == studio.back_and_forth(count, len(shown))
    times = np.array([time for time, _ in shown])
    rounding = 1e-5 if suffix == ".mp4" and container == "face.mp4" else 0.00101
    assert np.abs(times[:count] - np.array(VARYING) / 1000).max() < rounding
    lasts = {k: b - a for k, (a, b) in enumerate(pairwise(VARYING))}
    for place, begins, ends in zip(order, times, times[1:], strict=False):  # on the way back, too
        if place in lasts:
            assert ends - begins == pytest.approx(lasts[place] / 1000, abs=2 * rounding)
    assert times[-1] < 1.4 <= times[-1] + 0.15  # the next frame would be too late
    assert summary.seconds == pytest.approx(1.4, abs=0.05)
    flash = next(time for time, y in shown if y[-20:, -30:].mean() > 200)
    assert abs(studio.heard_click(output) - flash) < 0.010


def test_a_quicktime_film_and_a_video_s_sound_are_aligned_too(studio: Any, network: Any) -> None:
    film = studio.film("face.mp4", (studio.scene(k, flash=k == 17) for k in range(30)))
    black = (np.zeros((32, 32, 3), np.uint8) for _ in range(25))
    speech = studio.film("speech.mp4", black, sound=studio.click(1.0, 17 / 25))
    studio.sync(film, speech, "out.mov")
    flashes = [t for t, y in studio.shown(studio.out("out.mov")) if y[-20:, -30:].mean() > 200]
    assert flashes == [pytest.approx(17 / 25, abs=0.001)]
    assert studio.heard_click(studio.out("out.mov")) == pytest.approx(17 / 25, abs=0.010)


@pytest.mark.parametrize(
    ("fps", "seconds"),
    [
        (Fraction(25), 0.5),
        (Fraction(25), 1.379),
        (Fraction(30), 0.8166),
        (Fraction(30000, 1001), 1.2),
        (Fraction(24000, 1001), 1.0),
        (Fraction(10), 0.05),
    ],
)
def test_the_length_is_that_of_the_speech_to_the_frame(
    studio: Any, network: Any, rendered: list[np.ndarray], fps: Fraction, seconds: float
) -> None:
    film = studio.film("face.mp4", studio.scenes(14), fps)
    summary = studio.sync(film, studio.wav("speech.wav", seconds))
    wanted = math.floor(Fraction(round(seconds * 16000), 16000) * fps + Fraction(1, 2))
    assert summary.frames == len(rendered) == wanted
    assert summary.seconds == pytest.approx(wanted / float(fps))
    assert studio.numbers(rendered) == studio.back_and_forth(14, wanted)
    assert summary.repeated == max(0, wanted - 14)
    assert summary.without_face == ()


@pytest.mark.usefixtures("rendered", "talking")
def test_every_frame_is_painted_from_the_sound_of_its_own_moment(studio: Any, network: Any) -> None:
    film = studio.film("face.mp4", studio.scenes(20), 24)
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 24000)
    speech = studio.wav("speech.wav", 1.5, sound)
    studio.sync(film, speech, batch=7)
    wanted = mel_windows(mel_spectrogram(levelled(read_audio(speech))), np.arange(36) / 24)
    assert np.allclose(network.windows, wanted, atol=1e-5)
    assert max(len(windows) for _, _, windows in network.seen) == 7


@pytest.mark.usefixtures("rendered", "talking")
def test_at_a_varying_rate_every_frame_hears_its_own_time(studio: Any, network: Any) -> None:
    film = studio.film("face.mp4", studio.scenes(len(VARYING)), times=VARYING)
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 11000)
    speech = studio.wav("speech.wav", 11 / 16, sound)
    studio.sync(film, speech)
    times = np.array([time for time in VARYING if time < 687.5]) / 1000
    wanted = mel_windows(mel_spectrogram(levelled(read_audio(speech))), times)
    assert np.allclose(network.windows, wanted, atol=1e-5)


@pytest.mark.usefixtures("talking")
@pytest.mark.parametrize("offset", [-120.0, 40.0, 250.0])
def test_an_offset_moves_what_the_mouth_says_and_not_the_sound(
    studio: Any, network: Any, offset: float
) -> None:
    """At +40 ms the sound is heard later than its mouth is seen: the mouth is ahead."""
    film = studio.film("face.mp4", studio.scenes(20))
    sound = np.random.default_rng(0).uniform(-0.02, 0.02, 12800)
    sound += studio.click(0.8, 0.4)
    speech = studio.wav("speech.wav", 0.8, sound)
    summary = studio.sync(film, speech, av_offset_ms=offset)
    assert summary.frames == 20
    mel = mel_spectrogram(levelled(read_audio(speech)))
    wanted = mel_windows(mel, np.arange(20) / 25 + offset / 1000)
    assert np.allclose(network.windows, wanted, atol=1e-5)
    assert studio.heard_click(studio.out()) == pytest.approx(0.4, abs=0.010)
