"""The Kernel Inception Distance (arXiv 1801.01401): how far apart two sets of features are.

It is the squared maximum mean discrepancy with the kernel (x·y / d + 1)³ of d dimensions. Its
estimate is unbiased whatever the number of pictures, so that it can be negative, and FID's cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError

SUBSETS = 100
SUBSET = 1000
"""Pictures a side in a subset, or all where there are fewer."""

SEED = 0
NORMAL_95 = 1.959964
"""Standard deviations of a normal distribution to each side that hold 95 % of it."""

_ROWS = 512  # of a kernel matrix held at once

Features = NDArray[np.float32] | NDArray[np.float64]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class _Sums:
    """What is needed of one kernel matrix (n, m), which is never held whole.

    Attributes:
        subsets: (S,), the sum over each subset's rows and columns.
        rows: (n,), the sum of each row.
        columns: (m,), the sum of each column.
    """

    subsets: Array
    rows: Array
    columns: Array


def kernel_distance(
    one: Features, other: Features, subsets: int = SUBSETS, size: int = SUBSET, seed: int = SEED
) -> Interval:
    """The KID of features (n, d) and (m, d), two pictures a side or more, and how sure it is.

    The mean is that of the unbiased estimates from `subsets` subsets of `size` pictures a side,
    drawn without replacement, for each side anew. The interval is that mean ± 1.96 standard errors;
    it is meant for the two sources of pictures, not for these pictures alone. Its variance adds
    that of the estimate from all n and m pictures (to first order: 4/n times the variance of what
    each picture contributes, arXiv 1511.04581, and the same for m) to that of the drawing (the
    variance over the subsets by their number). The deviation over subsets, which papers report, is
    not it: that belongs to `size` pictures, however many there are, and is 0 where every subset is
    the whole. Pictures count as independent of each other; the frames of a few videos are not, and
    tell less than the interval says. For sources that are alike it is too wide, not too narrow.

    Raises:
        InputError: the features have not the same dimensions, or one side has fewer than two.
    """
    _check(one, other)
    estimates, error = _estimates(one, other, subsets, size, seed)
    mean = float(estimates.mean())
    # One subset says nothing of the drawing.
    drawing = float(estimates.var(ddof=1)) / subsets if subsets > 1 else 0.0
    reach = NORMAL_95 * (error + drawing) ** 0.5
    return Interval(mean, mean - reach, mean + reach)


def subset_estimates(
    one: Features, other: Features, subsets: int = SUBSETS, size: int = SUBSET, seed: int = SEED
) -> Array:
    """The estimate of each subset, (subsets,): papers report their mean and deviation.

    Raises:
        InputError: the features have not the same dimensions, or one side has fewer than two.
    """
    _check(one, other)
    return _estimates(one, other, subsets, size, seed)[0]


def _check(one: Features, other: Features) -> None:
    if one.shape[1] != other.shape[1]:
        raise InputError(
            f"the features have {one.shape[1]:,} and {other.shape[1]:,} dimensions",
            "take both from the same layer of one network",
        )
    fewest = min(len(one), len(other))
    if fewest < 2:
        raise InputError(f"KID needs two pictures a side or more, not {fewest}", "give more")


def _estimates(
    one: Features, other: Features, subsets: int, size: int, seed: int
) -> tuple[Array, float]:
    """Every subset's estimate, and the variance of the estimate from all pictures."""
    n, m = len(one), len(other)
    size = min(size, n, m)
    random = np.random.default_rng(seed)
    ours, theirs = (_drawn(random, count, subsets, size) for count in (n, m))
    within_one = _without_diagonal(_sums(one, one, ours, ours), one, ours)
    within_other = _without_diagonal(_sums(other, other, theirs, theirs), other, theirs)
    between = _sums(one, other, ours, theirs)
    within = (within_one.subsets + within_other.subsets) / (size * (size - 1))
    estimates = within - 2 * between.subsets / size**2
    added_one = within_one.rows / (n - 1) - between.rows / m
    added_other = within_other.rows / (m - 1) - between.columns / n
    error = 4 * (added_one.var(ddof=1) / n + added_other.var(ddof=1) / m)
    return estimates, float(error)


def _drawn(random: np.random.Generator, count: int, subsets: int, size: int) -> Array:
    """Subsets as rows (S, count): 1 for each picture that is in, else 0."""
    inside = np.zeros((subsets, count))
    for row in inside:
        row[random.choice(count, size, replace=False)] = 1
    return inside


def _sums(one: Features, other: Features, ours: Array, theirs: Array) -> _Sums:
    """Every sum of the kernel between two sets, from a block of rows at a time."""
    subsets = np.zeros(len(ours))
    rows = np.empty(len(one))
    columns = np.zeros(len(other))
    for start in range(0, len(one), _ROWS):
        block = slice(start, start + _ROWS)
        kernel = _kernel(one[block] @ other.T, one.shape[1])
        subsets += ((ours[:, block] @ kernel) * theirs).sum(1)
        rows[block] = kernel.sum(1)
        columns += kernel.sum(0)
    return _Sums(subsets, rows, columns)


def _without_diagonal(sums: _Sums, features: Features, inside: Array) -> _Sums:
    """Leave out each picture's kernel with itself, which would make the estimate biased."""
    own = _kernel(np.einsum("nd,nd->n", features, features), features.shape[1])
    return _Sums(sums.subsets - inside @ own, sums.rows - own, sums.columns - own)


def _kernel(products: Features, dimensions: int) -> Array:
    raised = products.astype(np.float64) / dimensions + 1
    cubed: Array = raised * raised * raised
    return cubed
