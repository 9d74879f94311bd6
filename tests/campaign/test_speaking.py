"""Speaking: cut out, level, paused, once each, kept, and never two sounds under one key."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from lipgan_cli.engine.cache import Cache
from lipgan_cli.engine.campaign.speaking import (
    DEFAULT_LOUDNESS_LUFS,
    DEFAULT_PAUSE_SECONDS,
    FADE,
    MARGIN,
    RATE,
    STEP,
    Part,
    Speaker,
    trimmed,
)
from lipgan_cli.engine.campaign.template import Phrase
from lipgan_cli.engine.campaign.voices import choose_voice
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.lufs import CEILING, integrated, levelled, true_peak

HALF = round(DEFAULT_PAUSE_SECONDS / 2 * RATE)
HELLO, BODY = Phrase("Hello Anna,", shared=False), Phrase("your parcel comes.", shared=True)

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"
)


def hum(seconds: float, loud: float, rate: int = RATE, hertz: float = 500) -> np.ndarray:
    times = np.arange(round(seconds * rate)) / rate
    return (loud * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


class Hummer:
    """A voice that hums a tenth of a second for each letter, never twice as loud."""

    def __init__(self, name: str = "hummer", rate: int = 22050, seconds: float = 0) -> None:
        self.name, self._rate, self._seconds = name, rate, seconds
        self.said: list[str] = []
        self.stopped = False
        self._lock = threading.Lock()

    def say(self, text: str, output: Path) -> None:
        with self._lock:
            self.said.append(text)
        time.sleep(self._seconds)
        if text == "fail":
            raise LipganError("the voice is hoarse")
        loud = 0.9 / len(self.said)
        silence = np.zeros(round(0.3 * self._rate))
        sound = hum(0.1 * len(text), 0 if text == "hush" else loud, self._rate)
        soundfile.write(output, np.concatenate([silence, sound, silence]), self._rate, format="WAV")

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", 1 << 24)


def only(parts: tuple[Part, ...]) -> Part:
    (part,) = parts
    return part


def spoken(part: Part) -> np.ndarray:
    """What is between the two half pauses."""
    return part.samples[HALF:-HALF]


def same(one: Part, other: Part) -> bool:
    return one.key == other.key and np.array_equal(one.samples, other.samples)


# --- What a part is


def test_a_part_is_its_speech_between_half_pauses(cache):
    hello, body = Speaker(Hummer(), cache).parts([HELLO, BODY])
    for part, phrase in ((hello, HELLO), (body, BODY)):
        assert part.shared is phrase.shared
        assert part.samples.dtype == np.float32
        assert not part.samples[:HALF].any()
        assert not part.samples[-HALF:].any()
        seconds = len(spoken(part)) / RATE
        assert seconds == pytest.approx(0.1 * len(phrase.text), abs=0.05)  # none of the silence
        assert integrated(spoken(part), RATE) == pytest.approx(DEFAULT_LOUDNESS_LUFS, abs=0.1)
        assert true_peak(part.samples, RATE) <= CEILING + 0.01
        assert part.key == hashlib.sha256(part.samples.tobytes()).hexdigest()
    assert hello.key != body.key


@pytest.mark.parametrize("pause", [0, 0.3, 1.001])
def test_other_pauses(pause):
    part = only(Speaker(Hummer(), None, pause_seconds=pause).parts([HELLO]))
    none = only(Speaker(Hummer(), None, pause_seconds=0).parts([HELLO]))
    silence = np.zeros(round(pause / 2 * RATE), np.float32)
    assert np.array_equal(part.samples, np.concatenate([silence, none.samples, silence]))


@pytest.mark.parametrize("lufs", [-23, -18.5])
def test_other_loudness(lufs):
    part = only(Speaker(Hummer(), None, loudness_lufs=lufs).parts([BODY]))
    assert integrated(spoken(part), RATE) == pytest.approx(lufs, abs=0.1)


def test_short_phrases_are_as_loud_as_long_ones():
    speaker = Speaker(Hummer(), None, pause_seconds=0)
    peaks = [
        np.abs(part.samples).max()
        for part in speaker.parts([Phrase("a" * n, shared=False) for n in (1, 2, 3, 5, 30)])
    ]
    assert max(peaks) / min(peaks) < 1.12  # a decibel


def test_the_samples_of_a_part_cannot_be_changed_under_another_thread():
    part = only(Speaker(Hummer(), None).parts([BODY]))
    with pytest.raises(ValueError, match="read-only"):
        part.samples[0] = 1


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_voices_have_any_sample_rate(rate):
    part = only(Speaker(Hummer(rate=rate), None, pause_seconds=0).parts([BODY]))
    spectrum = np.abs(np.fft.rfft(part.samples))
    assert np.argmax(spectrum) / len(part.samples) * RATE == pytest.approx(500, abs=2)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"loudness_lufs": 16}, "16 LUFS"),
        ({"loudness_lufs": -5}, "-5 LUFS"),
        ({"loudness_lufs": float("nan")}, "nan LUFS"),
        ({"pause_seconds": -0.1}, "-0.1 s"),
        ({"pause_seconds": float("inf")}, "inf s"),
    ],
)
def test_what_is_out_of_range_is_refused(asked, message):
    with pytest.raises(InputError) as caught:
        Speaker(Hummer(), None, **asked)
    assert message in caught.value.message
    assert "give" in caught.value.hint


# --- Cutting out


def test_silence_and_noise_far_below_are_cut_off():
    noise = 1e-4 * np.random.default_rng(1).normal(size=RATE)
    sound = (
        np.concatenate([np.zeros(RATE), hum(0.5, 0.5), np.zeros(RATE)]) + noise.repeat(3)[:120_000]
    )
    cut = trimmed(sound.astype(np.float32))
    assert len(cut) == pytest.approx(RATE // 2 + 2 * MARGIN, abs=2 * STEP)
    assert np.abs(cut[:2]).max() < 1e-6


def test_soft_beginnings_and_pauses_inside_are_kept():
    hiss = hum(0.1, 0.005)  # 40 dB below
    sound = np.concatenate([np.zeros(4800), hiss, hum(0.2, 0.5), np.zeros(RATE), hum(0.2, 0.5)])
    assert len(trimmed(sound.astype(np.float32))) >= len(sound) - 4800


@settings(max_examples=40)
@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(600, 3000), st.floats(0.01, 2))
def test_only_the_ends_are_touched(before, after, length, loud):
    random = np.random.default_rng(length)
    noise = loud * random.uniform(0.5, 1, length) * random.choice([-1, 1], length)
    sound = np.concatenate([np.zeros(before), noise, np.zeros(after)]).astype(np.float32)
    cut = trimmed(sound)
    assert length <= len(cut) <= min(length + 2 * (MARGIN + STEP), len(sound))
    inside = slice(FADE, len(cut) - FADE)
    loudest = FADE + int(np.argmax(np.abs(cut[inside])))
    (place,) = np.flatnonzero(sound == cut[loudest])
    assert np.array_equal(cut[inside], sound[place - loudest :][: len(cut)][inside])
    assert abs(cut[0]) < 0.01 * loud
    assert abs(cut[-1]) < 0.01 * loud


def test_all_silent_is_empty():
    for sound in (np.zeros(0), np.zeros(5), np.full(RATE, 1e-5)):
        assert len(trimmed(sound.astype(np.float32))) == 0


# --- Once each


def test_a_text_is_said_once_and_then_comes_out_of_the_cache(cache):
    voice = Hummer()
    first = Speaker(voice, cache).parts([HELLO, BODY, HELLO])
    again = Speaker(voice, cache).parts([HELLO, BODY, HELLO])
    assert voice.said == [HELLO.text, BODY.text]
    assert all(same(one, other) for one, other in zip(first, again, strict=True))
    assert same(first[0], first[2])


def test_another_loudness_and_other_pauses_need_no_new_speech(cache):
    voice = Hummer()
    keys = {
        only(Speaker(voice, cache, lufs, pause).parts([BODY])).key
        for lufs in (-16, -23)
        for pause in (0.5, 0.2)
    }
    assert len(voice.said) == 1
    assert len(keys) == 4


def test_another_voice_or_text_is_said_anew(cache):
    one, other = Hummer("one"), Hummer("other")
    Speaker(one, cache).parts([HELLO])
    Speaker(other, cache).parts([HELLO, Phrase("Hello Bert,", shared=False)])
    assert one.said == [HELLO.text]
    assert other.said == [HELLO.text, "Hello Bert,"]


def test_white_space_makes_no_other_text(cache):
    voice = Hummer()
    parts = Speaker(voice, cache).parts([HELLO, Phrase(" Hello\n Anna, ", shared=False)])
    assert voice.said == ["Hello Anna,"]
    assert same(*parts)


def test_shared_phrases_are_the_very_same_without_a_cache():
    voice = Hummer()  # never says a text twice alike
    speaker = Speaker(voice, None)
    first, again = (only(speaker.parts([BODY])) for _ in range(2))
    assert voice.said == [BODY.text]
    assert first.samples is again.samples
    one, other = (only(speaker.parts([HELLO])) for _ in range(2))
    assert voice.said == [BODY.text, HELLO.text, HELLO.text]
    # Equal keys are equal samples, and no less.
    assert (one.key == other.key) == np.array_equal(one.samples, other.samples)


def test_what_is_kept_is_small(cache):
    Speaker(Hummer(), cache).parts([Phrase("a" * 50, shared=False)])  # five seconds
    assert cache.usage().entries == 1
    assert cache.usage().size < 5 * RATE * 2  # of 16 bits as they are


def test_threads_wait_for_the_one_that_speaks(cache):
    voice, parts = Hummer(seconds=0.3), []
    speaker = Speaker(voice, cache)
    run([lambda: parts.append(only(speaker.parts([HELLO])))] * 6)
    assert voice.said == [HELLO.text]
    assert len(parts) == 6
    assert all(same(part, parts[0]) for part in parts)


def test_threads_say_different_texts_side_by_side(cache):
    together = threading.Barrier(3, timeout=20)

    class Choir(Hummer):
        def say(self, text: str, output: Path) -> None:
            together.wait()
            super().say(text, output)

    speaker, parts = Speaker(Choir(), cache), []
    run([
        lambda n=n: parts.append(speaker.parts([Phrase(f"number {n}", shared=False)]))
        for n in range(3)
    ])  # fmt: skip
    assert len(parts) == 3


def run(work: list[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


def test_a_voice_that_fails_is_asked_again_the_next_time(cache):
    voice, told = Hummer(seconds=0.3), []
    speaker = Speaker(voice, cache)
    fail = Phrase("fail", shared=True)

    def speak() -> None:
        with pytest.raises(LipganError) as caught:
            speaker.parts([fail])
        told.append(caught.value.message)

    run([speak] * 3)
    assert told == ["the voice is hoarse"] * 3
    asked = len(voice.said)
    speak()
    assert len(voice.said) == asked + 1
    assert cache.usage().entries == 0
    assert speaker._made == {}


def test_a_voice_that_only_pretends_to_speak(cache):
    with pytest.raises(LipganError, match="says nothing for 'hush'"):
        Speaker(Hummer(), cache).parts([Phrase("hush", shared=False)])
    assert cache.usage().entries == 0


def test_memory_holds_shared_phrases_alone(cache):
    speaker = Speaker(Hummer(), cache)
    speaker.parts([BODY, *(Phrase(f"a{n}", shared=False) for n in range(9))])
    assert list(speaker._made) == [BODY.text]


def test_stop_stops_the_voice():
    voice = Hummer()
    Speaker(voice, None).stop()
    assert voice.stopped


def test_a_whole_message_can_be_levelled_once_more_without_telling_its_phrases_apart():
    parts = Speaker(Hummer(), None).parts([HELLO, BODY, HELLO])
    plain = np.concatenate([part.samples for part in parts])
    whole = levelled(plain, RATE, -16)
    assert integrated(plain, RATE) < -16.3
    assert integrated(whole, RATE) == pytest.approx(-16, abs=0.1)
    assert true_peak(whole, RATE) <= CEILING + 0.01
    gain = whole[np.abs(plain) > 0.01] / plain[np.abs(plain) > 0.01]
    assert np.ptp(gain) < 0.01 * gain.mean()  # one gain: phrases stay level with each other


# --- espeak-ng


@needs_espeak
def test_espeak_in_full(cache):
    phrases = [
        Phrase(text, shared=False)
        for text in ("Hello Anna,", "Hi!", "your parcel comes on Monday, between nine and eleven.")
    ]
    parts = Speaker(choose_voice(None), cache).parts(phrases)
    for part in parts:
        assert integrated(spoken(part), RATE) == pytest.approx(-16, abs=0.1)
        assert true_peak(part.samples, RATE) <= CEILING + 0.01
        assert not part.samples[:HALF].any()
        assert not part.samples[-HALF:].any()
        assert np.abs(part.samples[HALF : HALF + 2 * MARGIN]).max() > 0
    seconds = [len(part.samples) / RATE for part in parts]
    assert seconds[1] < seconds[0] < 2 < seconds[2] < 5
    again = Speaker(choose_voice(None), None).parts(phrases)
    assert all(same(one, other) for one, other in zip(parts, again, strict=True))
