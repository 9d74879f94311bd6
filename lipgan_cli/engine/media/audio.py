"""Speech: from any file's audio track to mel columns, and the one timing function."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path

import av
import numpy as np
import soxr
from av.container import InputContainer
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.opening import open_media
from lipgan_cli.engine.paths import require_file

SAMPLE_RATE = 16000  # Hz
BANDS = 80
COLUMNS_PER_SECOND = 80
WINDOW = 27  # columns: 337.5 ms
SILENCE = -4.0

HOP = SAMPLE_RATE // COLUMNS_PER_SECOND
FFT = 800
LOWEST, HIGHEST = 55.0, 7600.0  # Hz
PRE_EMPHASIS = 0.97
RESAMPLER = "HQ"  # of soxr
BANDS_FILE = Path(str(files("lipgan_cli") / "assets" / "mel-bands.npz"))
BLOCK = 2048  # columns computed at once

# Timestamps that differ from the running count of samples by more than this are a real gap (lost
# packets, a paused recorder); less is rounding in the container.
GAP_SECONDS = 0.05
LONGEST_GAP_SECONDS = 600  # more, or an overlap of more than the next, is another clock
OVERLAP_SECONDS = 1
# All of a sound is held in memory, and a small file may claim any length.
LONGEST_HOURS = 3
LOWEST_RATE, HIGHEST_RATE = 1000, 1_000_000  # Hz; sound is recorded at 8000 to 768,000
ROUNDED_SECONDS = 0.002  # containers round durations, Matroska to whole milliseconds

Samples = NDArray[np.float32]


def read_audio(
    path: Path,
    origin: float | None = None,
    seconds: float = math.inf,
    sample_rate: int = SAMPLE_RATE,
) -> Samples:
    """Return the audio of a file as mono at `sample_rate` hertz, shape (n,), about [-1, 1].

    Sample 0 sits at `origin` seconds on the file's own clock: earlier sound is cut, a later start
    is padded with silence. None: sample 0 is the audio's own first one. Channels are averaged.
    Reading stops soon after `seconds` of sound.

    Raises:
        InputError: the file is missing, has no audio track, nothing of it can be decoded, or it is
            longer than 3 hours.
    """
    require_file(path, "the audio file")
    pieces: list[Samples] = []
    start, begin, length = 0.0, 0.0, 0  # begin: of the first clock, start: of the present one
    rate, resampler = 0, None
    for time, native_rate, samples in _decode(path):
        _check_rate(path, native_rate)
        if resampler is None or native_rate != rate:
            if resampler is not None:
                pieces.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
            rate = native_rate
            resampler = soxr.ResampleStream(rate, sample_rate, 1, "float32", RESAMPLER)
            clock = sum(len(piece) for piece in pieces) / sample_rate
            start = start if pieces else time
            begin = begin if pieces else time
            length = round(clock * rate)
        gap = time - start - length / rate
        if not -OVERLAP_SECONDS < gap < LONGEST_GAP_SECONDS:
            start, gap = start + gap, 0.0  # the clock was reset
        _check_length(path, gap + length / rate)
        if gap > GAP_SECONDS:
            length += round(gap * rate)
            pieces.extend(_silence(resampler, round(gap * rate)))
        elif gap < -GAP_SECONDS:
            samples = samples[round(-gap * rate) :]
        length += len(samples)
        pieces.append(resampler.resample_chunk(samples))
        if begin - (begin if origin is None else origin) + length / rate > seconds:
            break
    if resampler is None:
        raise InputError(
            f"{path}: the audio track has no sound that can be decoded", "check that it plays"
        )
    pieces.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    whole = np.concatenate(pieces)
    if origin is None:
        return whole
    shift = round((begin - origin) * sample_rate)
    if shift >= 0:
        return np.concatenate([np.zeros(shift, np.float32), whole])
    return whole[-shift:]


def _check_rate(path: Path, rate: int) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise InputError(
            f"{path} claims {rate} samples a second",
            f"give sound of {LOWEST_RATE} to {HIGHEST_RATE} Hz",
        )


def _check_length(path: Path, seconds: float) -> None:
    if seconds > LONGEST_HOURS * 3600:
        raise InputError(
            f"{path} has more than {LONGEST_HOURS} hours of sound", "give a part of it"
        )


def _silence(resampler: soxr.ResampleStream, samples: int) -> Iterator[Samples]:
    """Feed silence in pieces, so that a long gap costs no large array at the native rate."""
    while samples > 0:
        step = min(samples, 1 << 16)
        yield resampler.resample_chunk(np.zeros(step, np.float32))
        samples -= step


def _decode(path: Path) -> Iterator[tuple[float, int, Samples]]:
    """Yield (time in seconds, sample rate, mono samples) of every decodable piece.

    A coder's last packet is filled up to a whole frame: the file says how much of it is sound.
    """
    with _open(path) as container:
        stream = _stream(path, container)
        clock = 0.0
        held: tuple[float, int, Samples] | None = None
        told = math.inf  # seconds of the packet held
        for packet in _packets(container, stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue  # a damaged packet is a gap, and timestamps tell how long
            for frame in frames:
                if not frame.samples:
                    continue
                if held is not None:
                    yield held
                time = clock if frame.time is None else frame.time
                clock = time + frame.samples / frame.sample_rate
                held = time, frame.sample_rate, _mono(frame)
                told = _seconds(packet) if len(frames) == 1 else math.inf
        if held is not None:
            time, rate, samples = held
            filled_up = len(samples) - told * rate > ROUNDED_SECONDS * rate
            yield time, rate, samples[: round(told * rate)] if filled_up else samples


def _packets(
    container: InputContainer, stream: av.AudioStream
) -> Iterator[av.Packet[av.AudioStream]]:
    """Yield the packets up to the end, or to where the file is damaged beyond reading."""
    with suppress(av.FFmpegError):
        yield from container.demux(stream)


def _seconds(packet: av.Packet[av.AudioStream]) -> float:
    """Return how long a packet sounds, infinity where it does not say."""
    if packet.duration and packet.time_base is not None:
        return float(packet.duration * packet.time_base)
    return math.inf


def _open(path: Path) -> InputContainer:
    try:
        return open_media(path)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"{path} is not audio or video that can be read",
            "give a sound file such as .wav, .flac, .mp3, .m4a, .ogg, or a video with sound",
        ) from error


def _stream(path: Path, container: InputContainer) -> av.AudioStream:
    stream = container.streams.best("audio")
    if not isinstance(stream, av.AudioStream):
        raise InputError(f"{path} has no audio track", "give a file with sound")
    return stream


def track_of(path: Path) -> tuple[int, int]:
    """Return the number, from 0 on, of the track that `read_audio` reads, and its channels.

    Raises:
        InputError: the file cannot be read or has no audio track.
    """
    require_file(path, "the audio file")
    with _open(path) as container:
        stream = _stream(path, container)
        return stream.index, stream.channels


def _mono(frame: av.AudioFrame) -> Samples:
    """Return the mean of the channels as float."""
    values = frame.to_ndarray()
    if frame.format.is_packed:
        values = values.reshape(-1, len(frame.layout.channels)).T
    scaled: Samples
    if values.dtype == np.uint8:
        scaled = (values.astype(np.float32) - np.float32(128)) / np.float32(128)
    elif values.dtype.kind == "i":
        scaled = np.divide(values, 2.0 ** (8 * values.itemsize - 1), dtype=np.float32)
    else:
        scaled = values.astype(np.float32)
    mono: Samples = scaled.mean(axis=0, dtype=np.float32)
    # A float track may hold anything; one NaN would spread through the resampler.
    return np.nan_to_num(mono, nan=0.0, posinf=0.0, neginf=0.0)


def mel_spectrogram(samples: Samples) -> NDArray[np.float32]:
    """Return the mel-spectrogram of mono 16 kHz sound, (80, 1 + n // 200) in [-4, 4].

    Column c is centred on sample 200 * c. Pre-emphasis 0.97, periodic Hann window of 800, zero
    padding at both ends, magnitude, 80 Slaney bands, decibels from -100..0 scaled to -4..4.
    """
    columns = column_count(samples)
    mel = np.empty((BANDS, columns), np.float32)
    for first in range(0, columns, BLOCK):
        last = min(first + BLOCK, columns)
        mel[:, first:last] = mel_of(spectra(samples, first, last))
    return mel


def column_count(samples: Samples) -> int:
    """Return how many mel columns a sound has."""
    return 1 + len(samples) // HOP


def spectra(samples: Samples, first: int, last: int) -> NDArray[np.float64]:
    """Return the magnitudes under columns first..last-1, before bands, (last - first, 401).

    Bin k is of 20 * k Hz.
    """
    sound = _emphasised(samples, first * HOP - FFT // 2, (last - 1) * HOP + FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(sound, FFT)[::HOP]
    return np.abs(np.fft.rfft(frames * _hann(), axis=1))


def mel_of(magnitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mel columns of magnitudes (columns, 401), (80, columns) in [-4, 4]."""
    loudness = 20 * np.log10(np.maximum(1e-5, magnitudes @ _bands().T)) - 20
    mel: NDArray[np.float64] = np.clip(8 * (loudness.T + 100) / 100 - 4, -4, 4)
    return mel


def _emphasised(samples: Samples, first: int, last: int) -> NDArray[np.float64]:
    """Return pre-emphasised samples first..last-1, zero outside the sound."""
    begin, end = max(first, 0), min(last, len(samples))
    out = np.zeros(last - first)
    if begin < end:
        here = samples[begin:end].astype(np.float64)
        before = np.zeros(len(here))
        before[1:] = here[:-1]
        if begin > 0:
            before[0] = samples[begin - 1]
        out[begin - first : end - first] = here - PRE_EMPHASIS * before
    return out


@cache
def _hann() -> NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)


@cache
def _bands() -> NDArray[np.float64]:
    """Return the Slaney mel filters with area normalisation, (80, 401), as librosa makes them.

    From a file, because loading librosa takes longer than a short speech; a test compares.
    """
    filters: NDArray[np.float64] = np.load(BANDS_FILE)["bands"]
    return filters


def centre_columns(times: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the mel column on which the window of each time (seconds) is centred."""
    return np.floor(COLUMNS_PER_SECOND * np.asarray(times, np.float64) + 0.5).astype(np.int64)


def mel_windows(mel: NDArray[np.float32], times: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the window of mel columns centred on each time (seconds), (len(times), 80, 27).

    The first column is floor(80 * t + 0.5) - 13; beyond both ends of the mel there is silence.
    """
    return windows_at(mel, centre_columns(times))


def windows_at(mel: NDArray[np.float32], columns: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the window centred on each column, (len(columns), 80, 27), silence beyond the mel."""
    windows = np.full((len(columns), BANDS, WINDOW), SILENCE, np.float32)
    for window, column in zip(windows, columns.tolist(), strict=True):
        before = column - WINDOW // 2
        first, last = max(before, 0), min(before + WINDOW, mel.shape[1])
        if first < last:
            window[:, first - before : last - before] = mel[:, first:last]
    return windows
