"""A mark in the sound, above most people's hearing: which film of ours a sound belongs to.

A tone of constant strength steps through eight frequencies between 17.0 and 17.25 kHz and says the
same every 1.28 seconds: 32 bits of the film's own and a checksum of 16 that begins with our name.
Four words of the Golay code carry them, each symbol a bit of three words. Any stretch of 1.31
seconds holds all of it, wherever it was cut.
"""

from __future__ import annotations

import binascii
import hashlib
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.opening import open_media
from lipgan_cli.engine.paths import require_file
from lipgan_cli.engine.provenance import golay

RATE = 48000  # Hz
LEVEL = -56.0  # dB: the mean square, of which a square wave of full scale has 0
AMPLITUDE = math.sqrt(2) * 10 ** (LEVEL / 20)
"""The mark's highest sample: sound that is to take it in without clipping leaves that much room."""

# FFmpeg's AAC ends at 17.25 kHz at 128k stereo and 64k mono, MP3 of LAME at 160k a little above.
TONES = 17015.625 + 31.25 * np.arange(8)  # Hz
SYMBOL = 1536  # samples: 32 ms, in which neighbouring tones come one wave apart
SYMBOLS = 40
PERIOD = SYMBOL * SYMBOLS  # samples
GLIDE = 384  # samples in which a tone becomes the next one

PILOTS = (2, 7, 4, 0, 6, 1, 3, 5)
"""Every fifth symbol, by which the beginning is found; a steady whistle is like one of them."""
EVERY = SYMBOLS // len(PILOTS)
DATA = np.flatnonzero(np.arange(SYMBOLS) % EVERY)  # the other symbols
GRAY = np.array([0, 1, 3, 2, 6, 7, 5, 4])  # the bits of each tone: one differs between neighbours
BITS = 3  # of a tone
PREFIX = b"lipgan sound mark 1"
"""What the checksum begins with. It is not sent, and other marks of this kind do not match it."""

# The search moves the band to 0 Hz and works on 3000 samples a second.
CENTRE = 17125  # Hz
THINNED = 16
BAND_RATE = RATE // THINNED
WINDOW = SYMBOL // THINNED  # samples of the band
STEPS = 4  # hops of a symbol
HOP = WINDOW // STEPS  # samples of the band
TURN = STEPS * SYMBOLS  # hops of a period
SPEEDS = tuple(1 + step * 0.0012 for step in sorted(range(-9, 10), key=abs))
"""Of playback that are looked for. A step moves the tones by two thirds of their distance."""
BLOCK = 12 * RATE  # samples that are searched at once
OVERLAP = PERIOD + 2 * SYMBOL  # samples that two blocks share
FLOOR = -100.0  # dB: what is weaker is no tone but the rounding of samples

PILOTS_NEEDED, TONES_NEEDED = 0.22, 0.25
"""How far the mark's share of the power has to be above 1/8, chance, in a single period."""

Samples = NDArray[np.float32]
Shares = NDArray[np.float64]  # (..., hops, 8): of the power in the band, 1 in sum


@dataclass(frozen=True)
class Found:
    """A mark that was found in a sound."""

    identifier: int  # 32 bits
    score: float  # part of the band's power that is where the mark says: 1/8 by chance, 0.9 at best
    first: float  # seconds of the sound from which on it was found
    last: float  # seconds
    speed: float  # of playback, 1 as it was made


def identifier_of(name: str) -> int:
    """Return the 32 bits that stand for a name, such as that of a film's manifest."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def period(identifier: int, level: float = LEVEL) -> Samples:
    """Return one period of the mark at 48 kHz, mono, (61440,); played in a loop it has no seam."""
    steps = np.repeat(TONES[tones(identifier)], SYMBOL)
    slope = np.hanning(GLIDE + 1)
    around = np.concatenate([steps[-GLIDE // 2 :], steps, steps[: GLIDE // 2]])
    hertz = np.convolve(around, slope / slope.sum(), "valid")
    hertz += (round(hertz.sum() / RATE) * RATE - hertz.sum()) / PERIOD  # whole waves: under 0.4 Hz
    waves = np.sin(2 * np.pi * np.cumsum(hertz) / RATE)
    return np.asarray(math.sqrt(2) * 10 ** (level / 20) * waves, np.float32)


def tones(identifier: int) -> NDArray[np.int64]:
    """Return the tone of each symbol, (40,) in 0..7.

    Raises:
        ValueError: the identifier has more than 32 bits.
    """
    if not 0 <= identifier < 1 << 32:
        raise ValueError(f"the identifier {identifier} does not have 32 bits")
    told = identifier.to_bytes(4, "big")
    bits = np.unpackbits(np.frombuffer(told + _checksum(told), np.uint8))
    words = golay.encode(bits.reshape(-1, golay.MESSAGE))
    # The bits of a word lie apart, so that a click or a gap takes few of each.
    mixed = (words.T.reshape(-1) ^ _scramble()).reshape(-1, BITS)
    every = np.empty(SYMBOLS, np.int64)
    every[::EVERY] = PILOTS
    every[DATA] = np.argsort(GRAY)[mixed @ np.array([4, 2, 1])]
    return every


def find(sound: Path | Samples) -> Found | None:
    """Return the mark of a file or of mono samples at 48 kHz, the longest if there are several.

    Raises:
        InputError: the file is missing or cannot be read; one without sound has no mark.
    """
    return next(iter(find_all(sound)), None)


def find_all(sound: Path | Samples) -> tuple[Found, ...]:
    """Return all marks of a sound, the longest first: there are several where films were joined.

    Raises:
        InputError: as `find`.
    """
    pieces = read(sound) if isinstance(sound, Path) else iter([sound])
    hits: dict[int, list[Found]] = {}
    for begins, block in _blocks(pieces):
        for hit in _search(_band(block), begins / RATE):
            hits.setdefault(hit.identifier, []).append(hit)
    return tuple(_merged(some) for some in sorted(hits.values(), key=len, reverse=True))


def _merged(hits: list[Found]) -> Found:
    """Return one mark for all hits; where it begins and ends is told by the shortest of them."""
    best = max(hits, key=lambda hit: hit.score)
    shortest = min(hit.last - hit.first for hit in hits)
    sharp = [hit for hit in hits if hit.last - hit.first < 2 * shortest]
    first, last = min(hit.first for hit in sharp), max(hit.last for hit in sharp)
    return Found(best.identifier, best.score, first, last, best.speed)


def read(path: Path) -> Iterator[Samples]:
    """Yield a file's sound as mono at 48 kHz, piece by piece.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    require_file(path, "the file")
    try:
        container = open_media(path)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"{path} is not audio or video that can be read") from error
    with container, suppress(av.FFmpegError):  # where damage ends it, what came before counts
        stream = container.streams.best("audio")
        if not isinstance(stream, av.AudioStream):
            return
        resampler, kind = None, None
        for packet in container.demux(stream):
            with suppress(av.FFmpegError):
                for frame in packet.decode():
                    if resampler is None or kind != _kind(frame):
                        resampler, kind = av.AudioResampler("fltp", "mono", RATE), _kind(frame)
                    yield from _samples(resampler, frame)
        if resampler is not None:
            yield from _samples(resampler, None)


def _kind(frame: av.AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _samples(resampler: av.AudioResampler, frame: av.AudioFrame | None) -> Iterator[Samples]:
    for resampled in resampler.resample(frame):
        # A float track may hold anything, and one NaN would spread.
        yield np.nan_to_num(resampled.to_ndarray()[0], nan=0.0, posinf=0.0, neginf=0.0)


def _blocks(pieces: Iterable[Samples]) -> Iterator[tuple[int, Samples]]:
    """Yield blocks that overlap, and the sample at which each begins."""
    held, length, begins = [np.zeros(0, np.float32)], 0, 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length < BLOCK:
            continue
        whole = np.concatenate(held)
        while len(whole) >= BLOCK:
            yield begins, whole[:BLOCK]
            begins += BLOCK - OVERLAP
            whole = whole[BLOCK - OVERLAP :]
        held, length = [whole], len(whole)
    if length > (OVERLAP if begins else 0):
        yield begins, np.concatenate(held)


def _band(block: Samples) -> NDArray[np.complex64]:
    """Return the mark's band around 0 Hz, (n // 16,): 3000 samples a second."""
    around = np.exp(-2j * np.pi * CENTRE / RATE * np.arange(RATE // math.gcd(RATE, CENTRE)))
    moved = block * np.resize(around.astype(np.complex64), len(block))
    taps = _low_pass()
    rows = np.pad(moved, (taps.size // 2, taps.size))
    rows = rows[: len(rows) // THINNED * THINNED].reshape(-1, THINNED)
    parts, count = rows @ taps.T, len(block) // THINNED
    band = np.sum([parts[row : row + count, row] for row in range(len(taps))], axis=0)
    return np.asarray(band, np.complex64)


@cache
def _low_pass() -> NDArray[np.float32]:
    """Return a filter of 208 taps, (13, 16); 500 Hz pass, 90 dB less of what folds into them."""
    count = 13 * THINNED
    place = np.arange(count) - (count - 1) / 2
    taps = np.sinc(2 * 1200 / RATE * place) * np.kaiser(count, 9.0)
    return np.asarray(taps / taps.sum(), np.float32).reshape(-1, THINNED)


def _search(band: NDArray[np.complex64], begins: float) -> list[Found]:
    """Return the periods of marks that are found in a block, at the first speed that has any."""
    for speed in SPEEDS:
        shares = _shares(band, speed)
        if len(shares) < TURN:
            continue
        spans = _spans(len(shares))
        folded = np.stack([_folded(shares, *span) for span in spans])
        hop = HOP / BAND_RATE / speed  # seconds
        hits = [
            Found(*read, begins + first * hop, begins + (first + turns * TURN) * hop, speed)
            for (first, turns), read in zip(spans, _read(folded, spans), strict=True)
            if read is not None
        ]
        if hits:
            return hits
    return []


def _shares(band: NDArray[np.complex64], speed: float) -> Shares:
    """Return the tones' shares of the power every 8 ms of the sound as it was made, (hops, 8).

    Each tone's own usual power counts as noise, so that a whistle, or a band that ends midway, is
    not taken for the mark.
    """
    if len(band) < WINDOW:
        return np.zeros((0, len(TONES)))
    window = np.hanning(WINDOW + 2)[1:-1] ** 0.25  # tells neighbours apart, forgives 4 ms
    turning = np.outer(np.arange(WINDOW), TONES * speed - CENTRE) / BAND_RATE
    basis = np.exp(-2j * np.pi * turning) * (math.sqrt(2) / window.sum() * window[:, None])
    frames = np.lib.stride_tricks.sliding_window_view(band, WINDOW)[::HOP]
    power = np.abs(frames @ basis.astype(np.complex64)).astype(np.float64) ** 2  # mean squares
    noise = np.median(power, axis=0)
    hops = np.rint(np.arange(math.floor((len(power) - 1) * speed) + 1) / speed).astype(np.int64)
    floor = 10 ** (FLOOR / 10)
    against = (power[hops] + floor) / (noise + floor)
    shares: Shares = against / against.sum(axis=1, keepdims=True)
    return shares


def _spans(hops: int) -> list[tuple[int, int]]:
    """Return where a mark is looked for, as (first hop, periods): one, three and all together."""
    spans = [(first, 1) for first in (*range(0, hops - TURN, TURN // 2), hops - TURN)]
    spans += [(first, 3) for first in range(0, hops - 3 * TURN + 1, TURN)]
    return spans + ([(0, hops // TURN)] if hops // TURN > 3 else [])


def _folded(shares: Shares, first: int, turns: int) -> Shares:
    """Return the mean of some periods, (160, 8)."""
    part = shares[first : first + turns * TURN]
    return np.asarray(part.reshape(turns, TURN, len(TONES)).mean(axis=0))


def _read(folded: Shares, spans: list[tuple[int, int]]) -> Iterator[tuple[int, float] | None]:
    """Yield identifier and score of each folded period, None where there is no mark."""
    turns = np.array([count for _, count in spans])
    pilots = np.zeros(folded.shape[:2])
    for number, tone in enumerate(PILOTS):
        pilots += np.roll(folded[..., tone], -number * EVERY * STEPS, axis=1) / len(PILOTS)
    begins = pilots.argmax(axis=1)
    needed = 1 / len(TONES) + PILOTS_NEEDED / np.sqrt(turns)
    likely = pilots.max(axis=1) >= needed
    for one, begin, count, worth_it in zip(folded, begins, turns, likely, strict=True):
        read = _decoded(np.roll(one, -begin, axis=0)[::STEPS]) if worth_it else None
        enough = 1 / len(TONES) + TONES_NEEDED / math.sqrt(count)
        yield read if read is not None and read[1] >= enough else None


def _decoded(symbols: Shares) -> tuple[int, float] | None:
    """Return identifier and score of the symbols of a period, (40, 8), if the checksum is right."""
    data = symbols[DATA]
    soft = np.empty((len(DATA), BITS))
    for bit in range(BITS):
        one = (GRAY >> (BITS - 1 - bit)) % 2 == 1
        soft[:, bit] = data[:, one].max(axis=1) - data[:, ~one].max(axis=1)
    words = (soft.reshape(-1) * (1 - 2.0 * _scramble())).reshape(golay.WORD, -1).T
    told = np.packbits(golay.decode(words).reshape(-1)).tobytes()
    if _checksum(told[:4]) != told[4:]:
        return None
    identifier = int.from_bytes(told[:4], "big")
    return identifier, float(symbols[np.arange(SYMBOLS), tones(identifier)].mean())


def _checksum(told: bytes) -> bytes:
    return binascii.crc_hqx(PREFIX + told, 0xFFFF).to_bytes(2, "big")


@cache
def _scramble() -> NDArray[np.uint8]:
    """Return 96 bits that keep any identifier from being one tone for long."""
    return np.unpackbits(np.frombuffer(hashlib.sha256(PREFIX).digest()[:12], np.uint8))
