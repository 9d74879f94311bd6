"""Scoring: pairs of pictures, pairs of videos, or a model on a subset of a prepared dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from lipgan_cli.engine import weights
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.metrics.image import PairSummary, Picture
from lipgan_cli.engine.metrics.pairs import check_sizes, compare_pairs, match
from lipgan_cli.engine.metrics.pictures import is_picture, list_pictures
from lipgan_cli.engine.metrics.protocol import EVERY, ProtocolFigures, measure
from lipgan_cli.engine.metrics.response import Response, respond
from lipgan_cli.engine.paths import require_file
from lipgan_cli.engine.progress import Progress

FID_WEIGHTS = "fid-inception"
SUBSET = "test"


@dataclass(frozen=True)
class PairRequest:
    """Two folders of pictures, two pictures or two videos; `fid` is for folders."""

    real: Path
    generated: Path
    fid: bool = False
    fid_weights: Path | None = None
    gaussian: bool = False
    device: str | None = None


@dataclass(frozen=True)
class PairScore:
    """The figures of all pairs; None where the folders could only be compared by FID."""

    real: Path
    generated: Path
    figures: PairSummary | None
    fid: float | None


@dataclass(frozen=True)
class ModelRequest:
    """A model and the clips to measure it on; None: the only dataset, and our own weights."""

    data: Path | None = None
    subset: str = SUBSET
    weights: Path | None = None
    every: int = EVERY
    fid: bool = False
    fid_weights: Path | None = None
    gaussian: bool = False
    batch_statistics: bool = False
    device: str | None = None


@dataclass(frozen=True)
class ModelScore:
    """The figures of the measuring protocol, and how the model responds to sound and face.

    `weights` is None for our own. With batch statistics there is no response: it asks for one
    face with several sounds, and a batch of one face has no statistics to speak of.
    """

    data: Path
    subset: str
    weights: Path | None
    every: int
    figures: ProtocolFigures
    response: Response | None
    fid: float | None


def score_pair(request: PairRequest, progress: Progress) -> PairScore:
    """Compare real with generated pictures, pair by pair and with `fid` as two sets too.

    Raises:
        InputError: something is missing or unreadable, or the two do not match.
    """
    for path in (request.real, request.generated):
        if not path.exists():
            raise InputError(f"{path} does not exist", "check the path")
    if request.real.is_dir() != request.generated.is_dir():
        folder, file = request.real, request.generated
        if file.is_dir():
            folder, file = file, folder
        raise InputError(
            f"{folder} is a folder and {file} is a file", "give two folders, or two videos"
        )
    if request.real.is_dir():
        return _score_folders(request, progress)
    if request.fid:
        raise InputError("FID compares folders of pictures, not two files", "leave --fid out")
    if is_picture(request.real) and is_picture(request.generated):
        pairs = [(request.real, request.generated)]
        check_sizes(pairs, request.gaussian)
        figures = compare_pairs(pairs, request.gaussian, progress)
    else:
        # Two folders of pictures are scored without waiting for the video libraries.
        from lipgan_cli.engine.metrics.videos import compare_videos

        figures = compare_videos(request.real, request.generated, request.gaussian, progress)
    return PairScore(request.real, request.generated, figures, None)


def _score_folders(request: PairRequest, progress: Progress) -> PairScore:
    real, generated = list_pictures(request.real), list_pictures(request.generated)
    network = _fid_network(request.fid_weights) if request.fid else None
    figures = None
    try:
        pairs = match(real, generated)
        check_sizes(pairs, request.gaussian)
    except InputError as error:
        if network is None:
            raise
        progress.note(f"FID alone, no PSNR and SSIM: {error.message}")
    else:
        figures = compare_pairs(pairs, request.gaussian, progress)
    fid = None
    if network is not None:
        fid = _fid(real, generated, network, request.device, progress)
    return PairScore(request.real, request.generated, figures, fid)


def score_model(request: ModelRequest, progress: Progress) -> ModelScore:
    """Measure a model by the protocol, with its controls, on a subset of a prepared dataset.

    Raises:
        InputError: there is no such dataset, subset, model or device.
    """
    # torch takes seconds to import, and scoring pairs needs none.
    from lipgan_cli.engine.data.dataset import Dataset, resolve
    from lipgan_cli.engine.gan.device import choose_device
    from lipgan_cli.engine.gan.inference import Animator

    if request.every < 1:
        raise InputError(f"every {request.every} frames makes no sense", "give 1 or more")
    data = resolve(request.data)
    clips = Dataset.open(data).clips(request.subset)
    if request.batch_statistics and any(len(clip) <= request.every for clip in clips):
        raise InputError(
            "--batch-statistics needs two measured frames of every clip", "measure more: --every 1"
        )
    network = _fid_network(request.fid_weights) if request.fid else None
    device = choose_device(request.device)
    animator = Animator.load(request.weights, device, request.batch_statistics)
    fid = None
    with TemporaryDirectory(prefix="lipgan-score-") as folder:
        kept = _Kept(Path(folder)) if network else None
        figures = measure(animator.faces, clips, request.every, request.gaussian, progress, kept)
        if kept is not None and network is not None:
            fid = _fid(
                list_pictures(kept.real),
                list_pictures(kept.generated),
                network,
                request.device,
                progress,
            )
    alone = [group.name for group in figures.speakers if group.swapped is None]
    if alone:
        progress.note(f"no swapped audio for {', '.join(alone)}: one clip alone")
    return ModelScore(
        data=data,
        subset=request.subset,
        weights=request.weights,
        every=request.every,
        figures=figures,
        response=None if request.batch_statistics else respond(animator.faces, clips),
        fid=fid,
    )


class _Kept:
    """Keeps the measured frames as files for pytorch-fid, which reads nothing else."""

    def __init__(self, folder: Path) -> None:
        self.real, self.generated = folder / "real", folder / "generated"
        self.real.mkdir()
        self.generated.mkdir()
        self._count = 0

    def __call__(self, _key: str, _frame: int, real: Picture, generated: Picture) -> None:
        for folder, pixels in ((self.real, real), (self.generated, generated)):
            Image.fromarray(pixels).save(folder / f"{self._count:08d}.png", compress_level=1)
        self._count += 1


def _fid(
    real: list[Path], generated: list[Path], network: Path, device: str | None, progress: Progress
) -> float:
    from lipgan_cli.engine.gan.device import choose_device
    from lipgan_cli.engine.metrics.fid import frechet_distance

    return frechet_distance(real, generated, network, choose_device(device), progress)


def _fid_network(given: Path | None) -> Path:
    """The file with the FID network: the given one, or the one that was downloaded."""
    if given is not None:
        return require_file(given, "the FID network")
    try:
        return weights.find(FID_WEIGHTS)
    except InputError as error:
        raise InputError(error.message, f"{error.hint}; or give --fid-weights FILE") from error
