"""What the films of a campaign have in common while they are made: read, loaded and found once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING

import numpy as np

from lipgan_cli.engine.cache import Arrays, Cache, Key, open_cache
from lipgan_cli.engine.campaign.options import CampaignOptions
from lipgan_cli.engine.campaign.quality import Evidence
from lipgan_cli.engine.campaign.speaking import Speaker
from lipgan_cli.engine.campaign.voices import Voice
from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.sync import footage_of
from lipgan_cli.engine.sync.marks import Marks, choose_marks
from lipgan_cli.engine.sync.presenter import Presenter, meet
from lipgan_cli.engine.sync.stopwatch import Stopwatch

if TYPE_CHECKING:
    from lipgan_cli.engine.metrics.judge import Judge

HELD_BYTES = 1 << 30
"""Most that is kept of the recording's frames: 31 s of 1280x720 at 25 frames a second."""
FEATURES_BYTES = 1 << 30
"""Most that is kept of encoded faces: 465 frames in fp32, 930 in bf16."""
PIECES_BYTES = 256 << 20
"""Most that is kept of pieces of film; the cache on the disk holds more."""


@dataclass(frozen=True, eq=False)
class Stage:
    """A presenter who is ready to speak, and what the films are made and judged with."""

    presenter: Presenter
    speaker: Speaker | None  # None where all messages are sound files
    judge: Judge
    cache: Cache | None  # for the pieces that messages share
    marks: Marks | None  # of every film
    options: CampaignOptions
    identity: str  # names the presenter and the options
    stopped: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)
    _at_work: dict[str, Lock] = field(default_factory=dict)  # by piece
    _pieces: dict[str, Arrays] = field(default_factory=dict)  # the last used are the last

    def check(self) -> None:
        """Go on, unless the campaign was stopped.

        Raises:
            LipganError: it was.
        """
        if self.stopped.is_set():
            raise LipganError("the campaign was stopped")

    def once(self, key: Key, coded: Path, make: Callable[[], Evidence]) -> Evidence:
        """Make a piece at `coded` once for all films, and return what was seen of it.

        Where it has been made, its film is written to `coded`. While one thread makes it, others
        that need it wait.
        """
        key = {**key, "identity": self.identity}
        name = json.dumps(key, sort_keys=True)
        with self._lock:
            at_work = self._at_work.setdefault(name, Lock())
        with at_work:
            kept = self._pieces.get(name) or (self.cache.get(key) if self.cache else None)
            if kept is not None:
                coded.write_bytes(kept["film"].tobytes())
            else:
                evidence = make()
                film = np.frombuffer(coded.read_bytes(), np.uint8)
                kept = {"film": film, **evidence.to_arrays()}
                if self.cache is not None:
                    self.cache.put(key, kept)
            self._keep(name, kept)
            return Evidence.from_arrays(kept)

    def _keep(self, name: str, piece: Arrays) -> None:
        """Hold a piece in memory, and let go of those that were not used for longest."""
        with self._lock:
            self._pieces.pop(name, None)
            self._pieces[name] = piece
            while len(self._pieces) > 1 and self._held() > PIECES_BYTES:
                del self._pieces[next(iter(self._pieces))]

    def _held(self) -> int:
        return sum(array.nbytes for piece in self._pieces.values() for array in piece.values())

    def stop(self) -> None:
        """End what other threads are at."""
        self.stopped.set()
        if self.speaker is not None:
            self.speaker.stop()


def open_stage(
    options: CampaignOptions, voice: Voice | None, identity: str, progress: Progress
) -> Stage:
    """Find the presenter in the recording and load what is needed to let it speak.

    Raises:
        InputError: there is no face, or something given cannot be used.
    """
    from lipgan_cli.engine.metrics.judge import load_judge

    film = options.film
    marks = choose_marks(film)
    cache = open_cache() if film.cache else None
    speaker = (
        None
        if voice is None
        else Speaker(voice, cache, options.loudness_lufs, options.pause_seconds)
    )
    footage = footage_of(film)
    presenter = meet(footage, footage.clock.frames, film, Stopwatch(), progress, FEATURES_BYTES)
    return Stage(
        presenter=replace(presenter, footage=presenter.footage.hold(HELD_BYTES)),
        speaker=speaker,
        judge=load_judge(),
        cache=cache if cache is not None and cache.cap else None,
        marks=marks,
        options=options,
        identity=identity,
    )
