"""Small made films that speak: what the tests of `sync` share."""

from __future__ import annotations

import hashlib
import math
import subprocess
import wave
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Self

import av
import imageio_ffmpeg
import numpy as np
import pytest

from lipgan_cli.engine import sync as engine
from lipgan_cli.engine.media import identity
from lipgan_cli.engine.media.audio import column_count, read_audio
from lipgan_cli.engine.media.detectors import Face, HogDetector
from lipgan_cli.engine.media.video import probe, read_frames
from lipgan_cli.engine.sync import SyncOptions, SyncSummary, presenter, speech, survey
from lipgan_cli.engine.sync.options import MarkOptions

Picture = np.ndarray  # RGB (height, width, 3)


UNMARKED = MarkOptions(provenance=False)


@dataclass(frozen=True)
class Studio:
    """Films a face that sways, in pictures of 320x240 that show their number, and has it speak."""

    folder: Path
    head: Picture  # 176 x 176, with a face of 87 pixels in it

    WIDTH, HEIGHT = 320, 240
    TOP, SIDE = 40, 176  # of the head
    RATE = 16000
    BITS, BIT = 8, 16  # a frame's number, in blocks of 16 pixels in the top rows

    @staticmethod
    def left(number: int) -> int:
        """Return where the head of a picture begins."""
        return 60 + round(20 * math.sin(number / 12))

    def scene(self, number: int, face: bool = True, flash: bool = False) -> Picture:
        """Return a picture with its number in the top rows; a flash is at the bottom right."""
        rgb = np.empty((self.HEIGHT, self.WIDTH, 3), np.uint8)
        rgb[:] = np.linspace(60, 140, self.WIDTH)[None, :, None]
        if face:
            left = self.left(number)
            rgb[self.TOP : self.TOP + self.SIDE, left : left + self.SIDE] = self.head
        for bit in range(self.BITS):
            rgb[: self.BIT, bit * self.BIT : (bit + 1) * self.BIT] = (
                200 if number >> bit & 1 else 40
            )
        if flash:
            rgb[-24:, -40:] = 255
        return rgb

    def scenes(self, count: int) -> Iterator[Picture]:
        return map(self.scene, range(count))

    def number_of(self, luma: np.ndarray) -> int:
        """Return the number that a picture shows."""
        means = [luma[: self.BIT, b * self.BIT : (b + 1) * self.BIT].mean() for b in range(8)]
        return sum(1 << bit for bit, mean in enumerate(means) if mean > 120)

    def film(
        self,
        name: str,
        pictures: Iterable[Picture],
        fps: Fraction | int = 25,
        sound: np.ndarray | None = None,
        times: Sequence[int] | None = None,
        codec: str = "libx264",
        pixels: str = "yuv420p",
        options: dict[str, str] | None = None,
    ) -> Path:
        """Write pictures at a constant rate, or each at its own time in milliseconds."""
        path, fps = self.folder / name, Fraction(fps)
        base = 1 / fps if times is None else Fraction(1, 1000)
        fast = {"crf": "6", "preset": "ultrafast", "g": "12"} if codec == "libx264" else {}
        with av.open(str(path), "w") as container:
            video = container.add_stream(codec, rate=fps, options=fast | (options or {}))
            video.pix_fmt = pixels
            track = None
            if sound is not None:
                coder = {".webm": "libopus", ".mkv": "flac"}.get(path.suffix, "aac")
                track = container.add_stream(coder, rate=self.RATE, layout="mono")
            for index, rgb in enumerate(pictures):
                if not index:
                    video.height, video.width = rgb.shape[:2]
                    if times is not None:
                        video.codec_context.time_base = base
                kind = "rgba" if rgb.shape[2] == 4 else "rgb24"
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format=kind)
                frame = frame.reformat(format=pixels)
                frame.pts, frame.time_base = (times[index] if times else index), base
                container.mux(video.encode(frame))
            container.mux(video.encode())
            if track is not None and sound is not None:
                _encode(container, track, sound, self.RATE)
        return path

    def wav(
        self, name: str, seconds: float, sound: np.ndarray | None = None, rate: int = RATE
    ) -> Path:
        """Write a sound (n,) or (n, channels), by default silence."""
        samples = np.zeros(round(seconds * rate)) if sound is None else sound
        path = self.folder / name
        with wave.open(str(path), "wb") as file:
            file.setparams((1 if samples.ndim == 1 else samples.shape[1], 2, rate, 0, "NONE", ""))
            file.writeframes((samples * 32767).astype("<i2").tobytes())
        return path

    def hum(self, seconds: float, loud: float = 0.3, pitch: float = 220.0) -> np.ndarray:
        return loud * np.sin(2 * np.pi * pitch * np.arange(round(seconds * self.RATE)) / self.RATE)

    def click(self, seconds: float, at: float) -> np.ndarray:
        """Return silence with a click of 5 ms."""
        sound, first = np.zeros(round(seconds * self.RATE)), round(at * self.RATE)
        sound[first : first + 80] = 0.9
        return sound

    def sync(
        self, face: Path, speech: Path, output: str = "out.mp4", **options: Any
    ) -> SyncSummary:
        """Make the face speak into the folder's `output`."""
        options.setdefault("marks", UNMARKED)  # they have tests of their own
        return engine.sync(SyncOptions(face, speech, self.folder / output, **options))

    def out(self, name: str = "out.mp4") -> Path:
        return self.folder / name

    def shown(self, path: Path) -> list[tuple[float, np.ndarray]]:
        """Return the time and the luma of each frame, decoded by nothing of ours."""
        with av.open(str(path)) as container:
            return [
                (float(frame.time), frame.to_ndarray(format="gray"))
                for frame in container.decode(video=0)
            ]

    def numbers(self, frames: Iterable[np.ndarray]) -> list[int]:
        return [self.number_of(frame) for frame in frames]

    def source(self, path: Path) -> list[np.ndarray]:
        """Return the film's I420 frames."""
        return list(read_frames(probe(path)))

    def heard_click(self, path: Path) -> float:
        """Return when the loudest sound of a film begins, seconds on its own clock."""
        heard = np.abs(read_audio(path, origin=0.0))
        return float(np.argmax(heard > 0.3 * heard.max())) / self.RATE

    def back_and_forth(self, length: int, count: int) -> list[int]:
        """Return 0 1 2 3 2 1 0 1 ..."""
        there = [*range(length), *range(length - 2, 0, -1)]
        return [there[k % len(there)] for k in range(count)]

    def ffmpeg(self, *arguments: object) -> None:
        program = imageio_ffmpeg.get_ffmpeg_exe()
        command = [program, "-v", "error", "-y", *map(str, arguments)]
        subprocess.run(command, check=True, cwd=self.folder)


def _encode(container: Any, track: Any, sound: np.ndarray, rate: int) -> None:
    whole = track.codec_context.format.name.startswith("s16")
    values = (sound * 32767).astype(np.int16) if whole else sound.astype(np.float32)
    packed = "s16" if whole else "flt"
    resampler = av.AudioResampler(track.codec_context.format.name, "mono", rate)
    piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(values[None]), packed, "mono")
    piece.sample_rate, piece.pts, piece.time_base = rate, 0, Fraction(1, rate)
    fifo = av.AudioFifo()
    for frame in resampler.resample(piece):
        fifo.write(frame)
    for block in fifo.read_many(track.codec_context.frame_size or 1024, partial=True):
        container.mux(track.encode(block))
    container.mux(track.encode())


@pytest.fixture(scope="session")
def head() -> Picture:
    """A face that dlib's HOG detector finds, 87 pixels wide in 176: RGB."""
    from skimage.data import astronaut

    return astronaut()[40:216, 136:312].copy()


class Remembering(HogDetector):
    """dlib's detector, which the tests show the same pictures again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[bytes, int, int], list[Face]] = {}

    def detect(self, luma: np.ndarray, longest: int) -> list[Face]:
        key = (hashlib.sha256(luma.tobytes()).digest(), luma.shape[1], longest)
        if key not in self._known:
            self._known[key] = super().detect(luma, longest)
        return list(self._known[key])


_detector = cache(Remembering)


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make dlib's detector once for all tests, and use none of the models that only some have."""
    monkeypatch.setattr(survey, "HogDetector", _detector)
    monkeypatch.setattr(presenter, "installed_landmarks", lambda: None)
    for module in (identity, survey):
        monkeypatch.setattr(module, "find_model", lambda name: None)


@pytest.fixture
def studio(tmp_path: Path, head: Picture) -> Studio:
    return Studio(tmp_path, head)


class Stub:
    """Stands in for the network: gives the target back, or paints something."""

    def __init__(self) -> None:
        self.paint: Callable[[np.ndarray], np.ndarray] = lambda target: target
        self.seen: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.keys: list[Sequence[int] | None] = []

    def faces(
        self,
        reference: np.ndarray,
        target: np.ndarray,
        windows: np.ndarray,
        keys: Sequence[int] | None = None,
    ) -> np.ndarray:
        assert reference.dtype == target.dtype == np.uint8
        assert windows.shape == (len(target), 80, 27)
        assert reference.shape == target.shape == (len(target), 96, 96, 3)
        assert keys is None or len(keys) == len(target)
        if reference is target:  # asked how a mouth at rest looks, before anything is painted
            assert (windows == -4).all()
            return target
        self.seen.append((reference, target, windows))
        self.keys.append(keys)
        return self.paint(target).copy()

    @property
    def windows(self) -> np.ndarray:
        """What was heard with each painted face."""
        return np.concatenate([windows for _, _, windows in self.seen])


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Stub:
    """A network that gives back the face that it is shown."""
    stub = Stub()
    monkeypatch.setattr(presenter, "_network", lambda *given: stub)
    return stub


@pytest.fixture
def talking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is heard, somebody speaks."""
    monkeypatch.setattr(
        speech, "activity", lambda samples, stopped: np.ones(column_count(samples), np.float32)
    )


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The frames that go to the encoder, which is left out."""
    frames: list[np.ndarray] = []

    class Recorder:
        def __init__(self, path: Path, *_: object) -> None:
            path.write_bytes(b"film")

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, frame: np.ndarray, tick: int) -> None:
            frames.append(frame)

    monkeypatch.setattr(engine, "VideoWriter", Recorder)
    return frames
