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
from lipgan_cli.engine.media.cutout import Cutout, cut_out
from lipgan_cli.engine.media.film import Film
from lipgan_cli.engine.media.footage import Footage
from lipgan_cli.engine.media.label import Stamp
from lipgan_cli.engine.media.landmarks import SteadyLandmarks
from lipgan_cli.engine.media.mouth import fitted, openness
from lipgan_cli.engine.media.picture import Frame
from lipgan_cli.engine.media.playback import Playlist, ahead, play
from lipgan_cli.engine.media.references import Gallery
from lipgan_cli.engine.sync.speech import Speech
from lipgan_cli.engine.sync.stopwatch import Stopwatch

SKIPPED = 50
"""Frames that are decoded and passed over rather than sought behind."""

CANDIDATES = 16
"""Faces of a run among which the mouth at rest is looked for."""
FEW = 8
"""Faces below which one of them need not be at rest."""

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


@dataclass(frozen=True, eq=False)
class _Layer:
    """A frame of the footage, of its own, that is painted."""

    frame: Frame
    place: int  # its number in the footage
    cutout: Cutout | None  # None where no face is painted
    fades_in: bool = False  # over another frame


@dataclass(frozen=True, eq=False)
class _Batch:
    """Frames of the film that are worked on together, and what is heard and seen in them."""

    numbers: range  # of the film
    under: list[_Layer]
    over: dict[int, _Layer]  # what fades in over them, by number
    work: list[_Layer]  # those of both with a face
    references: list[Face]  # of `work`
    times: NDArray[np.float64]  # of `work`: seconds of the film


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
    again: bool = False  # whether other films show the same frames
    stamp: Stamp | None = None  # drawn into every frame

    def frames(self, shown: Playlist) -> Iterator[tuple[Frame, int]]:
        """Yield the finished frames and when they are shown, in ticks of the footage's clock.

        Reading, generating and blending each have a thread.
        """
        with closing(ahead(self._generated(shown), 1)) as batches:
            for batch, painted in batches:
                with self.watch.step("blend"):
                    self._blend(batch, painted)
                for number, layer in zip(batch.numbers, batch.under, strict=True):
                    if number in batch.over:
                        _mix(layer.frame, batch.over[number].frame, float(shown.share[number]))
                    if self.stamp is not None:
                        self.stamp.draw(layer.frame)
                    yield layer.frame, int(shown.ticks[number])

    def _generated(self, shown: Playlist) -> Iterator[tuple[_Batch, Faces | None]]:
        repeats = self.again or len(np.unique(shown.places)) < len(shown)
        with closing(ahead(self._batches(shown), 1)) as batches:
            for batch in batches:
                painted = None
                if batch.work:
                    with self.watch.step("generate"):
                        painted = self.network.faces(
                            np.stack(batch.references),
                            np.stack([_face(layer) for layer in batch.work]),
                            self.speech.windows(batch.times),
                            [layer.place for layer in batch.work] if repeats else None,
                        )
                yield batch, painted

    def _batches(self, shown: Playlist) -> Iterator[_Batch]:
        opening = self._opening(shown)
        source = play(self.footage.read, shown.places)
        for first in range(0, len(shown), self.batch):
            numbers = range(first, min(first + self.batch, len(shown)))
            with self.watch.step("read"):
                frames = [frame.copy() for frame in islice(source, len(numbers))]
            with self.watch.step("cut"):
                batch = self._cut(numbers, frames, shown, opening)
            yield batch

    def _opening(self, shown: Playlist) -> dict[int, Frame]:
        """Return the frames that fade in, by their numbers in the footage."""
        fading = shown.incoming[shown.incoming >= 0]
        if not len(fading):
            return {}
        numbers = range(int(fading.min()), int(fading.max()) + 1)
        return dict(zip(numbers, self.footage.read(numbers[0]), strict=False))

    def _cut(
        self, numbers: range, frames: list[Frame], shown: Playlist, opening: dict[int, Frame]
    ) -> _Batch:
        under = [
            self._layer(frame, int(place))
            for frame, place in zip(frames, shown.places[numbers], strict=True)
        ]
        over = {
            number: self._layer(opening[place].copy(), int(place), fades_in=True)
            for number, place in zip(numbers, shown.incoming[numbers], strict=True)
            if place >= 0
        }
        both = [*zip(numbers, under, strict=True), *over.items()]
        work = [(number, layer) for number, layer in both if layer.cutout is not None]
        base = float(self.footage.clock.base)
        return _Batch(
            numbers=numbers,
            under=under,
            over=over,
            work=[layer for _, layer in work],
            references=[self._reference(layer) for _, layer in work],
            times=np.array([float(shown.ticks[number]) * base for number, _ in work]),
        )

    def _layer(self, frame: Frame, place: int, fades_in: bool = False) -> _Layer:
        cutout = None
        if self.film.opacity[place] > 0:
            colour = self.footage.info.seen_as
            cutout = cut_out(frame, self.film.squares[place], colour)
        return _Layer(frame, place, cutout, fades_in)

    def _reference(self, layer: _Layer) -> Face:
        gallery = self.galleries[self.film.runs[layer.place]]
        face: Face = gallery.faces[gallery.nearest(_face(layer))]
        return face

    def _blend(self, batch: _Batch, painted: Faces | None) -> None:
        if painted is None:
            return
        stillness = self.speech.stillness(batch.times)
        for layer, face, still in zip(batch.work, painted, stillness, strict=True):
            rested = self._rested(face, layer, float(still))
            feathered = self.blend is Blend.FEATHER
            opacity = float(self.film.opacity[layer.place]) if feathered else 1.0
            points = None
            assert layer.cutout is not None
            if feathered and self.landmarks is not None:
                cutout = layer.cutout
                track = (self.film.runs[layer.place], layer.fades_in)
                points = self.landmarks.points(track, layer.place, cutout.luma, cutout.box)
            layer.cutout.paint(rested, self.blend, opacity, points)

    def _rested(self, painted: Face, layer: _Layer, stillness: float) -> Face:
        """Return a painted face with its mouth at rest, as far as nobody speaks."""
        rest = self.resting[self.film.runs[layer.place]]
        if rest is None or stillness == 0:
            return painted
        moved, sure = fitted(rest, _face(layer))
        part = stillness * sure
        mixed = cv2.addWeighted(moved, part, painted, 1 - part, 0)
        return mixed.astype(np.uint8, copy=False)


def _face(layer: _Layer) -> Face:
    assert layer.cutout is not None
    return layer.cutout.face


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


def resting(film: Film, runs: Sequence[Gallery], network: FacePainter) -> tuple[Face | None, ...]:
    """Return the face with the most closed mouth of each run, as the network sees it.

    A run with few faces looks at those of its whole scene. None where there is a single face, whose
    mouth may be open.
    """
    scenes = [int(np.searchsorted(film.cuts, places[0], "right")) for places in film.references]
    out = []
    for scene, gallery in zip(scenes, runs, strict=True):
        faces = gallery.faces
        if len(faces) < FEW:
            alike = zip(scenes, runs, strict=True)
            faces = np.concatenate([other.faces for s, other in alike if s == scene])
        out.append(_resting(faces, network))
    return tuple(out)


def _resting(faces: Faces, network: FacePainter) -> Face | None:
    faces = faces[:: -(-len(faces) // CANDIDATES)]
    if len(faces) < 2:
        return None
    silent = np.full((len(faces), BANDS, WINDOW), SILENCE, np.float32)
    rest: Face = faces[np.argmin(openness(faces, network.faces(faces, faces, silent)))]
    return rest


def _mix(frame: Frame, incoming: Frame, share: float) -> None:
    """Let a frame fade in over another, in place."""
    cv2.addWeighted(frame, 1 - share, incoming, share, 0, dst=frame)
