"""KID: hand values, an independent formula, no bias, an interval that holds what it says."""

from __future__ import annotations

import numpy as np
import pytest

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.metrics import kid
from lipgan_cli.engine.metrics.kid import Interval, kernel_distance, subset_estimates


def drawn(seed, count, dimensions, middle=0.0):
    return np.random.default_rng(seed).normal(middle, 1, (count, dimensions))


def by_definition(one, other):
    """The unbiased estimate, pair by pair."""

    def kernel(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3

    n, m = len(one), len(other)
    within_one = sum(kernel(one[i], one[j]) for i in range(n) for j in range(n) if i != j)
    within_other = sum(kernel(other[i], other[j]) for i in range(m) for j in range(m) if i != j)
    between = sum(kernel(x, y) for x in one for y in other)
    return within_one / n / (n - 1) + within_other / m / (m - 1) - 2 * between / n / m


def true_distance(middle, dimensions):
    """The squared MMD of N(0, I) and N(middle, I), from the moments of a dot product."""
    square = dimensions * middle**2  # of the second mean

    def kernel(product, squares):  # of two means
        second = dimensions + squares + product**2
        third = product**3 + 3 * product * squares + (3 * dimensions + 6) * product
        d = dimensions
        return third / d**3 + 3 * second / d**2 + 3 * product / d + 1

    return kernel(0, 0) + kernel(square, 2 * square) - 2 * kernel(0, square)


def test_hand_computed():
    one, other = np.array([[1.0, 1.0], [1.0, 0.0]]), np.array([[0.0, 0.0], [2.0, 0.0]])
    # within one (1/2 + 1)³, within the other 1, between 1, 2³, 1, 2³ / 4
    assert kernel_distance(one, other).mean == pytest.approx(3.375 + 1 - 2 * 18 / 4)


def test_interval_of_two_pictures_a_side_by_hand():
    one, other = np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]])
    # Kernels: within one 1; within the other 1; between 1, 1 and 1, 27.
    # Each picture of one contributes 1 - 1 and 1 - 14, of the other 1 - 1 and 1 - 14.
    variance = 4 / 2 * (13**2 / 2) * 2
    mean = 1 + 1 - 2 * 30 / 4
    reach = 1.959964 * variance**0.5
    found = kernel_distance(one, other)
    assert found.mean == pytest.approx(mean)
    assert (found.low, found.high) == pytest.approx((mean - reach, mean + reach))


@pytest.mark.parametrize(("n", "m"), [(7, 7), (9, 4), (3, 8)])
def test_equals_the_definition(n, m, monkeypatch):
    monkeypatch.setattr(kid, "_ROWS", 4)  # more than one block of rows, and a smaller last one
    one, other = drawn(1, n, 5), drawn(2, m, 5, 0.4)
    if n == m:
        assert subset_estimates(one, other) == pytest.approx(by_definition(one, other))
    random = np.random.default_rng(3)
    inside = [[random.choice(k, 3, replace=False) for _ in range(6)] for k in (n, m)]
    expected = [by_definition(one[a], other[b]) for a, b in zip(*inside, strict=True)]
    found = subset_estimates(one, other, subsets=6, size=3, seed=3)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_features_in_single_precision_are_precise_enough():
    one, other = drawn(1, 300, 64).astype(np.float32), drawn(2, 300, 64, 0.1).astype(np.float32)
    exact = subset_estimates(one.astype(np.float64), other.astype(np.float64), 10, 100)
    np.testing.assert_allclose(subset_estimates(one, other, 10, 100), exact, atol=1e-7)


def test_seed_decides_the_subsets():
    one, other = drawn(1, 40, 3), drawn(2, 40, 3)
    again = [subset_estimates(one, other, 5, 10, seed=seed) for seed in (7, 7, 8)]
    assert (again[0] == again[1]).all()
    assert (again[0] != again[2]).all()
    assert np.unique(again[0]).size == 5


def test_estimate_has_no_bias_and_goes_below_nothing():
    estimates = np.array(
        [kernel_distance(drawn(2 * s, 20, 8), drawn(2 * s + 1, 20, 8)).mean for s in range(400)]
    )
    error = estimates.std() / 20
    assert abs(estimates.mean()) < 3 * error
    assert 0.3 < (estimates < 0).mean() < 0.8


def test_interval_holds_the_true_distance():
    truth = true_distance(0.2, 16)
    found = [
        kernel_distance(drawn(2 * s, 120, 16), drawn(2 * s + 1, 90, 16, 0.2), 40, 50, s)
        for s in range(200)
    ]
    means = np.array([interval.mean for interval in found])
    widths = np.array([(each.high - each.low) / 2 / 1.96 for each in found])
    assert means.mean() == pytest.approx(truth, abs=3 * means.std() / 200**0.5)
    assert 0.9 < widths.mean() / means.std() < 1.3
    holds = np.mean([each.low < truth < each.high for each in found])
    assert 0.91 <= holds <= 0.99


def test_interval_of_unequal_sides_equals_the_definition():
    one, other = drawn(1, 9, 3), drawn(2, 4, 3, 0.5)

    def contributions(these, those):
        def kernel(x, y):
            return (x @ y / 3 + 1) ** 3

        return [
            np.mean([kernel(x, y) for j, y in enumerate(these) if j != i])
            - np.mean([kernel(x, y) for y in those])
            for i, x in enumerate(these)
        ]

    pictures = sum(
        4 / len(these) * np.var(contributions(these, those), ddof=1)
        for these, those in ((one, other), (other, one))
    )
    drawing = subset_estimates(one, other).var(ddof=1) / 100
    found = kernel_distance(one, other)
    assert ((found.high - found.mean) / 1.959964) ** 2 == pytest.approx(pictures + drawing)


def test_few_subsets_widen_the_interval_by_what_their_drawing_adds():
    one, other = drawn(1, 60, 8), drawn(2, 60, 8, 0.5)
    estimates = subset_estimates(one, other, subsets=2, size=5)
    few, whole = kernel_distance(one, other, subsets=2, size=5), kernel_distance(one, other)
    errors = [(found.high - found.low) / 2 / 1.959964 for found in (few, whole)]
    assert errors[0] ** 2 - errors[1] ** 2 == pytest.approx(estimates.var(ddof=1) / 2)


def test_interval_is_not_narrower_for_more_subsets_of_the_same_pictures():
    one, other = drawn(1, 60, 8), drawn(2, 60, 8, 0.5)
    widths = [
        interval.high - interval.low
        for interval in (kernel_distance(one, other, subsets, 40) for subsets in (50, 5000))
    ]
    whole = kernel_distance(one, other)  # every subset is all there is
    assert whole.high - whole.low == pytest.approx(widths[1], rel=0.01)
    assert widths[0] == pytest.approx(widths[1], rel=0.1)


def test_one_subset_has_an_interval():
    found = kernel_distance(drawn(1, 9, 2), drawn(2, 9, 2), subsets=1)
    assert isinstance(found, Interval)
    assert found.low < found.mean < found.high


def test_too_few_and_different_features_are_errors():
    with pytest.raises(InputError, match="KID needs two pictures a side or more, not 1"):
        kernel_distance(drawn(1, 1, 3), drawn(2, 5, 3))
    with pytest.raises(InputError, match="have 3 and 4 dimensions"):
        kernel_distance(drawn(1, 5, 3), drawn(2, 5, 4))
