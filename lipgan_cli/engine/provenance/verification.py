"""What marks a film carries, and what they are worth: the answer of `lipgan verify`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import av

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.opening import open_media
from lipgan_cli.engine.paths import require_file
from lipgan_cli.engine.provenance.authority import own_authority
from lipgan_cli.engine.provenance.certificates import is_authority, pem, read_certificates
from lipgan_cli.engine.provenance.reading import (
    Credentials,
    Trust,
    UnknownFormatError,
    UnreadableError,
    read_credentials,
)
from lipgan_cli.engine.provenance.sidecar import SUFFIX, sidecar_of
from lipgan_cli.engine.provenance.tags import find_tag

if TYPE_CHECKING:
    from lipgan_cli.engine.provenance.soundmark import Found


class Verdict(StrEnum):
    """What a file's credentials come to."""

    TRUSTED = "trusted"
    """Unchanged, and signed by whom an authority of the user's vouches for."""
    OWN = "own"
    """Unchanged, and signed by this machine's own authority."""
    UNKNOWN_SIGNER = "unknown signer"
    """Unchanged, but nobody that is known here vouches for who signed."""
    CHANGED = "changed"
    """Changed after it was signed."""
    INVALID = "invalid"
    """There are credentials, but they do not hold, or cannot be read."""
    NONE = "no credentials"


_OF_TRUST = {
    Trust.LISTED: Verdict.TRUSTED,
    Trust.OWN: Verdict.OWN,
    Trust.UNKNOWN: Verdict.UNKNOWN_SIGNER,
}


@dataclass(frozen=True)
class Verification:
    """All that was found."""

    path: Path
    verdict: Verdict
    credentials: Credentials | None
    problem: str | None  # why credentials could not be read
    tag: str | None  # in the container's metadata
    sound: Found | None  # the mark in the sound
    sound_fits: bool | None  # whether it is the one that the credentials name

    @property
    def holds(self) -> bool:
        """Whether the file is unchanged, and known who signed it."""
        return self.verdict in (Verdict.TRUSTED, Verdict.OWN)


def verify(
    path: Path,
    trust: str | None = None,
    listen: Callable[[Path], Found | None] | None = None,
) -> Verification:
    """Look for every mark of a file, of lipgan or of another tool; uses no network.

    trust: certificates of authorities, PEM, as `trust_list` reads them.
    listen: what looks for the mark in the sound; None does not look.

    Raises:
        InputError: the file cannot be read, as a film or otherwise.
    """
    require_file(path, "the file")
    if path.suffix.lower() == SUFFIX:
        raise InputError(f"{path} holds credentials alone", "give the film that it belongs to")
    film = _look(path)
    credentials, problem, known = None, None, True
    try:
        credentials = _credentials(path, trust)
    except UnreadableError as error:
        problem, known = error.message, film is not None or error.elsewhere
    except UnknownFormatError:
        known = film is not None
    if not known:
        told = f": {problem}" if problem else ""
        raise InputError(f"{path} is no film, picture or sound that can be read{told}")
    metadata, has_sound = film or ({}, False)
    sound = listen(path) if listen is not None and has_sound else None
    stated = None if credentials is None else credentials.statement
    named = None if stated is None else stated.sound_mark
    return Verification(
        path=path,
        verdict=_verdict(credentials, problem),
        credentials=credentials,
        problem=problem,
        tag=find_tag(metadata),
        sound=sound,
        sound_fits=None if sound is None or named is None else sound.identifier == named,
    )


def trust_list(path: Path) -> str:
    """Read the certificates of the authorities that a user trusts, PEM.

    Raises:
        InputError: there are none in the file.
    """
    found = read_certificates(path)
    authorities = [one for one in found if is_authority(one)]
    if not authorities:
        raise InputError(
            f"{path} holds no certificate of an authority",
            "give that of who issued the signer's certificate",
        )
    return pem(authorities)


def _credentials(path: Path, trust: str | None) -> Credentials | None:
    """Read the credentials in a file, else those in the sidecar beside it."""
    own, beside = own_authority(), sidecar_of(path)
    try:
        found = read_credentials(path, None, trust, own)
    except UnknownFormatError:
        if not beside.is_file():
            raise
        found = None
    if found is None and beside.is_file():
        found = read_credentials(path, beside, trust, own)
    return found


def _verdict(credentials: Credentials | None, problem: str | None) -> Verdict:
    if credentials is None:
        return Verdict.NONE if problem is None else Verdict.INVALID
    if credentials.changed:
        return Verdict.CHANGED
    if credentials.state == "Invalid":
        return Verdict.INVALID
    return _OF_TRUST[credentials.trust]


def _look(path: Path) -> tuple[Mapping[str, str], bool] | None:
    """Return a film's metadata and whether it has sound; None where it is no film."""
    try:
        with open_media(path) as container:
            return dict(container.metadata), bool(container.streams.audio)
    except (av.FFmpegError, ValueError):
        return None
