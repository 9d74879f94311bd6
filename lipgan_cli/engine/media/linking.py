"""Linking: which face of one look is which face of the looks before, never swapping two people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.detectors import Face
from lipgan_cli.engine.media.identity import SAME_PERSON, Embedding, distance
from lipgan_cli.engine.media.likeness import SAME, SURE, Likeness, closest
from lipgan_cli.engine.media.looks import Look, Seen

NEAR = 1.0  # box sides from the expected place within which a face may be the same
RESIZED = 1.7  # ratio of two boxes of one face, at most
TRAVEL = 0.1  # difference that a box side of distance counts for
ABSENCE = 0.05  # difference that not having been there in the last look counts for
DECISIVE = 0.06  # by how much a link must be better than one that would swap two people
LIKELY = 0.12  # difference up to which a face that comes back needs no embedding
SAFER = 0.1  # by how much an embedding must be nearer to a path's than to a rival's
FORGOTTEN = 4  # key intervals after which what was found once is not expected any more
GALLERY = 6  # likenesses kept of a person
NEW_LIKENESS = 0.08  # difference to all that are kept, of one to be kept beside them
EMBEDDINGS = 3  # made of one path: they take 75 ms each
BETTER = 1.2  # times as good a look as that of the last embedding is worth another one

Embed = Callable[[Seen], Embedding | None]
EmbedNumber = Callable[[int], Embedding | None]


@dataclass(frozen=True)
class Place:
    """A face where it was seen."""

    look: int  # number of the look in its scene
    frame: int
    face: Face
    quality: float

    @property
    def row(self) -> NDArray[np.float64]:
        """Left, top, right, bottom, roll."""
        return np.array([*self.face.box, self.face.roll])


@dataclass
class Path:
    """One person's places so far in a scene."""

    places: list[Place] = field(default_factory=list)
    gallery: list[Likeness] = field(default_factory=list)  # the first, some others, the last
    embeddings: list[Embedding] = field(default_factory=list)
    beside: set[int] = field(default_factory=set)  # ids of paths that were seen in the same look
    embedded: float = 0.0  # quality of the look at the last embedding

    @property
    def span(self) -> int:
        """Frames from the first to the last place."""
        return self.places[-1].frame - self.places[0].frame + 1

    def embedding(self) -> Embedding | None:
        """Return the mean of the embeddings, or None without any."""
        return np.mean(self.embeddings, axis=0) if self.embeddings else None

    def expected(self, frame: int, interval: int) -> Face:
        """Return the last face, moved on with its speed if that is fresh."""
        last = self.places[-1].face
        if len(self.places) < 2 or frame - self.places[-1].frame > interval:
            return last
        here, there = self.places[-2:]
        if there.frame - here.frame > interval:
            return last
        part = (frame - there.frame) / (there.frame - here.frame)
        across, down = (
            part * (b - a) for a, b in zip(here.face.centre, there.face.centre, strict=True)
        )
        left, top, right, bottom = last.box
        return Face((left + across, top + down, right + across, bottom + down), last.roll)

    def add(self, place: Place, likeness: Likeness) -> None:
        """Go on to a place."""
        self.places.append(place)
        if len(self.gallery) > 1 and closest([likeness], self.gallery[:-1]) < NEW_LIKENESS:
            self.gallery.pop()  # the last one is always kept, and added to the others if it is new
        self.gallery.append(likeness)
        if len(self.gallery) > GALLERY:
            del self.gallery[1]


@dataclass(frozen=True)
class Link:
    """A face that may be a path's."""

    path: int
    seen: int
    cost: float
    likely: bool  # whether, without rivals, no embedding need be asked


class Linker:
    """Carries the paths of one scene from look to look."""

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._looks = 0
        self.paths: list[Path] = []

    def expected(self, frame: int) -> list[Face]:
        """Return the faces that have been seen lately and more than once."""
        lately = frame - 2 * self._interval
        return [
            path.places[-1].face
            for path in self.paths
            if path.places[-1].frame > lately and (len(path.places) > 1 or self._looks == 1)
        ]

    def link(self, look: Look, embed: Embed) -> None:
        """Give each face of the next look to a path, or begin a path with it."""

        @cache
        def known(index: int) -> Embedding | None:
            return embed(look.seen[index])

        links = sorted(self._possible(look), key=lambda link: link.cost)
        taken: dict[int, int] = {}  # path of each face

        def free(link: Link) -> bool:
            return link.seen not in taken and link.path not in taken.values()

        for link in filter(free, links):
            rivals = [other for other in links if free(other) and self._swap(link, other)]
            if self._certain(link, rivals, known):
                taken[link.seen] = link.path
        for number in range(len(look.seen)):
            if number not in taken:
                taken[number] = len(self.paths)
                self.paths.append(Path())
        self._extend(look, taken, known)

    def _possible(self, look: Look) -> Iterator[Link]:
        """Yield the links that place, size and looks allow."""
        for number, path in enumerate(self.paths):
            last = path.places[-1]
            if len(path.places) == 1 and look.frame - last.frame > FORGOTTEN * self._interval:
                continue  # a long film has many of these
            expected = path.expected(look.frame, self._interval)
            for index, seen in enumerate(look.seen):
                difference = closest([seen.likeness], path.gallery)
                away = min(seen.face.distance(expected), seen.face.distance(last.face))
                ratio = seen.face.side / last.face.side
                near = away <= NEAR and 1 / RESIZED <= ratio <= RESIZED
                if difference <= (SAME if near else SURE):
                    absent = ABSENCE * (last.look < self._looks - 1)
                    likely = not absent or difference < LIKELY
                    yield Link(number, index, difference + TRAVEL * min(away, 2) + absent, likely)

    def _swap(self, link: Link, other: Link) -> bool:
        """Return whether two links exclude each other, and the wrong one would swap two people.

        Two paths that were never seen at once may well be one person's.
        """
        if link.path == other.path:
            return link.seen != other.seen
        return link.seen == other.seen and other.path in self.paths[link.path].beside

    def _certain(self, link: Link, rivals: list[Link], embed: EmbedNumber) -> bool:
        """Return whether a face is the path's and no rival's."""
        clear = all(rival.cost - link.cost >= DECISIVE for rival in rivals)
        path = self.paths[link.path]
        mean = path.embedding()
        if mean is None or (clear and link.likely):
            return clear
        here = embed(link.seen)
        if here is None:
            return clear
        difference = distance(here, mean)
        return difference < SAME_PERSON and all(
            difference + SAFER < self._difference(rival, embed) for rival in rivals
        )

    def _difference(self, link: Link, embed: EmbedNumber) -> float:
        """Return how far a face's embedding is from the path's; 0 where one has none."""
        here, mean = embed(link.seen), self.paths[link.path].embedding()
        return distance(here, mean) if here is not None and mean is not None else 0.0

    def _extend(self, look: Look, taken: dict[int, int], embed: EmbedNumber) -> None:
        """Add the places of a look to their paths."""
        present = set(taken.values())
        for index, number in taken.items():
            path, seen = self.paths[number], look.seen[index]
            quality = seen.face.side * (1 + max(seen.likeness.frontal, 0))
            path.add(Place(self._looks, look.frame, seen.face, quality), seen.likeness)
            path.beside |= present - {number}
            if len(path.embeddings) < EMBEDDINGS and quality >= BETTER * path.embedded:
                here = embed(index)
                path.embeddings += [] if here is None else [here]
                path.embedded = quality
        self._looks += 1
