"""`lipgan sync --messages`: one recording, many messages, one film each.

The recording is decoded, its face followed and encoded once; then films are made side by side, and
the manifest keeps what became of each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from lipgan_cli.engine.campaign.agenda import Agenda, Reason, Wanted, plan
from lipgan_cli.engine.campaign.folder import Identity, check_folder, manifest_name, open_folder
from lipgan_cli.engine.campaign.inputs import hash_of, identity_of, key_of, sounds
from lipgan_cli.engine.campaign.manifest import Entry, Status
from lipgan_cli.engine.campaign.messages import Message, read_messages
from lipgan_cli.engine.campaign.options import CampaignOptions, CampaignSummary, check_numbers
from lipgan_cli.engine.campaign.rows import Job, Outcome, Row, begun, make, make_there
from lipgan_cli.engine.campaign.sheet import check_pages, draw_sheet, keep_face
from lipgan_cli.engine.campaign.stage import Stage, open_stage
from lipgan_cli.engine.campaign.table import Fault, refusal
from lipgan_cli.engine.campaign.voices import Voice, choose_voice
from lipgan_cli.engine.cluster import check_scheduler, work_on
from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.media.coding import CONTAINERS
from lipgan_cli.engine.media.footage import span
from lipgan_cli.engine.media.people import parse
from lipgan_cli.engine.paths import require_file
from lipgan_cli.engine.progress import Listener, Progress, listening
from lipgan_cli.engine.provenance.sidecar import embeds, sidecar_of
from lipgan_cli.engine.run.generators import find_model
from lipgan_cli.engine.sync import footage_of
from lipgan_cli.engine.sync.marks import tell
from lipgan_cli.engine.sync.options import check_face
from lipgan_cli.engine.workers import Failed

__all__ = ["CampaignOptions", "CampaignSummary", "campaign"]

SIDE_BY_SIDE = 2
"""Films made at once on one machine: while one waits for its encoder, the other is painted."""
EASY = "1, 2, 3"
"""What a voice of any language can speak."""


@dataclass(frozen=True)
class Campaign:
    """All that is known before the recording is decoded."""

    options: CampaignOptions
    messages: tuple[Message, ...]
    voice: Voice | None
    identity: Identity
    sounds: tuple[str, ...]  # hashes, a message each
    keys: tuple[str, ...]

    @property
    def hash(self) -> str:
        return hash_of(self.identity)

    @property
    def outputs(self) -> list[Path]:
        """Of all rows, relative to the folder."""
        return [message.output for message in self.messages]

    def plan(self, entries: Mapping[str, Entry]) -> Agenda:
        """Return what is to be made."""
        wanted = [
            Wanted(message.id, key, message.output)
            for message, key in zip(self.messages, self.keys, strict=True)
        ]
        options = self.options
        force = options.film.force
        return plan(options.folder, wanted, entries, options.shard, options.retry_failed, force)

    def known(self, entries: Mapping[str, Entry]) -> dict[int, Entry]:
        """Return what is known of the rows, by position."""
        found = {place: entries.get(each.id) for place, each in enumerate(self.messages)}
        return {place: entry for place, entry in found.items() if entry is not None}

    def rows(self, agenda: Agenda) -> list[Row]:
        """Return the rows of a run, as many as its limit allows."""
        return [self._row(position) for position in islice(agenda.todo, self.options.limit)]

    def _row(self, position: int) -> Row:
        message = self.messages[position]
        inputs = {
            "presenter": self.identity.presenter,
            "weights": str(self.identity.options["weights"]),
            "text" if message.audio is None else "audio": self.sounds[position],
        }
        return Row(position, message, self.keys[position], inputs)


def campaign(
    options: CampaignOptions,
    progress: Progress | Listener | None = None,
    stdin: BinaryIO | None = None,
) -> CampaignSummary:
    """Make a film of every message that has none yet; one that fails stops no other.

    Raises:
        InputError: something given cannot be used; nothing has been made then.
        BusyError: another run is making the same films.
        LipganError: the manifest cannot be written, or the cluster is lost.
    """
    began = time.monotonic()
    listener = listening(progress)
    told = prepare(options, listener, stdin)
    options, folder = told.options, told.options.folder
    with open_folder(
        folder, told.identity, told.outputs, options.shard, options.film.force
    ) as held:
        agenda = told.plan(held.entries)
        rows = told.rows(agenda)
        replaced = sum(1 for row in rows if agenda.todo[row.position] is Reason.CHANGED)
        if replaced:
            listener.note(f"rows that have changed, and whose videos are replaced: {replaced:,}")
        finished = told.known(held.entries)
        tally = _Tally()
        with (
            _making(told, rows, listener) as (outcomes, started),
            listener.task("speaking", len(rows), "messages") as task,
            closing(outcomes),
        ):
            for row, outcome in outcomes:
                held.manifest.add(outcome.entry)
                tally.add(outcome.entry)
                if outcome.entry.error:
                    listener.note(f"{row.message.id}: {outcome.entry.error}")
                finished[row.position] = outcome.entry
                if outcome.entry.status is Status.FAILED:
                    _remove(folder / row.message.output)
                if outcome.portrait is not None:
                    keep_face(folder, outcome.entry, outcome.portrait)
                task.advance()
        pages = _draw(told, finished, listener)
    elapsed = time.monotonic() - began
    return CampaignSummary(
        folder=folder,
        manifest=folder / manifest_name(options.shard),
        rows=len(agenda.todo) + len(agenda.left) + len(agenda.kept),
        kept=len(agenda.kept),
        made=tally.count[Status.DONE],
        failed=tally.count[Status.FAILED],
        rejected=tally.count[Status.REJECTED],
        left=len(agenda.left) + len(agenda.todo) - len(rows),
        seconds=tally.seconds,
        elapsed=elapsed,
        started=started() - began if rows else elapsed,
        speed=tally.seconds / elapsed if tally.seconds else None,
        strays=agenda.strays,
        sheet=pages,
    )


def _draw(told: Campaign, entries: Mapping[int, Entry], progress: Progress) -> tuple[Path, ...]:
    """Draw the contact sheet of all rows where one is wanted."""
    path = told.options.film.sheet
    if path is None:
        return ()
    ids = [message.id for message in told.messages]
    return draw_sheet(Path(path), told.options.folder, ids, entries, progress)


def prepare(
    options: CampaignOptions, progress: Progress, stdin: BinaryIO | None = None
) -> Campaign:
    """Read the messages and check all that can be checked before anything is made.

    Raises:
        InputError: something cannot be used; of a table all faults are named.
    """
    check_numbers(options)
    check_face(options.film)
    options = _absolute(options)
    if options.table is not None:
        require_file(options.table, "the table of messages")
    messages = _read(options, stdin)
    _check_outputs(messages, options)
    if options.film.sheet is not None:
        check_pages(Path(options.film.sheet), len(messages), options.film.force)
    if options.scheduler is not None:
        check_scheduler(options.scheduler)
    spoken = any(message.audio is None for message in messages)
    voice = choose_voice(options.tts, options.voice) if spoken else None
    with progress.task("reading the files", None):
        identity = identity_of(options)
        hashes = tuple(sounds(messages, options, voice))
    check_folder(
        options.folder, identity, [message.output for message in messages], options.film.force
    )
    name = hash_of(identity)
    keys = tuple(
        key_of(message, name, sound) for message, sound in zip(messages, hashes, strict=True)
    )
    return Campaign(options, messages, voice, identity, hashes, keys)


def _absolute(options: CampaignOptions) -> CampaignOptions:
    """Return the options with paths that mean the same everywhere."""
    film = options.film
    person = parse(film.person)
    film = replace(
        film,
        face=Path(film.face).absolute(),
        output=Path(film.output).absolute(),
        weights=None if film.weights is None else find_model(film.weights).absolute(),
        person=str(person.absolute()) if isinstance(person, Path) else film.person,
    )
    return replace(options, film=film)


def _read(options: CampaignOptions, stdin: BinaryIO | None) -> tuple[Message, ...]:
    """Return the messages, with sound files by paths that mean the same everywhere."""
    codec = options.film.coding.codec
    fits = (suffix for suffix, codecs in CONTAINERS.items() if codec is None or codec in codecs)
    return tuple(
        message if message.audio is None else replace(message, audio=message.audio.absolute())
        for message in read_messages(
            options.table, stdin, options.template, next(fits), _film_check(options)
        )
    )


def _film_check(options: CampaignOptions) -> Callable[[Message], None]:
    """Return what checks that a film can be coded, and that its part of the recording is there."""
    footage = footage_of(options.film)

    def check(message: Message) -> None:
        options.film.coding.check(message.output)
        span(footage.info, footage.clock, *message.span)

    return check


def _check_outputs(messages: Sequence[Message], options: CampaignOptions) -> None:
    """Check that no film replaces what is read.

    Raises:
        InputError: it names all that do.
    """
    sounds = {message.audio for message in messages if message.audio is not None}
    read = {_file(path) for path in (Path(options.film.face), *sounds)} - {None}
    faults = [
        Fault(message.line, f"the output {message.output} is a file to be read")
        for message in messages
        if _file(options.folder / message.output) in read
    ]
    if faults:
        raise refusal("standard input" if options.table is None else str(options.table), faults)


def _file(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from others, by whatever name; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _remove(film: Path) -> None:
    """Remove what an earlier run has made of a row, which is not what the row says now."""
    for path in (film, *([] if embeds(film) else [sidecar_of(film)])):
        with suppress(OSError):
            path.unlink(missing_ok=True)


class _Tally:
    """Counts what became of rows."""

    def __init__(self) -> None:
        self.count = dict.fromkeys(Status, 0)
        self.seconds = 0.0

    def add(self, entry: Entry) -> None:
        self.count[entry.status] += 1
        self.seconds += entry.seconds


Outcomes = Generator[tuple[Row, Outcome], None, None]


@contextmanager
def _making(
    told: Campaign, rows: Sequence[Row], progress: Progress
) -> Iterator[tuple[Outcomes, Callable[[], float]]]:
    """Give what makes the rows, and what tells when it began."""
    if not rows:
        yield _nothing(), time.monotonic
        return
    if told.options.scheduler is not None:
        began = time.monotonic()
        yield _made_there(told, rows), lambda: began
        return
    stage = open_stage(told.options, told.voice, told.hash, progress)
    tell(stage.marks, progress)
    _check_voice(rows, stage, told.voice)
    began = time.monotonic()
    yield _made_here(rows, stage), lambda: began


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
    side_by_side = stage.options.workers or SIDE_BY_SIDE
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
    jobs = (Job(row, options, told.hash) for row in rows)
    inputs = [Path(options.film.face)]
    made = work_on(str(options.scheduler), make_there, jobs, options.folder, inputs)
    with closing(made):
        for job, outcome in made:
            if isinstance(outcome, Failed):
                yield job.row, Outcome(replace(begun(job.row), error=outcome.reason))
            else:
                yield job.row, outcome
