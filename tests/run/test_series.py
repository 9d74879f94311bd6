"""Figures of a log as series: what is read, and how long ones are shortened."""

from __future__ import annotations

import numpy as np
import pytest

from lipgan_cli.engine.run.figures import called, numbers, picture_of, unit
from lipgan_cli.engine.run.series import MOST, Series, read_series


def series(*y):
    values = np.array(y, np.float64)
    return Series(np.arange(len(y)) * 10.0, values, np.arange(len(y)) * 3600.0)


def test_numbers_are_the_finite_ones_with_their_names():
    values = {"a": 1, "b": {"c": 2.5, "d": {"e": -1}}, "f": float("nan"), "g": float("inf")}
    words = {"h": True, "i": "7", "j": None, "k": [1, 2]}
    assert dict(numbers(values | words)) == {("a",): 1, ("b", "c"): 2.5, ("b", "d", "e"): -1}


def test_every_figure_is_a_series(tmp_path):
    (tmp_path / "log.jsonl").write_text(
        '{"iteration": 10, "psnr": 15, "seconds": 1800}\n'
        '{"iteration": 20, "psnr": NaN, "ssim": 0.5, "seconds": 3600}\n'
        '{"iteration": 30, "psnr": 17}\n'
        '{"iteration": 30, "evaluation": {"s1": {"right": 20.5}}, "seconds": 5400}\n'
        '{"iteration": 40, "psnr": 18'
    )
    read = read_series(tmp_path)
    assert read.keys() == {("psnr",), ("ssim",), ("evaluation", "s1", "right")}
    assert read["psnr",].x.tolist() == [10, 30]
    assert read["psnr",].y.tolist() == [15, 17]
    assert read["psnr",].over_hours().x.tolist() == [0.5]
    assert read["psnr",].over_hours().y.tolist() == [15]
    assert read["evaluation", "s1", "right"].y.tolist() == [20.5]


def test_the_running_mean_is_centred_and_shorter_at_the_ends():
    mean = series(0, 3, 6, 0, 0, 9).running_mean(part=1 / 3)  # windows of three
    assert mean.y == pytest.approx([1.5, 3, 3, 2, 3, 4.5])
    assert mean.x.tolist() == [0, 10, 20, 30, 40, 50]


def test_the_running_mean_of_one_point_is_the_point():
    assert series(7).running_mean().y.tolist() == [7]


def test_a_short_series_is_its_own_outline():
    short = series(*range(2 * MOST))
    assert short.outline() is short


def test_a_long_series_keeps_its_extremes_and_its_mean():
    y = np.zeros(5 * MOST - 2)
    y[1234], y[4321] = 9, -5
    long = series(*y)
    outline, mean = long.outline(), long.running_mean(part=0)
    assert len(outline.x) == 2 * MOST
    assert (outline.y.max(), outline.y.min()) == (9, -5)
    assert np.count_nonzero(outline.y) == 2
    assert outline.x[outline.y.argmax()] == 1230 * 10  # the stretch of 1230 to 1234
    assert len(mean.x) == MOST
    assert mean.y[246] == pytest.approx(9 / 5)
    assert mean.x[246] == pytest.approx(1232 * 10)
    assert mean.x[-1] == pytest.approx((4995 + 4996 + 4997) / 3 * 10)


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        (("critic_loss",), "losses"),
        (("critic_penalty",), "losses"),
        (("generator_l1",), "losses"),
        (("psnr",), "quality"),
        (("mouth_ssim",), "quality"),
        (("l1",), "quality"),
        (("learning_rate_critic",), "learning_rates"),
        (("gradient_generator",), "gradients"),
        (("evaluation", "s1", "ssim"), "evaluations"),
        (("evaluation",), "other"),
        (("samples_per_second",), "other"),
        (("something", "new"), "other"),
    ],
)
def test_every_name_has_a_picture(name, picture):
    assert picture_of(name) == picture


@pytest.mark.parametrize(
    ("figure", "text", "its_unit"),
    [
        ("mouth_psnr", "mouth PSNR", "dB"),
        ("gap_to_still", "gap to still, mouth PSNR", "dB"),
        ("right", "right", "dB"),
        ("ssim", "SSIM", ""),
        ("samples_per_second", "speed", "samples/s"),
        ("audio_response", "audio response", ""),
    ],
)
def test_figures_have_words_and_units(figure, text, its_unit):
    assert (called(figure), unit(figure)) == (text, its_unit)


def test_ssim_is_of_the_mouth_in_an_evaluation():
    assert called("ssim", evaluated=True) == "mouth SSIM"
