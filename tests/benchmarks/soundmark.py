"""What the mark in the sound survives, and how often it is seen where there is none.

    python tests/benchmarks/soundmark.py DATA [--clips N] [--level DB] [--false-alarms]

DATA has folders `speech` and `grid` of real recordings. Each is cut to six seconds, marked and
coded by the program's own filters and coders, and then what others may do to a film is done to it.
`--false-alarms` looks for marks in all of DATA, which has none, and in noises.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.io import wavfile

from lipgan_cli.engine.media.choices import Codec
from lipgan_cli.engine.media.coding import Coding
from lipgan_cli.engine.media.writer import Sound, sound_inputs
from lipgan_cli.engine.provenance import soundmark
from lipgan_cli.engine.provenance.soundmark import LEVEL, RATE

SECONDS = 6
FFMPEG = (imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y")

OWN = {
    "AAC, mp4": (".mp4", None, ""),
    "AAC, mov": (".mov", None, ""),
    "AAC, mkv": (".mkv", None, ""),
    "Opus, webm": (".webm", None, ""),
    "FLAC, mkv": (".mkv", Codec.FFV1, ""),
    "AAC, mp4, 5.1": (".mp4", None, "5.1"),
    "Opus, webm, 5.1": (".webm", None, "5.1"),
}
"""The program's own films, by name: suffix, codec, and the speech's layout if not its own."""

AFTERWARDS = {
    "nothing": ("flac", ""),
    "AAC 192k stereo, 44.1 kHz": ("m4a", "-ac 2 -ar 44100 -b:a 192k"),
    "AAC 160k stereo": ("m4a", "-ac 2 -b:a 160k"),
    "AAC 128k stereo": ("m4a", "-ac 2 -b:a 128k"),
    "AAC 128k stereo, 44.1 kHz": ("m4a", "-ac 2 -ar 44100 -b:a 128k"),
    "AAC 96k stereo": ("m4a", "-ac 2 -b:a 96k"),
    "AAC 64k stereo": ("m4a", "-ac 2 -b:a 64k"),
    "AAC 96k mono": ("m4a", "-ac 1 -b:a 96k"),
    "AAC 64k mono": ("m4a", "-ac 1 -b:a 64k"),
    "AAC 48k mono": ("m4a", "-ac 1 -b:a 48k"),
    "Opus 128k stereo": ("webm", "-ac 2 -c:a libopus -b:a 128k"),
    "Opus 64k stereo": ("webm", "-ac 2 -c:a libopus -b:a 64k"),
    "Opus 48k mono": ("webm", "-ac 1 -c:a libopus -b:a 48k"),
    "Opus 32k mono": ("webm", "-ac 1 -c:a libopus -b:a 32k"),
    "Opus 24k mono": ("webm", "-ac 1 -c:a libopus -b:a 24k"),
    "MP3 320k stereo": ("mp3", "-ac 2 -b:a 320k"),
    "MP3 192k stereo": ("mp3", "-ac 2 -b:a 192k"),
    "MP3 160k stereo": ("mp3", "-ac 2 -b:a 160k"),
    "MP3 128k stereo": ("mp3", "-ac 2 -b:a 128k"),
    "MP3 128k mono": ("mp3", "-ac 1 -b:a 128k"),
    "Vorbis q4": ("ogg", "-c:a libvorbis -q:a 4"),
    "AC-3 192k": ("ac3", "-b:a 192k"),
    "44.1 kHz": ("flac", "-ar 44100"),
    "32 kHz": ("flac", "-ar 32000"),
    "12 dB louder, clipped": ("flac", "-af volume=12dB -sample_fmt s16"),
    "12 dB softer": ("flac", "-af volume=-12dB -sample_fmt s16"),
    "30 dB softer": ("flac", "-af volume=-30dB -sample_fmt s16"),
    "brought to -16 LUFS": ("flac", "-af loudnorm=I=-16,aresample=48000,asetnsamples=4096"),
    "compressed 4 : 1": ("flac", "-af acompressor=threshold=0.05:ratio=4:makeup=4"),
    "echo": ("flac", "-af aecho=0.8:0.6:60:0.4"),
    "low-pass at 18 kHz": ("flac", "-af lowpass=18000,lowpass=18000"),
    "low-pass at 16 kHz": ("flac", "-af lowpass=16000,lowpass=16000"),
    "low-pass at 14 kHz": ("flac", "-af lowpass=14000,lowpass=14000"),
    "cut to 2 s": ("flac", "-ss 1.37 -t 2"),
    "cut to 1.5 s": ("flac", "-ss 0.93 -t 1.5"),
    "cut to 2 s, AAC 128k stereo": ("m4a", "-ss 1.37 -t 2 -ac 2 -b:a 128k"),
    "1 % faster": ("flac", "-af asetrate=48480,aresample=48000"),
    "1 % slower": ("flac", "-af asetrate=47520,aresample=48000"),
    "4 % faster (24 as 25 fps)": ("flac", "-af asetrate=50000,aresample=48000"),
    "1 % faster, pitch kept": ("flac", "-af atempo=1.01"),
    "1 % slower, pitch kept": ("flac", "-af atempo=0.99"),
    "10 % faster, pitch kept": ("flac", "-af atempo=1.1"),
}
"""What is done to the film in mp4: the suffix it gets, and FFmpeg's options."""

Samples = NDArray[np.float32]


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--level", type=float, default=LEVEL)
    parser.add_argument("--false-alarms", action="store_true")
    asked = parser.parse_args()
    if asked.false_alarms:
        false_alarms(asked.data)
    else:
        with tempfile.TemporaryDirectory() as name:
            detection(asked.data, asked.clips, asked.level, Path(name))


def detection(data: Path, clips: int, level: float, folder: Path) -> None:
    """Print in how many films of each material the mark is found, and the median of its scores."""
    recorded = sorted((data / "grid").glob("*/*/*"))
    materials = {
        "speech": sorted((data / "speech").iterdir()),
        "GRID": [recorded[place] for place in np.linspace(0, len(recorded) - 1, clips).astype(int)],
        **{kind: drawn(folder, kind) for kind in MADE},
    }
    sources = [path for some in materials.values() for path in some]
    edges = np.cumsum([len(some) for some in materials.values()])[:-1].tolist()
    print(f"{f'mark at {level:g} dB':<32}" + "".join(f"{kind:>14}" for kind in materials))

    def show(title: str, score: Callable[[int, Path], float]) -> None:
        scores = [score(number, path) for number, path in enumerate(sources)]
        told = [
            f"{np.count_nonzero(some):>3}/{len(some):<3} {np.median(some):.2f}"
            for some in np.split(np.array(scores), edges)
        ]
        print(f"{title:<32}" + "".join(f"{one:>14}" for one in told), flush=True)

    for title, (suffix, codec, layout) in OWN.items():

        def own(number: int, path: Path) -> float:
            target = folder / f"film{suffix}"  # noqa: B023 - called at once
            return heard(film(path, target, number, level, codec, layout), number)  # noqa: B023

        show(title, own)
    print("AAC in mp4, and then")
    films = [
        film(path, folder / f"{number}.mp4", number, level) for number, path in enumerate(sources)
    ]
    for title, (suffix, options) in AFTERWARDS.items():

        def after(number: int, path: Path) -> float:
            target = folder / f"after.{suffix}"  # noqa: B023 - called at once
            ffmpeg("-i", films[number], "-vn", *options.split(), target)  # noqa: B023
            return heard(target, number)

        show(title, after)
    for decibels in (-50, -45, -40, -35):

        def noisy(number: int, path: Path) -> float:
            sound = np.concatenate(list(soundmark.read(films[number])))
            return heard(sound + noise(len(sound), number, decibels), number)  # noqa: B023

        show(f"white noise at {decibels} dB", noisy)


def identifier(number: int) -> int:
    """Return some 32 bits."""
    return soundmark.identifier_of(str(number))


def film(
    path: Path,
    target: Path,
    number: int,
    level: float,
    codec: Codec | None = None,
    layout: str = "",
) -> Path:
    """Write the sound of a film as the program does, in its container."""
    mark, source = target.with_suffix(".mark.wav"), target.with_suffix(".source.flac")
    wavfile.write(mark, RATE, integers(soundmark.period(identifier(number), level)))
    ffmpeg("-i", path, "-vn", "-t", SECONDS, *(["-ac", 6] if layout else []), source)
    seconds = sum(len(piece) for piece in soundmark.read(source)) / RATE
    options = Coding(codec).options(target)
    inputs = sound_inputs(Sound(source, seconds, mark=mark))
    coded = options[options.index("-c:a") :]
    ffmpeg("-f", "lavfi", "-i", "anullsrc", *inputs, "-map", "[sound]", *coded, target)
    return target


def ffmpeg(*arguments: object) -> None:
    """Run FFmpeg."""
    subprocess.run([*FFMPEG, *(str(argument) for argument in arguments)], check=True)


def heard(sound: Path | Samples, number: int) -> float:
    """Return the score of a film's own mark, 0 if it is not found."""
    return max(
        (mark.score for mark in soundmark.find_all(sound) if mark.identifier == identifier(number)),
        default=0.0,
    )


def noise(length: int, seed: int, decibels: float) -> Samples:
    """Return white noise."""
    drawn = np.random.default_rng(seed).normal(0, 10 ** (decibels / 20), length)
    return drawn.astype(np.float32)


def hiss(seed: int) -> Samples:
    """Return s after s at 48 kHz: noise from 4 kHz up, half of the time."""
    length = SECONDS * RATE
    high = signal.butter(4, 4000, "high", fs=RATE, output="sos")
    on = np.arange(length) // 7200 % 2  # 150 ms
    return np.asarray(signal.sosfilt(high, noise(length, seed, -25)) * on, np.float32)


def music(seed: int) -> Samples:
    """Return chords with all their overtones, and a cymbal four times a second."""
    rng, length = np.random.default_rng(seed), SECONDS * RATE
    seconds = np.arange(length) / RATE
    sound = np.zeros(length)
    for note in 110 * 2 ** (rng.integers(0, 24, 4) / 12):
        for overtone in range(1, int(20000 / note)):
            phase = rng.uniform(0, 2 * np.pi)
            sound += 0.05 / overtone * np.sin(2 * np.pi * note * overtone * seconds + phase)
    cymbal = noise(length, seed, -26) * np.exp(-(seconds % 0.25) / 0.05)
    return np.asarray(sound + cymbal, np.float32)


MADE: dict[str, Callable[[int], Samples]] = {
    "hiss": hiss,
    "music": music,
    "silence": lambda seed: np.zeros(SECONDS * RATE, np.float32),
}


def drawn(folder: Path, kind: str, number: int = 5) -> list[Path]:
    """Write sounds of a kind."""
    paths = [folder / f"{kind} {seed}.wav" for seed in range(number)]
    for seed, path in enumerate(paths):
        wavfile.write(path, RATE, integers(MADE[kind](seed)))
    return paths


def integers(samples: Samples) -> NDArray[np.int16]:
    """Return samples of 16 bits."""
    return np.rint(samples * 32767).clip(-32768, 32767).astype(np.int16)


def false_alarms(data: Path) -> None:
    """Print how often marks, and what looks like one, are found in sound that has none."""
    print(f"{'':<24}{'hours':>8}{'looked at':>12}{'checksums':>11}{'marks':>7}{'s per min':>11}")
    sounds: dict[str, Iterator[Samples]] = {
        "speech": whole((data / "speech").iterdir()),
        "GRID": whole((data / "grid").glob("*/*/*")),
        "GRID, joined": joined((data / "grid").glob("*/*/*")),
        "white noise": (noise(60 * RATE, seed, -30) for seed in range(30)),
        "hiss": (hiss(seed) for seed in range(100)),
        "music": (music(seed) for seed in range(100)),
        "whistles": (whistles(seed) for seed in range(50)),
        "sweeps": (sweeps(seed) for seed in range(50)),
        "another's mark": (other(seed) for seed in range(50)),
    }
    for title, some in sounds.items():
        count = Count()
        with count.counting():
            for sound in some:
                count.add(sound)
        print(f"{title:<24}{count.told()}", flush=True)


@dataclass
class Count:
    """What a search came to."""

    seconds: float = 0.0
    spent: float = 0.0  # seconds of CPU
    periods: int = 0  # at one of the speeds
    checksums: int = 0
    marks: int = 0

    def add(self, sound: Samples) -> None:
        """Look for marks in a sound."""
        started = time.thread_time()
        self.marks += len(soundmark.find_all(sound))
        self.spent += time.thread_time() - started
        self.seconds += len(sound) / RATE

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what the search does."""
        decoded, spans = soundmark._decoded, soundmark._spans

        def count_decoded(symbols: soundmark.Shares) -> tuple[int, float] | None:
            self.checksums += 1
            return decoded(symbols)

        def count_spans(hops: int) -> list[tuple[int, int]]:
            found = spans(hops)
            self.periods += len(found)
            return found

        soundmark._decoded, soundmark._spans = count_decoded, count_spans
        try:
            yield
        finally:
            soundmark._decoded, soundmark._spans = decoded, spans

    def told(self) -> str:
        """Return the row of a table."""
        return (
            f"{self.seconds / 3600:>8.2f}{self.periods:>12}{self.checksums:>11}{self.marks:>7}"
            f"{60 * self.spent / self.seconds:>11.2f}"
        )


def whole(paths: Iterable[Path]) -> Iterator[Samples]:
    """Yield the sound of files."""
    for path in sorted(paths):
        yield np.concatenate(list(soundmark.read(path)))


def joined(paths: Iterable[Path]) -> Iterator[Samples]:
    """Yield the sound of twenty files each, one after the other."""
    pieces = whole(paths)
    while some := list(islice(pieces, 20)):
        yield np.concatenate(some)


def whistles(seed: int) -> Samples:
    """Return steady tones in the mark's band."""
    rng, seconds = np.random.default_rng(seed), np.arange(12 * RATE) / RATE
    hertz = rng.choice([*soundmark.TONES.tolist(), *rng.uniform(17000, 17250, 8)], 3, replace=False)
    sound = sum(0.003 * np.sin(2 * np.pi * one * seconds) for one in hertz)
    return np.asarray(sound + noise(len(seconds), seed, -70), np.float32)


def sweeps(seed: int) -> Samples:
    """Return a tone that goes up and down through the mark's band."""
    rng, seconds = np.random.default_rng(seed), np.arange(12 * RATE) / RATE
    hertz = 17125 + 125 * signal.sawtooth(2 * np.pi * rng.uniform(0.2, 8) * seconds, 0.5)
    sound = 0.003 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE)
    return np.asarray(sound + noise(len(seconds), seed, -70), np.float32)


def other(seed: int) -> Samples:
    """Return tones of the mark's own, in any order."""
    rng = np.random.default_rng(seed)
    hertz = np.repeat(rng.choice(soundmark.TONES, 12 * RATE // soundmark.SYMBOL), soundmark.SYMBOL)
    return np.asarray(0.003 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE), np.float32)


if __name__ == "__main__":
    main()
