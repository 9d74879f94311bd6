"""The Frechet Inception Distance (arXiv 1706.08500), computed by pytorch-fid.

Its network comes from a local file instead of its own download, a picture that cannot be read is
named, its progress goes to ours, and its matrix root takes the argument that SciPy 1.18 dropped.
The numbers are its own.
"""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pytorch_fid import fid_score, inception
from scipy import linalg

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.metrics.pictures import picture_size, read_picture
from lipgan_cli.engine.paths import require_file
from lipgan_cli.engine.progress import Progress, Silent, Task

BATCH = 50
DIMENSIONS = 2048
RELIABLE = 2048
"""Pictures a side below which the distance is not reliable: fewer than it has dimensions."""


def frechet_distance(
    real: Sequence[Path],
    generated: Sequence[Path],
    weights: Path,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    dimensions: int = DIMENSIONS,
) -> float:
    """The FID of two lists of pictures, with the Inception network in the file `weights`.

    `dimensions` is 64, 192, 768 or 2048: the layer whose features are compared.

    Raises:
        InputError: fewer than two pictures a side, pictures of several sizes on one side, or
            `weights` is not the FID network; a picture cannot be read.
        LipganError: the distance cannot be computed from these pictures.
    """
    told = progress or Silent()
    for side in (real, generated):
        _check(side)
    if min(len(real), len(generated)) < RELIABLE:
        told.note(
            f"FID is not reliable under {RELIABLE:,} pictures a side: "
            f"{len(real):,} real, {len(generated):,} generated"
        )
    network = load_network(weights, dimensions).to(device)
    with told.task("FID features", len(real) + len(generated), "pictures") as task:
        statistics = [
            _statistics(network, side, dimensions, device, task) for side in (real, generated)
        ]
    with told.task("FID distance"):
        return _distance(*statistics[0], *statistics[1], told)


def load_network(weights: Path, dimensions: int = DIMENSIONS) -> torch.nn.Module:
    """Build pytorch-fid's Inception network from a file of its weights.

    Raises:
        InputError: the file is missing, or is not a state dict of that network.
    """
    require_file(weights, "the FID network")
    hint = "lipgan download-weights fid-inception fetches the right file"
    try:
        with warnings.catch_warnings():
            # Of a pickle that is not torch's: the error that follows says it better.
            warnings.simplefilter("ignore")
            state = torch.load(weights, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        EOFError,
        KeyError,
        ValueError,
        OSError,
        pickle.UnpicklingError,
    ) as error:
        raise InputError(f"{weights} is not a file of PyTorch weights", hint) from error
    block = inception.InceptionV3.BLOCK_INDEX_BY_DIM[dimensions]
    with _replaced(inception, "load_state_dict_from_url", lambda *_, **__: state):
        try:
            network: torch.nn.Module = inception.InceptionV3([block])
        except (RuntimeError, TypeError, AttributeError) as error:
            raise InputError(f"{weights} does not hold the FID network", hint) from error
    return network


def _check(side: Sequence[Path]) -> None:
    if len(side) < 2:
        where = side[0] if side else "one side"
        raise InputError(
            f"FID needs two pictures a side or more, not {len(side)}: {where}", "give more pictures"
        )
    sizes: dict[tuple[int, int], Path] = {}
    for path in side:
        sizes.setdefault(picture_size(path), path)
        if len(sizes) > 1:
            (one, first), (other, second) = sizes.items()
            raise InputError(
                f"FID needs pictures of one size: {first} has {one[0]}x{one[1]}, "
                f"{second} has {other[0]}x{other[1]}",
                "bring them to one size first",
            )


def _statistics(
    network: torch.nn.Module,
    pictures: Sequence[Path],
    dimensions: int,
    device: torch.device | str,
    task: Task,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # Smaller lists would make pytorch-fid print a warning.
    batch = min(BATCH, len(pictures))

    def reporting(batches: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        for pixels in batches:
            yield pixels
            task.advance(len(pixels))

    # The same pixels as pytorch-fid would read, and an error that names the file.
    reader = SimpleNamespace(open=lambda path: Image.fromarray(read_picture(path)))
    with _replaced(fid_score, "tqdm", reporting), _replaced(fid_score, "Image", reader):
        mean, covariance = fid_score.calculate_activation_statistics(
            list(pictures),
            network,
            batch_size=batch,
            dims=dimensions,
            device=device,
            num_workers=0,
        )
    return mean, covariance


def _distance(
    real_mean: NDArray[np.float64],
    real_covariance: NDArray[np.float64],
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    progress: Progress,
) -> float:
    said = io.StringIO()
    with (
        _replaced(fid_score, "linalg", SimpleNamespace(sqrtm=_matrix_root)),
        redirect_stdout(said),
        warnings.catch_warnings(),
    ):
        # Fewer pictures than dimensions: the covariances are singular, as has been told.
        warnings.simplefilter("ignore", linalg.LinAlgWarning)
        try:
            value = fid_score.calculate_frechet_distance(
                real_mean, real_covariance, mean, covariance
            )
        except ValueError as error:
            raise LipganError(
                f"FID cannot be computed from these pictures: {error}", "give more pictures"
            ) from error
    for line in said.getvalue().splitlines():
        progress.note(line)
    return float(value)


def _matrix_root(matrix: NDArray[np.float64], disp: bool = True) -> Any:
    # SciPy 1.18 dropped `disp`; with disp=False it gave the root and an error estimate.
    root = linalg.sqrtm(matrix)
    return root if disp else (root, float("nan"))


@contextmanager
def _replaced(module: ModuleType, name: str, value: object) -> Iterator[None]:
    """Give a module another `name` for as long as the block runs."""
    original = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, original)
