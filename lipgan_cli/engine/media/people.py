"""Choice: which of the faces in a film is meant."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.identity import SAME_PERSON, Embedding, distance
from lipgan_cli.engine.media.likeness import SURE, closest
from lipgan_cli.engine.media.tracks import Track, Tracks

SHORT = 0.25  # of the longest presence in the scene: who is seen for less is not chosen by place
NEAR = 1.0  # box sides: a face that begins where another ended is the same, if nobody else is there
ALIKE = 0.5  # distance of embeddings below which two tracks of a scene are one person's

Boxes = NDArray[np.float64]  # (n, 5) left, top, right, bottom, roll
Person = tuple[Track, ...]


class Position(StrEnum):
    """A face by its size or place, decided anew in each scene."""

    LARGEST = "largest"
    LEFT = "left"
    RIGHT = "right"
    CENTER = "center"


@dataclass(frozen=True)
class Point:
    """A face by a point on it, in pixels of the picture as it is shown."""

    x: float
    y: float


Choice = Position | int | Point | Path  # a number counts from 1; a path is a reference picture

HINT = "give largest, left, right, center, a number, x,y in pixels or a picture of the face"


def parse(text: str) -> Choice:
    """Return the choice that a word, a number, a point or a file's name stands for.

    Raises:
        InputError: it is none of these, or the file is not there.
    """
    word = text.strip()
    if word.lower() in set(Position):
        return Position(word.lower())
    if word.isdecimal() and int(word) > 0:
        return int(word)
    numbers = _numbers(word)
    if len(numbers) == 2:
        return Point(*numbers)
    if os.path.isfile(text):  # noqa: PTH113 - Path.is_file() raises for some texts
        return Path(text)
    if Path(text).suffix:
        raise InputError(f"no picture of a face: {text!r} is not a file", HINT)
    raise InputError(f"no way to choose a face: {text!r}", HINT)


def _numbers(word: str) -> list[float]:
    try:
        numbers = [float(part) for part in word.split(",")]
    except ValueError:
        return []
    return numbers if np.isfinite(numbers).all() else []


def listing(tracks: Tracks) -> tuple[Person, ...]:
    """Return the people by number, the first being number 1: by first appearance, left to right.

    The tracks of one person in one scene are together; those of all scenes are where the tracks
    have embeddings.
    """
    listed: list[list[Track]] = []
    for person in _people(tracks):
        alike = [(_apart(person, other), other) for other in listed if not _meet(person, other)]
        difference, same = min(alike, key=lambda pair: pair[0], default=(np.inf, None))
        if same is not None and difference < SAME_PERSON:
            same.extend(person)
        else:
            listed.append(list(person))
    return tuple(tuple(person) for person in listed)


def choose(
    tracks: Tracks, choice: Choice, size: tuple[int, int], reference: Embedding | None = None
) -> Boxes:
    """Return the chosen person's box in each frame, (frames, 5), NaN where not seen.

    `size` is the picture's width and height; `reference` the embedding of the face in a chosen
    picture, for which the tracks must have embeddings.

    Raises:
        InputError: the face that was asked for is not there; the message says which are.
    """
    if isinstance(choice, Position):
        chosen = _by_position(tracks, choice, size)
    elif isinstance(choice, Point):
        chosen = _by_point(tracks, choice)
    elif isinstance(choice, Path):
        chosen = _by_reference(tracks, choice, reference)
    else:
        chosen = _by_number(tracks, choice)
    return _boxes(tracks, chosen)


def one_person(tracks: Tracks) -> Boxes:
    """Return the boxes of the first scene's largest face, and of nobody else in later scenes."""
    same: list[Track] = []
    for track in _by_position(tracks, Position.LARGEST, (0, 0)):
        if not same or track.scene == same[0].scene or _one(same, track, alone=False):
            same.append(track)
    return _boxes(tracks, same)


def _boxes(tracks: Tracks, chosen: Iterable[Track]) -> Boxes:
    boxes = np.full((tracks.frames, 5), np.nan)
    for track in chosen:
        boxes[track.seen] = track.boxes[track.seen - track.first]
    return boxes


def _people(tracks: Tracks) -> list[Person]:
    """Return the people of each scene, by first appearance."""
    people: list[Person] = []
    for _, scene in groupby(tracks.tracks, key=lambda track: track.scene):
        followed = list(scene)
        alone = not any(
            _meet([one], [other]) for one in followed for other in followed if one is not other
        )
        here: list[list[Track]] = []
        for track in followed:
            same = [p for p in here if not _meet([track], p) and _one(p, track, alone)]
            if same:
                min(same, key=lambda person: _unlike(person, track)).append(track)
            else:
                here.append([track])
        people += [tuple(person) for person in here]
    return people


def _one(person: Sequence[Track], track: Track, alone: bool) -> bool:
    """Return whether a later track is the same person's; `alone`: never two faces at once."""
    if track.embedding is not None:
        apart = _apart(person, [track])
        if np.isfinite(apart):
            return apart < ALIKE
    return _unlike(person, track) <= SURE or (alone and _follows(person[-1], track))


def _unlike(person: Sequence[Track], track: Track) -> float:
    return closest((look for part in person for look in part.looks), track.looks)


def _follows(before: Track, after: Track) -> bool:
    """Return whether a track begins about where and as large as another ended."""
    (x, y, side), (u, v, other) = _square(before.boxes[-1]), _square(after.boxes[0])
    larger = max(side, other)
    return bool(np.hypot(x - u, y - v) <= NEAR * larger and larger <= 2 * min(side, other))


def _meet(one: Iterable[Track], other: Iterable[Track]) -> bool:
    """Return whether two people are seen in the same frame, so that they are two."""
    others = list(other)
    return any(len(np.intersect1d(a.seen, b.seen)) > 0 for a in one for b in others)


def _apart(one: Iterable[Track], other: Iterable[Track]) -> float:
    """Return the smallest distance of the embeddings of two people; infinite without any."""
    others = [track.embedding for track in other if track.embedding is not None]
    mine = [track.embedding for track in one if track.embedding is not None]
    return min((distance(a, b) for a in mine for b in others), default=np.inf)


def _by_position(tracks: Tracks, choice: Position, size: tuple[int, int]) -> list[Track]:
    """Return the tracks of one person in each scene."""
    measure = _measure(choice, size)
    chosen: list[Track] = []
    for _, group in groupby(_people(tracks), key=lambda person: person[0].scene):
        people = [(person, _squares(person)) for person in group]
        longest = max(len(squares) for _, squares in people)
        lasting = [pair for pair in people if len(pair[1]) >= SHORT * longest]
        chosen += min(lasting, key=lambda pair: measure(pair[1]))[0]
    return chosen


def _measure(choice: Position, size: tuple[int, int]) -> Callable[[Boxes], float]:
    """Return what is least for the squares of the person in this position."""
    if choice is Position.LARGEST:
        return lambda squares: -float(np.median(squares[:, 2]))
    if choice is Position.LEFT:
        return lambda squares: float(np.median(squares[:, 0]))
    if choice is Position.RIGHT:
        return lambda squares: -float(np.median(squares[:, 0]))
    middle = np.array(size) / 2
    return lambda squares: float(np.median(np.hypot(*(squares[:, :2] - middle).T)))


def _by_number(tracks: Tracks, number: int) -> list[Track]:
    people = listing(tracks)
    if not 1 <= number <= len(people):
        raise InputError(f"there is no face {number}", _there(people))
    return list(people[number - 1])


def _by_point(tracks: Tracks, point: Point) -> list[Track]:
    """Return the tracks of who is first at a point; where nobody is known, of who is nearest."""
    people = listing(tracks)
    scenes = sorted({track.scene for track in tracks.tracks})
    for scene in scenes:
        here = [(_away(person, scene, point), person) for person in people]
        away, first = min(here, key=lambda pair: pair[0])
        if away[0] <= NEAR:
            break
    else:
        raise InputError(f"no face at {point.x:g},{point.y:g}", _there(people))
    if all(track.embedding is not None for track in first):
        return list(first)
    chosen = [track for track in first if track.scene == scene]
    for later in scenes[scenes.index(scene) + 1 :]:
        _, person = min(((_away(p, later, point), p) for p in people), key=lambda pair: pair[0])
        chosen += [track for track in person if track.scene == later]
    return chosen


def _by_reference(tracks: Tracks, path: Path, reference: Embedding | None) -> list[Track]:
    if reference is None:
        raise InputError(f"the face in {path} was not looked at", HINT)
    people = listing(tracks)
    known = [
        (min(distance(t.embedding, reference) for t in p if t.embedding is not None), p)
        for p in people
        if any(t.embedding is not None for t in p)
    ]
    nearest, person = min(known, key=lambda pair: pair[0], default=(np.inf, ()))
    if nearest >= SAME_PERSON:
        raise InputError(f"nobody in the video looks like {path}", _there(people))
    return list(person)


def _away(person: Person, scene: int, point: Point) -> tuple[float, int]:
    """Return how near a person's box comes to a point in a scene, in its sides, and when first.

    Infinite for who is not in the scene.
    """
    parts = [track for track in person if track.scene == scene]
    if not parts:
        return np.inf, 0
    squares = _squares(parts)
    frames = np.concatenate([track.seen for track in parts])
    gaps = np.abs(squares[:, :2] - (point.x, point.y)) - squares[:, 2:] / 2
    away = np.hypot(*gaps.clip(min=0).T) / squares[:, 2]
    nearest = int(np.argmin(away))
    return float(away[nearest]), int(frames[nearest])


def _square(box: Boxes) -> Boxes:
    """Return centre x, centre y and side of boxes."""
    left, top, right, bottom = np.moveaxis(box[..., :4], -1, 0)
    return np.stack(
        [(left + right) / 2, (top + bottom) / 2, (right - left + bottom - top) / 2], axis=-1
    )


def _squares(person: Iterable[Track]) -> Boxes:
    """Return centre x, centre y and side in each frame that a person is seen in."""
    boxes = np.concatenate([track.boxes for track in person])
    return _square(boxes[~np.isnan(boxes[:, 0])])


def _there(people: Sequence[Person]) -> str:
    """Return in a line which faces there are."""
    if not people:
        return "no face was found in the video"
    told = []
    for number, person in enumerate(people, start=1):
        x, y, side = np.median(_squares(person), axis=0)
        told.append(f"{number} at {x:.0f},{y:.0f} ({side:.0f} pixels, frame {person[0].first})")
    return "the faces: " + "; ".join(told)
