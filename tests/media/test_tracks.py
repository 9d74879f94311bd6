"""Tracks: every face is followed, through crossings, occlusions and cuts, and nobody is swapped."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipgan_cli.engine.media.detectors import Box, Face
from lipgan_cli.engine.media.people import listing
from lipgan_cli.engine.media.picture import Frame
from lipgan_cli.engine.media.tracks import Track, Tracks, find_tracks, pack, unpack

HEIGHT, WIDTH = 180, 320
SEEN = 0.8  # part of a face that must not be covered for it to be found

Walk = Callable[[int], tuple[float, float] | None]  # frame -> centre, or not there


@dataclass(frozen=True)
class Actor:
    """Someone in the play; `looks` decides the pattern, negative for a thing without a face."""

    looks: int
    walk: Walk
    side: int = 40
    height: int = 0  # of a thing, in pixels


def still(x: float, y: float) -> Walk:
    return lambda frame: (x, y)


def line(x: float, y: float, speed: float) -> Walk:
    return lambda frame: (x + speed * frame, y)


def during(first: int, last: int, walk: Walk) -> Walk:
    return lambda frame: walk(frame) if first <= frame <= last else None


class Play:
    """Scenes of actors, painted from the back to the front, and a detector that knows it all."""

    sizes = (WIDTH, WIDTH, WIDTH)

    def __init__(self, *scenes: tuple[int, Sequence[Actor]]) -> None:
        self.scenes = scenes
        self.length = sum(length for length, _ in scenes)
        self.strays: dict[int, Box] = {}  # what is found by mistake
        self.looks: list[int] = []

    def at(self, number: int) -> tuple[int, Sequence[Actor]]:
        """Return the scene's number and the actors of a frame."""
        for scene, (length, actors) in enumerate(self.scenes):
            if number < length:
                return scene, actors
            number -= length
        raise IndexError(number)

    def frames(self) -> Iterator[Frame]:
        """Yield the I420 frames, with their number in the first two pixels."""
        for number in range(self.length):
            yield self._painted(number)[0]

    def detect(self, luma: np.ndarray, longest: int) -> list[Face]:
        """Return the faces that can be seen; none in a part of a frame."""
        if luma.shape != (HEIGHT, WIDTH):
            return []
        number = int(luma[0, 0]) + 256 * int(luma[0, 1])
        self.looks.append(number)
        found = [Face(box) for box in self.boxes(number).values()]
        return found + [Face(box) for at, box in self.strays.items() if at == number]

    def boxes(self, number: int) -> dict[int, Box]:
        """Return where each actor's face is seen in a frame."""
        owner = self._painted(number)[1]
        _, actors = self.at(number)
        seen = {}
        for index, actor in enumerate(actors):
            place = actor.walk(number)
            if place is not None and actor.looks >= 0:
                half = actor.side / 2
                left, top = round(place[0] - half), round(place[1] - half)
                if (owner == index).sum() >= SEEN * actor.side**2:
                    seen[index] = (left, top, left + actor.side, top + actor.side)
        return {k: tuple(float(at) for at in box) for k, box in seen.items()}

    def _painted(self, number: int) -> tuple[Frame, np.ndarray]:
        """Return a frame, and which actor's face is in each of its pixels: -1 for none."""
        scene, actors = self.at(number)
        luma, chroma = (plane.copy() for plane in _scenery(scene))
        owner = np.full((HEIGHT, WIDTH), -1)
        for index, actor in enumerate(actors):
            place = actor.walk(number)
            if place is None:
                continue
            half, (x, y) = actor.side / 2, place
            rows = slice(max(round(y - half), 0), max(round(y - half) + actor.side, 0))
            columns = slice(max(round(x - half), 0), max(round(x - half) + actor.side, 0))
            whole = slice(0 if actor.height else rows.start, HEIGHT)
            luma[whole, columns] = 60 + 23 * actor.looks % 150
            owner[whole, columns] = -1
            chroma[
                :, whole.start // 2 : whole.stop // 2, columns.start // 2 : columns.stop // 2
            ] = np.array(_colour(actor.looks))[:, None, None]
            if actor.looks >= 0:
                top, left = rows.start - round(y - half), columns.start - round(x - half)
                face = _face(actor.looks, actor.side)[top:, left:]
                part = luma[rows, columns]
                part[:] = face[: part.shape[0], : part.shape[1]]
                owner[rows, columns] = index
        luma[0, :2] = number % 256, number // 256
        return np.concatenate([luma, chroma.reshape(HEIGHT // 2, WIDTH)]), owner


@cache
def _scenery(scene: int) -> tuple[np.ndarray, np.ndarray]:
    coarse = np.random.default_rng(1000 + scene).uniform(0, 255, (9, 16)).astype(np.uint8)
    luma = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return luma, np.full((2, HEIGHT // 2, WIDTH // 2), 128, np.uint8)


@cache
def _face(looks: int, side: int) -> np.ndarray:
    coarse = np.random.default_rng(looks).uniform(30, 220, (7, 7)).astype(np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def _colour(looks: int) -> tuple[int, int]:
    return 128 + 7 * (looks * 5 % 7) - 20, 128 + 7 * (looks * 3 % 5) - 10


def centres(track: Track) -> np.ndarray:
    return (track.boxes[:, :2] + track.boxes[:, 2:4]) / 2


def owner(play: Play, track: Track) -> set[int]:
    """Return the actors whose face a track is on, by the nearest in each frame."""
    owners = set()
    for number in track.seen.tolist():
        _, actors = play.at(number)
        x, y = centres(track)[number - track.first]
        away = {}
        for index, actor in enumerate(actors):
            place = actor.walk(number)
            if place is not None and actor.looks >= 0:
                away[index] = float(np.hypot(place[0] - x, place[1] - y))
        nearest = min(away, key=lambda index: away[index])
        assert away[nearest] < 10, f"frame {number}: nobody is at {x:.0f},{y:.0f}"
        owners.add(nearest)
    return owners


def followed(play: Play) -> Tracks:
    """Return the tracks of a play, of which each must be on one actor alone."""
    found = find_tracks(play.frames(), play)
    assert found.frames == play.length
    for track in found.tracks:
        assert len(owner(play, track)) == 1
        assert track.boxes.shape[1] == 5
        assert not np.isnan(track.boxes[[0, -1]]).any()
        assert track.first <= track.best <= track.last
    return found


def test_no_frames() -> None:
    found = find_tracks(iter(()), Play())
    assert (found.frames, found.cuts.tolist(), found.tracks) == (0, [], ())


def test_a_film_of_one_frame() -> None:
    (track,) = followed(Play((1, [Actor(1, still(100, 80))]))).tracks
    assert track.boxes[:, :4].tolist() == [[80, 60, 120, 100]]
    assert (track.scene, track.first, track.last, track.best) == (0, 0, 0, 0)


def test_nobody_at_all() -> None:
    found = followed(Play((30, [])))
    assert (found.frames, found.cuts.tolist(), found.tracks) == (30, [0], ())


def test_a_steady_face_is_looked_for_on_key_frames_alone() -> None:
    play = Play((75, [Actor(1, still(100, 80))]))
    (track,) = followed(play).tracks
    np.testing.assert_array_equal(track.boxes[:, :4], np.tile([80, 60, 120, 100], (75, 1)))
    assert play.looks == [0, 12, 24, 36, 48, 60, 72, 74]


def test_a_slow_face_is_interpolated() -> None:
    play = Play((25, [Actor(1, line(100, 80, 0.5))]))
    (track,) = followed(play).tracks
    np.testing.assert_allclose(centres(track)[:, 0], 100 + 0.5 * np.arange(25), atol=0.51)
    assert play.looks == [0, 12, 24]


def test_a_quick_face_is_looked_for_in_between() -> None:
    play = Play((13, [Actor(1, line(100, 80, 2))]))
    (track,) = followed(play).tracks
    np.testing.assert_allclose(centres(track)[:, 0], 100 + 2 * np.arange(13))
    assert play.looks == [0, 12, 6, 3, 9]  # 6 pixels of 40 may be interpolated, 12 may not


@settings(max_examples=15)
@given(first=st.integers(0, 40), length=st.integers(13, 40))
def test_any_long_enough_presence_is_found_exactly(first: int, length: int) -> None:
    last = min(first + length, 60) - 1
    play = Play((60, [Actor(1, during(first, last, still(100, 80)))]))
    (track,) = followed(play).tracks
    assert track.seen.tolist() == list(range(first, last + 1))


def test_everybody_is_followed() -> None:
    actors = [Actor(looks, line(60 + 100 * looks, 80, 0.2)) for looks in range(3)]
    found = followed(Play((40, actors)))
    assert [owner(Play((40, actors)), track) for track in found.tracks] == [{0}, {1}, {2}]
    assert all(len(track.seen) == 40 for track in found.tracks)


@pytest.mark.parametrize("speed", [2, 4, 7])
@pytest.mark.parametrize("looks", [(1, 2), (2, 1), (3, 4)])
def test_two_people_who_cross_are_not_swapped(speed: float, looks: tuple[int, int]) -> None:
    back, front = looks
    length = round(240 / speed)
    play = Play((length, [Actor(back, line(40, 85, speed)), Actor(front, line(280, 80, -speed))]))
    found = followed(play)
    people = listing(found)
    assert [owner(play, person[0]) for person in people] == [{0}, {1}]
    behind, before = (np.concatenate([track.seen for track in person]) for person in people)
    assert len(before) == length
    visible = [number for number in range(length) if 0 in play.boxes(number)]
    assert len(visible) < length
    assert set(behind) <= set(visible)
    assert len(behind) >= len(visible) - 6  # looks at half a face tell little


def test_even_twins_are_not_swapped() -> None:
    """Where looks tell nothing, a track may end; it does not go over to the other."""
    for speed in (2, 5, 9):
        actors = [Actor(1, line(40, 95, speed)), Actor(1, line(280, 80, -speed))]
        found = followed(Play((round(240 / speed), actors)))
        assert sum(len(track.seen) for track in found.tracks) > 240 / speed


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(st.integers(0, 319), st.integers(40, 140), st.floats(-6, 6)),
        min_size=1,
        max_size=4,
    )
)
def test_whoever_walks_wherever_is_not_swapped(
    walks: list[tuple[int, int, float]],
) -> None:
    followed(Play((50, [Actor(looks, line(*walk)) for looks, walk in enumerate(walks)])))


def test_who_was_hidden_is_the_same_afterwards() -> None:
    """A bar moves past; before it and after it there is one track, without boxes in between."""
    play = Play((80, [Actor(1, still(150, 90)), Actor(-3, line(0, 0, 3), side=60, height=180)]))
    (track,) = followed(play).tracks
    there = [number for number in range(80) if play.boxes(number)]
    assert 20 < len(there) < 60
    assert track.seen.tolist() == there


def test_who_comes_back_elsewhere_is_the_same() -> None:
    def walk(number: int) -> tuple[float, float] | None:
        return (60, 80) if number < 30 else (260, 100) if number >= 60 else None

    (track,) = followed(
        Play((100, [Actor(1, walk), Actor(2, during(20, 80, still(160, 80)))]))
    ).tracks[:1]
    assert track.seen.tolist() == [*range(30), *range(60, 100)]


def test_who_takes_a_place_is_not_who_left_it() -> None:
    actors = [
        Actor(1, during(0, 39, still(150, 90))),
        Actor(2, during(44, 99, still(152, 90))),
    ]
    found = followed(Play((100, actors)))
    assert [track.seen.tolist() for track in found.tracks] == [
        list(range(40)),
        list(range(44, 100)),
    ]


def test_nothing_is_carried_over_a_cut() -> None:
    play = Play(
        (29, [Actor(1, still(100, 80))]),
        (31, [Actor(2, still(110, 85)), Actor(1, still(250, 80), side=60)]),
        (20, []),
        (20, [Actor(1, still(100, 80))]),
    )
    found = followed(play)
    assert found.cuts.tolist() == [0, 29, 60, 80]
    assert [(t.scene, t.first, t.last) for t in found.tracks] == [
        (0, 0, 28),
        (1, 29, 59),
        (1, 29, 59),
        (3, 80, 99),
    ]
    for track, x in zip(found.tracks, (100, 110, 250, 100), strict=True):
        np.testing.assert_array_equal(centres(track)[:, 0], x)
    assert {28, 29, 59, 60, 79, 80} <= set(play.looks)


def test_a_cut_that_changes_nothing_but_the_faces() -> None:
    """The same studio, another speaker in the next frame, and the first again."""
    actors = [
        Actor(1, lambda k: None if 30 <= k < 60 else (100, 80)),
        Actor(2, during(30, 59, still(110, 85))),
    ]
    found = followed(Play((90, actors)))
    assert found.cuts.tolist() == [0, 30, 60]
    spans = [(t.scene, t.first, t.last) for t in found.tracks]
    assert spans == [(0, 0, 29), (1, 30, 59), (2, 60, 89)]


def test_what_is_found_once_beside_others_is_dropped() -> None:
    play = Play((60, [Actor(1, still(100, 80))]))
    play.strays = {24: (200, 20, 240, 60), 25: (200, 20, 240, 60)}
    found = find_tracks(play.frames(), play)
    assert [len(track.seen) for track in found.tracks] == [60]


def test_what_alone_is_found_once_stays() -> None:
    play = Play((60, []))
    play.strays = {24: (200, 20, 240, 60)}
    assert [track.seen.tolist() for track in find_tracks(play.frames(), play).tracks] == [[24]]


def test_the_best_look_is_a_large_one() -> None:
    (track,) = followed(Play((60, [Actor(1, still(100, 80))]))).tracks
    assert track.best == 0
    nearer = Play(
        (30, [Actor(1, still(100, 80))]),
    )
    nearer.boxes = lambda number: {0: (80, 60, 120, 100 + number)}  # type: ignore[method-assign]
    (track,) = find_tracks(nearer.frames(), nearer).tracks
    assert track.best == 29


class ByPattern:
    """An identity that takes the mean luma of a face for its embedding, and counts."""

    def __init__(self) -> None:
        self.asked = 0

    def embed(self, frame: Frame, face: Face) -> np.ndarray:
        self.asked += 1
        left, top, right, bottom = (round(at) for at in face.box)
        return np.full(128, frame[top:bottom, left:right].mean() / 10)


def test_few_embeddings_are_made() -> None:
    identify = ByPattern()
    play = Play((200, [Actor(1, still(100, 80)), Actor(2, still(200, 80))]))
    found = find_tracks(play.frames(), play, identify)
    assert 2 <= identify.asked <= 6
    assert all(track.embedding is not None for track in found.tracks)
    assert not np.allclose(found.tracks[0].embedding, found.tracks[1].embedding)
    assert find_tracks(play.frames(), play).tracks[0].embedding is None


def test_memory_does_not_grow_with_the_video() -> None:
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0
    play = Play((150, [Actor(1, line(40, 80, 1))]))

    def watched() -> Iterator[Frame]:
        nonlocal most
        for frame in play.frames():
            alive.append(weakref.ref(frame))
            most = max(most, sum(ref() is not None for ref in alive))
            yield frame

    find_tracks(watched(), play, key_interval=12)
    assert most <= 20


def test_packed_tracks_are_the_same_tracks() -> None:
    actors = [Actor(1, line(60, 80, 0.5)), Actor(2, during(5, 20, still(200, 90)))]
    found = followed(Play((30, actors), (20, [Actor(3, still(100, 80))])))
    assert len(found.tracks) == 3
    named = [*found.tracks[:2], replace(found.tracks[2], embedding=np.arange(128) / 7)]
    before = replace(found, tracks=tuple(named))
    after = unpack(pack(before))
    assert (after.frames, after.cuts.tolist()) == (before.frames, before.cuts.tolist())
    for one, other in zip(before.tracks, after.tracks, strict=True):
        assert (one.scene, one.first, one.best) == (other.scene, other.first, other.best)
        np.testing.assert_array_equal(one.boxes, other.boxes)
        for look, again in zip(one.looks, other.looks, strict=True):
            assert look.difference(again) == pytest.approx(0, abs=1e-5)
            assert look.frontal == again.frontal
            assert (look.chest is None) == (again.chest is None)
        if one.embedding is None:
            assert other.embedding is None
        else:
            np.testing.assert_array_equal(one.embedding, other.embedding)
