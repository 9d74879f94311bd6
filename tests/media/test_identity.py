"""Identity: embeddings tell people apart; real people who cross keep their tracks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media import identity
from lipgan_cli.engine.media.detectors import Face, HogDetector
from lipgan_cli.engine.media.identity import SAME_PERSON, DlibIdentity, distance
from lipgan_cli.engine.media.people import choose, listing
from lipgan_cli.engine.media.picture import Frame, luma
from lipgan_cli.engine.media.tracks import find_tracks
from lipgan_cli.engine.media.video import probe, read_frames

HEIGHT, WIDTH = 240, 640
SPEED = 8  # pixels a frame
LENGTH = 66


@pytest.fixture(scope="module")
def known() -> DlibIdentity:
    try:
        return DlibIdentity()
    except InputError as error:
        pytest.skip(error.message)


def frame_of(rgb: np.ndarray) -> Frame:
    return cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2YUV_I420).astype(np.uint8)


def portrait(scale: float = 1.0, roll: float = 0.0) -> Frame:
    """Return a frame with the astronaut's face."""
    from skimage.data import astronaut

    matrix = cv2.getRotationMatrix2D((222, 127), roll, scale)
    matrix[:, 2] += 200 - np.array([222, 127])
    return frame_of(cv2.warpAffine(astronaut(), matrix, (400, 400)))


def only_face(frame: Frame) -> Face:
    (face,) = HogDetector().detect(luma(frame), 2 * frame.shape[1])
    return face


@pytest.fixture(scope="module")
def speakers(grid_dir: Path) -> list[list[np.ndarray]]:
    """Heads of two people, 160 x 200 RGB, as many pictures as their clips have."""
    heads = []
    for speaker in ("s1", "s32"):
        clip = min((grid_dir / "test" / speaker).iterdir())
        pictures = [cv2.cvtColor(f, cv2.COLOR_YUV2RGB_I420) for f in read_frames(probe(clip))]
        found = HogDetector().detect(cv2.cvtColor(pictures[0], cv2.COLOR_RGB2GRAY), 360)
        (x, y), side = found[0].centre, found[0].side
        rows = slice(round(y - side), round(y + side))
        columns = slice(round(x - 0.8 * side), round(x + 0.8 * side))
        heads.append([cv2.resize(picture[rows, columns], (160, 200)) for picture in pictures])
    return heads


def crossing(speakers: list[list[np.ndarray]]) -> Iterator[Frame]:
    """Yield frames in which the first passes behind the second from left to right."""
    for number in range(LENGTH):
        picture = np.full((HEIGHT, WIDTH, 3), (90, 110, 120), np.uint8)
        for heads, x in zip(speakers, (SPEED * number, 480 - SPEED * number), strict=True):
            left, right = max(x, 0), min(x + 160, WIDTH)
            picture[20:220, left:right] = heads[number % len(heads)][:, left - x : right - x]
        yield frame_of(picture)


def test_one_face_is_itself_at_any_size_and_roll(known: DlibIdentity) -> None:
    first = portrait()
    embedding = known.embed(first, only_face(first))
    assert embedding.shape == (128,)
    for scale, roll in ((2.0, 0), (0.6, 0), (1.0, 25), (1.0, -25)):
        other = portrait(scale, roll)
        assert distance(embedding, known.embed(other, only_face(other))) < 0.45


def test_two_people_are_two(known: DlibIdentity, speakers: list[list[np.ndarray]]) -> None:
    looks = []
    for heads in speakers:
        for picture in (heads[0], heads[40]):
            frame = frame_of(picture)
            looks.append(known.embed(frame, only_face(frame)))
    assert distance(looks[0], looks[1]) < 0.45
    assert distance(looks[2], looks[3]) < 0.45
    assert min(distance(a, b) for a in looks[:2] for b in looks[2:]) > SAME_PERSON


@pytest.mark.parametrize("identified", [False, True])
def test_real_people_who_cross_are_not_swapped(
    identified: bool, speakers: list[list[np.ndarray]], request: pytest.FixtureRequest
) -> None:
    identify = request.getfixturevalue("known") if identified else None
    found = find_tracks(crossing(speakers), HogDetector(), identify)
    people = listing(found)
    assert len(people) == 2
    for number, start, step in ((1, 80, SPEED), (2, 560, -SPEED)):
        boxes = choose(found, number, (WIDTH, HEIGHT))
        x = (boxes[:, 0] + boxes[:, 2]) / 2
        seen = ~np.isnan(x)
        assert np.abs(x - start - step * np.arange(LENGTH))[seen].max() < 30
        assert seen[:15].any()
        assert seen[-15:].any()  # both sides of the crossing
    assert (~np.isnan(x)).sum() > LENGTH - 6  # who is in front is seen all the time


def test_what_is_not_installed_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "find_model", lambda name: None)
    with pytest.raises(InputError, match="dlib's model") as error:
        DlibIdentity()
    assert error.value.hint.startswith("lipgan download-weights landmarks-5 face-embedding")
