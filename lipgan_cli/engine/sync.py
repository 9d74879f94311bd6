"""`lipgan sync`: a face and a speech become a video of that face speaking it.

The face video is read twice: once to find the face, once to paint it. Neither reading holds more
than a few frames, so that memory does not grow with the picture's length.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.gan.device import choose_device
from lipgan_cli.engine.gan.inference import Animator
from lipgan_cli.engine.media import faces
from lipgan_cli.engine.media.audio import SAMPLE_RATE, mel_spectrogram, mel_windows, read_audio
from lipgan_cli.engine.media.blend import crop, paste
from lipgan_cli.engine.media.choices import DEFAULT_BLEND, DEFAULT_DETECTOR, Blend, Detector
from lipgan_cli.engine.media.detectors import FaceDetector, HogDetector, MmodDetector
from lipgan_cli.engine.media.film import Film, open_face, spans, watch
from lipgan_cli.engine.media.loudness import levelled
from lipgan_cli.engine.media.picture import Frame
from lipgan_cli.engine.media.playback import ahead, back_and_forth, position
from lipgan_cli.engine.media.writer import VideoWriter
from lipgan_cli.engine.paths import atomic_path, check_output, require_file
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.weights import find

SUFFIXES = (".mp4", ".mov", ".mkv")


@dataclass(frozen=True)
class SyncRequest:
    """What to make: the face, the speech, where to, and how."""

    face: Path
    speech: Path
    output: Path
    weights: Path | None = None  # None: those that came with the install
    device: str | None = None  # None: the best one here
    blend: Blend = DEFAULT_BLEND
    detector: Detector = DEFAULT_DETECTOR
    batch: int = 16  # frames painted at once
    force: bool = False


@dataclass(frozen=True)
class SyncSummary:
    """What was made."""

    output: Path
    frames: int
    fps: Fraction
    seconds: float
    without_face: tuple[tuple[float, float], ...]  # seconds of the face video
    elapsed: float  # seconds, start-up of the network excluded
    speed: float  # seconds of video per second


def sync(request: SyncRequest, progress: Progress) -> SyncSummary:
    """Make the face speak: floor(seconds of speech * fps + 0.5) frames, with the speech's sound.

    A video shorter than the speech plays back and forth; a photo becomes a video at 25 fps.
    Frames without a face stay as they are.

    Raises:
        InputError: something given cannot be used, or there is no face.
        LipganError: the video cannot be written.
    """
    check(request)
    info, read = open_face(request.face)
    samples = read_audio(request.speech)
    frames = math.floor(Fraction(len(samples), SAMPLE_RATE) * info.fps + Fraction(1, 2))
    if frames < 1:
        raise InputError(
            f"{request.speech} has only {len(samples) / SAMPLE_RATE:.3f} s of sound",
            "give a longer speech",
        )
    mel = mel_spectrogram(levelled(samples))
    del samples
    detector = _detector(request.detector)
    animator = Animator.load(request.weights, choose_device(request.device))

    started = time.monotonic()
    film = watch(info, read, frames, detector, progress)
    missing = spans(np.isnan(film.squares[:, 2]), film.info.fps)
    for first, last in missing:
        progress.note(f"{info.path}: no face from {first:.2f} s to {last:.2f} s, left as it is")
    seconds = float(frames / info.fps)
    with (
        atomic_path(request.output, request.force) as temporary,
        VideoWriter(
            temporary,
            info.width,
            info.height,
            info.fps,
            request.speech,
            seconds,
            info.colour,
            info.pixel_aspect,
        ) as writer,
        progress.task("speaking", frames, "frames") as task,
    ):
        for frame in _speak(film, frames, mel, animator, request):
            writer.write(frame)
            task.advance()
    elapsed = time.monotonic() - started
    return SyncSummary(
        output=request.output,
        frames=frames,
        fps=info.fps,
        seconds=seconds,
        without_face=missing,
        elapsed=elapsed,
        speed=seconds / elapsed,
    )


def check(request: SyncRequest) -> None:
    """Check all that can be checked without decoding anything.

    Raises:
        InputError: an input is missing or no file; the output cannot be written, exists without
            `force`, is one of the inputs, or has another suffix than those of SUFFIXES.
    """
    output = request.output
    inputs = {"the face": request.face, "the speech": request.speech}
    if request.weights is not None:
        inputs["the weights file"] = request.weights
    for what, path in inputs.items():
        require_file(path, what)
        if output.exists() and output.samefile(path):
            raise InputError(
                f"{output} is {what} itself, which would be overwritten", "give another output"
            )
    if output.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{output} does not end in {', '.join(SUFFIXES)}",
            f"name it {output.stem}{SUFFIXES[0]}",
        )
    if output.is_dir():
        raise InputError(f"{output} is a folder", "give the name of a file")
    check_output(output, request.force)


def _detector(choice: Detector) -> FaceDetector:
    if choice is Detector.MMOD:
        return MmodDetector(find("mmod"))
    return HogDetector()


def _speak(
    film: Film, frames: int, mel: NDArray[np.float32], animator: Animator, request: SyncRequest
) -> Iterator[Frame]:
    """Yield the finished frames."""
    portraits = _portraits(film)
    played = back_and_forth(film.read, film.length, frames)
    with closing(ahead(played, 2 * request.batch)) as source:
        for first in range(0, frames, request.batch):
            batch = [frame.copy() for frame in islice(source, request.batch)]
            places = [position(first + k, film.length) for k in range(len(batch))]
            shown = [k for k, place in enumerate(places) if film.opacity[place] > 0]
            if shown:
                times = np.array([float((first + k) / film.info.fps) for k in shown])
                work = [(batch[k], places[k]) for k in shown]
                _paint(film, work, portraits, mel_windows(mel, times), animator, request.blend)
            yield from batch


def _paint(
    film: Film,
    work: list[tuple[Frame, int]],
    portraits: dict[int, Frame],
    windows: NDArray[np.float32],
    animator: Animator,
    blend: Blend,
) -> None:
    """Paint the speaking faces into a batch of frames (each with its place in the film)."""
    squares = [faces.region(film.squares[place]) for _, place in work]
    if film.length == 1:  # a photo: its face is encoded once for the whole batch
        targets = [crop(work[0][0], squares[0])]
        references = targets
    else:
        targets = [crop(frame, square) for (frame, _), square in zip(work, squares, strict=True)]
        references = [portraits[film.references[place]] for _, place in work]
    painted = animator.faces(np.stack(references), np.stack(targets), windows)
    for index, (frame, place) in enumerate(work):
        target = targets[min(index, len(targets) - 1)]
        opacity = float(film.opacity[place]) if blend is Blend.FEATHER else 1.0
        paste(frame, squares[index], painted[index], target, blend, opacity)


def _portraits(film: Film) -> dict[int, Frame]:
    """Return the face crops of the reference frames, by frame."""
    portraits = {}
    for number in np.unique(film.references[~np.isnan(film.squares[:, 2])]).tolist():
        frame = next(film.read(number), None)
        if frame is None:
            raise LipganError(f"{film.info.path}: frame {number} cannot be read a second time")
        portraits[number] = crop(frame, faces.region(film.squares[number]))
    return portraits
