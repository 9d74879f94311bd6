"""Models on a subset of a prepared dataset, by the measuring protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lipgan_cli.engine.data.dataset import Clip, Dataset, resolve
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.gan.device import choose_device
from lipgan_cli.engine.gan.inference import Animator
from lipgan_cli.engine.metrics.image import Picture
from lipgan_cli.engine.metrics.protocol import EVERY, Animate, Measured, ProtocolFigures, measure
from lipgan_cli.engine.metrics.response import Response, respond
from lipgan_cli.engine.paths import check_output
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.run.generators import BUILT_IN, find_model
from lipgan_cli.engine.score.options import (
    HIDDEN,
    Distances,
    Measures,
    check_once,
    distances,
    fid_network,
    sync_judge,
)
from lipgan_cli.engine.score.sides import SUBSET

if TYPE_CHECKING:
    from lipgan_cli.engine.metrics.features import Statistics
    from lipgan_cli.engine.metrics.inception import Network
    from lipgan_cli.engine.metrics.judge import Judge
    from lipgan_cli.engine.metrics.sync_protocol import SyncGroup

OURS = "lipgan's own"


@dataclass(frozen=True)
class ModelRequest:
    """Models and the clips to measure them on.

    Attributes:
        data: None: the only dataset.
        models: files of weights, or names or folders of runs; none: our own weights.
        every: frames from one measured frame of a clip to the next.
        batch_statistics: batch norm takes the statistics of the measured frames.
    """

    data: Path | None = None
    subset: str = SUBSET
    models: tuple[Path, ...] = ()
    every: int = EVERY
    batch_statistics: bool = False
    measures: Measures = field(default_factory=Measures)


@dataclass(frozen=True)
class ModelFigures:
    """The figures of the measuring protocol of one model, and how it responds to sound and face.

    `weights` is None for our own. With batch statistics there is no response: it asks for one
    face with several sounds, and a batch of one face has no statistics to speak of.
    """

    name: str
    weights: Path | None
    figures: ProtocolFigures
    response: Response | None
    distances: Distances | None
    sync: tuple[SyncGroup, ...] | None
    measured: Measured = field(metadata=HIDDEN, repr=False)
    animate: Animate = field(metadata=HIDDEN, repr=False)


@dataclass(frozen=True)
class ModelScore:
    """All models on the same frames."""

    data: Path
    subset: str
    every: int
    models: tuple[ModelFigures, ...]
    clips: tuple[Clip, ...] = field(metadata=HIDDEN, repr=False)


def score_models(request: ModelRequest, progress: Progress) -> ModelScore:
    """Measure models by the protocol, with its controls, on a subset of a prepared dataset.

    Raises:
        InputError: there is no such dataset, subset, model or device.
    """
    if request.every < 1:
        raise InputError(f"every {request.every} frames makes no sense", "give 1 or more")
    measures = request.measures
    if measures.save_statistics is not None:
        check_output(measures.save_statistics, measures.force)
    data = resolve(request.data)
    clips = Dataset.open(data).clips(request.subset)
    if request.batch_statistics and any(len(clip) <= request.every for clip in clips):
        raise InputError(
            "--batch-statistics needs two measured frames of every clip", "measure more: --every 1"
        )
    files = [find_model(model) for model in request.models]
    check_once(files)
    models = [None if file == BUILT_IN else file for file in files] or [None]
    names = _names(models)
    device = choose_device(measures.device)
    # All is opened before the first is measured: a wrong name should not cost an hour.
    animators = [Animator.load(model, device, request.batch_statistics) for model in models]
    network = fid_network(measures)
    sets = None if network is None else _Sets(network, measures)
    judge = sync_judge(measures) if measures.sync else None
    return ModelScore(
        data=data,
        subset=request.subset,
        every=request.every,
        models=tuple(
            _measure(name, model, animator, clips, request, sets, judge, progress)
            for name, model, animator in zip(names, models, animators, strict=True)
        ),
        clips=tuple(clips),
    )


def _names(models: list[Path | None]) -> list[str]:
    """Return a short name for each, the whole path where short ones would be the same."""
    short = [
        OURS if model is None else model.parent.name if model.stem == "weights" else model.stem
        for model in models
    ]
    return [
        name if short.count(name) == 1 else str(model)
        for name, model in zip(short, models, strict=True)
    ]


def _measure(
    name: str,
    model: Path | None,
    animator: Animator,
    clips: list[Clip],
    request: ModelRequest,
    sets: _Sets | None,
    judge: Judge | None,
    progress: Progress,
) -> ModelFigures:
    if sets is not None:
        sets.begin()
    measured = measure(
        animator.faces, clips, request.every, request.measures.gaussian, progress, sets
    )
    figures = measured.figures()
    alone = [group.name for group in figures.speakers if group.swapped is None]
    if alone:
        progress.note(f"no swapped audio for {', '.join(alone)}: one clip alone")
    return ModelFigures(
        name=name,
        weights=model,
        figures=figures,
        response=None if request.batch_statistics else respond(animator.faces, clips),
        distances=None if sets is None else sets.distances(progress),
        sync=None if judge is None else _sync(judge, animator, clips, progress),
        measured=measured,
        animate=animator.faces,
    )


def _sync(
    judge: Judge, animator: Animator, clips: list[Clip], progress: Progress
) -> tuple[SyncGroup, ...]:
    from lipgan_cli.engine.media.landmarks import installed_landmarks
    from lipgan_cli.engine.metrics.sync_protocol import measure_sync

    return measure_sync(judge, animator.faces, clips, installed_landmarks(), progress)


class _Sets:
    """Gathers the measured frames as two sets: the real ones once, the generated of each model."""

    def __init__(self, network: Network, measures: Measures) -> None:
        self._network, self._batch = network, measures.batch
        self._save = measures.save_statistics
        self._truth: Statistics | None = None

    def begin(self) -> None:
        """Begin with the next model."""
        from lipgan_cli.engine.metrics.fid import PictureCollector

        self._real, self._generated = (
            PictureCollector(self._network, self._batch) for _ in range(2)
        )

    def __call__(self, _key: str, _frame: int, real: Picture, generated: Picture) -> None:
        if self._truth is None:
            self._real.add(real)
        self._generated.add(generated)

    def distances(self, progress: Progress) -> Distances:
        """Return FID and KID of all frames of the model."""
        from lipgan_cli.engine.metrics.features import save_statistics

        if self._truth is None:
            self._truth = self._real.statistics()
            if self._save is not None:
                save_statistics(self._save, self._truth)
        return distances(self._truth, self._generated.statistics(), progress)
