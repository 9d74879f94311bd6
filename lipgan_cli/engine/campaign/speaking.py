"""Phrases become sound: spoken once, cut out of their silence, brought to one loudness, paused."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import soundfile
from numpy.typing import NDArray

from lipgan_cli.engine.cache import Cache, Key
from lipgan_cli.engine.campaign.command import in_one_line
from lipgan_cli.engine.campaign.template import Phrase
from lipgan_cli.engine.campaign.voices import Voice
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.audio import Samples, read_audio
from lipgan_cli.engine.media.lufs import levelled

RATE = 48000  # Hz

DEFAULT_LOUDNESS_LUFS = -16.0
"""What telephones and computers play well. EBU R128 has -23 for broadcasting, 7 LU softer."""
SOFTEST_LUFS, LOUDEST_LUFS = -40.0, -10.0

DEFAULT_PAUSE_SECONDS = 0.5  # between two phrases
LONGEST_PAUSE_SECONDS = 10.0

FORMAT = 1  # of a sound in the cache, and of how it is cut out
STEP = RATE // 100  # samples: 10 ms
RANGE = 50.0  # dB below the loudest step: less is silence
FLOOR = -70.0  # dB of full scale: less is silence, however soft the voice
MARGIN = RATE // 100  # samples kept before and after what is heard
FADE = RATE // 200  # samples: 5 ms at both ends of these


@dataclass(frozen=True, eq=False)
class Part:
    """What is said of a message in one piece."""

    samples: Samples  # (n,) mono 48 kHz, with half a pause of silence at both ends
    shared: bool  # the same in every message that has it
    key: str  # SHA-256 of the samples: many voices never speak a text twice alike


def check_speaking(loudness_lufs: float, pause_seconds: float) -> None:
    """Check how phrases are to sound.

    Raises:
        InputError: the loudness or the pause is out of its range.
    """
    if not SOFTEST_LUFS <= loudness_lufs <= LOUDEST_LUFS:
        raise InputError(
            f"a loudness of {loudness_lufs:g} LUFS",
            f"give {SOFTEST_LUFS:g} to {LOUDEST_LUFS:g}; telephones and computers play"
            f" {DEFAULT_LOUDNESS_LUFS:g} well, broadcasting has -23",
        )
    if not 0 <= pause_seconds <= LONGEST_PAUSE_SECONDS:
        raise InputError(
            f"a pause of {pause_seconds:g} s", f"give 0 to {LONGEST_PAUSE_SECONDS:g} seconds"
        )


class Speaker:
    """Speaks phrases, for several threads at once.

    A text is spoken by one thread at a time, and kept in the cache under the voice's name: other
    loudness and pauses need no new speech. Shared phrases are held in memory too, so that every
    message of a run has the very same ones.

    Raises:
        InputError: the loudness or the pause is out of its range.
    """

    def __init__(
        self,
        voice: Voice,
        cache: Cache | None,
        loudness_lufs: float = DEFAULT_LOUDNESS_LUFS,
        pause_seconds: float = DEFAULT_PAUSE_SECONDS,
    ) -> None:
        check_speaking(loudness_lufs, pause_seconds)
        self._voice = voice
        self._cache = cache
        self._lufs = loudness_lufs
        self._half_pause = np.zeros(round(pause_seconds / 2 * RATE), np.float32)
        self._lock = Lock()
        self._made: dict[str, Future[tuple[Samples, str]]] = {}

    def parts(self, phrases: Sequence[Phrase]) -> tuple[Part, ...]:
        """Return each phrase as it sounds.

        Raises:
            LipganError: the voice fails, or was stopped.
        """
        return tuple(self._part(phrase) for phrase in phrases)

    def stop(self) -> None:
        """End what is being said in other threads, and say no more."""
        self._voice.stop()

    def _part(self, phrase: Phrase) -> Part:
        samples, key = self._once(in_one_line(phrase.text), phrase.shared)
        return Part(samples, phrase.shared, key)

    def _once(self, text: str, keep: bool) -> tuple[Samples, str]:
        """Return the sound of a text and its key; who asks while another makes it waits."""
        with self._lock:
            made = self._made.get(text)
            mine = made is None
            if made is None:
                made = self._made[text] = Future()
        if mine:
            kept = False
            try:
                made.set_result(self._finished(text))
                kept = keep
            except BaseException as error:
                made.set_exception(error)
            finally:
                if not kept:
                    with self._lock:
                        del self._made[text]
        return made.result()

    def _finished(self, text: str) -> tuple[Samples, str]:
        level = levelled(self._spoken(text), RATE, self._lufs)
        samples = np.concatenate([self._half_pause, level, self._half_pause])
        samples.setflags(write=False)  # threads share it
        return samples, hashlib.sha256(samples.tobytes()).hexdigest()

    def _spoken(self, text: str) -> Samples:
        """Return what the voice says, as it comes out of the cache, whether it was there or not."""
        key: Key = {"speech": FORMAT, "voice": self._voice.name, "text": text}
        kept = None if self._cache is None else self._cache.get(key)
        if kept is None:
            kept = {"flac": _packed(_said(self._voice, text))}
            if self._cache is not None:
                self._cache.put(key, kept)
        return _unpacked(kept["flac"])


def _said(voice: Voice, text: str) -> Samples:
    with tempfile.TemporaryDirectory(prefix="lipgan-", ignore_cleanup_errors=True) as folder:
        output = Path(folder) / "speech.wav"
        voice.say(text, output)
        samples = trimmed(read_audio(output, sample_rate=RATE))
    if not len(samples):
        raise LipganError(f"the voice {voice.name} says nothing for {text[:40]!r}")
    return samples


def trimmed(samples: Samples) -> Samples:
    """Return a sound of 48 kHz (n,) without the silence at both ends, faded there.

    10 ms of what is at the ends are left, where there are as much. Empty where all is silent.
    """
    steps = np.zeros((-(-len(samples) // STEP), STEP), np.float32)
    steps.flat[: len(samples)] = samples
    power = np.einsum("ij,ij->i", steps, steps) / STEP
    least = max(power.max(initial=0) * 10 ** (-RANGE / 10), 10 ** (FLOOR / 10))
    heard = np.flatnonzero(power > least)
    if not len(heard):
        return np.zeros(0, np.float32)
    first = max(heard[0] * STEP - MARGIN, 0)
    cut = samples[first : (heard[-1] + 1) * STEP + MARGIN].copy()
    length = min(FADE, len(cut) // 2)
    rise = np.sin(np.pi / 2 * (np.arange(length) + 0.5) / max(length, 1)).astype(np.float32) ** 2
    cut[:length] *= rise
    cut[len(cut) - length :] *= rise[::-1]
    return cut


def _packed(samples: Samples) -> NDArray[np.uint8]:
    """Return sound as FLAC of 16 bits, as loud as these hold: it is brought to a level later."""
    full = samples * np.float32(32767 / 32768 / np.abs(samples).max())
    file = io.BytesIO()
    soundfile.write(file, full, RATE, format="FLAC", subtype="PCM_16")
    return np.frombuffer(file.getvalue(), np.uint8)


def _unpacked(flac: NDArray[np.uint8]) -> Samples:
    samples: Samples = soundfile.read(io.BytesIO(flac.tobytes()), dtype="float32")[0]
    return samples
