"""A campaign before anything is made: its messages, checked, and what their films depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from lipgan_cli.engine.campaign.agenda import Agenda, Wanted, plan
from lipgan_cli.engine.campaign.folder import Identity, check_folder
from lipgan_cli.engine.campaign.inputs import hash_of, identity_of, key_of, sounds
from lipgan_cli.engine.campaign.manifest import Entry
from lipgan_cli.engine.campaign.messages import Message, read_messages
from lipgan_cli.engine.campaign.options import CampaignOptions, check_numbers
from lipgan_cli.engine.campaign.sheet import check_pages
from lipgan_cli.engine.campaign.table import Fault, refusal
from lipgan_cli.engine.campaign.voices import Voice, choose_voice
from lipgan_cli.engine.cluster import check_scheduler
from lipgan_cli.engine.media.coding import CONTAINERS
from lipgan_cli.engine.media.footage import span
from lipgan_cli.engine.media.people import parse
from lipgan_cli.engine.paths import require_file
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.run.generators import BUILT_IN
from lipgan_cli.engine.sync import footage_of
from lipgan_cli.engine.sync.options import check_face


@dataclass(frozen=True)
class Row:
    """A message whose film is to be made, and what it is made of, by hashes."""

    position: int  # in the table, from 0 on
    message: Message
    key: str
    inputs: Mapping[str, str]


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
    film, marks = options.film, options.film.marks
    person = parse(film.person)
    weights = film.generator
    film = replace(
        film,
        face=Path(film.face).absolute(),
        output=Path(film.output).absolute(),
        weights=None if weights == BUILT_IN else weights.absolute(),
        person=str(person.absolute()) if isinstance(person, Path) else film.person,
        marks=replace(
            marks,
            sign_cert=_whole(marks.sign_cert),
            sign_key=_whole(marks.sign_key),
            consent=_whole(marks.consent),
            label_font=_whole(marks.label_font),
        ),
    )
    return replace(options, film=film)


def _whole(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path).absolute()


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
