"""`lipgan sync`: a face and a speech become a video of that face speaking it.

The face video is read twice: once to find the faces, once to paint. Neither reading holds more than
a few frames, so that memory does not grow with the picture's length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Event

import numpy as np

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.audio import read_audio
from lipgan_cli.engine.media.choices import Fit
from lipgan_cli.engine.media.film import spans
from lipgan_cli.engine.media.footage import Footage, open_footage
from lipgan_cli.engine.media.loudness import loudness
from lipgan_cli.engine.media.playback import Playlist, ahead, playlist
from lipgan_cli.engine.media.writer import Ambience, Picture, Sound, VideoWriter
from lipgan_cli.engine.paths import atomic_path
from lipgan_cli.engine.progress import Listener, Progress, listening
from lipgan_cli.engine.sync.marks import Marks, choose_marks, marked, tell
from lipgan_cli.engine.sync.options import (
    Span,
    SyncOptions,
    SyncSummary,
    check_inputs,
    check_outputs,
    check_sheet,
)
from lipgan_cli.engine.sync.painter import Painter
from lipgan_cli.engine.sync.presenter import Presenter, meet
from lipgan_cli.engine.sync.sheets import ContactSheet
from lipgan_cli.engine.sync.speech import Speech, hear, seconds_of
from lipgan_cli.engine.sync.stopwatch import Stopwatch

__all__ = ["SyncOptions", "SyncSummary", "sync"]

SURVEYED_SECONDS = 10
"""The faces are sought in whole pieces of this length, so that a speech that is a little longer or
shorter finds what an earlier run has kept."""
READY = 8
"""Finished frames that wait for the encoder."""


def sync(options: SyncOptions, progress: Progress | Listener | None = None) -> SyncSummary:
    """Make the face speak: floor(seconds of speech * fps + 0.5) frames, with the speech's sound.

    A video of a varying rate keeps its times; a photo becomes a video at 25 fps. Frames without a
    face stay as they are. `progress` may be a function of (step, done, total).

    Raises:
        InputError: something given cannot be used, or there is no face.
        LipganError: the video cannot be written.
    """
    listener = listening(progress)
    check_inputs(options)
    outputs = [Path(options.output)]
    if options.sheet is not None:
        check_sheet(Path(options.sheet))
        outputs.append(Path(options.sheet))
    check_outputs(options, outputs)
    marks = choose_marks(options)
    job = prepare(options, listener)
    sheet = None if options.sheet is None else ContactSheet(len(job.shown))
    credentials = write(job, options, sheet, listener, marks)
    if sheet is not None:
        sheet.save(Path(str(options.sheet)), options.force)
    tell(marks, listener, worth=False)  # the summary has it
    return _summary(job, options, marks, credentials)


@dataclass(frozen=True, eq=False)
class Job:
    """Everything that is known before the first frame is painted."""

    presenter: Presenter
    speech: Speech
    shown: Playlist
    without_face: tuple[Span, ...]  # that is shown, in seconds of the face video
    painter: Painter
    watch: Stopwatch

    @property
    def footage(self) -> Footage:
        return self.presenter.footage

    @property
    def seconds(self) -> Fraction:
        """How long the film will be."""
        return self.shown.end * self.footage.clock.base

    @property
    def repeated(self) -> int:
        """How many frames show a frame of the face video again."""
        return len(self.shown) - len(np.unique(self.shown.places))


def prepare(options: SyncOptions, progress: Progress) -> Job:
    """Read the speech, find who speaks and load the network, which takes place at the same time.

    Raises:
        InputError: something given cannot be used, or there is no face.
    """
    watch = Stopwatch()
    with ThreadPoolExecutor(thread_name_prefix="prepare") as pool, _stopping() as stopped:
        footage = footage_of(options)
        path = Path(options.speech)
        samples = read_audio(path)
        seconds = seconds_of(samples)
        shown = playlist_of(footage, path, seconds, Fit(options.fit))
        heard = pool.submit(hear, path, samples, options.av_offset_ms / 1000, stopped)
        presenter = meet(footage, _surveyed(footage, shown), options, watch, progress)
        if len(presenter.found.film.squares) <= shown.places.max():  # fewer could be decoded
            shown = playlist_of(presenter.footage, path, seconds, Fit(options.fit))
        without_face = tell_missing(presenter, shown, options, progress)
        with watch.step("wait for the speech"):
            speech = heard.result()
    painter = presenter.painter(speech, options, watch)
    return Job(presenter, speech, shown, without_face, painter, watch)


def footage_of(options: SyncOptions) -> Footage:
    """Return the part of the face video that is to be used.

    Raises:
        InputError: it cannot be.
    """
    return open_footage(Path(options.face), _exact(options.start), _exact(options.end))


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Yield what tells the work of other threads that the block has failed."""
    stop = Event()
    try:
        yield stop.is_set
    except BaseException:
        stop.set()
        raise


def _exact(seconds: float | Fraction | None) -> Fraction | None:
    return None if seconds is None else Fraction(seconds)


def playlist_of(footage: Footage, speech: Path, seconds: Fraction, fit: Fit) -> Playlist:
    """Return how the footage is played for the speech.

    Raises:
        InputError: the speech is shorter than half a frame, or as long as `fit` allows it not.
    """
    clock = footage.clock
    lasts = clock.duration
    if fit is Fit.ERROR and not footage.info.photo and abs(lasts - seconds) > 1 / clock.fps:
        raise InputError(
            f"the face video lasts {float(lasts):.2f} s, the speech {float(seconds):.2f} s",
            "choose another --fit, or cut the video with --start and --end",
        )
    # A photo has no length of its own.
    shown = playlist(clock, seconds, Fit.FREEZE if footage.info.photo else fit)
    if not len(shown):
        raise InputError(
            f"{speech} has only {float(seconds):.3f} s of sound",
            "give a longer speech",
        )
    return shown


def _surveyed(footage: Footage, shown: Playlist) -> int:
    """Return in how many frames the faces are sought."""
    clock = footage.clock
    needed = int(clock.ticks[shown.places.max() + 1]) * clock.base
    pieces = math.ceil(needed / SURVEYED_SECONDS)
    return min(clock.frames, math.ceil(clock.position(pieces * SURVEYED_SECONDS)))


def tell_missing(
    presenter: Presenter, shown: Playlist, options: SyncOptions, progress: Progress
) -> tuple[Span, ...]:
    """Return and tell the spans of the face video that are shown without a face.

    Raises:
        InputError: there are some, and `strict` wants none.
    """
    footage, film = presenter.footage, presenter.found.film
    used = np.zeros(film.frames, np.bool_)
    used[shown.places] = True
    missing = tuple(
        (footage.begins + first, footage.begins + last)
        for first, last in spans(film.missing & used, footage)
    )
    if not (used & ~film.missing).any():
        seen = np.flatnonzero(~film.missing)[:1]
        first = footage.begins + float(footage.clock.seconds(seen)[0])
        raise InputError(
            f"{footage.info.path}: no face in the part that is shown, the first at {first:.2f} s",
            f"begin there: --start {first:.2f}",
        )
    path = footage.info.path
    for first, last in missing:
        told = f"{path}: no face from {first:.2f} s to {last:.2f} s"
        if options.strict:
            raise InputError(told, "leave out --strict, or cut the video with --start and --end")
        progress.note(f"{told}, left as it is")
    return missing


def write(
    job: Job,
    options: SyncOptions,
    sheet: ContactSheet | None,
    progress: Progress,
    marks: Marks | None = None,
) -> Path | None:
    """Paint the film and write it; return the file of its credentials if it is beside it.

    Raises:
        LipganError: it cannot be written.
    """
    under = ambience(job.footage, job.speech.loudness, job.seconds, options.keep_audio)
    sound = Sound(job.speech.path, float(job.seconds), under)
    output = Path(options.output)
    with marked(marks, job.speech.path) as film, atomic_path(output, options.force) as temporary:
        _write(job, options, film.lay_under(sound), film.tags, temporary, sheet, progress)
        with job.watch.step("sign"):
            return film.sign(temporary, output)


def _write(
    job: Job,
    options: SyncOptions,
    sound: Sound,
    tags: Mapping[str, str],
    path: Path,
    sheet: ContactSheet | None,
    progress: Progress,
) -> None:
    picture = picture_of(job.footage)
    with (
        VideoWriter(path, picture, sound, options.coding, tags) as writer,
        progress.task("speaking", len(job.shown), "frames") as task,
        closing(ahead(job.painter.frames(job.shown), READY)) as painted,
    ):
        for number, (frame, tick) in enumerate(painted):
            if not number:
                job.watch.first_frame = job.watch.elapsed
            with job.watch.step("wait for the encoder"):
                writer.write(frame, tick)
            if sheet is not None and sheet.wants(number):
                square = job.presenter.found.film.squares[job.shown.places[number]]
                sheet.add(frame, square, float(tick * job.footage.clock.base))
            task.advance()


def picture_of(footage: Footage) -> Picture:
    """Return what the frames of a film made from a footage share."""
    info = footage.info
    return Picture(info.width, info.height, footage.clock, info.colour, info.pixel_aspect)


def ambience(
    footage: Footage, speech_loudness: float | None, seconds: Fraction, keep_audio: float | None
) -> Ambience | None:
    """Return the face video's own sound, `keep_audio` decibels below the speech; None for none."""
    if keep_audio is None or not footage.info.has_audio:
        return None
    lasts = float(min(footage.clock.duration, seconds))
    samples = footage.sound(lasts)
    own = None if samples is None else loudness(samples)
    if own is None or speech_loudness is None:
        gain = -keep_audio
    else:  # never made louder: what is quiet would become noise
        gain = min(0.0, speech_loudness - keep_audio - own)
    return Ambience(footage.info.path, footage.start, lasts, gain)


def cut_times(job: Job) -> tuple[float, ...]:
    """Return when other scenes begin, in seconds of the face video."""
    begun = job.footage.clock.seconds(job.presenter.found.film.cuts[1:]) + job.footage.begins
    return tuple(begun.tolist())


def _summary(
    job: Job, options: SyncOptions, marks: Marks | None, credentials: Path | None
) -> SyncSummary:
    info = job.footage.info
    elapsed = job.watch.elapsed
    return SyncSummary(
        output=Path(options.output),
        frames=len(job.shown),
        fps=info.fps,
        variable_rate=not info.clock.constant,
        seconds=float(job.seconds),
        width=info.width,
        height=info.height,
        face_pixels=job.presenter.face_pixels,
        people=job.presenter.found.people,
        cuts=cut_times(job),
        without_face=job.without_face,
        silence=job.speech.silences(),
        repeated=job.repeated,
        cached=job.presenter.found.cached,
        sheet=None if options.sheet is None else Path(options.sheet),
        provenance=marks is not None,
        signed_by=None if marks is None else marks.identity.name,
        own_authority=marks is not None and marks.identity.own,
        credentials=credentials,
        elapsed=elapsed,
        first_frame=job.watch.first_frame,
        speed=float(job.seconds) / elapsed,
        steps=job.watch.seconds,
    )
