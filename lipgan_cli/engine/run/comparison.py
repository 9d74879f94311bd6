"""Several runs side by side: a line of figures each, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from lipgan_cli.engine.config import Variant
from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.gan.checkpoint import Checkpoints, weights_file
from lipgan_cli.engine.gan.inference import Animator
from lipgan_cli.engine.run.folder import held_out_clips, read_config
from lipgan_cli.engine.run.plots import compare
from lipgan_cli.engine.run.series import read_series
from lipgan_cli.engine.run.sheets import write_faces

COMPARISON, FACES = "comparison.png", "faces.jpg"
"""The pictures of a comparison."""


@dataclass(frozen=True)
class Standing:
    """Where a run stands at its last evaluation.

    The last and not the best: that would be chosen on the very clips it is measured on.

    Attributes:
        name: the run's.
        variant: its loss strategy.
        iterations: critic steps until then; 0 where nothing was measured yet.
        samples: drawn until then.
        samples_per_second: the median over its log, evaluations included.
        figures: what was measured, by speaker and for `all`.
        checkpoint: the folder of the weights that were measured.
    """

    name: str
    variant: Variant
    iterations: int = 0
    samples: int = 0
    samples_per_second: float | None = None
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    checkpoint: Path | None = None


def standing(run: Path) -> Standing:
    """Where a run stands.

    Raises:
        InputError: its settings or a checkpoint of it cannot be read.
    """
    config = read_config(run)
    checkpoints = Checkpoints(run / "checkpoints")
    measured = checkpoints.measured()
    if not measured:
        return Standing(run.name, config.variant)
    last = measured[-1]
    speed = read_series(run).get(("samples_per_second",))
    return Standing(
        name=run.name,
        variant=config.variant,
        iterations=last.iteration,
        samples=last.iteration * config.batch,
        samples_per_second=None if speed is None else round(float(np.median(speed.y)), 1),
        figures=last.figures,
        checkpoint=checkpoints.place(last),
    )


def draw_comparison(runs: Sequence[Path], folder: Path, device: torch.device) -> None:
    """Draw the runs' figures over each other, and what each paints for the same moments.

    The moments are of the first run's held-out clips.

    Raises:
        InputError: nothing was measured yet, or the first run's dataset is not there.
        LipganError: the pictures cannot be written.
    """
    compare(runs, folder / COMPARISON)
    config = read_config(runs[0])
    clips = held_out_clips(Dataset.open(Path(config.dataset)), config)
    animators = (
        (one.name, Animator.load(weights_file(one.checkpoint), device))
        for one in map(standing, runs)
        if one.checkpoint
    )
    write_faces(folder / FACES, animators, clips)
