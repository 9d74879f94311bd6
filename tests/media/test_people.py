"""Choice: which face is meant, scene by scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.detectors import Face
from lipgan_cli.engine.media.likeness import likeness
from lipgan_cli.engine.media.people import (
    Choice,
    Point,
    Position,
    choose,
    listing,
    one_person,
    parse,
)
from lipgan_cli.engine.media.tracks import Track, Tracks

SIZE = (640, 360)


def looks(person: int) -> tuple:
    """Return the likeness of a picture that is as unlike others as people are."""
    luma = np.random.default_rng(person).integers(0, 255, (6, 6), dtype=np.uint8)
    luma = np.kron(luma, np.ones((20, 20), np.uint8))
    frame = np.concatenate([luma, np.full((60, 120), 90 + 9 * person, np.uint8)])
    return (likeness(frame, Face((20, 20, 100, 100))),)


def track(
    person: int,
    scene: int,
    frames: tuple[int, int],
    x: float,
    side: float = 100,
    known: bool = False,
) -> Track:
    """Return the track of a person who stays at (x, 180), from a frame to before another."""
    row = [x - side / 2, 180 - side / 2, x + side / 2, 180 + side / 2, 0]
    embedding = np.full(128, person / 10.0) if known else None
    boxes = np.tile(np.array(row), (frames[1] - frames[0], 1))
    return Track(scene, frames[0], boxes, frames[0], looks(person), embedding)


def film(*tracks: Track, frames: int = 100, cuts: tuple[int, ...] = (0, 50)) -> Tracks:
    return Tracks(frames, np.array(cuts), tracks)


def chosen(tracks: Tracks, choice: Choice, **more: np.ndarray) -> list[tuple[int, int, int]]:
    """Return (first, last, x) of each stretch in which somebody is chosen."""
    boxes = choose(tracks, choice, SIZE, **more)
    assert boxes.shape == (tracks.frames, 5)
    x = (boxes[:, 0] + boxes[:, 2]) / 2
    seen = np.flatnonzero(~np.isnan(x))
    stretches = np.split(seen, np.flatnonzero((np.diff(seen) > 1) | (np.diff(x[seen]) != 0)) + 1)
    return [(int(part[0]), int(part[-1]), int(x[part[0]])) for part in stretches if len(part)]


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("largest", Position.LARGEST),
        (" Left ", Position.LEFT),
        ("right", Position.RIGHT),
        ("CENTER", Position.CENTER),
        ("3", 3),
        ("120,80", Point(120, 80)),
        ("120.5, 0", Point(120.5, 0)),
    ],
)
def test_what_can_be_said(text: str, choice: Choice) -> None:
    assert parse(text) == choice


def test_a_picture_is_told_from_a_word(tmp_path: Path) -> None:
    (tmp_path / "left").write_bytes(b"")
    assert parse(str(tmp_path / "left")) == tmp_path / "left"
    with pytest.raises(InputError, match=r"'missing\.jpg' is not a file"):
        parse("missing.jpg")


@pytest.mark.parametrize("text", ["", "middle", "0", "-1", "1,2,3", "nan,1", "1,inf", "1,", "²"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(InputError) as error:
        parse(text)
    assert "largest, left, right, center" in str(error.value.hint)
    assert "\n" not in error.value.message


@given(st.text())
def test_any_text_is_a_choice_or_an_error_of_one_line(text: str) -> None:
    try:
        said = parse(text)
    except InputError as error:
        said = error.message
    assert isinstance(said, Choice) or len(said.splitlines()) == 1


TWO = film(
    track(1, 0, (0, 50), 100, side=90),
    track(2, 0, (0, 50), 330, side=100),
    track(3, 0, (5, 50), 500, side=80),
    track(2, 1, (50, 100), 120, side=70),
    track(1, 1, (50, 90), 400, side=80),
)


@pytest.mark.parametrize(
    ("choice", "stretches"),
    [
        (Position.LARGEST, [(0, 49, 330), (50, 89, 400)]),
        (Position.LEFT, [(0, 49, 100), (50, 99, 120)]),
        (Position.RIGHT, [(5, 49, 500), (50, 89, 400)]),
        (Position.CENTER, [(0, 49, 330), (50, 89, 400)]),
        (1, [(0, 49, 100)]),
        (3, [(5, 49, 500)]),
        (4, [(50, 99, 120)]),
        (Point(360, 200), [(0, 49, 330), (50, 89, 400)]),  # then the nearest
        (Point(150, 60), [(0, 49, 100), (50, 99, 120)]),  # not on a face, but by one
        (Point(510, 180), [(5, 49, 500), (50, 89, 400)]),
    ],
)
def test_whom_a_choice_takes(choice: Choice, stretches: list[tuple[int, int, int]]) -> None:
    assert chosen(TWO, choice) == stretches


def test_who_passes_by_is_not_chosen_by_size() -> None:
    tracks = film(track(1, 0, (0, 100), 100), track(2, 0, (40, 60), 300, side=300), cuts=(0,))
    assert chosen(tracks, Position.LARGEST) == [(0, 99, 100)]


def test_who_is_known_is_one_person_in_all_scenes() -> None:
    tracks = film(
        track(1, 0, (0, 50), 100, known=True),
        track(9, 0, (0, 50), 300, known=True),
        track(9, 1, (50, 100), 100, known=True),
        track(1, 1, (60, 90), 400, known=True),
    )
    first, second = listing(tracks)
    assert [(part.scene, part.first) for part in first] == [(0, 0), (1, 60)]
    assert [(part.scene, part.first) for part in second] == [(0, 0), (1, 50)]
    assert chosen(tracks, 1) == chosen(tracks, Point(100, 180)) == [(0, 49, 100), (60, 89, 400)]
    assert chosen(tracks, 2) == [(0, 49, 300), (50, 99, 100)]
    picture = Path("reference.jpg")
    assert chosen(tracks, picture, reference=np.full(128, 0.92)) == [(0, 49, 300), (50, 99, 100)]
    with pytest.raises(InputError, match=r"nobody .* like reference\.jpg"):
        choose(tracks, picture, SIZE, reference=np.full(128, 5.0))


def test_without_embeddings_each_scene_numbers_anew() -> None:
    assert [part.first for person in listing(TWO) for part in person] == [0, 0, 5, 50, 50]


def test_in_a_scene_one_person_goes_on_and_another_does_not() -> None:
    tracks = film(
        track(1, 0, (0, 40), 100),
        track(2, 0, (10, 60), 400),
        track(1, 0, (70, 100), 200),  # the first again, elsewhere
        track(3, 0, (70, 90), 410),  # someone where the second was
        cuts=(0,),
    )
    assert chosen(tracks, 1) == [(0, 39, 100), (70, 99, 200)]
    assert chosen(tracks, 2) == [(10, 59, 400)]
    assert len(listing(tracks)) == 3


def test_where_there_is_never_another_face_place_tells() -> None:
    """Someone turned away and back, and looks different now."""
    near = film(track(1, 0, (0, 40), 100), track(2, 0, (50, 100), 140), cuts=(0,))
    assert chosen(near, Position.LARGEST) == [(0, 39, 100), (50, 99, 140)]
    far = film(track(1, 0, (0, 40), 100), track(2, 0, (50, 100), 300), cuts=(0,))
    assert chosen(far, Position.LARGEST) == [(0, 39, 100)] or len(listing(far)) == 2


def test_hidden_frames_stay_empty() -> None:
    hidden = track(1, 0, (0, 50), 100)
    hidden.boxes[20:30] = np.nan
    assert chosen(film(hidden), Position.LARGEST) == [(0, 19, 100), (30, 49, 100)]


def test_one_person_and_nobody_else() -> None:
    tracks = film(
        track(1, 0, (0, 50), 100, side=120),
        track(2, 0, (0, 50), 300),
        track(2, 1, (50, 100), 100),
        track(1, 2, (100, 150), 300),
        frames=150,
        cuts=(0, 50, 100),
    )
    seen = np.flatnonzero(~np.isnan(one_person(tracks)[:, 0]))
    assert seen.tolist() == [*range(50), *range(100, 150)]


@pytest.mark.parametrize("choice", [6, Point(330, 350)])
def test_an_error_says_which_faces_there_are(choice: Choice) -> None:
    with pytest.raises(InputError) as error:
        choose(TWO, choice, SIZE)
    assert "1 at 100,180 (90 pixels, frame 0); 2 at 330,180" in str(error.value.hint)
    assert "5 at 400,180 (80 pixels, frame 50)" in str(error.value.hint)


def test_a_film_without_faces() -> None:
    empty = film()
    assert chosen(empty, Position.LARGEST) == []
    assert listing(empty) == ()
    assert np.isnan(one_person(empty)).all()
    for choice in (1, Point(1, 1)):
        with pytest.raises(InputError) as error:
            choose(empty, choice, SIZE)
        assert "no face was found" in str(error.value.hint)
