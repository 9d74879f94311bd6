"""Campaigns in small: a recording that shows its frames' numbers, a voice that hums, a network
that opens the mouth as wide as it hears something.
"""

from __future__ import annotations

import csv
import hashlib
import wave
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import av
import numpy as np
import pytest

from lipgan_cli.engine import campaign as engine
from lipgan_cli.engine.campaign import CampaignOptions, CampaignSummary, prepared, rows
from lipgan_cli.engine.campaign.manifest import Entry, read_entries
from lipgan_cli.engine.campaign.stage import Stage, open_stage
from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.media import identity
from lipgan_cli.engine.media.audio import HOP, column_count
from lipgan_cli.engine.media.detectors import Face, HogDetector
from lipgan_cli.engine.media.picture import Frame, luma
from lipgan_cli.engine.media.video import probe, read_frames
from lipgan_cli.engine.metrics import judge
from lipgan_cli.engine.progress import Silent
from lipgan_cli.engine.sync import SyncOptions, presenter, speech, survey
from lipgan_cli.engine.sync.options import MarkOptions

RATE = 48000
WIDTH, HEIGHT = 256, 192
TOP, SIDE = 16, 176  # of the head; above it the frame's number is shown
BITS, BIT = 8, 16  # of the number, in blocks of 16 pixels
LETTER_SECONDS = 0.03


class Mouth:
    """Stands in for the network: opens a mouth as wide as the sound is loud."""

    device = "cpu"

    def __init__(self) -> None:
        self.painted: list[int] = []  # frames of the recording, in the order of painting
        self._lock = Lock()

    def faces(
        self,
        reference: np.ndarray,
        target: np.ndarray,
        windows: np.ndarray,
        keys: Sequence[int] | None = None,
    ) -> np.ndarray:
        if reference is target:  # asked for a mouth at rest, before anything is painted
            return target
        assert keys is not None, "a campaign remembers the faces that it has encoded"
        with self._lock:
            self.painted += keys
        painted = target.copy()
        loud = (windows[:, :, windows.shape[2] // 2].mean(1) + 4) / 8
        for face, wide in zip(painted, np.rint(24 * loud.clip(0, 1)).astype(int), strict=True):
            face[62 : 62 + wide, 34:62] = 20
        return painted


class Hummer:
    """Stands in for the voice: hums 30 ms for every letter, and cannot say "fail"."""

    name = "hummer"

    def __init__(self) -> None:
        self.said: list[str] = []
        self.stopped = False

    def say(self, text: str, output: Path) -> None:
        self.said.append(text)
        if "fail" in text:
            raise LipganError(f"the voice cannot say {text!r}")
        times = np.arange(round(LETTER_SECONDS * len(text) * RATE)) / RATE
        pitch = 150 + hashlib.sha256(text.encode()).digest()[0]
        write_wav(output, 0.3 * np.sin(2 * np.pi * pitch * times))

    def stop(self) -> None:
        self.stopped = True


def write_wav(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    """Write mono sound (n,)."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def scene(head: np.ndarray, number: int, face: bool = True) -> np.ndarray:
    """Return an RGB picture of a head that sways, with its number above it."""
    rgb = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    rgb[:] = np.linspace(60, 140, WIDTH)[None, :, None]
    if face:
        left = 30 + abs(number % 40 - 20)  # a pixel to the left or to the right a frame
        rgb[TOP : TOP + SIDE, left : left + SIDE] = head
    for bit in range(BITS):
        rgb[:BIT, bit * BIT : (bit + 1) * BIT] = 200 if number >> bit & 1 else 40
    return rgb


def number_of(frame: Frame) -> int:
    """Return the number that an I420 frame shows."""
    blocks = luma(frame)[2 : BIT - 2, : BITS * BIT].reshape(BIT - 4, BITS, BIT)[:, :, 2:-2]
    return sum(1 << bit for bit, mean in enumerate(blocks.mean((0, 2))) if mean > 120)


@dataclass
class Studio:
    """Makes recordings, sounds, tables and campaigns."""

    folder: Path
    head: np.ndarray
    network: Mouth = field(default_factory=Mouth)
    voice: Hummer = field(default_factory=Hummer)

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def recording(
        self,
        count: int = 60,
        fps: Fraction | int = 25,
        times: Sequence[int] | None = None,
        face: Callable[[int], bool] = lambda number: True,
        sound: np.ndarray | None = None,
        name: str = "presenter.mp4",
    ) -> Path:
        """Write a recording at a constant rate, or with frames at `times` in milliseconds."""
        path, base = self.folder / name, 1 / Fraction(fps) if times is None else Fraction(1, 1000)
        with av.open(str(path), "w") as container:
            fast = {"crf": "6", "preset": "ultrafast", "g": "12"}
            video = container.add_stream("libx264", rate=Fraction(fps), options=fast)
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            if times is not None:
                video.codec_context.time_base = base
            track = (
                None if sound is None else container.add_stream("flac", rate=RATE, layout="mono")
            )
            for number in range(count):
                picture = scene(self.head, number, face(number))
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = (times[number] if times else number), base
                container.mux(video.encode(frame))
            container.mux(video.encode())
            if track is not None and sound is not None:
                whole = (sound * 32767).astype(np.int16)[None]
                for first in range(0, len(sound), 4096):
                    block = np.ascontiguousarray(whole[:, first : first + 4096])
                    piece = av.AudioFrame.from_ndarray(block, "s16", "mono")
                    piece.sample_rate, piece.pts = RATE, first
                    piece.time_base = Fraction(1, RATE)
                    container.mux(track.encode(piece))
                container.mux(track.encode())
        return path

    def hum(self, name: str, seconds: float = 0.6) -> Path:
        """Write a sound to be spoken."""
        return write_wav(
            self.folder / name, 0.3 * np.sin(2 * np.pi * 220 * np.arange(seconds * RATE) / RATE)
        )

    def table(self, messages: Iterable[Mapping[str, object]], name: str = "messages.csv") -> Path:
        """Write a table; its columns are those of the first row."""
        messages = list(messages)
        path = self.folder / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(messages[0]))
            writer.writeheader()
            writer.writerows(messages)
        return path

    def options(self, face: Path, table: Path | str = "-", **options: Any) -> CampaignOptions:
        """Return options of a campaign; those of its films are told by their names."""
        names = {each.name for each in fields(SyncOptions)}
        film = {name: options.pop(name) for name in list(options) if name in names}
        given = {"output": self.out, "preset": "ultrafast", **film}
        if given.get("codec") in ("ffv1", "vp9"):
            del given["preset"]
        given.setdefault("marks", MarkOptions(provenance=False))  # they have tests of their own
        return CampaignOptions(SyncOptions(face, table, **given), **options)

    def stage(self, face: Path, **options: Any) -> Stage:
        """Return a stage on which messages can be filmed one by one."""
        return open_stage(self.options(face, **options), self.voice, "a campaign", Silent())

    def run(
        self,
        face: Path,
        table: Path | str,
        progress: Callable[[str, float, float | None], None] | None = None,
        stdin: BinaryIO | None = None,
        **options: Any,
    ) -> CampaignSummary:
        return engine.campaign(self.options(face, table, **options), progress, stdin)

    def entries(self) -> dict[str, Entry]:
        return read_entries(self.out)

    def frames(self, path: Path) -> list[Frame]:
        return list(read_frames(probe(path)))

    def numbers(self, path: Path) -> list[int]:
        """Return which frames of the recording a film shows."""
        return [number_of(frame) for frame in self.frames(path)]


@pytest.fixture(scope="session")
def head() -> np.ndarray:
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
_judge = cache(judge.load_judge)


def activity(samples: np.ndarray, stopped: Callable[[], bool]) -> np.ndarray:
    """Return which columns of a sound are heard: a hum is no speech to a real detector."""
    if stopped():
        raise LipganError("the search for speech was stopped")
    steps = np.zeros((column_count(samples), HOP))
    steps.flat[: len(samples)] = samples[: steps.size]
    heard = (steps**2).mean(1) > 1e-5
    return (heard | np.roll(heard, 1)).astype(np.float32)


def furnish(studio: Studio, patch: pytest.MonkeyPatch) -> None:
    """Let campaigns have a studio's network and voice, and none of the models of others."""
    patch.setattr(survey, "HogDetector", _detector)
    patch.setattr(judge, "load_judge", _judge)
    patch.setattr(presenter, "installed_landmarks", lambda: None)
    for module in (identity, survey):
        patch.setattr(module, "find_model", lambda name: None)
    patch.setattr(presenter, "_network", lambda *given: studio.network)
    patch.setattr(speech, "activity", activity)
    for module in (prepared, rows):
        patch.setattr(module, "choose_voice", lambda *given: studio.voice)


@pytest.fixture
def studio(tmp_path: Path, head: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Studio:
    studio = Studio(tmp_path, head)
    furnish(studio, monkeypatch)
    return studio
