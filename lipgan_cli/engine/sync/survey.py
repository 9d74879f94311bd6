"""The first reading of the footage: faces, who speaks, and the pictures that tell the network who.

What was found is kept in the user's cache, under the content of the file and all that was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import dlib
import numpy as np

from lipgan_cli.engine.cache import Arrays, Cache, Json, content_hash, open_cache
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.choices import Detector
from lipgan_cli.engine.media.detectors import FaceDetector, HogDetector, MmodDetector
from lipgan_cli.engine.media.film import Film, film_of, find_faces, locate
from lipgan_cli.engine.media.footage import Footage, open_footage
from lipgan_cli.engine.media.identity import DlibIdentity, Embedding, Identity, identity_installed
from lipgan_cli.engine.media.landmarks import find_model
from lipgan_cli.engine.media.people import listing, parse
from lipgan_cli.engine.media.references import Gallery
from lipgan_cli.engine.media.tracks import Tracks, find_tracks, pack, unpack
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.sync.options import SyncOptions
from lipgan_cli.engine.sync.painter import galleries
from lipgan_cli.engine.weights import find
from lipgan_cli.engine.weights.registry import named

VERSION = 1  # of what is found and how


@dataclass(frozen=True, eq=False)
class Survey:
    """What the first reading found."""

    film: Film
    galleries: tuple[Gallery, ...]  # of each run of the film
    people: int
    tracks: Tracks | None  # None where who speaks was remembered
    cached: bool  # whether an earlier run had found the faces


def find_speaker(footage: Footage, frames: int, options: SyncOptions, progress: Progress) -> Survey:
    """Find who speaks in the footage's first frames, or remember it from an earlier run.

    Raises:
        InputError: there is no face, or not the one that was asked for.
    """
    choice = parse(options.person)
    shelf = _Shelf.of(footage, frames, options)
    person = content_hash(choice) if isinstance(choice, Path) else repr(choice)
    known = shelf.get("speaker", person)
    if known is not None:
        return _unpacked(known, footage)
    tracks, cached = _followed(shelf, footage, frames, options, progress)
    reference = _shown(choice, options) if isinstance(choice, Path) else None
    film = locate(footage, tracks, choice, reference)
    found = Survey(film, galleries(footage, film), len(listing(tracks)), tracks, cached)
    shelf.put("speaker", person, _packed(found))
    return found


def find_tracks_of(
    footage: Footage, frames: int, options: SyncOptions, progress: Progress
) -> tuple[Tracks, bool]:
    """Follow all faces of the footage's first frames, or remember them; return which, too.

    Raises:
        InputError: there is no face.
    """
    return _followed(_Shelf.of(footage, frames, options), footage, frames, options, progress)


def _followed(
    shelf: _Shelf, footage: Footage, frames: int, options: SyncOptions, progress: Progress
) -> tuple[Tracks, bool]:
    known = shelf.get("tracks")
    if known is not None:
        return unpack(known), True
    detector = _detector(Detector(options.detector))
    tracks = find_faces(footage, frames, detector, _identity(), progress)
    shelf.put("tracks", "", pack(tracks))
    return tracks, False


@dataclass(frozen=True)
class _Shelf:
    """Where in the cache the things of one footage lie, if anything is to be kept."""

    cache: Cache | None
    path: Path
    key: dict[str, Json]  # all that the faces depend on

    @classmethod
    def of(cls, footage: Footage, frames: int, options: SyncOptions) -> _Shelf:
        path = footage.info.path
        if footage.info.photo or not options.cache:
            return cls(None, path, {})
        mmod = options.detector == Detector.MMOD
        key: dict[str, Json] = {
            "version": VERSION,
            "content": content_hash(path),
            "first": footage.first,
            "last": footage.first + footage.clock.frames,
            "frames": frames,
            "detector": str(options.detector),
            "weights": content_hash(_mmod()) if mmod else "",
            "identity": identity_installed(),
            "libraries": [dlib.__version__, av.__version__],
        }
        return cls(open_cache(), path, key)

    def get(self, what: str, person: str = "") -> Arrays | None:
        """Return what was kept of the footage, and of a person in it."""
        if self.cache is None:
            return None
        return self.cache.get({**self.key, "what": what, "person": person})

    def put(self, what: str, person: str, arrays: Arrays) -> None:
        """Keep arrays, unless the file was replaced meanwhile."""
        if self.cache and content_hash(self.path) == self.key["content"]:
            self.cache.put({**self.key, "what": what, "person": person}, arrays)


def _detector(choice: Detector) -> FaceDetector:
    if choice is Detector.MMOD:
        return MmodDetector(_mmod())
    return HogDetector()


def _mmod() -> Path:
    """Return MMOD's weights: those that were downloaded, else those of the extra `faces`."""
    return find_model(named("mmod").file) or find("mmod")


def _identity() -> Identity | None:
    """Return what tells people apart, where dlib's models are installed."""
    return DlibIdentity() if identity_installed() else None


def _shown(picture: Path, options: SyncOptions) -> Embedding:
    """Return whom a reference picture shows: the largest face in it.

    Raises:
        InputError: there is none, or nothing here tells people apart.
    """
    footage = open_footage(picture, None, None)
    detector = _detector(Detector(options.detector))
    tracks = find_tracks(islice(footage.read(0), 1), detector, DlibIdentity())
    known = [track for track in tracks.tracks if track.embedding is not None]
    if not known:
        raise InputError(f"no face found in {picture}", "give a picture of one face")
    largest = max(known, key=lambda track: float(track.boxes[0, 2] - track.boxes[0, 0]))
    assert largest.embedding is not None
    return largest.embedding


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
        cached=True,
    )
