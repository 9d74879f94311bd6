"""A row of the table is made: its film, and what the manifest says of it."""

from __future__ import annotations

import platform
import socket
import time
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib.metadata import version

from lipgan_cli import __version__
from lipgan_cli.engine.campaign.filming import film
from lipgan_cli.engine.campaign.manifest import Entry, Status, now
from lipgan_cli.engine.campaign.options import CampaignOptions
from lipgan_cli.engine.campaign.prepared import Row
from lipgan_cli.engine.campaign.quality import Quality
from lipgan_cli.engine.campaign.stage import Stage, open_stage
from lipgan_cli.engine.campaign.voices import Voice, choose_voice
from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.paths import atomic_path
from lipgan_cli.engine.progress import Silent


@dataclass(frozen=True)
class Outcome:
    """What became of a row."""

    entry: Entry
    portrait: bytes | None = None


def begun(row: Row) -> Entry:
    """Return what is known of a row before its film is made, as of one that has failed."""
    return Entry(
        id=row.message.id,
        key=row.key,
        status=Status.FAILED,
        line=row.message.line,
        row=row.message.values,
        inputs=row.inputs,
        output=row.message.output.as_posix(),
        versions=_versions(),
    )


def make(row: Row, stage: Stage) -> Outcome:
    """Make the film of a row; what goes wrong with it is in the entry.

    Raises:
        LipganError: the campaign was stopped.
    """
    began = time.monotonic()
    message, options = row.message, stage.options
    entry = replace(begun(row), device=str(stage.presenter.network.device))
    path = options.folder / message.output
    try:
        with atomic_path(path) as temporary:
            filmed = film(message, stage, temporary, path)
            size = temporary.stat().st_size
    except Exception as error:
        stage.check()  # that it was stopped is no fault of the row
        return Outcome(replace(entry, error=_told(error), elapsed=time.monotonic() - began))
    status, error_told = _judged(filmed.quality, options)
    return Outcome(
        replace(
            entry,
            status=status,
            error=error_told,
            bytes=size,
            seconds=filmed.seconds,
            frames=filmed.frames,
            elapsed=time.monotonic() - began,
            warnings=filmed.warnings,
            quality=asdict(filmed.quality),
            moment=filmed.moment,
            face=filmed.face,
        ),
        filmed.portrait,
    )


def _told(error: Exception) -> str:
    if isinstance(error, LipganError):
        return error.message
    return f"{type(error).__name__}: {error}"


def rejudged(entry: Entry, options: CampaignOptions) -> Entry:
    """Return what the gate of this run says of a film that is there; no gate leaves it as it is."""
    if options.min_sync is None:
        return entry
    told = entry.quality
    quality = Quality(told.get("offset_ms"), told.get("confidence"), None, 0, None)
    status, error = _judged(quality, options)
    if (status, error) == (entry.status, entry.error):
        return entry
    return replace(entry, status=status, error=error, finished=now())


def _judged(quality: Quality, options: CampaignOptions) -> tuple[Status, str]:
    """Return how a film passes the gate, and why it does not."""
    least, late = options.min_sync, options.film.av_offset_ms
    if least is None or quality.in_sync(least, late) is not False:
        return Status.DONE, ""
    assert quality.confidence is not None
    if quality.confidence < least:
        return Status.REJECTED, f"sync confidence {quality.confidence:.2f}, below {least:g}"
    return Status.REJECTED, f"the sound is {quality.offset_ms:+.0f} ms from the mouth"


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("torch", "av", "imageio-ffmpeg")}
    return {"lipgan": __version__, "python": platform.python_version(), **packages}


@dataclass(frozen=True)
class Job:
    """A row for another machine, with all that it needs to know."""

    row: Row
    options: CampaignOptions
    identity: str
    voice: str | None  # its name; None where no row has a text


@dataclass(frozen=True)
class Unable:
    """What a worker says that cannot make any film."""

    host: str
    reason: str


def make_there(job: Job) -> Outcome | Unable:
    """Make the film of a row in a worker of a cluster, which keeps its stage for the next one."""
    options = replace(job.options, limit=None, shard=None, retry_failed=False)
    try:
        stage = _stage(options, job.identity, job.voice)
    except Exception as error:  # no row's fault
        return Unable(socket.gethostname(), _told(error))
    return make(job.row, stage)


@lru_cache(maxsize=1)
def _stage(options: CampaignOptions, identity: str, name: str | None) -> Stage:
    voice: Voice | None = None
    if name is not None:
        voice = choose_voice(options.tts, options.voice)
        if voice.name != name:
            raise LipganError(f"its voice is {voice.name}, not {name}")
    return open_stage(options, voice, identity, Silent())
