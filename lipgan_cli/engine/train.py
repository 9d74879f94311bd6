"""Training a strategy on a prepared dataset: the loop, its log, its sheets and its checkpoints."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import IO

import cv2
import numpy as np
import torch

from lipgan_cli.engine.config import TrainConfig
from lipgan_cli.engine.data.dataset import Clip, Dataset
from lipgan_cli.engine.data.samples import Draws, batches
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.gan.checkpoint import Checkpoints, State, read_state, weights_file
from lipgan_cli.engine.gan.core import Core
from lipgan_cli.engine.gan.inference import Animator
from lipgan_cli.engine.gan.losses import STRATEGIES
from lipgan_cli.engine.gan.packing import load_generator, save_packed
from lipgan_cli.engine.media.audio import mel_windows
from lipgan_cli.engine.metrics.image import PairSummary
from lipgan_cli.engine.metrics.protocol import GroupFigures, ProtocolFigures, measure
from lipgan_cli.engine.paths import atomic_path, locked, runs_dir
from lipgan_cli.engine.progress import Progress, Task

SAVE_SECONDS = 600
"""A checkpoint is written at least this often, whatever the evaluations."""

SHEET_FACES = 12
"""Faces on a sheet: reference, generated and ground truth, one column each."""


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


def new_run(config: TrainConfig, name: str | None = None) -> Path:
    """Make the folder of a new run and write its config.

    Raises:
        InputError: the dataset cannot be used, or a run of that name exists.
    """
    clips = Dataset.open(Path(config.dataset)).clips(config.subset)
    Draws(clips, config, 1)
    config = dataclasses.replace(config, clips=_digest(clips))
    if name is not None and (Path(name).name != name or name == ".."):
        raise InputError(f"{name!r} cannot name a run", "give a name without a folder")
    name = name or f"{config.variant}-{config.subset}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    run = runs_dir() / name
    if run.exists():
        raise InputError(f"the run {run} exists already", f"--resume {name}, or another --name")
    with atomic_path(run) as temporary:
        temporary.mkdir(parents=True)
        (temporary / "config.json").write_text(config.to_json(), "utf-8")
    return run


def find_run(name: str) -> Path:
    """The folder of the run called `name`, or at the path `name`.

    Raises:
        InputError: there is no such run.
    """
    for run in (runs_dir() / name, Path(name)):
        if (run / "config.json").is_file():
            return run
    known = sorted(path.parent.name for path in runs_dir().glob("*/config.json"))
    hint = f"the runs are {', '.join(known)}" if known else "there are no runs yet"
    raise InputError(f"there is no run called {name}", hint)


def train(run: Path, device: torch.device, progress: Progress, workers: int = 0) -> TrainSummary:
    """Train `run` from its newest checkpoint, or from the start, to its end.

    The first Ctrl-C ends the iteration under way, saves a checkpoint and raises
    KeyboardInterrupt; the run goes on from there when it is called again.

    Raises:
        InputError: the dataset cannot be used or has changed, a checkpoint does not fit, or another
            process trains this run.
        LipganError: the losses are no longer numbers, or nothing can be written.
    """
    with locked(run):
        session = _Session(run, device, progress)
        began, first = time.monotonic(), session.done
        session.work(workers)
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
        self.config = config = TrainConfig.from_json((run / "config.json").read_text("utf-8"))
        dataset = Dataset.open(Path(config.dataset))
        clips = dataset.clips(config.subset)
        if config.clips not in {"", _digest(clips)}:
            raise InputError(
                f"the subset {config.subset} of {config.dataset} has changed since the run began",
                "begin a new run",
            )
        epoch = max(1, sum(len(clip) for clip in clips) // config.batch)
        self.iterations = config.iterations or config.epochs * epoch
        self.every = config.evaluate_every or epoch
        self.draws = Draws(clips, config, self.iterations)
        self.held_out = _held_out(dataset, config)
        self.core = Core(STRATEGIES[config.variant], config, self.iterations, device)
        self.checkpoints = Checkpoints(run / "checkpoints")
        self.state = self.checkpoints.restore(self.core) or State(0)

    @property
    def done(self) -> int:
        """Iterations done, as of the newest checkpoint."""
        return self.state.iteration

    def work(self, workers: int) -> None:
        """Take every iteration that is left."""
        began = saved = time.monotonic()
        first = done = self.done
        with (
            _log(self.run / "log.jsonl", first) as log,
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
        self, log: IO[str], task: Task, done: int, figures: dict[str, float], rate: float
    ) -> None:
        if not all(np.isfinite(value) for value in figures.values()):
            raise LipganError(
                f"the losses are no longer numbers at iteration {done}: {figures}",
                "begin a new run with a lower --learning-rate",
            )
        task.show(**{"samples/s": rate}, **figures)
        task.advance()
        if done % self.config.log_every == 0:
            _write(log, {"iteration": done, "samples_per_second": rate, **figures})

    def _measure_if_due(self, log: IO[str]) -> None:
        """Measure the newest checkpoint on held-out clips and draw a sheet, once, where due."""
        done = self.done
        if self.state.score is not None or not self._due(done):
            return
        animator = Animator(self.core.averaged, self.core.device, self.core.half_precision)
        measured = measure(animator.faces, self.held_out, progress=self.progress)
        _write_sheet(self.run / "sheets" / f"{done:08d}.png", animator, self.held_out)
        self.state = State(done, _mouth_psnr(measured.total.right), brief(measured))
        self.checkpoints.describe(self.state)
        _write(log, {"iteration": done, "evaluation": self.state.figures})


def _digest(clips: list[Clip]) -> str:
    """What a list of clips is known by: a resumed run must draw from the same."""
    return hashlib.sha256("\n".join(clip.key for clip in clips).encode()).hexdigest()[:16]


def _held_out(dataset: Dataset, config: TrainConfig) -> list[Clip]:
    """The first test clips of each speaker; without any, of the subset that is trained on."""
    try:
        clips = dataset.clips("test")
    except InputError:
        clips = dataset.clips(config.subset)
    speakers: dict[str, list[Clip]] = {}
    for clip in clips:
        speakers.setdefault(clip.speaker, []).append(clip)
    return [clip for own in speakers.values() for clip in own[: config.evaluate_clips]]


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


def _write_sheet(path: Path, animator: Animator, clips: list[Clip]) -> None:
    """Draw reference, generated face and ground truth of frames spread over the clips."""
    spread = np.linspace(0, len(clips) - 1, SHEET_FACES).round().astype(int)
    columns = []
    for place, clip in enumerate(clips[i] for i in spread):
        target = (place * 7 + 11) % len(clip)
        reference = clip.face((target + len(clip) // 2) % len(clip))
        window = mel_windows(clip.mel(), clip.times[target : target + 1])
        truth = clip.face(target)
        generated = animator.faces(reference[None], truth[None], window)[0]
        columns.append(np.vstack([reference, generated, truth]))
    with atomic_path(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", np.hstack(columns)[..., ::-1])[1].tobytes())


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
def _log(path: Path, first: int) -> Iterator[IO[str]]:
    """Append to the log from iteration `first` on; what a lost stretch wrote is dropped."""
    kept = []
    if path.exists():
        lines = path.read_text().splitlines()
        kept = [line for line in lines if _iteration(line) <= first]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in kept))
    with path.open("a", buffering=1) as log:
        yield log


def _iteration(line: str) -> float:
    try:
        return float(json.loads(line)["iteration"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line cut short by a crash


def _write(log: IO[str], values: dict[str, object] | dict[str, float]) -> None:
    log.write(json.dumps(values) + "\n")


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
