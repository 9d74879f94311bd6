"""One video made into one prepared clip."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.data.corpus import Source
from lipgan_cli.engine.data.dataset import face_name
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
    """One clip to prepare."""

    source: Source
    stamp: Stamp
    key: str
    folder: Path  # of the clip
    parameters: Parameters


@dataclass(frozen=True)
class Recorded:
    """A clip that was prepared."""

    seconds: float  # of video
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
    """Prepare one clip: write its folder whole, or not at all."""
    cv2.setNumThreads(1)  # the processes share the cores
    path = job.source.path
    try:
        info = video.probe(path)
        if info.photo:
            return Refused("is a picture, not a video")
        sound = _sound(info)
        frames = _frames(info)
        found = tracks.find_tracks(frames(), _detector(), key_interval=job.parameters.key_interval)
        boxes = people.one_person(found)[:, :4]
    except LipganError as error:
        return Refused(error.message.removeprefix(str(path)).strip(" :"))
    squares = faces.squares(boxes, float(info.fps), found.cuts)
    kept = np.flatnonzero(~np.isnan(squares[:, 2]))
    if not len(kept):
        return Refused(f"no face in {len(boxes)} frames")
    try:
        with atomic_path(job.folder) as folder:
            folder.mkdir()
            _write_faces(folder, frames(), squares)
            flac.write_flac(folder / "sound.flac", sound)
            np.savez_compressed(folder / "mel.npz", mel=audio.mel_spectrogram(sound))
            _write_about(folder, job, info, kept, boxes, squares)
    except OSError as error:
        return Unwritable(f"cannot write {job.folder}: {error.strerror or error}")
    except InputError as error:
        return Refused(error.message.removeprefix(str(path)).strip(" :"))
    except LipganError as error:
        return Unwritable(error.message)
    return Recorded(seconds=len(boxes) / float(info.fps), missing=len(boxes) - len(kept))


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


def _frames(info: video.VideoInfo) -> Callable[[], Iterable[video.Frame]]:
    """Return what gives the frames again and again: from memory where they fit."""
    if info.frames * info.width * info.height * 3 // 2 <= HELD_BYTES:
        held = list(video.read_frames(info, threads=1))
        return lambda: held
    return lambda: video.read_frames(info, threads=1)


def _write_faces(folder: Path, frames: Iterable[video.Frame], squares: NDArray[np.float64]) -> None:
    settings = [
        *(cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY),
        # Lips differ from skin by colour, which half-size chroma would blur at this size.
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
    for number, (frame, square) in enumerate(zip(frames, squares, strict=False)):
        if np.isnan(square[2]):
            continue
        crop = cv2.cvtColor(faces.cut(video.to_rgb(frame), square), cv2.COLOR_RGB2BGR)
        _, coded = cv2.imencode(".jpg", crop, settings)
        (folder / face_name(number)).write_bytes(coded.tobytes())


def _write_about(
    folder: Path,
    job: Job,
    info: video.VideoInfo,
    kept: NDArray[np.int64],
    boxes: NDArray[np.float64],
    squares: NDArray[np.float64],
) -> None:
    about = {
        "source": str(job.source.path.resolve()),
        **asdict(job.stamp),
        "held_out": job.source.held_out,
        "parameters": asdict(job.parameters),
        "fps": str(info.fps),
        "width": info.width,
        "height": info.height,
        "seconds": len(boxes) / float(info.fps),
        "frames": kept.tolist(),
        "times": info.clock.seconds(kept).tolist(),
        "boxes": boxes[kept].round(3).tolist(),
        "squares": squares[kept].round(3).tolist(),
        "without_face": _ranges(np.isnan(squares[:, 2])),
    }
    (folder / "clip.json").write_text(json.dumps(about) + "\n", "utf-8")


def _ranges(flags: NDArray[np.bool_]) -> list[list[int]]:
    """Return [first, last] of every stretch of true values."""
    out = []
    for true, group in groupby(enumerate(flags.tolist()), key=lambda item: item[1]):
        numbers = [number for number, _ in group]
        if true:
            out.append([numbers[0], numbers[-1]])
    return out
