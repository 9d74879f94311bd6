"""Features of a set of pictures, or of anything else: their statistics, and files of these.

Statistics are gathered in memory that does not grow with the number of features. The files are
pytorch-fid's own (`mu` and `sigma`) with more beside, so that each tool reads the other's.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.paths import atomic_path, require_file

BATCH = 50
"""Pictures that go through the FID network at once, as pytorch-fid takes them."""
KEPT = 4 * 2048
"""Features of a set that are kept: all of them up to here, beyond that a random sample."""

_BLOCK = 1024  # features that are added to the sums at once

Array = NDArray[np.float64]
Features = NDArray[np.floating[Any]]
"""Features as rows, (n, D)."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """What the distances need of one set of D-dimensional features.

    Attributes:
        count: features in all; None where the file does not say.
        mean: (D,).
        covariance: (D, D), of a sample: divided by count - 1.
        features: (n, D), all of them or an even sample, for KID; None where they were not kept.
        network: SHA-256 of the weights that made the features; None where it is not known.
    """

    count: int | None
    mean: Array
    covariance: Array
    features: Features | None = None
    network: str | None = None

    @property
    def dimensions(self) -> int:
        """The number D."""
        return len(self.mean)


class FeatureCollector:
    """Makes statistics of features that come a batch at a time.

    The first `kept` features are kept. When there are no more, mean and covariance are computed
    from them as pytorch-fid computes them: the root of a singular covariance feels every rounding.
    Beyond, sums in float64 are added up, and what is kept is a uniform sample of all (reservoir
    sampling), the same one whenever the same number of features comes.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._limit = kept
        self._count = 0
        self._kept: Features | None = None
        self._sums: _Sums | None = None
        self._random = np.random.default_rng(0)

    def add(self, features: Features) -> None:
        """Add a batch (B, D)."""
        if self._kept is None:
            self._kept = np.empty((self._limit, features.shape[1]), features.dtype)
        fitting = features[: max(self._limit - self._count, 0)]
        self._kept[self._count : self._count + len(fitting)] = fitting
        self._count += len(fitting)
        beyond = features[len(fitting) :]
        if len(beyond):
            if self._sums is None:
                self._sums = _Sums(self._kept)
            self._sums.add(beyond)
            self._sample(self._kept, beyond)

    def statistics(self, network: str | None = None) -> Statistics:
        """The statistics of all that was added; `network` is the SHA-256 of what made it.

        Raises:
            InputError: it was less than two features.
        """
        if self._kept is None or self._count < 2:
            raise InputError(
                f"a Frechet distance needs two samples a side or more, not {self._count}",
                "give more of them",
            )
        features = self._kept[: self._count].copy()
        if self._sums is None:
            # NumPy makes a number of the covariance of one dimension.
            exact = features.astype(np.float64)
            mean, covariance = exact.mean(axis=0), np.atleast_2d(np.cov(exact, rowvar=False))
        else:
            mean, covariance = self._sums.moments()
        return Statistics(self._count, mean, covariance, features, network)

    def _sample(self, kept: Features, beyond: Features) -> None:
        """Let each new feature take a random place: that of one kept, or none."""
        upto = np.arange(self._count + 1, self._count + len(beyond) + 1)
        for row, place in enumerate(self._random.integers(0, upto)):
            if place < self._limit:
                kept[place] = beyond[row]
        self._count += len(beyond)


class _Sums:
    """Sums of features and of their products, about the mean of the first ones."""

    def __init__(self, first: Features) -> None:
        self._about = first.mean(axis=0, dtype=np.float64)  # (D,)
        self._count = 0
        self._total = np.zeros_like(self._about)
        self._products = np.zeros((len(self._about), len(self._about)))
        self._waiting: list[Array] = []
        for start in range(0, len(first), _BLOCK):
            self.add(first[start : start + _BLOCK])

    def add(self, features: Features) -> None:
        self._waiting.append(features - self._about)
        if sum(map(len, self._waiting)) >= _BLOCK:
            self._settle()

    def moments(self) -> tuple[Array, Array]:
        """Mean and covariance."""
        self._settle()
        off = self._total / self._count
        products = self._products - self._count * np.outer(off, off)
        return self._about + off, products / (self._count - 1)

    def _settle(self) -> None:
        if self._waiting:
            block = np.concatenate(self._waiting)
            self._waiting.clear()
            self._count += len(block)
            self._total += block.sum(axis=0)
            self._products += block.T @ block


def save_statistics(path: Path, statistics: Statistics) -> None:
    """Write statistics as .npz, whole or not at all.

    `mu` and `sigma` are as `pytorch_fid --save-stats` writes them; `count`, `features` and
    `network` stand beside them where they are known.

    Raises:
        InputError: the folder cannot be written.
    """
    entries = {
        "mu": statistics.mean,
        "sigma": statistics.covariance,
        "count": statistics.count,
        "features": statistics.features,
        "network": statistics.network,
    }
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, value in entries.items():
            if value is not None:
                with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                    npy.write_array(stream, np.asarray(value), allow_pickle=False)


def load_statistics(
    path: Path, network: str | None = None, dimensions: int | None = None
) -> Statistics:
    """Read statistics from our own .npz or from pytorch-fid's, which has no features.

    They must come from the weights with the SHA-256 `network`, where both are known, and have so
    many `dimensions`, where they are given.

    Raises:
        InputError: the file is missing, damaged or of another kind; another network made it.
    """
    require_file(path, "the statistics")
    hint = "give statistics saved by this tool or by pytorch_fid --save-stats"
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            found = _parsed(stored)
    except Exception as error:  # damaged, in whatever way
        raise InputError(f"{path} does not hold the statistics of features", hint) from error
    if network is not None and found.network not in {None, network}:
        raise InputError(
            f"the statistics {path} come from another network than the one in use",
            "make them anew",
        )
    if dimensions is not None and found.dimensions != dimensions:
        raise InputError(
            f"the statistics {path} have {found.dimensions:,} dimensions, not {dimensions:,}",
            "make them anew",
        )
    return found


def _parsed(stored: Any) -> Statistics:
    """The statistics in an open .npz; whatever is wrong with it is an error of some kind."""
    mean, covariance = (np.asarray(stored[name], np.float64) for name in ("mu", "sigma"))
    count = int(stored["count"]) if "count" in stored else None
    features = stored.get("features")
    network = str(stored["network"]) if "network" in stored else None
    (size,) = mean.shape
    if size == 0 or covariance.shape != (size, size) or (count is not None and count < 2):
        raise ValueError("these are no statistics")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ValueError("not every value is a number")
    if features is not None:
        rows, width = features.shape
        if width != size or rows < 2 or features.dtype.kind != "f":
            raise ValueError("these are no features")
        if not np.isfinite(features).all():
            raise ValueError("not every value is a number")
    return Statistics(count, mean, covariance, features, network)
