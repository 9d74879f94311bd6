"""Painting: the frames of the film, one after the other, with a mouth that speaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.media.audio import BANDS, SILENCE, WINDOW
from lipgan_cli.engine.media.choices import Blend
from lipgan_cli.engine.media.cutout import cut_out
from lipgan_cli.engine.media.film import Film
from lipgan_cli.engine.media.footage import Footage
from lipgan_cli.engine.media.landmarks import SteadyLandmarks
from lipgan_cli.engine.media.mouth import fitted, openness
from lipgan_cli.engine.media.picture import Frame
from lipgan_cli.engine.media.playback import Playlist, ahead, play
from lipgan_cli.engine.media.references import Gallery
from lipgan_cli.engine.sync.speech import Speech
from lipgan_cli.engine.sync.stopwatch import Stopwatch

SKIPPED = 50
"""Frames that are decoded and passed over rather than sought behind."""

CANDIDATES = 24
"""Faces of a run among which the mouth at rest is looked for."""

Face = NDArray[np.uint8]  # RGB (96, 96, 3)
Faces = NDArray[np.uint8]  # RGB (B, 96, 96, 3)


class FacePainter(Protocol):
    """The network: pictures and sound in, pictures out."""

    def faces(
        self,
        reference: Faces,
        target: Faces,
        windows: NDArray[np.float32],
        keys: Sequence[int] | None = None,
    ) -> Faces:
        """Paint target faces that speak `windows` (B, 80, 27); see `Animator.faces`."""


@dataclass(frozen=True)
class _Layer:
    """A copy of a frame of the footage that is to be painted."""

    frame: Frame
    place: int  # its number in the footage
    time: float  # seconds of the film at which it is shown


@dataclass(frozen=True, eq=False)
class Painter:
    """Paints the mouth of one film.

    Where nobody speaks, the recording's own mouth at rest, moved onto the face, takes the place of
    what the network paints from silence, which a stranger's lips show.
    """

    footage: Footage
    film: Film
    speech: Speech
    galleries: tuple[Gallery, ...]  # of each run
    resting: tuple[Face | None, ...]  # of each run: its mouth at rest
    network: FacePainter
    landmarks: SteadyLandmarks | None  # that the mask follows
    blend: Blend
    batch: int  # frames painted at once
    watch: Stopwatch

    def frames(self, shown: Playlist) -> Iterator[tuple[Frame, int]]:
        """Yield the finished frames and when they are shown, in ticks of the footage's clock."""
        base = float(self.footage.clock.base)
        repeats = len(np.unique(shown.places)) < len(shown)
        opening = self._opening(shown)
        with closing(ahead(play(self.footage.read, shown.places), 2 * self.batch)) as source:
            for first in range(0, len(shown), self.batch):
                numbers = range(first, min(first + self.batch, len(shown)))
                times = shown.ticks[numbers] * base
                under = [
                    _Layer(frame.copy(), int(shown.places[number]), float(time))
                    for number, frame, time in zip(
                        numbers, islice(source, self.batch), times, strict=True
                    )
                ]
                over = {
                    number: _Layer(opening[place].copy(), place, float(time))
                    for number, time in zip(numbers, times, strict=True)
                    if (place := int(shown.incoming[number])) >= 0
                }
                self._paint([*under, *over.values()], repeats)
                for number, layer in zip(numbers, under, strict=True):
                    if number in over:
                        _mix(layer.frame, over[number].frame, float(shown.share[number]))
                    yield layer.frame, int(shown.ticks[number])

    def _opening(self, shown: Playlist) -> list[Frame]:
        """Return the footage's first frames as far as they fade in over others."""
        return list(islice(self.footage.read(0), int(shown.incoming.max(initial=-1)) + 1))

    def _paint(self, layers: Sequence[_Layer], repeats: bool) -> None:
        """Paint the speaking face into frames."""
        film, colour = self.film, self.footage.info.seen_as
        work = [layer for layer in layers if film.opacity[layer.place] > 0]
        if not work:
            return
        places = [layer.place for layer in work]
        with self.watch.step("cut"):
            cutouts = [cut_out(layer.frame, film.squares[layer.place], colour) for layer in work]
            targets = [cutout.face for cutout in cutouts]
            references = [self._reference(*pair) for pair in zip(places, targets, strict=True)]
            times = np.array([layer.time for layer in work])
            windows = self.speech.windows(times)
        with self.watch.step("generate"):
            painted = self.network.faces(
                np.stack(references), np.stack(targets), windows, places if repeats else None
            )
        stillness = self.speech.stillness(times)
        with self.watch.step("blend"):
            for place, cutout, face, still in zip(places, cutouts, painted, stillness, strict=True):
                rested = self._rested(face, place, cutout.face, float(still))
                feathered = self.blend is Blend.FEATHER
                opacity = float(film.opacity[place]) if feathered else 1.0
                points = None
                if feathered and self.landmarks is not None:
                    points = self.landmarks.points(place, cutout.luma, cutout.box)
                cutout.paint(rested, self.blend, opacity, points)

    def _rested(self, painted: Face, place: int, target: Face, stillness: float) -> Face:
        """Return a painted face with its mouth at rest, as far as nobody speaks."""
        rest = self.resting[self.film.runs[place]]
        if rest is None or stillness == 0:
            return painted
        moved, sure = fitted(rest, target)
        part = stillness * sure
        mixed = cv2.addWeighted(moved, part, painted, 1 - part, 0)
        return mixed.astype(np.uint8, copy=False)

    def _reference(self, place: int, target: Face) -> Face:
        gallery = self.galleries[self.film.runs[place]]
        face: Face = gallery.faces[gallery.nearest(target)]
        return face


def galleries(footage: Footage, film: Film) -> tuple[Gallery, ...]:
    """Return the face crops that may show the network who is speaking, for each run.

    Raises:
        LipganError: a frame cannot be read a second time.
    """
    places = sorted({int(place) for places in film.references for place in places})
    faces = dict(zip(places, _faces(footage, film, places), strict=True))
    return tuple(Gallery.of([faces[place] for place in run.tolist()]) for run in film.references)


def _faces(footage: Footage, film: Film, places: Sequence[int]) -> Iterator[Face]:
    """Yield the face crops of frames in ascending order."""
    reader, at = footage.read(0), 0
    for place in places:
        if footage.info.indexed and place - at > SKIPPED:
            reader, at = footage.read(place), place
        frame = next(islice(reader, place - at, None), None)
        if frame is None:
            raise LipganError(f"{footage.info.path}: frame {place} cannot be read a second time")
        at = place + 1
        yield cut_out(frame, film.squares[place], footage.info.seen_as).face


def resting(runs: Sequence[Gallery], network: FacePainter) -> tuple[Face | None, ...]:
    """Return the face with the most closed mouth of each run, as the network sees it.

    None where a run has a single face, whose mouth may be open.
    """
    return tuple(_resting(gallery, network) for gallery in runs)


def _resting(gallery: Gallery, network: FacePainter) -> Face | None:
    step = -(-len(gallery.faces) // CANDIDATES)
    faces = gallery.faces[::step]
    if len(faces) < 2:
        return None
    silent = np.full((len(faces), BANDS, WINDOW), SILENCE, np.float32)
    rest: Face = faces[np.argmin(openness(faces, network.faces(faces, faces, silent)))]
    return rest


def _mix(frame: Frame, incoming: Frame, share: float) -> None:
    """Let a frame fade in over another, in place."""
    cv2.addWeighted(frame, 1 - share, incoming, share, 0, dst=frame)
