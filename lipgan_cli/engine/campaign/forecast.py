"""`lipgan sync --messages --dry-run`: what would be made, how long it takes and how large it is."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import av

from lipgan_cli.engine.campaign.filming import film
from lipgan_cli.engine.campaign.manifest import Status, read_entries
from lipgan_cli.engine.campaign.messages import Message
from lipgan_cli.engine.campaign.options import CampaignOptions, Forecast
from lipgan_cli.engine.campaign.prepared import Row, prepare
from lipgan_cli.engine.campaign.stage import Stage, open_stage
from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.media.opening import open_media
from lipgan_cli.engine.progress import Listener, Progress, listening

USUAL_LETTER_SECONDS = 0.07
"""Of film, for a letter that is spoken, where none of the few messages is of text."""
TRIED = 3
"""Messages that are made, and thrown away: the first has the shared pieces to make as well."""


def forecast(
    options: CampaignOptions,
    progress: Progress | Listener | None = None,
    stdin: BinaryIO | None = None,
) -> Forecast:
    """Check a campaign and make a few of its messages, to tell what all of them need.

    Raises:
        InputError: something given cannot be used, or none of the few can be made.
        LipganError: a film cannot be written.
    """
    listener = listening(progress)
    told = prepare(options, listener, stdin)
    folder = told.options.folder
    entries = read_entries(folder)
    agenda = told.plan(entries)
    rows = told.rows(agenda)
    before = [entries.get(row.message.id) for row in rows]
    trial = _Trial(0.0, 0.0, 0, 0.0, 0)
    seconds = expected = size = 0.0
    if rows:
        began = time.monotonic()
        stage = open_stage(told.options, told.voice, told.hash, listener)
        started = time.monotonic() - began
        tried = rows[:: max(1, len(rows) // TRIED)][:TRIED]
        trial = _tried(tried, stage, listener)
        seconds = _film_seconds([row.message for row in rows], trial)
        expected = started + trial.once + seconds * trial.slowness
        size = seconds * trial.bytes_a_second
    return Forecast(
        rows=len(agenda.todo) + len(agenda.left) + len(agenda.kept),
        kept=len(agenda.kept),
        todo=len(rows),
        failed_before=sum(
            1 for entry in before if entry is not None and entry.status is Status.FAILED
        ),
        seconds=seconds,
        tried=trial.messages,
        expected_seconds=expected,
        expected_bytes=round(size),
        free_bytes=shutil.disk_usage(_existing(folder)).free,
    )


@dataclass(frozen=True)
class _Trial:
    """What the making of a few messages has shown."""

    once: float  # seconds, for what all messages share
    slowness: float  # seconds for a second of film
    bytes_a_second: float  # of film
    seconds_a_letter: float  # of film, for a letter that is spoken
    messages: int  # that could be made


def _tried(rows: Sequence[Row], stage: Stage, progress: Progress) -> _Trial:
    took, lasts, sizes, failure = [], [], [], None
    letters, spoken = 0, 0.0
    with (
        TemporaryDirectory(prefix="lipgan-") as folder,
        progress.task("trying", len(rows), "messages") as task,
    ):
        for row in rows:
            output = Path(folder) / f"tried{row.message.output.suffix}"
            began = time.monotonic()
            task.advance()
            try:
                made = film(row.message, stage, output, output)
            except LipganError as error:
                progress.note(f"{row.message.id}: {error.message}")
                failure = error
                continue
            took.append(time.monotonic() - began)
            lasts.append(made.seconds)
            sizes.append(output.stat().st_size)
            if row.message.audio is None:
                letters += _letters(row.message)
                spoken += made.seconds
    if failure is not None and not took:
        raise failure
    rest = slice(1, None) if len(took) > 1 else slice(None)
    slowness = sum(took[rest]) / sum(lasts[rest])
    return _Trial(
        once=max(0.0, took[0] - slowness * lasts[0]),
        slowness=slowness,
        bytes_a_second=sum(sizes) / sum(lasts),
        seconds_a_letter=spoken / letters if letters else USUAL_LETTER_SECONDS,
        messages=len(took),
    )


def _film_seconds(messages: Sequence[Message], trial: _Trial) -> float:
    letters = sum(_letters(message) for message in messages)
    files = sum(_sound_seconds(message.audio) for message in messages if message.audio)
    return letters * trial.seconds_a_letter + files


def _letters(message: Message) -> int:
    return sum(len(phrase.text) for phrase in message.phrases)


def _sound_seconds(path: Path) -> float:
    """Return how long a sound file says that it is; what cannot be read counts nothing."""
    try:
        with open_media(path) as container:
            return (container.duration or 0) / av.time_base
    except (av.FFmpegError, ValueError):
        return 0.0


def _existing(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that is there."""
    while not folder.exists():
        folder = folder.parent
    return folder
