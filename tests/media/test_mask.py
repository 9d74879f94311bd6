"""The mask: chin and lips inside, the tip of the nose outside, and it follows the face."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.media import faces
from lipgan_cli.engine.media.detectors import HogDetector
from lipgan_cli.engine.media.landmarks import PREDICTOR, Landmarks, find_model
from lipgan_cli.engine.media.mask import Floats, Points, feather, in_crop, mouth
from lipgan_cli.engine.media.people import one_person
from lipgan_cli.engine.media.picture import luma
from lipgan_cli.engine.media.tracks import find_tracks
from lipgan_cli.engine.media.video import probe, read_frames


def face(dx: float = 0, dy: float = 0, scale: float = 1) -> Points:
    """Points of a drawn face where GRID's lie on average: jaw, nose and lips, else nowhere."""
    points = np.full((68, 2), 48.0)
    turn = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([48 + 37 * np.cos(turn), 40 + 52 * np.sin(turn)], axis=1)
    points[17:48, 1] = 25
    points[30] = 48, 43
    points[31:36] = np.stack([np.linspace(42, 54, 5), [50, 51, 51.6, 51, 50]], axis=1)
    around = np.linspace(np.pi, -np.pi, 12, endpoint=False)
    points[48:60] = np.stack([48 + 14 * np.cos(around), 66 - 6 * np.sin(around)], axis=1)
    points[60:] = 48, 66
    return (points - 60) * scale + 60 + (dx, dy)


def at(mask: Floats, point: np.ndarray) -> float:
    column, row = (min(max(int(value), 0), 95) for value in point)
    return float(mask[row, column])


def test_the_ellipse_is_solid_at_the_mouth_and_gone_before_the_border() -> None:
    mask = feather()
    assert (mask[60:86, 36:60] == 1).all()
    assert mask[:48].max() == 0  # eyes and nose
    assert max(mask[95].max(), mask[:, :17].max(), mask[:, 79:].max()) == 0
    assert np.abs(np.diff(mask, axis=0)).max() < 0.3
    assert np.abs(np.diff(mask, axis=1)).max() < 0.3
    assert np.allclose(mask, mask[:, ::-1])


def test_the_ellipse_fits_the_faces_that_it_was_fitted_to() -> None:
    """GRID's mean points: tip of the nose, corners and middle of the lips, tip of the chin."""
    mask = feather()
    assert at(mask, np.array([47.6, 43.1])) == 0
    for point in ((34.2, 65.2), (61.6, 64.9), (47.7, 61.3), (47.8, 72.5)):
        assert at(mask, np.array(point)) > 0.97
    assert at(mask, np.array([48.2, 92.3])) > 0.5


def test_the_lips_of_95_percent_of_the_frames_show_nothing_of_the_source() -> None:
    assert (mouth()[55:83, 44:52] == 1).all()
    assert (mouth()[68, 28:68] == 1).all()
    assert mouth()[:46].max() == 0


@given(dx=st.floats(-6, 6), dy=st.floats(-8, 4), scale=st.floats(0.85, 1.1))
def test_the_mask_follows_the_face(dx: float, dy: float, scale: float) -> None:
    points = face(dx, dy, scale)
    mask, lips = feather(points), mouth(points)
    assert at(mask, points[30]) == 0
    if points[8, 1] < 92:  # else the chin reaches out of the crop
        assert at(mask, points[8]) > 0.2
    for point in points[48:60]:
        assert at(lips, point) == 1
        assert at(mask, point) > 0.99
    beyond = 1.25 * (points[3:14] - points[51]) + points[51] + (0, 2)
    for point in beyond[(beyond >= 0).all(axis=1) & (beyond < 96).all(axis=1)]:
        assert at(mask, point) == 0


def test_a_mask_moves_and_turns_with_its_face() -> None:
    one, other = feather(face()), feather(face(dx=5, dy=-4))
    assert np.abs(one[30:80, 10:80] - other[26:76, 15:85]).max() < 0.02
    mirrored = face()
    mirrored[:, 0] = 96 - mirrored[:, 0]
    assert np.abs(feather(mirrored) - one[:, ::-1]).max() < 0.02


@given(dx=st.floats(-200, 200), dy=st.floats(-200, 200))
def test_a_mask_ends_within_the_crop_wherever_the_points_lie(dx: float, dy: float) -> None:
    mask = feather(face(dx, dy))
    assert mask.shape == (96, 96)
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert max(mask[0].max(), mask[95].max(), mask[:, 0].max(), mask[:, 95].max()) == 0


def test_points_of_a_frame_become_those_of_its_crop() -> None:
    """The square 10, 20, 48: every pixel becomes two, whose border is the crop's."""
    points = np.array([[10.0, 20.0], [9.5, 19.5], [57.5, 67.5]])
    assert in_crop(points, (10, 20, 48)).tolist() == [[1, 1], [0, 0], [96, 96]]


@pytest.mark.parametrize("clip", ["train/s1/bbaf2n.mp4", "train/s4/bbilzs_hi.mp4"])
def test_real_faces_have_chin_and_lips_inside_and_the_nose_outside(
    grid_dir: Path, clip: str
) -> None:
    model = find_model(PREDICTOR)
    if model is None:
        pytest.skip("no landmark model: face_recognition_models is not installed")
    finder = Landmarks(model)
    films = list(islice(read_frames(probe(grid_dir / clip)), 20))
    boxes = one_person(find_tracks(films, HogDetector()))[:, :4]
    frames = [luma(frame) for frame in films]
    for number, square in enumerate(faces.squares(boxes, 25)):
        left, top, right, bottom = boxes[number]
        found = finder.points(frames[number], (left, top, right, bottom))
        points = in_crop(found, faces.region(square))
        assert at(feather(), points[30]) < 0.3
        assert at(feather(points), points[30]) == 0
        for point in points[48:60]:
            assert at(feather(), point) > 0.9
            assert at(feather(points), point) > 0.99
        if points[8, 1] < 92:
            assert at(feather(), points[8]) > 0.5
            assert at(feather(points), points[8]) > 0.2
