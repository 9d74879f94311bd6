"""What a film was made from: model, face and speech, by their hashes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LABEL = "lipgan.sync"
"""Of the assertion in the credentials that holds a `Statement`."""
FORMAT = 1  # of the assertion

_HASHES = ("face", "speech", "model", "consent")


@dataclass(frozen=True)
class Statement:
    """What the credentials of a film of lipgan say of its making; hashes are SHA-256 of files."""

    model: str  # its name
    model_sha256: str
    face_sha256: str
    speech_sha256: str
    consent_sha256: str | None = None  # of a document that is not in the film itself
    sound_mark: int | None = None  # 32 bits: that of the mark in the sound

    def assertion(self) -> dict[str, object]:
        """Return the statement as data for JSON or CBOR."""
        data: dict[str, object] = {
            "format": FORMAT,
            "model": {"name": self.model, "sha256": self.model_sha256},
            "face": {"sha256": self.face_sha256},
            "speech": {"sha256": self.speech_sha256},
        }
        if self.consent_sha256 is not None:
            data["consent"] = {"sha256": self.consent_sha256}
        if self.sound_mark is not None:
            data["soundMark"] = f"{self.sound_mark:08x}"
        return data


@dataclass(frozen=True)
class Origin:
    """A statement, and the files that it is of: credentials of their own are taken over."""

    statement: Statement
    face: Path
    speech: Path


def read_statement(data: object) -> Statement | None:
    """Return the statement of an assertion, None where it is none that this version knows."""
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        return None
    hashes = {name: _text(data.get(name), "sha256") for name in _HASHES}
    name = _text(data.get("model"), "name")
    face, speech, model = hashes["face"], hashes["speech"], hashes["model"]
    if name is None or face is None or speech is None or model is None:
        return None
    mark = data.get("soundMark")
    try:
        sound_mark = int(mark, 16) if isinstance(mark, str) else None
    except ValueError:
        return None
    return Statement(name, model, face, speech, hashes["consent"], sound_mark)


def _text(data: object, key: str) -> str | None:
    value = data.get(key) if isinstance(data, Mapping) else None
    return value if isinstance(value, str) else None
