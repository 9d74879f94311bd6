"""Films are made: side by side on this machine, or by the workers of a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from lipgan_cli.engine.campaign.prepared import Campaign, Row
from lipgan_cli.engine.campaign.rows import Job, Outcome, Unable, begun, make, make_there
from lipgan_cli.engine.campaign.stage import Stage, open_stage
from lipgan_cli.engine.campaign.voices import Voice
from lipgan_cli.engine.cluster import work_on
from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.sync import footage_of
from lipgan_cli.engine.sync.marks import tell
from lipgan_cli.engine.sync.options import SyncOptions
from lipgan_cli.engine.sync.survey import find_speaker
from lipgan_cli.engine.workers import Failed, cores

FEWEST, MOST = 2, 8
"""Films made at once on one machine: while one waits for its encoder, another is painted."""
CORES = 4
"""Of a machine, for each film that is made at once."""
EASY = "1, 2, 3"
"""What a voice of any language can speak."""

Outcomes = Generator[tuple[Row, Outcome], None, None]


@contextmanager
def making(
    told: Campaign, rows: Sequence[Row], progress: Progress
) -> Iterator[tuple[Outcomes, Callable[[], float]]]:
    """Give what makes the rows, and what tells when it began.

    Raises:
        InputError: there is no face, or something given cannot be used.
        LipganError: the voice fails.
    """
    if not rows:
        yield _nothing(), time.monotonic
        return
    if told.options.scheduler is not None:
        _find_face(told.options.film, progress)
        if not told.options.film.marks.provenance:
            tell(None, progress)
        began = time.monotonic()
        yield _made_there(told, rows), lambda: began
        return
    stage = open_stage(told.options, told.voice, told.hash, progress)
    tell(stage.marks, progress)
    _check_voice(rows, stage, told.voice)
    began = time.monotonic()
    yield _made_here(rows, stage), lambda: began


def _find_face(film: SyncOptions, progress: Progress) -> None:
    """Find the presenter here, so that the workers of a cluster need not all fail to.

    Raises:
        InputError: there is no face.
    """
    footage = footage_of(film)
    find_speaker(footage, footage.clock.frames, film, progress)


def _check_voice(rows: Sequence[Row], stage: Stage, voice: Voice | None) -> None:
    """Let the voice speak once, so that one that cannot does not fail at every row.

    Raises:
        LipganError: it fails at two texts, and at one that nobody can fail at.
    """
    spoken = [row.message.phrases[:1] for row in rows if row.message.audio is None][:2]
    failures = []
    for phrases in spoken:
        assert stage.speaker is not None
        try:
            stage.speaker.parts(phrases)
        except LipganError as error:
            failures.append(error)
        else:
            return
    if len(failures) > 1 and voice is not None and not _speaks(voice):
        raise failures[0]


def _speaks(voice: Voice) -> bool:
    """Return whether a voice can speak at all."""
    with TemporaryDirectory(prefix="lipgan-", ignore_cleanup_errors=True) as folder:
        try:
            voice.say(EASY, Path(folder) / "easy.wav")
        except LipganError:
            return False
    return True


def _nothing() -> Outcomes:
    yield from ()


def _made_here(rows: Sequence[Row], stage: Stage) -> Outcomes:
    """Yield the rows with their outcomes as they are finished, a few at a time."""
    side_by_side = stage.options.workers or min(MOST, max(FEWEST, cores() // CORES))
    waiting = iter(rows)
    with ThreadPoolExecutor(side_by_side, "film") as pool:
        at_work: dict[Future[Outcome], Row] = {}
        try:
            while True:
                for row in islice(waiting, side_by_side - len(at_work)):
                    at_work[pool.submit(make, row, stage)] = row
                if not at_work:
                    return
                for done in wait(at_work, return_when=FIRST_COMPLETED).done:
                    yield at_work.pop(done), done.result()
        finally:
            if at_work:  # Ctrl-C, or the manifest cannot be written
                stage.stop()


def _made_there(told: Campaign, rows: Sequence[Row]) -> Outcomes:
    """Yield the rows with their outcomes as the workers of a cluster finish them."""
    options = told.options
    voice = None if told.voice is None else told.voice.name
    jobs = (Job(row, options, told.hash, voice) for row in rows)
    film, marks = options.film, options.film.marks
    files = (film.face, film.weights, marks.sign_cert, marks.sign_key, marks.consent)
    inputs = [Path(path) for path in (*files, marks.label_font) if path is not None]
    made = work_on(str(options.scheduler), make_there, jobs, options.folder, inputs)
    with closing(made):
        for job, outcome in made:
            if isinstance(outcome, Unable):
                raise LipganError(
                    f"the worker at {outcome.host} can make no film: {outcome.reason}",
                    "mend it or end it, and run the same command again",
                )
            if isinstance(outcome, Failed):
                yield job.row, Outcome(replace(begun(job.row), error=outcome.reason))
            else:
                yield job.row, outcome
