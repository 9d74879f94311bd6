"""What to measure, and the networks that it takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lipgan_cli.engine import weights
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.metrics.features import BATCH
from lipgan_cli.engine.paths import require_file
from lipgan_cli.engine.progress import Progress

if TYPE_CHECKING:
    from lipgan_cli.engine.metrics.features import Statistics
    from lipgan_cli.engine.metrics.inception import Network
    from lipgan_cli.engine.metrics.judge import Judge
    from lipgan_cli.engine.metrics.kid import Interval
    from lipgan_cli.engine.metrics.syncnet import SyncNet

FID_WEIGHTS = "fid-inception"
SYNCNET = "syncnet"


HIDDEN = {"json": False}
"""Marks a field that is too long to be printed as JSON."""


@dataclass(frozen=True)
class Measures:
    """What every kind of score can be asked for.

    Attributes:
        fid: FID and KID, by the network in `fid_weights`, or in the one that was downloaded.
        save_statistics: a new .npz for the real side's FID statistics.
        batch: pictures that go through the FID network at once.
        sync: lip-sync, and what follows from faces found in videos.
        judge: another judge than the one that comes with the install.
        syncnet: the weights of SyncNet, or those in the user's folder where they are there.
        gaussian: SSIM with the Gaussian window of its paper.
        force: replace `save_statistics`.
    """

    fid: bool = False
    fid_weights: Path | None = None
    save_statistics: Path | None = None
    batch: int = BATCH
    sync: bool = False
    judge: Path | None = None
    syncnet: Path | None = None
    gaussian: bool = False
    device: str | None = None
    force: bool = False


@dataclass(frozen=True)
class Distances:
    """How far generated pictures are from real ones as two sets.

    Attributes:
        fid: Frechet Inception Distance.
        kid: Kernel Inception Distance with its 95 % interval; None where the real side is a file of
            statistics without features.
        real, generated: pictures; None where a file of statistics does not say.
    """

    fid: float
    kid: Interval | None
    real: int | None
    generated: int | None


def check_once(paths: Iterable[Path]) -> None:
    """Check that no side and no model is given twice: their figures would have one name.

    Raises:
        InputError: one is.
    """
    seen: set[Path] = set()
    for path in paths:
        place = path.absolute()
        if place in seen:
            raise InputError(f"{path} is given twice", "give it once")
        seen.add(place)


def fid_network_file(given: Path | None) -> Path:
    """The file with the FID network: the given one, or the one that was downloaded.

    Raises:
        InputError: there is none.
    """
    if given is not None:
        return require_file(given, "the FID network")
    try:
        return weights.find(FID_WEIGHTS)
    except InputError as error:
        raise InputError(error.message, f"{error.hint}; or give --fid-weights FILE") from error


def fid_network(measures: Measures) -> Network | None:
    """The FID network on its device, where it is asked for."""
    if not measures.fid:
        return None
    file = fid_network_file(measures.fid_weights)
    from lipgan_cli.engine.gan.device import choose_device
    from lipgan_cli.engine.metrics.inception import load_network

    return load_network(file, choose_device(measures.device))


def distances(real: Statistics, generated: Statistics, progress: Progress) -> Distances:
    """FID and KID of two sides."""
    from lipgan_cli.engine.metrics.fid import frechet, note_few
    from lipgan_cli.engine.metrics.kid import kernel_distance

    note_few(real.count, generated.count, progress)
    with progress.task("FID and KID"):
        kid = None
        if real.features is not None and generated.features is not None:
            kid = kernel_distance(real.features, generated.features)
        return Distances(frechet(real, generated, progress), kid, real.count, generated.count)


def sync_judge(measures: Measures) -> Judge:
    """The judge of lip-sync on its device."""
    from lipgan_cli.engine.gan.device import choose_device
    from lipgan_cli.engine.metrics.judge import load_judge

    return load_judge(measures.judge).to(choose_device(measures.device))


def syncnet_file(measures: Measures) -> Path | None:
    """The weights of SyncNet: the given file, or the one that was downloaded, if there is one.

    Raises:
        InputError: what was downloaded is not the published file.
    """
    return measures.syncnet or weights.find_installed(SYNCNET)


def syncnet(measures: Measures) -> SyncNet | None:
    """SyncNet on its device, where there are weights."""
    from lipgan_cli.engine.gan.device import choose_device
    from lipgan_cli.engine.metrics.syncnet import load_syncnet

    file = syncnet_file(measures)
    return None if file is None else load_syncnet(file, choose_device(measures.device))
