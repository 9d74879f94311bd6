"""The Frechet Inception Distance (arXiv 1706.08500), computed by pytorch-fid.

Its network, its batches and its calculation are pytorch-fid's; its matrix root takes the argument
that SciPy 1.18 dropped. Pictures come from files or from anywhere else, and are not held.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_fid import fid_score
from scipy import linalg

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.metrics.features import BATCH, FeatureCollector, Statistics
from lipgan_cli.engine.metrics.image import Picture
from lipgan_cli.engine.metrics.inception import (
    Network,
    extract,
    prepare,
    replaced,
)
from lipgan_cli.engine.metrics.pictures import picture_size, read_picture
from lipgan_cli.engine.progress import Progress, Silent

RELIABLE = 2048
"""Pictures a side below which the distance is not reliable: fewer than it has dimensions."""


def frechet(one: Statistics, other: Statistics, progress: Progress | None = None) -> float:
    """The Frechet distance of two Gaussians with these statistics, as pytorch-fid calculates it.

    Raises:
        InputError: the statistics have not the same dimensions, or come from two networks.
        LipganError: their matrix root is not real enough, or not finite.
    """
    if one.dimensions != other.dimensions:
        raise InputError(
            f"the statistics have {one.dimensions:,} and {other.dimensions:,} dimensions",
            "take both from the same layer of one network",
        )
    if one.network and other.network and one.network != other.network:
        raise InputError(
            "the statistics come from two networks", "make both with the same file of weights"
        )
    said = io.StringIO()
    with (
        replaced(fid_score, "linalg", SimpleNamespace(sqrtm=_matrix_root)),
        redirect_stdout(said),
        warnings.catch_warnings(),
    ):
        # Fewer pictures than dimensions: the covariances are singular, as has been told.
        warnings.simplefilter("ignore", linalg.LinAlgWarning)
        try:
            value = fid_score.calculate_frechet_distance(
                one.mean, one.covariance, other.mean, other.covariance
            )
        except ValueError as error:
            raise LipganError(
                f"the Frechet distance cannot be computed: {error}", "give more pictures"
            ) from error
    if progress is not None:
        for line in said.getvalue().splitlines():
            progress.note(line)
    return float(value)


def note_few(real: int | None, generated: int | None, progress: Progress) -> None:
    """Note that the FID of so few pictures is not reliable; None: it is not known how many."""
    sides = {"real": real, "generated": generated}
    known = {side: count for side, count in sides.items() if count is not None}
    if known and min(known.values()) < RELIABLE:
        counted = ", ".join(f"{count:,} {side}" for side, count in known.items())
        progress.note(f"FID is not reliable under {RELIABLE:,} pictures a side: {counted}")


class PictureCollector:
    """Makes statistics of uint8 RGB pictures (H, W, 3) of one size, which come one by one.

    No more than a batch of them is held, brought to the size of the network.
    """

    def __init__(self, network: Network, batch: int = BATCH) -> None:
        if batch < 1:
            raise InputError(f"a batch of {batch} pictures makes no sense", "give 1 or more")
        self._network = network
        self._batch = batch
        self._features = FeatureCollector()
        self._waiting: list[torch.Tensor] = []
        self._shape: tuple[int, ...] | None = None

    def add(self, picture: Picture) -> None:
        """Add a picture.

        Raises:
            InputError: it has another size than those before.
        """
        if self._shape is None:
            self._shape = picture.shape
        if picture.shape != self._shape:
            (height, width), (other_height, other_width) = self._shape[:2], picture.shape[:2]
            raise InputError(
                f"FID needs pictures of one size: the first has {width}x{height}, "
                f"another has {other_width}x{other_height}",
                "bring them to one size first",
            )
        self._waiting.append(prepare(self._network, picture))
        if len(self._waiting) == self._batch:
            self._settle()

    def statistics(self) -> Statistics:
        """The statistics of all pictures added.

        Raises:
            InputError: they were fewer than two.
        """
        self._settle()
        return self._features.statistics(self._network.sha256)

    def _settle(self) -> None:
        if self._waiting:
            self._features.add(extract(self._network, self._waiting))
            self._waiting.clear()


def picture_statistics(
    pictures: Iterable[Picture],
    network: Network,
    batch: int = BATCH,
    progress: Progress | None = None,
    total: int | None = None,
) -> Statistics:
    """The statistics of uint8 RGB pictures (H, W, 3), `total` of them where it is known.

    Raises:
        InputError: they are fewer than two or not of one size.
    """
    collector = PictureCollector(network, batch)
    with (progress or Silent()).task("FID features", total, "pictures") as task:
        for picture in pictures:
            collector.add(picture)
            task.advance()
        return collector.statistics()


def file_statistics(
    paths: Sequence[Path], network: Network, batch: int = BATCH, progress: Progress | None = None
) -> Statistics:
    """The statistics of pictures in files, in their order.

    Raises:
        InputError: they are fewer than two or not of one size; one cannot be read.
    """
    check_files(paths)
    return picture_statistics(map(read_picture, paths), network, batch, progress, len(paths))


def check_files(paths: Sequence[Path]) -> None:
    """Check from their heads that the files can be one side of a distance.

    Raises:
        InputError: they are fewer than two or not of one size; one is not a picture.
    """
    if len(paths) < 2:
        where = paths[0] if paths else "one side"
        raise InputError(
            f"FID needs two pictures a side or more, not {len(paths)}: {where}",
            "give more pictures",
        )
    sizes: dict[tuple[int, int], Path] = {}
    for path in paths:
        sizes.setdefault(picture_size(path), path)
        if len(sizes) > 1:
            (one, first), (other, second) = sizes.items()
            raise InputError(
                f"FID needs pictures of one size: {first} has {one[0]}x{one[1]}, "
                f"{second} has {other[0]}x{other[1]}",
                "bring them to one size first",
            )


def _matrix_root(matrix: NDArray[np.float64], disp: bool = True) -> Any:
    # SciPy 1.18 dropped `disp`; with disp=False it gave the root and an error estimate.
    root = linalg.sqrtm(matrix)
    return root if disp else (root, float("nan"))
