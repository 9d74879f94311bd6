"""Blending: only what lies under the mask changes, and nobody sees where it ends."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.media import faces
from lipgan_cli.engine.media.blend import Pixels, crop, paste, planes
from lipgan_cli.engine.media.choices import Blend
from lipgan_cli.engine.media.mask import feather
from lipgan_cli.engine.media.picture import luma, to_rgb

WIDTH, HEIGHT = 160, 122  # a height whose planes do not end on whole rows


@pytest.fixture
def frame() -> Pixels:
    """A smooth coloured picture as I420."""
    return picture(WIDTH, HEIGHT)


def picture(width: int, height: int, seed: int = 3) -> Pixels:
    coarse = np.random.default_rng(seed).integers(30, 220, (8, 10, 3), dtype=np.uint8)
    rgb = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)


def noise(seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (96, 96, 3), dtype=np.uint8)


def test_planes_are_views_in_the_order_of_i420(frame: Pixels) -> None:
    y, u, v = planes(frame)
    assert (y.shape, u.shape, v.shape) == ((122, 160), (61, 80), (61, 80))
    assert np.array_equal(y, luma(frame))
    assert np.array_equal(np.concatenate([y.ravel(), u.ravel(), v.ravel()]), frame.ravel())
    v[0, 0] = 77
    assert frame.ravel()[160 * 122 + 80 * 61] == 77


@given(left=st.integers(-60, WIDTH), top=st.integers(-60, HEIGHT), side=st.integers(20, 150))
def test_a_crop_is_that_of_the_whole_picture(left: int, top: int, side: int) -> None:
    frame = picture(WIDTH, HEIGHT)
    square = np.array([left + side / 2, top + side / 2, side])
    if left + side <= 0 or top + side <= 0 or left >= WIDTH or top >= HEIGHT:
        return
    assert np.array_equal(crop(frame, (left, top, side)), faces.cut(to_rgb(frame), square))


def test_the_mask_is_solid_at_the_mouth_and_gone_before_the_border() -> None:
    mask = feather()
    assert (mask[58:86, 36:60] == 1).all()  # mouth and chin
    assert mask[:44].max() == 0  # eyes and nose
    assert max(mask[95].max(), mask[:, :12].max(), mask[:, 84:].max()) == 0
    assert np.abs(np.diff(mask, axis=0)).max() < 0.25
    assert np.abs(np.diff(mask, axis=1)).max() < 0.25
    assert np.allclose(mask, mask[:, ::-1])


@given(
    left=st.integers(-40, 120), top=st.integers(-40, 90), side=st.integers(24, 120),
    opacity=st.floats(0, 1),
)  # fmt: skip
def test_outside_of_the_mask_every_byte_is_the_source_s(
    left: int, top: int, side: int, opacity: float
) -> None:
    frame = picture(WIDTH, HEIGHT)
    painted = frame.copy()
    paste(painted, (left, top, side), noise(), noise(1), Blend.FEATHER, opacity)
    for plane, source, scale in zip(planes(painted), planes(frame), (1, 2, 2), strict=True):
        rows, columns = np.nonzero(plane != source)
        # One pixel of that plane on either side, for the picture is drawn between pixels.
        unit = side / 96 / scale
        y, x = (rows - top / scale) / unit, (columns - left / scale) / unit
        slack = 1.5 / unit
        inside = (y >= 44.5 - slack) & (y <= 95.5 + slack) & (x >= 13 - slack) & (x <= 83 + slack)
        assert inside.all()


def test_the_mask_s_corners_are_the_source_s_too(frame: Pixels) -> None:
    painted = frame.copy()
    paste(painted, (20, 10, 96), noise(), noise(1))
    changed = luma(painted) != luma(frame)
    weight = np.zeros((HEIGHT, WIDTH), np.float32)
    weight[10:106, 20:116] = feather()
    assert not changed[weight == 0].any()
    assert changed[weight > 0.5].mean() > 0.9


def test_opacity_zero_is_the_source_and_a_face_off_the_picture_is_nothing(frame: Pixels) -> None:
    painted = frame.copy()
    paste(painted, (20, 10, 96), noise(), noise(1), Blend.FEATHER, 0.0)
    paste(painted, (WIDTH + 50, 10, 96), noise(), noise(1))
    paste(painted, (20, -300, 96), noise(), noise(1))
    assert np.array_equal(painted, frame)


@pytest.mark.parametrize("place", [(20, 10, 96), (21, 11, 97), (15, -9, 120), (33, 20, 61)])
def test_pasting_what_was_cut_changes_next_to_nothing(
    frame: Pixels, place: tuple[int, int, int]
) -> None:
    """Holds for odd places too: chroma that sat half a pixel off would show here."""
    painted = frame.copy()
    own = crop(frame, place)
    paste(painted, place, own, own)
    change = np.abs(painted.astype(int) - frame)
    assert change.max() <= 4
    assert change.mean() < 0.15


def test_another_light_is_matched_along_the_seam(frame: Pixels) -> None:
    """The generated face is darker on one side and off in colour: the seam does not show it."""
    place = (20, 10, 96)
    own = crop(frame, place)
    light = np.linspace(-40, 10, 96)[None, :, None] + np.array([12.0, 0, -12])
    other = np.clip(own + light, 0, 255).astype(np.uint8)
    change = {}
    for name, original in (("matched", own), ("unmatched", other)):
        painted = frame.copy()
        paste(painted, place, other, original)
        change[name] = np.abs(painted.astype(int) - frame).sum()
    assert change["matched"] < 0.25 * change["unmatched"]


def test_blend_none_pastes_the_whole_square_with_hard_edges(frame: Pixels) -> None:
    painted = frame.copy()
    white = np.full((96, 96, 3), 255, np.uint8)
    paste(painted, (20, 10, 96), white, crop(frame, (20, 10, 96)), Blend.NONE)
    y, u, _ = planes(painted)
    assert (y[10:106, 20:116] == 235).all()  # white in TV range
    assert (u[5:53, 10:58] == 128).all()
    y[10:106, 20:116] = luma(frame)[10:106, 20:116]
    assert np.array_equal(y, luma(frame))


def test_a_small_face_is_averaged_not_sampled(frame: Pixels) -> None:
    """One white column in four must come out grey when the square is 24 pixels wide."""
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::4] = 255
    painted = frame.copy()
    paste(painted, (60, 40, 24), stripes, stripes, Blend.NONE)
    inside = luma(painted)[46:58, 66:78].astype(int)
    assert np.ptp(inside) <= 20
    assert abs(inside.mean() - (16 + 219 / 4)) < 6
