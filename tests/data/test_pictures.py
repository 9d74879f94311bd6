"""How faces vary: always alike, by as much as is said, and each by its own switch."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipgan_cli.engine.config import GROUPS, Augmentation, TrainConfig
from lipgan_cli.engine.data import pictures
from lipgan_cli.engine.data.pictures import vary

ALL = tuple(Augmentation)
SEEDS = range(40)


def face():
    """A smooth face of our own: a ramp in red and green, an eye, a mouth."""
    ramp = np.linspace(40, 210, 96).astype(np.uint8)
    drawn = np.full((96, 96, 3), 90, np.uint8)
    drawn[..., 0], drawn[..., 1] = ramp, ramp[:, None]
    cv2.circle(drawn, (30, 35), 6, (20, 20, 20), -1)
    cv2.ellipse(drawn, (48, 72), (14, 6), 0, 0, 360, (150, 40, 50), -1)
    return drawn


def varied(*names, seeds=SEEDS, picture=None):
    picture = face() if picture is None else picture
    chosen = [Augmentation(name) for name in names]
    return [vary([picture], np.random.default_rng(seed), chosen)[0] for seed in seeds]


def dots(*places):
    """White dots of 5 pixels on black, which tell where a place has gone."""
    picture = np.zeros((96, 96, 3), np.uint8)
    for column, row in places:
        picture[row - 2 : row + 3, column - 2 : column + 3] = 255
    return picture


def centre(picture):
    """Column and row of the middle of what is white."""
    weights = picture[..., 0].astype(float)
    rows, columns = np.mgrid[:96, :96]
    return np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()


def test_reference_and_target_vary_alike():
    without_grain = [one for one in Augmentation if one is not Augmentation.NOISE]
    for seed in range(20):
        one, other = vary([face(), face()], np.random.default_rng(seed), without_grain)
        assert np.array_equal(one, other)
        assert one.dtype == np.uint8
        assert one.shape == (96, 96, 3)


def test_noise_is_of_one_strength_but_not_the_same():
    grey = np.full((96, 96, 3), 128, np.uint8)
    noises = []
    for seed in SEEDS:
        one, other = vary([grey, grey], np.random.default_rng(seed), [Augmentation.NOISE])
        assert one.std() == pytest.approx(other.std(), rel=0.03, abs=0.05)
        noises.append(one.std())
        if one.std() > 1:
            assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.05
    assert 10 < sum(noise < 0.3 for noise in noises) < 32
    assert 8 < max(noises) < 12.5


def test_nothing_chosen_is_nothing_done():
    for chosen in ((), GROUPS["sound"]):
        assert np.array_equal(vary([face()], np.random.default_rng(3), chosen)[0], face())


@pytest.mark.parametrize("one", [*GROUPS["photometric"], *GROUPS["geometric"], *GROUPS["warp"]])
def test_each_does_something_of_its_own(one):
    changed = [not np.array_equal(out, face()) for out in varied(one)]
    assert sum(changed) >= (2 if one is Augmentation.MONOCHROME else 8)


@pytest.mark.parametrize("off", list(Augmentation)[:13])
def test_switching_one_off_leaves_what_the_others_draw(off):
    """Ask the generator where it stands: it is at the same place whatever was chosen."""
    everything, without = np.random.default_rng(5), np.random.default_rng(5)
    vary([face()], everything, ALL)
    vary([face()], without, [one for one in ALL if one is not off])
    assert everything.random() == without.random()


def test_switching_light_off_leaves_the_place():
    for seed in range(5):
        dot = dots((30, 60))
        both, place = (
            vary([dot], np.random.default_rng(seed), [*light, Augmentation.ROTATION])[0]
            for light in ([Augmentation.BLUR, Augmentation.HUE], [])
        )
        assert centre(both) == pytest.approx(centre(place), abs=0.3)


def test_light_varies_and_keeps_its_order():
    ramp = np.repeat(np.arange(96, dtype=np.uint8)[None, :, None] * 2, 96, 0).repeat(3, 2)
    for name in ("brightness", "contrast", "gamma"):
        outs = varied(name, picture=ramp)
        assert all((np.diff(out[0, :, 0].astype(int)) >= 0).all() for out in outs)
        middles = [int(out[0, 48, 0]) for out in outs]
        assert max(middles) - min(middles) > 10
    # Contrast turns about mid-grey, gamma keeps black and white.
    grey = np.full((96, 96, 3), 128, np.uint8)
    assert all(abs(int(out[0, 0, 0]) - 128) <= 1 for out in varied("contrast", picture=grey))
    ends = np.zeros((96, 96, 3), np.uint8)
    ends[48:] = 255
    assert all(np.array_equal(out, ends) for out in varied("gamma", picture=ends))


def test_hue_keeps_a_grey_picture_grey_but_for_the_tint():
    skin = np.full((96, 96, 3), (180, 130, 110), np.uint8)
    reddish = [float(out[0, 0, 0]) - float(out[0, 0, 2]) for out in varied("hue", picture=skin)]
    assert min(reddish) < 25
    assert max(reddish) > 80


def test_turning_colours_keeps_grey_and_luma():
    turn = pictures._turn(0.3)
    assert turn @ np.ones(3) == pytest.approx(np.ones(3))
    colour = np.array([0.7, 0.4, 0.2])
    luma = np.array([0.299, 0.587, 0.114])
    assert luma @ (turn @ colour) == pytest.approx(luma @ colour)
    assert pictures._turn(0.0) == pytest.approx(np.eye(3))


def test_monochrome_is_grey_at_times():
    outs = varied("monochrome", "hue", seeds=range(200))
    grey = [out for out in outs if (out.max(axis=2) == out.min(axis=2)).all()]
    assert 15 <= len(grey) <= 50  # 30 expected
    expected = cv2.cvtColor(face(), cv2.COLOR_RGB2GRAY)
    np.testing.assert_allclose(grey[0][..., 0].astype(int), expected, atol=1)


def test_blur_and_jpeg_keep_light_and_lose_detail():
    sharpness = cv2.Laplacian(face(), cv2.CV_64F).std()
    blurred = [out for out in varied("blur") if not np.array_equal(out, face())]
    assert all(cv2.Laplacian(out, cv2.CV_64F).std() < sharpness for out in blurred)
    for out in (*blurred, *varied("jpeg")):
        np.testing.assert_allclose(out.mean((0, 1)), face().mean((0, 1)), atol=2)
    errors = [np.abs(out.astype(int) - face()).mean() for out in varied("jpeg")]
    assert 0.5 < max(errors) < 6


def test_a_mirrored_face_is_mirrored():
    outs = varied("mirror")
    mirrored = [np.array_equal(out, face()[:, ::-1]) for out in outs]
    assert all(m or np.array_equal(out, face()) for m, out in zip(mirrored, outs, strict=True))
    assert 10 < sum(mirrored) < 30


def test_mirror_and_the_rest_of_the_map_agree():
    """Mirrored or not, a rotated face is the rotation of the face that it shows."""
    for seed in range(8):
        dot = dots((30, 60))
        alone, turned = (
            vary([dot], np.random.default_rng(seed), [Augmentation.MIRROR, *more])[0]
            for more in ([], [Augmentation.ROTATION])
        )
        away = np.hypot(*(centre(turned) - centre(alone)))
        assert away < 3.1  # 8 degrees at 22 pixels from the middle


def test_rotation_turns_about_the_middle():
    assert all(
        centre(out) == pytest.approx([48, 48], abs=0.2)
        for out in varied("rotation", picture=dots((48, 48)))
    )
    ends = [centre(out) for out in varied("rotation", picture=dots((48, 88)))]
    angles = np.rad2deg([np.arctan2(end[0] - 47.5, end[1] - 47.5) for end in ends])
    assert -8.8 < angles.min() < -5
    assert 5 < angles.max() < 8.8


def test_jitter_shifts_by_four_pixels_at_most():
    moved = np.array([centre(out) - 48 for out in varied("jitter", picture=dots((48, 48)))])
    assert np.abs(moved).max() < 4.3
    assert np.abs(moved).max(axis=0).min() > 3


def test_shear_slides_rows_and_keeps_them():
    ends = np.array([centre(out) for out in varied("shear", picture=dots((48, 88)))])
    assert np.abs(ends[:, 1] - 88).max() < 0.2
    assert 2 < np.abs(ends[:, 0] - 48).max() < 3.5  # 0.08 of 40.5 rows


def test_warp_moves_places_apart_by_little():
    corners = [(20, 20), (75, 20), (48, 48), (20, 75), (75, 75)]
    moved = np.array(
        [
            [centre(out) - place for out in varied("warp", picture=dots(place), seeds=range(8))]
            for place in corners
        ]
    )  # (5, 8, 2)
    assert np.abs(moved).max() < 4.5
    assert np.abs(moved).max(axis=(0, 2)).min() > 0.5
    assert np.abs(moved - moved.mean(axis=0)).max() > 1  # not one shift of all


def test_the_default_is_light_colour_and_sides():
    light = [vary([face()], np.random.default_rng(s), TrainConfig.augment)[0] for s in SEEDS]
    levels = [out.mean() for out in light]
    assert max(levels) - min(levels) > 40
