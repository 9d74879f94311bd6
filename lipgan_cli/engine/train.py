"""Training a strategy on a prepared dataset: the loop, its evaluations and its checkpoints."""

from __future__ import annotations

import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np
import torch

from lipgan_cli.engine.config import TrainConfig
from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.data.samples import Draws, batches
from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.gan.checkpoint import Checkpoints, State, read_state, weights_file
from lipgan_cli.engine.gan.core import Core
from lipgan_cli.engine.gan.inference import Animator
from lipgan_cli.engine.gan.losses import STRATEGIES
from lipgan_cli.engine.gan.packing import load_generator, save_packed
from lipgan_cli.engine.metrics.image import PairSummary
from lipgan_cli.engine.metrics.protocol import GroupFigures, ProtocolFigures, measure
from lipgan_cli.engine.paths import atomic_path, locked
from lipgan_cli.engine.progress import Progress, Task
from lipgan_cli.engine.run.folder import (
    held_out_clips,
    initial_weights,
    read_config,
    training_clips,
)
from lipgan_cli.engine.run.log import Log, open_log
from lipgan_cli.engine.run.plots import draw
from lipgan_cli.engine.run.sheets import write_sheet

SAVE_SECONDS = 600
"""A checkpoint is written at least this often, whatever the evaluations."""


@dataclass(frozen=True)
class TrainSummary:
    """What a training run came to.

    Attributes:
        run: the run's folder.
        weights: the best generator, packed, ready for `sync --weights` and `score --weights`.
        iterations: critic steps done in all.
        samples_per_second: of this call, evaluation included.
        figures: the protocol's figures of the best checkpoint.
    """

    run: Path
    weights: Path
    iterations: int
    samples_per_second: float
    figures: dict[str, object]


def train(
    run: Path,
    device: torch.device,
    progress: Progress,
    workers: int = 0,
    tensorboard: bool = False,
) -> TrainSummary:
    """Train `run` from its newest checkpoint, or from the start, to its end.

    The first Ctrl-C ends the iteration under way, saves a checkpoint and raises
    KeyboardInterrupt; the run goes on from there when it is called again.

    Raises:
        InputError: the dataset cannot be used or has changed, a checkpoint does not fit, or another
            process trains this run; `tensorboard` and it is not installed.
        LipganError: the losses are no longer numbers, or nothing can be written.
    """
    with locked(run):
        session = _Session(run, device, progress)
        began, first = time.monotonic(), session.done
        session.work(workers, tensorboard)
        seconds = time.monotonic() - began
        return TrainSummary(
            run=run,
            weights=_export(run, session.checkpoints, session.config),
            iterations=session.iterations,
            samples_per_second=(session.iterations - first) * session.config.batch / seconds,
            figures=_best_figures(session.checkpoints),
        )


class _Session:
    """A run being trained: where it stands, and what it writes on the way."""

    def __init__(self, run: Path, device: torch.device, progress: Progress) -> None:
        self.run, self.progress = run, progress
        self.config = config = read_config(run)
        dataset = Dataset.open(Path(config.dataset))
        clips = training_clips(dataset, config)
        frames = sum(len(clip) for clip in clips)
        self.iterations = config.planned_iterations(frames)
        self.every = config.evaluate_every or config.iterations_of_an_epoch(frames)
        self.draws = Draws(clips, config, self.iterations)
        self.held_out = held_out_clips(dataset, config)
        self.core = Core(STRATEGIES[config.variant], config, self.iterations, device)
        if config.initial:
            self.core.start_from(load_generator(initial_weights(run)))
        self.checkpoints = Checkpoints(run / "checkpoints")
        self.state = self.checkpoints.restore(self.core) or State(0)

    @property
    def done(self) -> int:
        """Iterations done, as of the newest checkpoint."""
        return self.state.iteration

    def work(self, workers: int, tensorboard: bool) -> None:
        """Take every iteration that is left."""
        began = saved = time.monotonic()
        first = done = self.done
        with (
            open_log(self.run, first, tensorboard) as log,
            _deferred_interrupt() as interrupted,
            self.progress.task(f"training {self.run.name}", self.iterations, "iterations") as task,
        ):
            task.advance(first)
            self._measure_if_due(log)
            for batch in batches(self.draws, first, workers):
                figures = self.core.step(batch, done)
                done += 1
                rate = (done - first) * self.config.batch / (time.monotonic() - began)
                self._report(log, task, done, figures, rate)
                stop = interrupted()
                if stop or self._due(done) or time.monotonic() - saved > SAVE_SECONDS:
                    self.state = State(done)
                    self.checkpoints.save(self.core, self.state)
                    saved = time.monotonic()
                if stop:
                    self.progress.note(
                        f"saved at iteration {done}; go on with --resume {self.run.name}"
                    )
                    raise KeyboardInterrupt
                self._measure_if_due(log)

    def _due(self, done: int) -> bool:
        return done == self.iterations or (done > 0 and done % self.every == 0)

    def _report(
        self, log: Log, task: Task, done: int, figures: dict[str, float], rate: float
    ) -> None:
        if not all(np.isfinite(value) for value in figures.values()):
            raise LipganError(
                f"the losses are no longer numbers at iteration {done}: {figures}",
                "begin a new run with a lower --learning-rate",
            )
        task.show(**{"samples/s": rate}, **figures)
        task.advance()
        if done % self.config.log_every == 0:
            log.write(done, {"samples_per_second": rate, **figures})

    def _measure_if_due(self, log: Log) -> None:
        """Measure the newest checkpoint on held-out clips and draw a sheet, once, where due."""
        done = self.done
        if self.state.score is not None or not self._due(done):
            return
        animator = Animator(self.core.averaged, self.core.device, self.core.half_precision)
        measured = measure(animator.faces, self.held_out, progress=self.progress)
        write_sheet(self.run / "sheets" / f"{done:08d}.png", animator, self.held_out)
        self.state = State(done, _mouth_psnr(measured.total.right), brief(measured))
        self.checkpoints.describe(self.state)
        log.write(done, {"evaluation": self.state.figures})
        self._draw()

    def _draw(self) -> None:
        """Draw the log's figures; a failure to is told, and is no reason to end days of work."""
        try:
            draw(self.run)
        except Exception as error:
            self.progress.note(f"the plots could not be drawn: {error!r}")


def brief(figures: ProtocolFigures) -> dict[str, object]:
    """The protocol's mean mouth PSNR (dB) with controls and gaps, for each speaker and for all."""
    return {group.name: _brief(group) for group in (*figures.speakers, figures.total)}


def _brief(group: GroupFigures) -> dict[str, float]:
    values = {
        "right": _mouth_psnr(group.right),
        "swapped": _mouth_psnr(group.swapped),
        "still": _mouth_psnr(group.still),
        "copy": _mouth_psnr(group.copy),
        "ssim": group.right.mouth.ssim.mean if group.right.mouth else None,
        "gap_to_swapped": group.gap_to_swapped,
        "gap_to_still": group.gap_to_still,
        "whole": group.right.whole.psnr.mean,
    }
    return {name: round(value, 3) for name, value in values.items() if value is not None}


def _mouth_psnr(pairs: PairSummary | None) -> float | None:
    return pairs.mouth.psnr.mean if pairs and pairs.mouth else None


def _export(run: Path, checkpoints: Checkpoints, config: TrainConfig) -> Path:
    """Pack the best checkpoint's generator into one portable file."""
    best = checkpoints.best()
    assert best is not None
    weights = run / "weights.safetensors"
    about = {"config": dataclasses.asdict(config), "figures": _best_figures(checkpoints)}
    generator = load_generator(weights_file(best))
    with atomic_path(weights) as temporary:
        save_packed(generator.state_dict(), temporary, about)
    return weights


def _best_figures(checkpoints: Checkpoints) -> dict[str, object]:
    best = checkpoints.best()
    return read_state(best).figures if best else {}


@contextmanager
def _deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a flag, so that no iteration is cut in two; a second one stops."""
    pressed = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
