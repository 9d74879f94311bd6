"""The first reading of the footage: faces, who speaks, and the pictures that tell the network who.

What was found is kept in the user's cache, under the content of the file and all that was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import dlib
import numpy as np

from lipgan_cli.engine.cache import Arrays, Key, content_hash, open_cache
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.choices import Detector
from lipgan_cli.engine.media.detectors import FaceDetector, HogDetector, MmodDetector
from lipgan_cli.engine.media.film import Film, film_of, find_faces, watch
from lipgan_cli.engine.media.footage import Footage, open_footage
from lipgan_cli.engine.media.identity import DlibIdentity, Embedding, Identity
from lipgan_cli.engine.media.landmarks import find_model
from lipgan_cli.engine.media.people import Choice, Position, listing, parse
from lipgan_cli.engine.media.references import Gallery
from lipgan_cli.engine.media.tracks import Tracks, find_tracks
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.sync.options import SyncOptions
from lipgan_cli.engine.sync.painter import galleries
from lipgan_cli.engine.weights import find, named

VERSION = 1  # of what is found and how


@dataclass(frozen=True, eq=False)
class Survey:
    """What the first reading found."""

    film: Film
    galleries: tuple[Gallery, ...]  # of each run of the film
    people: int
    tracks: Tracks | None  # None where it was remembered

    @property
    def cached(self) -> bool:
        return self.tracks is None


def find_speaker(
    footage: Footage, frames: int, options: SyncOptions, progress: Progress, fresh: bool = False
) -> Survey:
    """Find who speaks in the footage's first frames, or remember it from an earlier run.

    With `fresh` nothing is remembered, but what is found is kept.

    Raises:
        InputError: there is no face, or not the one that was asked for.
    """
    choice = parse(options.person)
    cache = open_cache() if options.cache and not footage.info.photo else None
    key = _key(footage, frames, Detector(options.detector), choice) if cache else {}
    known = cache.get(key) if cache and not fresh else None
    if known is not None:
        return _unpacked(known, footage)
    tracks, reference = follow(footage, frames, Detector(options.detector), choice, progress)
    found = choose_speaker(footage, tracks, choice, reference)
    if cache is not None and content_hash(footage.info.path) == key["content"]:
        cache.put(key, _packed(found))  # unless the file was replaced meanwhile
    return found


def follow(
    footage: Footage, frames: int, detector: Detector, choice: Choice, progress: Progress
) -> tuple[Tracks, Embedding | None]:
    """Return all faces of the footage's first frames, and whom a reference picture shows."""
    looker = _detector(detector)
    identity = _identity(choice)
    reference = None
    if isinstance(choice, Path) and identity is not None:
        reference = _shown(choice, looker, identity)
    return find_faces(footage, frames, looker, identity, progress), reference


def choose_speaker(
    footage: Footage, tracks: Tracks, choice: Choice, reference: Embedding | None
) -> Survey:
    """Choose who speaks, and read the pictures that tell the network who that is."""
    film = watch(footage, tracks, choice, reference)
    return Survey(film, galleries(footage, film), len(listing(tracks)), tracks)


def _detector(choice: Detector) -> FaceDetector:
    if choice is Detector.MMOD:
        return MmodDetector(_mmod())
    return HogDetector()


def _mmod() -> Path:
    """Return MMOD's weights: those that were downloaded, else those of the extra `faces`."""
    packed = find_model(named("mmod").file)
    try:
        return find("mmod")
    except InputError:
        if packed is None:
            raise
        return packed


def _identity(choice: Choice) -> Identity | None:
    """Return what tells people apart: needed for a picture, of use for a number or a point."""
    if isinstance(choice, Position):
        return None
    try:
        return DlibIdentity()
    except InputError:
        if isinstance(choice, Path):
            raise
        return None


def _shown(picture: Path, detector: FaceDetector, identity: Identity) -> Embedding:
    """Return whom a reference picture shows."""
    footage = open_footage(picture, None, None)
    tracks = find_tracks(footage.read(0), detector, identity)
    if not tracks.tracks:
        raise InputError(f"no face found in {picture}", "give a picture of one face")
    known = [track for track in tracks.tracks if track.embedding is not None]
    largest = max(known, key=lambda track: float(np.nanmean(track.boxes[:, 2] - track.boxes[:, 0])))
    assert largest.embedding is not None
    return largest.embedding


def _key(footage: Footage, frames: int, detector: Detector, choice: Choice) -> Key:
    """Return all that the survey depends on."""
    return {
        "what": "survey",
        "version": VERSION,
        "content": content_hash(footage.info.path),
        "first": footage.first,
        "last": footage.first + footage.clock.frames,
        "frames": frames,
        "detector": str(detector),
        "weights": content_hash(_mmod()) if detector is Detector.MMOD else "",
        "libraries": [dlib.__version__, av.__version__],
        "person": content_hash(choice) if isinstance(choice, Path) else repr(choice),
        "identity": _identity(choice) is not None,
    }


def _packed(found: Survey) -> Arrays:
    film = found.film
    return {
        "squares": film.squares,
        "cuts": film.cuts,
        "references": np.concatenate(film.references),
        "counts": np.array([len(places) for places in film.references]),
        "faces": np.concatenate([gallery.faces for gallery in found.galleries]),
        "people": np.array(found.people),
    }


def _unpacked(arrays: Arrays, footage: Footage) -> Survey:
    ends = np.cumsum(arrays["counts"])[:-1]
    references = tuple(np.split(arrays["references"], ends))
    faces = np.split(arrays["faces"], ends)
    return Survey(
        film=film_of(arrays["squares"], arrays["cuts"], references, footage),
        galleries=tuple(Gallery.of(list(part)) for part in faces),
        people=int(arrays["people"]),
        tracks=None,
    )
