"""Where the credentials of a film lie: in it, or in a file beside it.

C2PA has a place for them in MP4 and QuickTime and none in Matroska and WebM. There they are kept
in a `.c2pa` file, C2PA's own form for it: the same credentials, over every byte of the film.
"""

from __future__ import annotations

from pathlib import Path

SUFFIX = ".c2pa"

_EMBEDDED = {".mp4": "video/mp4", ".mov": "video/quicktime"}
_BESIDE = {".mkv": "video/x-matroska", ".webm": "video/webm"}


def embeds(film: Path) -> bool:
    """Whether a film's container has a place for credentials."""
    return film.suffix.lower() in _EMBEDDED


def sidecar_of(film: Path) -> Path:
    """Return the file that other tools, too, look for beside a film: `film.c2pa`."""
    return film.with_suffix(SUFFIX)


def media_type(film: Path) -> str:
    suffix = film.suffix.lower()
    return (_EMBEDDED | _BESIDE).get(suffix, "application/octet-stream")
