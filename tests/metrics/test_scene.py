"""The face in a video: its times, its parts, its crops."""

from __future__ import annotations

from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from skimage.data import astronaut
from skimage.transform import resize

from lipgan_cli.engine.media.clock import constant
from lipgan_cli.engine.media.faces import cut
from lipgan_cli.engine.media.video import VideoInfo, probe, read_frames, to_rgb
from lipgan_cli.engine.metrics.scene import Scene, look
from lipgan_cli.engine.progress import Silent

NOWHERE = np.full(3, np.nan)


def scene_of(squares, fps=25, width=100, height=80, clock=None):
    clock = clock or constant(Fraction(fps), len(squares))
    info = VideoInfo(Path("film.mp4"), width, height, clock, 0.0, True, False)
    squares = np.array(squares, float)
    return Scene(info, np.full((len(squares), 4), np.nan), squares)


def write(path, frames, fps=25):
    """Write I420 frames without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=fps)
        height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for planes in frames:
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def noise(seed, width=64, height=48):
    return np.random.default_rng(seed).integers(16, 235, (height * 3 // 2, width), dtype=np.uint8)


class Told(Silent):
    def __init__(self):
        self.notes, self.tasks, self.steps = [], [], 0

    @contextmanager
    def task(self, description, total=None, unit=""):
        self.tasks.append((description, total, unit))
        yield self

    def advance(self, steps=1):
        self.steps += steps

    def note(self, message):
        self.notes.append(message)


def test_frames_with_a_face():
    square = [50, 40, 40]
    scene = scene_of([NOWHERE, square, square, NOWHERE, square])
    assert scene.seen.tolist() == [1, 2, 4]


def middle(height, width):
    """A part of a face: rows from a quarter to half, columns from a half on."""
    return slice(height // 4, height // 2), slice(width // 2, width)


@pytest.mark.parametrize(
    ("square", "part"),
    [
        # A square of 40 about 50, 40 begins at 30, 20.
        ((50, 40, 40), (slice(30, 40), slice(50, 70))),
        ((50, 9, 40), (slice(0, 9), slice(50, 70))),  # it begins 11 above the picture
        ((95, 40, 40), (slice(30, 40), slice(95, 100))),  # and ends 15 to the right of it
        ((50, 5, 40), (slice(0, 5), slice(50, 70))),
        ((50, 0, 40), None),  # the part is all above
        ((110, 40, 40), None),
        ((-10, 40, 40), (slice(30, 40), slice(0, 10))),
        ((-21, 40, 40), None),
        (NOWHERE, None),
    ],
)
def test_a_part_of_the_face_in_a_picture_of_100_by_80(square, part):
    assert scene_of([square]).part(0, middle) == part


def test_a_part_is_asked_for_in_the_size_of_the_square():
    asked = []

    def whole(height, width):
        asked.append((height, width))
        return slice(0, height), slice(0, width)

    scene = scene_of([[50.4, 39.7, 40.4]])
    assert scene.part(0, whole) == (slice(20, 60), slice(30, 70))
    assert asked == [(40, 40)]
    assert scene.part(1, whole) is None  # beyond the last frame


def test_crops_are_those_of_the_squares(tmp_path):
    frames = [noise(i) for i in range(4)]
    info = probe(write(tmp_path / "film.mkv", frames))
    squares = np.array([[30, 24, 20], NOWHERE, [32, 20, 24], [60, 40, 30]])
    scene = Scene(info, np.full((4, 4), np.nan), squares)
    told = Told()
    crops = list(scene.crops(info, told))
    assert told.tasks == [("reading film.mkv", 4, "frames")]
    assert told.steps == 4
    assert len(crops) == 3
    decoded = list(read_frames(info))
    for crop, number in zip(crops, (0, 2, 3), strict=True):
        assert crop.shape == (96, 96, 3)
        assert np.array_equal(crop, cut(to_rgb(decoded[number]), squares[number]))


def test_another_film_is_cut_at_the_same_places(tmp_path):
    info = probe(write(tmp_path / "real.mkv", [noise(i) for i in range(3)]))
    other = probe(write(tmp_path / "other.mkv", [noise(9 + i) for i in range(3)]))
    squares = np.array([[30.0, 24, 20]] * 3)
    scene = Scene(info, np.full((3, 4), np.nan), squares)
    one, two = (list(scene.crops(film, Silent())) for film in (info, other))
    assert len(one) == len(two) == 3
    assert not np.array_equal(one[0], two[0])
    first = next(iter(read_frames(other)))
    assert np.array_equal(two[0], cut(to_rgb(first), squares[0]))


@pytest.fixture(scope="module")
def portrait():
    picture = resize(astronaut()[:240, 100:340], (160, 160), preserve_range=True).astype(np.uint8)
    return av.VideoFrame.from_ndarray(picture, format="rgb24").to_ndarray(format="yuv420p")


def test_the_face_is_found(tmp_path, portrait):
    told = Told()
    info = probe(write(tmp_path / "film.mkv", [portrait] * 3))
    scene = look(info, told)
    assert scene.info is info
    assert scene.seen.tolist() == [0, 1, 2]
    assert told.notes == []
    assert told.tasks == [("finding the face in film.mkv", 3, "frames")]
    assert told.steps == 3
    left, top, right, bottom = scene.boxes[0]
    assert 0 < left < 85 < right < 160  # the nose is near 85, 72
    assert 0 < top < 72 < bottom < 160
    x, y, side = scene.squares[0]
    assert side == pytest.approx(1.1 * (right - left + bottom - top) / 2)
    assert (x, y) == pytest.approx(((left + right) / 2, (top + bottom) / 2 + 0.05 * side))


def test_frames_without_a_face_are_told(tmp_path, portrait):
    empty = np.full_like(portrait, 120)
    told = Told()
    path = write(tmp_path / "film.mkv", [empty] * 2 + [portrait] * 3)
    scene = look(probe(path), told)
    assert scene.seen.tolist() == [2, 3, 4]
    assert told.notes == [f"{path}: no face in 2 of 5 frames"]
    nobody = look(probe(write(tmp_path / "empty.mkv", [empty] * 2)), told)
    assert nobody.seen.tolist() == []
    assert list(nobody.crops(nobody.info, Silent())) == []
