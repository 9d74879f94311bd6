"""Blending: only what lies under the mask changes, and nobody sees where it ends."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipgan_cli.engine.media import faces
from lipgan_cli.engine.media.blend import Pixels, crop, paste, planes
from lipgan_cli.engine.media.choices import Blend
from lipgan_cli.engine.media.mask import feather, mouth
from lipgan_cli.engine.media.picture import Colour, luma, to_rgb

GOLDEN = Path(__file__).parent / "golden"
WIDTH, HEIGHT = 160, 122  # a height whose planes do not end on whole rows


@pytest.fixture
def frame() -> Pixels:
    """A smooth coloured picture as I420."""
    return picture(WIDTH, HEIGHT)


def picture(width: int, height: int, seed: int = 3) -> Pixels:
    coarse = np.random.default_rng(seed).integers(30, 220, (8, 10, 3), dtype=np.uint8)
    rgb = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)


def portrait(scale: int = 1, seed: int | None = None) -> Pixels:
    """The astronaut's face, enlarged, with white grain where a seed is given: I420."""
    from skimage.data import astronaut

    face = cv2.resize(astronaut()[40:216, 136:312], None, fx=scale, fy=scale)
    grain = 0 if seed is None else np.random.default_rng(seed).normal(0, 5, (*face.shape[:2], 1))
    rgb = np.clip(np.rint(face + grain), 0, 255).astype(np.uint8)
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)


def mouthed(face: Pixels) -> Pixels:
    """A face crop, softer and in another light, with another mouth."""
    other = cv2.GaussianBlur(face, (0, 0), 1.2)
    cv2.ellipse(other, (44, 62), (16, 8), 0, 0, 360, (90, 30, 40), -1)
    return np.clip(cv2.GaussianBlur(other, (0, 0), 0.8) * 0.9 + 5, 0, 255).astype(np.uint8)


FACE = (43, 44, 97)  # left, top, side in the portrait as it is


def place(scale: int) -> tuple[int, int, int]:
    left, top, side = (value * scale for value in FACE)
    return left, top, side


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


def texture(plane: Pixels | np.ndarray) -> np.ndarray:
    """What differs from pixel to pixel and is no straight edge; 1 of white noise of 1."""
    kernel = np.outer([1, -2, 1], [1, -2, 1]) / 6
    return cv2.filter2D(plane.astype(np.float32), -1, kernel)


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("blend", list(Blend))
def test_crop_then_paste_is_the_identity_outside_the_mask(scale: int, blend: Blend) -> None:
    frame = portrait(scale, seed=1)
    painted = frame.copy()
    paste(
        painted, place(scale), mouthed(crop(frame, place(scale))), crop(frame, place(scale)), blend
    )
    left, top, side = place(scale)
    weight = np.zeros(luma(frame).shape, bool)
    if blend is Blend.FEATHER:
        within = cv2.dilate((feather() > 0).astype(np.uint8), np.ones((3, 3)))
        size = (side, side)
        within = cv2.resize(within, size, interpolation=cv2.INTER_NEAREST) > 0
    else:
        within = np.ones((side, side), bool)
    weight[top : top + side, left : left + side] = within
    halved = weight.reshape(weight.shape[0] // 2, 2, -1, 2).any(axis=(1, 3))
    halved = cv2.dilate(halved.astype(np.uint8), np.ones((3, 3))) > 0
    for plane, source, mask in zip(
        planes(painted), planes(frame), (weight, halved, halved), strict=True
    ):
        assert np.array_equal(plane[~mask], source[~mask])
        assert (plane[mask] != source[mask]).mean() > 0.1


def test_skin_that_agrees_stays_the_source_s_own() -> None:
    """The network repeats what it was shown: nothing changes but around the mouth."""
    frame = portrait(4, seed=1)
    painted = frame.copy()
    own = crop(frame, place(4))
    paste(painted, place(4), own, own)
    left, top, side = place(4)
    lips = cv2.resize(mouth(), (side, side))
    same = luma(painted) == luma(frame)
    inside = same[top : top + side, left : left + side]
    assert inside[lips == 0].all()
    assert inside[lips == 1].mean() < 0.3


def test_the_source_s_own_mouth_leaves_no_trace() -> None:
    """Two sources that differ in the mouth alone become the same picture there."""
    frame = portrait(2)
    other = frame.copy()
    left, top, _ = place(2)
    centre = (left + 2 * 48, top + round(2 * 68.5))
    for plane, scale, value in zip(planes(other), (1, 2, 2), (30, 110, 170), strict=True):
        part = np.ascontiguousarray(plane)
        middle = (centre[0] // scale, centre[1] // scale)
        plane[:] = cv2.ellipse(part, middle, (30 // scale, 20 // scale), 0, 0, 360, value, -1)
    generated = mouthed(crop(frame, place(2)))
    results = []
    for source in (frame, other):
        results.append(source.copy())
        paste(results[-1], place(2), generated, crop(source, place(2)))
    one, two = (cv2.GaussianBlur(luma(result).astype(np.float32), (0, 0), 3) for result in results)
    difference = np.abs(luma(frame).astype(int) - luma(other))
    assert difference[centre[1], centre[0]] > 60
    assert np.abs(one - two).max() < 6


def test_the_painted_mouth_has_the_grain_of_its_surroundings() -> None:
    frame = portrait(4, seed=1)
    painted, bare = frame.copy(), frame.copy()
    generated = mouthed(crop(frame, place(4)))
    paste(painted, place(4), generated, crop(frame, place(4)))
    paste(bare, place(4), generated, crop(frame, place(4)), Blend.NONE)
    left, top, _ = place(4)
    solid = np.s_[top + 4 * 62 : top + 4 * 74, left + 4 * 38 : left + 4 * 58]
    level = 5 * 219 / 255
    assert texture(luma(painted))[solid].std() == pytest.approx(level, rel=0.15)
    assert texture(luma(bare))[solid].std() < 0.2 * level


def test_a_clean_picture_gets_no_grain() -> None:
    frame = picture(WIDTH, HEIGHT)
    generated = np.full((96, 96, 3), 120, np.uint8)
    paste(frame, (20, 10, 96), generated, crop(frame, (20, 10, 96)))
    assert np.abs(texture(luma(frame))[10 + 58 : 10 + 84, 20 + 38 : 20 + 58]).max() < 1.5


def test_the_grain_of_a_still_picture_is_still_and_depends_on_nothing_else() -> None:
    results = []
    for _ in range(2):
        frame = portrait(2, seed=1)
        generated = mouthed(crop(frame, place(2)))
        paste(frame, place(2), generated, crop(frame, place(2)))
        results.append(frame)
        another = portrait(2, seed=5)
        paste(another, place(2), generated, generated)
    assert np.array_equal(*results)


def test_sharpness_and_grain_do_not_pump_in_a_still_scene() -> None:
    """The camera's noise alone changes from frame to frame."""
    left, top, _ = place(2)
    solid = np.s_[top + 2 * 58 : top + 2 * 80, left + 2 * 32 : left + 2 * 64]
    generated = mouthed(crop(portrait(2), place(2)))
    grains, contrasts, seen = [], [], []
    for seed in range(8):
        frame = portrait(2, seed)
        paste(frame, place(2), generated, crop(frame, place(2)))
        mouth_area = luma(frame)[solid].astype(np.float32)
        grains.append(texture(mouth_area).std())
        contrasts.append(cv2.GaussianBlur(mouth_area, (0, 0), 3).std())
        seen.append(mouth_area)
    assert np.ptp(grains) < 0.12 * np.mean(grains)
    assert np.ptp(contrasts) < 0.05 * np.mean(contrasts)
    noise_in_time = np.diff(seen, axis=0).std() / np.sqrt(2)
    assert noise_in_time == pytest.approx(5 * 219 / 255, rel=0.25)


@pytest.mark.parametrize("tint", [128, 117])
def test_a_film_without_colours_gets_none(tint: int) -> None:
    """Black and white, or one tint."""
    frame = portrait(2)
    for plane in planes(frame)[1:]:
        plane[:] = tint
    source = frame.copy()
    paste(frame, place(2), mouthed(crop(portrait(2), place(2))), crop(frame, place(2)))
    assert not np.array_equal(luma(frame), luma(source))
    for plane in planes(frame)[1:]:
        assert np.abs(plane.astype(int) - tint).max() <= 4  # in RGB black can have no tint


@pytest.mark.parametrize("colour", [Colour(1, 1), Colour(2, 1), Colour(2, 6), Colour(1, 9)])
def test_every_matrix_and_range_is_read_and_written_back(colour: Colour) -> None:
    """A film of one plain colour: the crop has that colour, and pasting it changes nothing."""
    from lipgan_cli.engine.media.matrix import to_yuv

    rgb = np.full((96, 96, 3), (60, 200, 90), np.uint8)
    levels = np.rint(to_yuv(rgb, colour)[0, 0]).astype(np.uint8)
    frame = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
    for plane, level in zip(planes(frame), levels, strict=True):
        plane[:] = level
    own = crop(frame, (21, 11, 97), colour)
    assert np.abs(own.astype(int) - rgb).max() <= 2
    assert np.abs(crop(frame, (21, 11, 97)).astype(int) - rgb).max() >= 5  # the wrong matrix shows
    for blend in Blend:
        painted = frame.copy()
        paste(painted, (21, 11, 97), own, own, blend, colour=colour)
        assert np.abs(painted.astype(int) - frame).max() <= 1


@pytest.mark.parametrize("colour", [Colour(1, 1), Colour(2, 6)])
def test_other_colours_are_cut_from_the_same_place(colour: Colour) -> None:
    """Odd places too: what the matrix changes is the same everywhere, a shift would show."""
    frame = cv2.cvtColor(np.repeat(np.arange(64, 192, dtype=np.uint8)[None, :, None], 96, 0)
                         .repeat(3, 2), cv2.COLOR_RGB2YUV_I420)  # fmt: skip
    usual, other = crop(frame, (13, 7, 71)), crop(frame, (13, 7, 71), colour)
    assert (np.abs(np.diff(usual[..., 1].astype(int), axis=1)) <= 2).all()
    scale = 1 if colour.range == 1 else 219 / 255
    offset = 0 if colour.range == 1 else 16
    assert np.abs(other.astype(int) - (usual * scale + offset)).max() <= 2


def test_an_untagged_film_of_720_rows_is_read_as_bt709() -> None:
    high = np.full((720 * 3 // 2, 128), 100, np.uint8)
    low = np.full((576 * 3 // 2, 128), 100, np.uint8)
    square = (10, 10, 96)
    assert np.array_equal(crop(high, square, Colour()), crop(high, square, Colour(1, 1)))
    assert np.array_equal(crop(low, square, Colour()), crop(low, square))
    assert not np.array_equal(crop(high, square, Colour()), crop(high, square))


@pytest.mark.parametrize("blend", list(Blend))
def test_golden_frame(blend: Blend) -> None:
    """The portrait at twice its size, with grain and another mouth, as it was pasted once."""
    frame = portrait(2, seed=1)
    paste(frame, place(2), mouthed(crop(frame, place(2))), crop(frame, place(2)), blend)
    kept = cv2.imread(str(GOLDEN / f"paste-{blend}.png"), cv2.IMREAD_GRAYSCALE)
    left, top, side = place(2)
    square = luma(frame)[top + side // 2 : top + side + 8, left - 8 : left + side + 8]
    difference = np.abs(kept.astype(int) - square)
    assert difference.mean() < 0.3
    assert difference.max() <= 12


def test_golden_mask() -> None:
    kept = cv2.imread(str(GOLDEN / "mask.png"), cv2.IMREAD_GRAYSCALE)
    assert np.abs(kept - 255 * feather()).max() <= 1
