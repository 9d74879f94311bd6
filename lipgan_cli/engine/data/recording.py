"""One video made into one prepared clip, or a long one into several."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from itertools import groupby, islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.data.corpus import Source
from lipgan_cli.engine.data.dataset import face_name
from lipgan_cli.engine.data.parts import Part, cut, part_name
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media import audio, faces, flac, loudness, people, tracks, video
from lipgan_cli.engine.media.detectors import HogDetector
from lipgan_cli.engine.paths import atomic_path

JPEG_QUALITY = 95
HELD_BYTES = 256 << 20  # frames of a clip kept in memory; longer clips are decoded twice


@dataclass(frozen=True)
class Parameters:
    """Everything that decides what a prepared clip looks like."""

    crop: int = faces.CROP  # pixels
    scale: float = faces.SCALE
    drop: float = faces.DROP
    smoothing_seconds: float = faces.SMOOTHING_SECONDS
    bridged_seconds: float = faces.BRIDGED_SECONDS
    key_interval: int = tracks.KEY_INTERVAL  # frames
    detector: str = "dlib HOG"
    jpeg_quality: int = JPEG_QUALITY
    sample_rate: int = audio.SAMPLE_RATE  # Hz
    columns_per_second: int = audio.COLUMNS_PER_SECOND
    bands: int = audio.BANDS
    level: float = loudness.LEVEL  # dB of full scale


@dataclass(frozen=True)
class Stamp:
    """The content of a source, and what tells without reading it that it is the same still."""

    sha256: str
    size: int
    changed_ns: int


@dataclass(frozen=True)
class Job:
    """One video to prepare."""

    source: Source
    stamp: Stamp
    key: str
    base: str  # what the keys of its parts begin with, where it is long
    clips: Path  # the folder of all clips
    parameters: Parameters
    done: frozenset[int] = frozenset()  # parts that are there already
    whole: bool = False  # one clip however long it is, as an earlier version made it
    threads: int = 1  # that decode

    @property
    def folder(self) -> Path:
        """The clip's, where the video is one clip."""
        return self.clips / self.key


@dataclass(frozen=True)
class Recorded:
    """A video that was prepared."""

    keys: tuple[str, ...]  # of the clips made of it
    seconds: float  # of video in them
    missing: int  # frames without a face


@dataclass(frozen=True)
class Refused:
    """A clip that cannot be prepared, and why."""

    reason: str


@dataclass(frozen=True)
class Unwritable:
    """The dataset cannot be written, so that no other clip can be either."""

    reason: str


def record(job: Job) -> Recorded | Refused | Unwritable:
    """Prepare one video: write the folder of each clip of it whole, or not at all.

    However many parts a long recording has, it is decoded twice: to follow the face, and to cut it.
    """
    cv2.setNumThreads(1)  # the processes share the cores
    path = job.source.path
    try:
        info = video.probe(path)
        if info.photo:
            return Refused("is a picture, not a video")
        sound = _sound(info)
        frames = _frames(info, job.threads)
        found = tracks.find_tracks(frames(), _detector(), key_interval=job.parameters.key_interval)
        boxes = people.one_person(found)[:, :4]
    except LipganError as error:
        return Refused(error.message.removeprefix(str(path)).strip(" :"))
    squares = faces.squares(boxes, float(info.fps), found.cuts)
    if np.isnan(squares[:, 2]).all():
        return Refused(f"no face in {len(boxes)} frames")
    film = _Film(job, info, boxes, squares)
    try:
        return film.write(sound, frames())
    except OSError as error:
        return Unwritable(f"cannot write {job.folder}: {error.strerror or error}")
    except InputError as error:
        return Refused(error.message.removeprefix(str(path)).strip(" :"))
    except LipganError as error:
        return Unwritable(error.message)


@cache
def _detector() -> HogDetector:
    return HogDetector()


def _sound(info: video.VideoInfo) -> audio.Samples:
    """Return the sound from the first frame on, a window longer than the picture at most.

    At one loudness, and as it will be read again: the stored mel is that of the stored sound.
    """
    samples = audio.read_audio(info.path, origin=info.start)
    longest = round((info.duration + audio.WINDOW / audio.COLUMNS_PER_SECOND) * audio.SAMPLE_RATE)
    return flac.quantised(loudness.levelled(samples[:longest]))


def _frames(info: video.VideoInfo, threads: int) -> Callable[[], Iterable[video.Frame]]:
    """Return what gives the frames again and again: from memory where they fit."""
    if info.frames * info.width * info.height * 3 // 2 <= HELD_BYTES:
        held = list(video.read_frames(info, threads=threads))
        return lambda: held
    return lambda: video.read_frames(info, threads=threads)


def _write_faces(
    folder: Path, numbers: range, frames: Iterable[video.Frame], squares: NDArray[np.float64]
) -> None:
    settings = [
        *(cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY),
        # Lips differ from skin by colour, which half-size chroma would blur at this size.
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    for number, frame in zip(numbers, frames, strict=False):
        square = squares[number]
        if np.isnan(square[2]):
            continue
        crop = cv2.cvtColor(faces.cut(video.to_rgb(frame), square), cv2.COLOR_RGB2BGR)
        _, coded = cv2.imencode(".jpg", crop, settings)
        (folder / face_name(number)).write_bytes(coded.tobytes())


@dataclass(frozen=True, eq=False)
class _Film:
    """A video whose face was followed."""

    job: Job
    info: video.VideoInfo
    boxes: NDArray[np.float64]
    squares: NDArray[np.float64]

    @cached_property
    def parts(self) -> list[Part]:
        """The clips to make of it."""
        frames = len(self.boxes)
        if self.job.whole:
            return [Part(range(frames))]
        return cut(self.info.clock.seconds(np.arange(frames + 1)))

    def write(self, sound: audio.Samples, frames: Iterable[video.Frame]) -> Recorded:
        """Write the clips that are not there yet, from the frames of the whole video."""
        job, shown, passed = self.job, iter(frames), 0
        parts = [part for part in self.parts if part.number not in job.done]
        keys = []
        for part in filter(self.with_face, parts):
            key = job.key if part.number is None else part_name(job.base, part.number)
            first, last = part.frames.start, part.frames.stop
            with atomic_path(job.clips / key) as folder:
                folder.mkdir()
                here = islice(shown, first - passed, last - passed)
                _write_faces(folder, part.frames, here, self.squares)
                samples = part.sound(sound)
                flac.write_flac(folder / "sound.flac", samples)
                np.savez_compressed(folder / "mel.npz", mel=audio.mel_spectrogram(samples))
                about = json.dumps(self.about(part)) + "\n"
                (folder / "clip.json").write_text(about, "utf-8")
            passed = last
            keys.append(key)
        numbers = [number for part in parts for number in part.frames]
        without_face = int(np.isnan(self.squares[numbers, 2]).sum())
        return Recorded(tuple(keys), len(numbers) / float(self.info.fps), without_face)

    def with_face(self, part: Part) -> bool:
        """Whether a face is seen in a part."""
        return len(self._kept(part)) > 0

    def _kept(self, part: Part) -> NDArray[np.int64]:
        seen = ~np.isnan(self.squares[part.frames.start : part.frames.stop, 2])
        return part.frames.start + np.flatnonzero(seen)

    def about(self, part: Part) -> dict[str, object]:
        """What clip.json says of a part."""
        kept = self._kept(part)
        numbers = part.frames
        about = {
            "source": str(self.job.source.path.resolve()),
            **asdict(self.job.stamp),
            "held_out": self.job.source.held_out,
            "parameters": asdict(self.job.parameters),
            "fps": str(self.info.fps),
            "width": self.info.width,
            "height": self.info.height,
            "seconds": len(numbers) / float(self.info.fps),
            "frames": kept.tolist(),
            "times": part.times(self.info.clock.seconds(kept)).tolist(),
            "boxes": self.boxes[kept].round(3).tolist(),
            "squares": self.squares[kept].round(3).tolist(),
            "without_face": [
                [numbers.start + first, numbers.start + last]
                for first, last in _ranges(np.isnan(self.squares[numbers.start : numbers.stop, 2]))
            ],
        }
        if part.number is not None:
            about["part"] = {
                "number": part.number,
                "of": part.of,
                "with_face": [other.number for other in self.parts if self.with_face(other)],
                "begins": part.begins,
            }
        return about


def _ranges(flags: NDArray[np.bool_]) -> list[list[int]]:
    """Return [first, last] of every stretch of true values."""
    out = []
    for true, group in groupby(enumerate(flags.tolist()), key=lambda item: item[1]):
        numbers = [number for number, _ in group]
        if true:
            out.append([numbers[0], numbers[-1]])
    return out
