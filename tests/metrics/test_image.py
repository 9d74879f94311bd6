"""PSNR, SSIM and changes by hand, and as scikit-image and the papers have them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lipgan_cli.engine.metrics.image import (
    COLUMNS,
    Figures,
    FigureTable,
    PairFigures,
    PairSummary,
    Summary,
    change,
    compare,
    compare_crop,
    eyes_region,
    fits_window,
    mouth_region,
    psnr,
    ssim,
    upper_region,
)

PAPER = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
"""scikit-image's settings for the SSIM of Wang et al. 2004."""


def flat(value, side=16):
    return np.full((side, side, 3), value, np.uint8)


def noisy(seed, side=96):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def test_psnr_of_an_even_difference_by_hand():
    # Every value differs by 5: mean square 25, 20 log10(255) - 10 log10(25) = 48.1308 - 13.9794.
    assert psnr(flat(100), flat(105)) == pytest.approx(34.1514, abs=1e-4)


def test_psnr_of_one_changed_value_by_hand():
    real, generated = flat(0, side=10), flat(0, side=10)
    generated[0, 0, 0] = 255
    # One value of 300 differs by the whole range: 10 log10(300).
    assert psnr(real, generated) == pytest.approx(10 * math.log10(300), abs=1e-9)


def test_psnr_of_black_and_white_is_zero():
    assert psnr(flat(0), flat(255)) == 0


def test_identical_pictures_have_infinite_psnr_and_full_ssim():
    assert psnr(noisy(1), noisy(1)) == math.inf
    assert ssim(noisy(1), noisy(1)) == pytest.approx(1)


def test_ssim_of_flat_pictures_by_hand():
    # No variance: only the luminance term (2ab + C1) / (a^2 + b^2 + C1), C1 = (0.01 * 255)^2.
    c1 = 2.55**2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert ssim(flat(100), flat(150)) == pytest.approx(expected, abs=1e-9)
    assert ssim(flat(100), flat(150), gaussian=True) == pytest.approx(expected, abs=1e-9)


def photo():
    from skimage.data import astronaut

    return astronaut()


def smoothed(picture):
    """Return it softer and a little brighter, as a network might paint it."""
    rows = picture.astype(int)
    return ((rows + np.roll(rows, 1, 0) + np.roll(rows, 1, 1)) // 3 + 2).clip(0, 255)


def pairs():
    """Return pictures that try the measure: noise, a photo, flat ones, extremes, odd sizes."""
    grainy = photo()[60:156, 170:266]
    extremes = np.indices((40, 53)).sum(0)[..., None] % 2 * np.full(3, 255)
    wide = np.random.default_rng(3).integers(0, 256, (2, 23, 150, 3), dtype=np.uint8)
    return {
        "noise": (noisy(1), noisy(2)),
        "photo": (grainy, smoothed(grainy).astype(np.uint8)),
        "large photo": (photo(), smoothed(photo()).astype(np.uint8)),
        "one level": (noisy(1), noisy(1) ^ 1),
        "nearly flat": (flat(255, 40), flat(255, 40) - (noisy(1, 40) == 0)),
        "extremes": (extremes.astype(np.uint8), (255 - extremes).astype(np.uint8)),
        "white noise on black": (flat(0, 96), noisy(3)),
        "wide": (wide[0], wide[1]),
        "smallest": (noisy(1, 11), noisy(2, 11)),
    }


@pytest.mark.parametrize("name", pairs())
def test_figures_are_scikit_image_s(name):
    real, generated = (picture.astype(np.uint8) for picture in pairs()[name])
    assert psnr(real, generated) == pytest.approx(
        peak_signal_noise_ratio(real, generated, data_range=255), abs=1e-9
    )
    expected = structural_similarity(real, generated, channel_axis=-1, data_range=255)
    assert ssim(real, generated) == pytest.approx(expected, abs=1e-9)
    paper = structural_similarity(real, generated, channel_axis=-1, data_range=255, **PAPER)
    assert ssim(real, generated, gaussian=True) == pytest.approx(paper, abs=1e-9)
    if name == "photo":
        assert abs(expected - paper) > 1e-3  # they are not the same


@given(st.integers(7, 60), st.integers(7, 60), st.integers(0, 1000))
def test_similarity_of_any_size_is_scikit_image_s(height, width, seed):
    random = np.random.default_rng(seed)
    real = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    generated = (real * random.uniform(0.2, 1)).astype(np.uint8)
    expected = structural_similarity(real, generated, channel_axis=-1, data_range=255)
    assert ssim(real, generated) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("gaussian", [False, True])
def test_mouth_of_a_photo_is_scikit_image_s(gaussian):
    real = photo()[60:156, 170:266]
    generated = smoothed(real).astype(np.uint8)
    lips = [picture[mouth_region(96, 96)] for picture in (real, generated)]
    settings = PAPER if gaussian else {}
    expected = structural_similarity(*lips, channel_axis=-1, data_range=255, **settings)
    assert compare_crop(real, generated, gaussian).mouth.ssim == pytest.approx(expected, abs=1e-9)


def test_mouth_is_rows_54_to_89_and_columns_24_to_71_of_a_crop():
    assert mouth_region(96, 96) == (slice(54, 90), slice(24, 72))


def test_mouth_scales_with_each_side():
    assert mouth_region(192, 48) == (slice(108, 180), slice(12, 36))


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_mouth_lies_inside_any_picture(height, width):
    rows, columns = mouth_region(height, width)
    assert 0 <= rows.start <= rows.stop <= height
    assert 0 <= columns.start <= columns.stop <= width


def test_crop_figures_see_the_mouth_alone():
    real, generated = noisy(1), noisy(1)
    generated[:54] = 0  # everything above the mouth
    figures = compare_crop(real, generated)
    assert figures.mouth == Figures(math.inf, pytest.approx(1))
    assert figures.whole.psnr < 15
    generated = noisy(1)
    generated[54, 24] = 255 - generated[54, 24]
    assert compare_crop(real, generated).mouth.psnr < math.inf


def test_mouth_is_measured_as_a_picture_of_its_own():
    real, generated = noisy(1), noisy(2)
    mouth = mouth_region(96, 96)
    figures = compare_crop(real, generated).mouth
    assert figures.psnr == psnr(real[mouth], generated[mouth])
    assert figures.ssim == pytest.approx(ssim(real[mouth], generated[mouth]), abs=1e-12)


def test_upper_half_and_eyes_of_a_crop():
    assert upper_region(96, 96) == (slice(0, 48), slice(0, 96))
    assert eyes_region(96, 96) == (slice(14, 33), slice(16, 80))
    assert eyes_region(192, 48) == (slice(28, 66), slice(8, 40))


def test_change_is_the_mean_absolute_difference_by_hand():
    real, generated = flat(100, 2), flat(100, 2)
    generated[0, 0] = (101, 98, 103)  # 1 + 2 + 3 over twelve values
    assert change(real, generated) == 0.5
    assert change(generated, real) == 0.5
    assert change(real[:0], generated[:0]) == 0


def test_changes_see_their_part_of_a_crop_alone():
    real, generated = flat(100, 96), flat(100, 96)
    generated[48:] = 0
    assert compare_crop(real, generated).upper_change == 0
    generated[20:22, 20:24] += 10  # in the eyes: 8 pixels
    figures = compare_crop(real, generated)
    assert figures.eyes_change == pytest.approx(10 * 8 / (19 * 64), abs=1e-9)
    assert figures.upper_change == pytest.approx(10 * 8 / (48 * 96), abs=1e-9)
    generated[40, 50] += 10  # between eyes and mouth
    assert compare_crop(real, generated).eyes_change == figures.eyes_change
    assert compare_crop(real, generated).upper_change > figures.upper_change


def test_changes_are_measured_where_they_are_asked_for():
    real, generated = flat(100, 40), flat(100, 40)
    generated[10:20, 10:20] = 106
    region = (slice(10, 30), slice(10, 20))
    figures = compare(real, generated, None, upper=region)
    assert (figures.upper_change, figures.eyes_change) == (3, None)


def test_mouth_smaller_than_the_window_is_left_out():
    real, generated = noisy(1, side=16), noisy(2, side=16)  # its mouth is 6 rows high
    assert compare_crop(real, generated).mouth is None
    assert compare(real, generated, None).mouth is None


@pytest.mark.parametrize(("gaussian", "side"), [(False, 7), (True, 11)])
def test_window_needs_its_own_side(gaussian, side):
    assert fits_window(side, side, gaussian)
    assert not fits_window(side - 1, side, gaussian)
    ssim(noisy(1, side), noisy(2, side), gaussian)  # does not raise


def test_summary_by_hand():
    assert Summary.of([1.0, 2.0, 3.0, 10.0]) == Summary(
        mean=4.0, median=2.5, max=10.0, min=1.0, count=4, identical=0
    )


def test_summary_counts_identical_pairs_and_leaves_them_out():
    assert Summary.of([math.inf, 20.0, 30.0]) == Summary(
        mean=25.0, median=25.0, max=30.0, min=20.0, count=3, identical=1
    )


def test_summary_of_identical_pairs_alone_is_infinite():
    assert Summary.of([math.inf, math.inf]) == Summary(
        mean=math.inf, median=math.inf, max=math.inf, min=math.inf, count=2, identical=2
    )


def test_summary_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="nothing to summarise"):
        Summary.of([])


def test_pair_summary_covers_the_mouths_there_are():
    whole = Figures(30.0, 0.9)
    summary = PairSummary.of([PairFigures(whole, None), PairFigures(whole, Figures(20.0, 0.8))])
    assert summary.whole.psnr.count == 2
    assert (summary.mouth.psnr.count, summary.mouth.psnr.mean) == (1, 20.0)
    assert PairSummary.of([PairFigures(whole, None)]).mouth is None


FIGURES = [
    PairFigures(Figures(30.0, 0.9), Figures(20.0, 0.8), 2.0, 1.0),
    PairFigures(Figures(math.inf, 1.0), None, 0.0, None),
    PairFigures(Figures(40.0, 0.7), Figures(24.0, 0.6), 4.0, 5.0),
]


def test_table_holds_a_row_a_pair():
    table = FigureTable.of(FIGURES)
    assert len(table) == 3
    nan = math.nan
    expected = [[30, 0.9, 20, 0.8, 2, 1], [math.inf, 1, nan, nan, 0, nan], [40, 0.7, 24, 0.6, 4, 5]]
    np.testing.assert_array_equal(table.rows(), expected)
    for index, name in enumerate(COLUMNS):
        np.testing.assert_array_equal(table.column(name), np.array(expected)[:, index])
    table.append(None)  # what was taken before does not hold the table fast
    assert len(table) == 4
    assert np.isnan(table.rows()[3]).all()


def test_tables_are_joined():
    table, more = FigureTable.of(FIGURES[:1]), FigureTable.of(FIGURES[1:])
    table.extend(more)
    np.testing.assert_array_equal(table.rows(), FigureTable.of(FIGURES).rows())
    assert len(FigureTable()) == 0  # no two tables share their rows


def test_table_of_a_large_test_set_is_small():
    table = FigureTable()
    for _ in range(20_000):
        table.append(FIGURES[0])
    assert 20_000 * 48 <= table.values.buffer_info()[1] * table.values.itemsize < 20_000 * 60


def test_summary_of_a_table_is_that_of_its_pairs():
    summary = PairSummary.of(FIGURES)
    assert PairSummary.of(FigureTable.of([None, *FIGURES])) == summary
    assert summary.whole.psnr == Summary(35.0, 35.0, 40.0, 30.0, count=3, identical=1)
    assert summary.mouth.ssim == Summary.of([0.8, 0.6])
    assert summary.upper_change == Summary(2.0, 2.0, 4.0, 0.0, count=3, identical=0)
    assert summary.eyes_change == Summary(3.0, 3.0, 5.0, 1.0, count=2, identical=0)


def test_summary_without_changes_has_none():
    summary = PairSummary.of([PairFigures(Figures(30.0, 0.9), None)])
    assert (summary.upper_change, summary.eyes_change) == (None, None)
    for nothing in ([], FigureTable(), FigureTable.of([None])):
        with pytest.raises(ValueError, match="nothing to summarise"):
            PairSummary.of(nothing)
