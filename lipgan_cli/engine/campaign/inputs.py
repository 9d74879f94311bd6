"""What the films of a campaign depend on, by hashes: what has changed is made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from lipgan_cli.engine.cache import Json, content_hash
from lipgan_cli.engine.campaign.folder import Identity
from lipgan_cli.engine.campaign.messages import Message
from lipgan_cli.engine.campaign.options import CampaignOptions
from lipgan_cli.engine.campaign.voices import Voice
from lipgan_cli.engine.media.people import parse

_READERS = 8  # files that are read at once


def identity_of(options: CampaignOptions) -> Identity:
    """Return what all films have in common: the presenter, and what changes picture or sound.

    Raises:
        InputError: a file cannot be read.
    """
    film = options.film
    face = Path(film.face)
    person, marks = parse(film.person), film.marks
    told: dict[str, Json] = {
        "weights": content_hash(film.generator),
        "person": content_hash(person) if isinstance(person, Path) else str(film.person),
        "fit": str(film.fit),
        "start": None if film.start is None else float(film.start),
        "end": None if film.end is None else float(film.end),
        "av_offset_ms": film.av_offset_ms,
        "blend": str(film.blend),
        "detector": str(film.detector),
        "codec": None if film.codec is None else str(film.codec),
        "crf": film.crf,
        "preset": film.preset,
        "keep_audio": film.keep_audio,
        "provenance": marks.provenance,
        "consent": _content(marks.consent),
        "label": marks.label,
        "label_corner": str(marks.label_corner),
        "label_size": marks.label_size,
        "label_opacity": marks.label_opacity,
        "label_font": _content(marks.label_font),
    }
    return Identity(content_hash(face), face.name, told)


def _content(path: Path | str | None) -> str | None:
    return None if path is None else content_hash(Path(path))


def hash_of(identity: Identity) -> str:
    """Return the SHA-256 of an identity."""
    return _hash({"presenter": identity.presenter, "options": dict(identity.options)})


def sounds(messages: Sequence[Message], options: CampaignOptions, voice: Voice | None) -> list[str]:
    """Return of each message the SHA-256 of its sound file, or of its text and how it is spoken.

    Raises:
        InputError: a sound file cannot be read.
    """
    files = sorted({message.audio for message in messages if message.audio is not None})
    with ThreadPoolExecutor(_READERS, "hash") as pool:
        hashes = dict(zip(files, pool.map(content_hash, files), strict=True))
    return [
        _hash(_spoken(message, options, voice)) if message.audio is None else hashes[message.audio]
        for message in messages
    ]


def _spoken(message: Message, options: CampaignOptions, voice: Voice | None) -> Mapping[str, Json]:
    assert voice is not None
    return {
        "phrases": [asdict(phrase) for phrase in message.phrases],
        "voice": voice.name,
        "loudness": options.loudness_lufs,
        "pause": options.pause_seconds,
    }


def key_of(message: Message, identity: str, sound: str) -> str:
    """Return the name of all that a message's film depends on."""
    return _hash({"identity": identity, "sound": sound, "start": message.start, "end": message.end})


def _hash(told: Mapping[str, Json]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
