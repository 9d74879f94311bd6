"""Box plots: where boxes, medians and whiskers are, what is left out, and odd names."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.cbook import boxplot_stats

from lipgan_cli.engine.metrics.boxplot import Box, box_plot, describe

SPACE = "{http://www.w3.org/2000/svg}"


def drawn(svg, gid):
    """The corners of a part of the drawing, (points, 2); none where it is not there."""
    part = ET.fromstring(svg).find(f".//{SPACE}g[@id='{gid}']/{SPACE}path")
    if part is None:
        return np.empty((0, 2))
    numbers = re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", part.get("d"))
    return np.array(numbers, float).reshape(-1, 2)


def values(seed, size=1000):
    return np.random.default_rng(seed).normal(30, 2, size)


def test_box_by_hand():
    # Sorted, the quartiles of 0..8 are 2, 4 and 6; the fences are 2 - 6 and 6 + 6.
    box = Box.of(np.array([8.0, 0, 1, 7, 2, 6, 3, 5, 4]))
    assert (box.low, box.first, box.median, box.third, box.high) == (0, 2, 4, 6, 8)
    assert (box.count, box.infinite, box.undefined, box.left_out()) == (9, 0, 0, "")


def test_whiskers_end_at_the_last_value_inside_the_fence():
    # Quartiles 2, 4 and 6 again; the fence at 12 is itself inside, what is beyond it is not.
    box = Box.of(np.array([0.0, 1, 2, 3, 4, 5, 6, 12, 1000]))
    assert (box.first, box.third, box.high) == (2, 6, 12)
    assert Box.of(np.array([0.0, 1, 2, 3, 4, 5, 6, 12.001, 1000])).high == 6


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_a_box_is_the_one_that_matplotlib_draws(numbers):
    box, (theirs,) = Box.of(np.array(numbers)), boxplot_stats(numbers)
    names = {"low": "whislo", "first": "q1", "median": "med", "third": "q3", "high": "whishi"}
    for ours, name in names.items():
        assert getattr(box, ours) == theirs[name]


def test_infinite_and_undefined_values_are_left_out_and_told():
    box = Box.of(np.array([1.0, math.inf, 2, math.nan, 3, -math.inf, *[math.inf] * 1000]))
    assert (box.low, box.median, box.high) == (1, 2, 3)
    assert (box.count, box.infinite, box.undefined) == (3, 1002, 1)
    assert box.left_out() == "1,002 infinite, 1 undefined left out"


def test_without_finite_values_there_is_no_box():
    assert Box.of(np.array([])) == Box(None, None, None, None, None, 0, 0, 0)
    assert Box.of(np.array([math.inf])) == Box(None, None, None, None, None, 0, 1, 0)


def test_what_is_drawn_is_in_proportion_to_numpy_s_quartiles():
    groups = {"a": values(1), "b": values(2) + 3}
    svg = box_plot(groups, "PSNR in dB")
    left, scale = None, None
    for number, group in enumerate(groups.values()):
        box = drawn(svg, f"box-{number}")[:, 0]
        (median,) = set(drawn(svg, f"median-{number}")[:, 0])
        whiskers = [drawn(svg, f"whisker-{number}-{side}")[1, 0] for side in (0, 1)]
        at = np.array([whiskers[0], box.min(), median, box.max(), whiskers[1]])
        first, middle, third = np.percentile(group, [25, 50, 75])
        reach = 1.5 * (third - first)
        inside = group[(group >= first - reach) & (group <= third + reach)]
        assert inside.size < group.size  # there are outliers, which nothing reaches
        real = np.array([inside.min(), first, middle, third, inside.max()])
        if scale is None:
            scale = (at[-1] - at[0]) / (real[-1] - real[0])
            left = at[0] - real[0] * scale
        # The second box is held against the axis of the first.
        np.testing.assert_allclose(left + real * scale, at, atol=2e-3)


def test_the_first_group_is_on_top():
    svg = box_plot({name: values(1) for name in "abc"}, "SSIM")
    tops = [drawn(svg, f"box-{number}")[:, 1].min() for number in range(3)]
    assert tops == sorted(tops)  # y grows downwards
    assert tops[0] < tops[2]


def test_an_empty_group_has_a_row_without_a_box():
    svg = box_plot({"a": values(1), "none": np.array([]), "b": values(2)}, "SSIM")
    assert [len(drawn(svg, f"box-{number}")) > 0 for number in range(3)] == [True, False, True]
    gap = drawn(svg, "box-2")[:, 1].min() - drawn(svg, "box-0")[:, 1].max()
    close = box_plot({"a": values(1), "b": values(2)}, "SSIM")
    assert gap > drawn(close, "box-1")[:, 1].min() - drawn(close, "box-0")[:, 1].max() + 10


def test_outliers_are_not_drawn():
    numbers = np.arange(100.0)
    assert box_plot({"a": numbers}, "SSIM").count("<use") == box_plot(
        {"a": np.where(numbers == 99, 149, numbers)}, "SSIM"
    ).count("<use")
    far = drawn(box_plot({"a": np.append(numbers, 1e6)}, "SSIM"), "box-0")[:, 0]
    assert np.ptp(far) > 100  # points: the far value does not press the box flat


@pytest.mark.parametrize(
    "group", [[1.0], [0.5] * 9, [], [math.inf], [math.nan, math.nan], [1e300, -1e300], [1e-300]]
)
def test_any_one_group_is_drawn(group):
    ET.fromstring(box_plot({"a": np.array(group)}, "SSIM"))


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="nothing to draw"):
        box_plot({}, "SSIM")


def test_the_same_values_give_the_same_text_and_nothing_is_left_changed():
    before = dict(mpl.rcParams)
    groups = {"a": values(1), "b": values(2)}
    with mpl.rc_context({"svg.hashsalt": None, "svg.fonttype": "none", "font.size": 5}):
        changed = box_plot(groups, "SSIM")
    assert changed == box_plot(groups, "SSIM")
    assert dict(mpl.rcParams) == before


def test_a_drawing_names_no_font_date_or_address():
    svg = box_plot({"a": values(1)}, "SSIM")
    assert svg.startswith("<svg ")
    bare = re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)
    assert "http" not in bare
    assert "<text" not in bare
    assert "metadata" not in bare
    assert re.search(r"\b20\d\d-", bare) is None


@pytest.mark.parametrize(
    "name",
    [
        "$\\frac{1}{0}$",
        "a$b",
        "_hidden",
        "<b>&\"'[x]",
        "\u4f60\u597d",
        "\udcff\x00\n",
        "",
        "x" * 500,
    ],
)
def test_odd_names_are_drawn_as_they_are(name):
    svg = box_plot({name: values(1), "b": values(2)}, name)
    ET.fromstring(svg.encode())
    assert len(drawn(svg, "box-0"))


def test_a_name_that_is_no_formula_has_all_its_letters():
    # A formula would have no dollars: an outline for each letter, and those of its neighbours.
    letters = [
        box_plot({name: np.array([])}, "").count("<use ") for name in ("$x^2$", "x^2", "$", "a$a")
    ]
    assert letters[0] - letters[1] == 2
    assert letters[3] - letters[2] == 2


def test_long_names_leave_room_for_the_boxes():
    long = {f"runs/{'grid-' * 60}{number}/generator": values(number) for number in range(20)}
    svg = box_plot(long, "PSNR in dB")
    width, height = (float(n) for n in ET.fromstring(svg).get("viewBox").split()[2:])
    ends = [drawn(svg, f"whisker-{number}-{side}")[1, 0] for number in range(20) for side in (0, 1)]
    assert max(ends) - min(ends) > 0.4 * width
    rows = [drawn(svg, f"box-{number}")[:, 1].mean() for number in range(20)]
    assert np.diff(rows).min() > 3 * 10  # three lines of ten points
    assert max(rows) < height


def test_description_says_what_is_drawn():
    numbers = np.array([8.0, 0, 1, 7, 2, 6, 3, 5, 4, math.inf])
    assert describe({"lipgan": numbers, "none": np.array([math.nan])}, "PSNR in dB") == (
        "Box plot of PSNR in dB. lipgan: median 4, box 2 to 6, whiskers 0 to 8, 9 values, "
        "1 infinite left out; none: no values, 1 undefined left out"
    )


def test_a_thesis_of_values_is_as_small_as_a_few():
    few, many = (
        box_plot({str(number): values(number, count) for number in range(6)}, "SSIM")
        for count in (20, 43_929)
    )
    assert len(many) < len(few) + 2000 < 100_000
