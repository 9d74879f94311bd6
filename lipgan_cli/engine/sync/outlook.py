"""`lipgan sync --check`: what would be made, told without making it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.footage import Footage
from lipgan_cli.engine.media.people import Person, listing
from lipgan_cli.engine.media.picture import to_rgb
from lipgan_cli.engine.progress import Listener, Progress, Silent, listening
from lipgan_cli.engine.sync import Job, cut_times, prepare, write
from lipgan_cli.engine.sync.options import (
    Span,
    SyncOptions,
    check_inputs,
    check_outputs,
    check_sheet,
)
from lipgan_cli.engine.sync.sheets import enlarged, save_faces
from lipgan_cli.engine.sync.survey import find_tracks_of

TRIED = 32
"""Frames that are made, and thrown away, to know how long all of them take."""
MOST_FACES = 60
"""Faces on a sheet."""


@dataclass(frozen=True)
class FoundFace:
    """A face of the video, by the number that `--face` takes."""

    number: int
    x: float  # pixels, of its centre
    y: float
    side: float  # pixels
    seen: Span  # seconds of the face video: the first moment and the last


@dataclass(frozen=True)
class Outlook:
    """What would be made."""

    frames: int
    fps: Fraction
    variable_rate: bool
    seconds: float
    width: int
    height: int
    faces: tuple[FoundFace, ...]
    face_pixels: int  # median side of the square that is painted, of 96 pixels
    cuts: tuple[float, ...]  # seconds of the face video
    without_face: tuple[Span, ...]  # of the face video
    silence: tuple[Span, ...]  # of the speech
    repeated: int  # frames that show a frame of the face video again
    expected_seconds: float  # until it would be done
    sheet: Path


def foresee(options: SyncOptions, progress: Progress | Listener | None = None) -> Outlook:
    """Tell what `sync` would make, and draw the faces that were found with their numbers.

    The sheet is the one of `options`, or lies where the output would, named after it.

    Raises:
        InputError: something given cannot be used, or there is no face.
    """
    listener = listening(progress)
    output = Path(options.output)
    sheet = Path(options.sheet or output.with_name(f"{output.stem}-faces.png"))
    check_inputs(options)
    check_sheet(sheet)
    check_outputs(options, [sheet])
    started = time.monotonic()
    job = prepare(options, listener)
    prepared = time.monotonic() - started
    tracks = job.presenter.found.tracks
    if tracks is None:
        tracks, _ = find_tracks_of(job.footage, job.presenter.surveyed, options, listener)
    people = listing(tracks)[:MOST_FACES]
    found = tuple(_found(number, person, job) for number, person in enumerate(people, start=1))
    pictures = [
        (_portrait(job.footage, person), _label(face))
        for person, face in zip(people, found, strict=True)
    ]
    save_faces(pictures, sheet, options.force)
    info = job.footage.info
    return Outlook(
        frames=len(job.shown),
        fps=info.fps,
        variable_rate=not info.clock.constant,
        seconds=float(job.seconds),
        width=info.width,
        height=info.height,
        faces=found,
        face_pixels=job.presenter.face_pixels,
        cuts=cut_times(job),
        without_face=job.without_face,
        silence=job.speech.silences(),
        repeated=job.repeated,
        expected_seconds=prepared + _seconds_a_frame(job, options) * len(job.shown),
        sheet=sheet,
    )


def _seconds_a_frame(job: Job, options: SyncOptions) -> float:
    """Make the first frames, and throw them away."""
    few = replace(job, shown=job.shown.part(0, TRIED))
    with TemporaryDirectory(prefix="lipgan-") as folder:
        output = Path(folder) / f"tried{Path(options.output).suffix}"
        started = time.monotonic()
        write(few, replace(options, output=output), None, Silent())
        return (time.monotonic() - started) / len(few.shown)


def _found(number: int, person: Person, job: Job) -> FoundFace:
    boxes = np.concatenate([track.boxes for track in person])
    left, top, right, bottom = np.nanmedian(boxes[:, :4], axis=0).tolist()
    frames = np.concatenate([track.seen for track in person])
    begun = job.footage.clock.seconds(np.array([frames.min(), frames.max()])) + job.footage.begins
    return FoundFace(
        number=number,
        x=(left + right) / 2,
        y=(top + bottom) / 2,
        side=(right - left + bottom - top) / 2,
        seen=(float(begun[0]), float(begun[1])),
    )


def _portrait(footage: Footage, person: Person) -> NDArray[np.uint8]:
    track = max(person, key=lambda track: len(track.seen))
    frame = next(footage.read(track.best))
    left, top, right, bottom = track.boxes[track.best - track.first][:4]
    side = (right - left + bottom - top) / 2
    return enlarged(to_rgb(frame), np.array([(left + right) / 2, (top + bottom) / 2, side]))


def _label(face: FoundFace) -> str:
    first, last = face.seen
    return f"{face.number}: {face.side:.0f} px, {first:.1f}-{last:.1f} s"
