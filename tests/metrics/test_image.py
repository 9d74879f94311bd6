"""PSNR and SSIM by hand, and as scikit-image and the papers have them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from lipgan_cli.engine.metrics.image import (
    Figures,
    PairFigures,
    PairSummary,
    Summary,
    compare,
    compare_crop,
    fits_window,
    mouth_region,
    psnr,
    ssim,
)


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


def test_ssim_is_scikit_image_s_default_exactly():
    real, generated = noisy(1), noisy(2)
    expected = structural_similarity(real, generated, channel_axis=-1, data_range=255)
    assert ssim(real, generated) == expected


def test_gaussian_ssim_is_that_of_the_paper_exactly():
    real, generated = noisy(1), noisy(2)
    expected = structural_similarity(
        real,
        generated,
        channel_axis=-1,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(real, generated, gaussian=True) == expected
    assert ssim(real, generated) != expected


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
    expected = Figures(psnr(real[mouth], generated[mouth]), ssim(real[mouth], generated[mouth]))
    assert compare_crop(real, generated).mouth == expected


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
