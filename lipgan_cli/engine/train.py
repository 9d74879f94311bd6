"""Training a strategy on a prepared dataset: the loop, its evaluations and its checkpoints."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from lipgan_cli.engine.config import Recipe, TrainConfig
from lipgan_cli.engine.data.dataset import Clip, Dataset
from lipgan_cli.engine.data.samples import Draws, batches
from lipgan_cli.engine.errors import DivergedError
from lipgan_cli.engine.gan.checkpoint import Checkpoints, State, read_state, weights_file
from lipgan_cli.engine.gan.core import Core
from lipgan_cli.engine.gan.device import tune
from lipgan_cli.engine.gan.expert import Expert
from lipgan_cli.engine.gan.inference import Animator
from lipgan_cli.engine.gan.packing import load_generator, save_packed
from lipgan_cli.engine.gan.recipes import CORRECTIONS, strategy
from lipgan_cli.engine.gan.world import World
from lipgan_cli.engine.metrics.image import PairSummary
from lipgan_cli.engine.metrics.protocol import GroupFigures, ProtocolFigures, measure
from lipgan_cli.engine.metrics.response import Response, respond
from lipgan_cli.engine.paths import atomic_path, locked
from lipgan_cli.engine.progress import Progress, Task
from lipgan_cli.engine.run.expert import expert_of
from lipgan_cli.engine.run.folder import (
    check_batch,
    held_out_clips,
    initial_weights,
    read_config,
    training_clips,
    window_of,
)
from lipgan_cli.engine.run.forecast import Forecast
from lipgan_cli.engine.run.generators import weights_of
from lipgan_cli.engine.run.log import Log, open_log
from lipgan_cli.engine.run.plots import draw
from lipgan_cli.engine.run.sheets import write_sheet

SAVE_SECONDS = 600
"""A checkpoint is written at least this often, whatever the evaluations."""

SHOW_SECONDS = 0.5
"""Live figures are read this often: reading them makes a GPU wait."""

AGREE_EVERY = 10
"""Iterations after which several processes ask each other whether to stop."""

WORKERS = 8
"""Processes that load samples for a GPU, where there are cores for them."""

DRAW_SECONDS = 60
"""The log is drawn no more often than this, but at the end."""

COLLAPSED = 0.05
"""A response below this is none: a model of half an hour on two cores has 0.2 to the sound."""

RUN_AWAY = 1e6
"""A loss beyond this comes back no more."""


@dataclass(frozen=True)
class Session:
    """How a stretch of training is run, which does not decide what comes out of it.

    Attributes:
        device: what computes.
        workers: processes that load samples; 0 loads them in this one; None, as many as a GPU
            needs, and 0 without one.
        minutes: after which the stretch ends with a checkpoint; None for never.
        tensorboard: whether the log goes to event files too.
    """

    device: torch.device
    workers: int | None = None
    minutes: float | None = None
    tensorboard: bool = False


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
    run: Path, session: Session, progress: Progress, world: World | None = None
) -> TrainSummary | None:
    """Train `run` from its newest checkpoint, or from the start, to its end.

    The first Ctrl-C ends the iteration under way, saves a checkpoint and raises
    KeyboardInterrupt; the run goes on from there when it is called again. Every process of
    `world` calls this; the first one alone logs, measures, writes and has a summary to return.

    Raises:
        InputError: the dataset cannot be used or has changed, a checkpoint does not fit, or another
            process trains this run; `tensorboard` and it is not installed.
        DivergedError: the losses or weights are no longer numbers.
        LipganError: nothing can be written.
    """
    world = world or World()
    with locked(run) if world.first else nullcontext():
        loop = _Loop(run, session, progress, world)
        began, first = time.monotonic(), loop.done
        loop.work()
        seconds = time.monotonic() - began
        if not world.first:
            return None
        return TrainSummary(
            run=run,
            weights=_export(run, loop.checkpoints, loop.config),
            iterations=loop.done,
            samples_per_second=(loop.done - first) * loop.config.batch / seconds,
            figures=_best_figures(loop.checkpoints),
        )


class _Loop:
    """A run being trained: where it stands, and what it writes on the way."""

    def __init__(self, run: Path, session: Session, progress: Progress, world: World) -> None:
        self.began = time.monotonic()
        self.run, self.session, self.progress, self.world = run, session, progress, world
        tune(session.device)
        self.config = config = read_config(run)
        loss = strategy(config)
        dataset = Dataset.open(Path(config.dataset))
        clips = training_clips(dataset, config)
        self.held_out = held_out_clips(dataset, config)
        if {clip.key for clip in self.held_out} & {clip.key for clip in clips}:
            self._say("there are no test clips apart: evaluations are on clips that are trained on")
        frames = sum(len(clip) for clip in clips)
        self.iterations = config.planned_iterations(frames)
        self.every = config.evaluate_every or config.iterations_of_an_epoch(frames)
        check_batch(config, world.size)
        self.draws = Draws(clips, config, self.iterations, window=window_of(config))
        expert = self._expert(clips) if loss.expert_weight else None
        self.core = Core(loss, config, self.iterations, session.device, expert=expert, world=world)
        if config.initial:
            self.core.start_from(load_generator(initial_weights(run)))
        self.checkpoints = Checkpoints(run / "checkpoints")
        self.state = self.checkpoints.restore(self.core) or State(0)
        self.done = self.state.iteration
        self.forecast = self._forecast()
        self.shown = 0.0
        self.drawn = -math.inf

    def _expert(self, clips: list[Clip]) -> Expert:
        """The run's expert; the first process teaches it while the others wait."""
        arguments = (
            self.run,
            clips,
            self.held_out,
            self.config.seed,
            self.config.expert_iterations,
            self.session.device,
            self.progress,
        )
        expert = expert_of(*arguments) if self.world.first else None
        self.world.share(None)
        return expert or expert_of(*arguments)

    def work(self) -> None:
        """Take every iteration that is left, unless time or patience ends first."""
        began = saved = time.monotonic()
        first, self.forecast = self.done, self._forecast()
        limit = self.forecast.limit
        # A line of the log has figures of the generator too, so it is due where that moves.
        steps = self.core.loss.critic_steps
        log_every = math.ceil(self.config.log_every / steps) * steps
        with (
            self._opened_log() as log,
            _deferred_interrupt() as interrupted,
            self.progress.task(f"training {self.run.name}", self.iterations, "iterations") as task,
            closing(batches(self.draws, first, workers_of(self.session), self.world)) as loaded,
        ):
            task.advance(first)
            self._begin(log)
            self._measure_if_due(log)
            if self._patience_is_over():
                return
            for batch in loaded:
                watch = (self.done + 1) % log_every == 0
                figures = self.core.step(batch, self.done, watch)
                self.done += 1
                task.advance()
                now = time.monotonic()
                out_of_time = limit is not None and now > limit
                end = 2 if interrupted() else int(out_of_time)
                if self.world.size > 1:  # they agree now and then, since asking makes a GPU wait
                    end = self.world.most(end) if self.done % AGREE_EVERY == 0 else 0
                save = bool(end) or self._due() or now - saved > SAVE_SECONDS
                if watch or save or now - self.shown > SHOW_SECONDS:
                    rate = (self.done - first) * self.config.batch / (now - began)
                    self._report(figures, rate, log if watch else None, task)
                for news in self.forecast.news(self.done, now):
                    self._say(news)
                if save:
                    self._save()
                    saved = time.monotonic()
                if end:
                    how = "saved at iteration" if end == 2 else "the time is up at iteration"
                    self._say(f"{how} {self.done}; go on with --resume {self.run.name}")
                if end == 2:
                    raise KeyboardInterrupt
                self._measure_if_due(log, ending=bool(end))
                if end or self._patience_is_over():
                    break
            if self.world.most(int(interrupted())):  # while it was measured
                raise KeyboardInterrupt

    def _forecast(self) -> Forecast:
        minutes = self.session.minutes
        return Forecast(
            began=time.monotonic(),
            done=self.done,
            planned=self.iterations,
            every=self.every,
            limit=None if minutes is None else self.began + 60 * minutes,
            at_most=self.config.patience > 0,
        )

    def _opened_log(self) -> AbstractContextManager[Log | None]:
        if not self.world.first:
            return nullcontext()
        return open_log(self.run, self.done, self.session.tensorboard)

    def _begin(self, log: Log | None) -> None:
        """Keep given weights, which may remain the best; say in what the recipe departs."""
        if self._due() and not self.checkpoints.all():
            self._save()
        if self.config.recipe is Recipe.THESIS and self.done == 0 and log:
            corrections = CORRECTIONS[self.config.variant]
            log.write(0, {"corrections": corrections})
            for correction in corrections:
                self._say(f"recipe thesis: {correction}")

    def _say(self, message: str) -> None:
        if self.world.first:
            self.progress.note(message)

    def _due(self) -> bool:
        done = self.done
        if done == 0:
            return bool(self.config.initial)
        return done == self.iterations or done % self.every == 0

    def _report(
        self, figures: Mapping[str, Tensor], rate: float, log: Log | None, task: Task
    ) -> None:
        values = {name: value.item() for name, value in figures.items()}
        losses = [value for name, value in values.items() if name.endswith("_loss")]
        away = any(abs(loss) > RUN_AWAY for loss in losses)
        if away or not all(math.isfinite(value) for value in values.values()):
            raise DivergedError(
                f"training has diverged at iteration {self.done}: {values}",
                "begin a new run with a lower --learning-rate, or with --warmup",
            )
        task.show(**{"samples/s": rate}, **values)
        self.shown = time.monotonic()
        if log:
            log.write(self.done, {"samples_per_second": rate, **values})

    def _save(self) -> None:
        self.state = State(self.done)
        networks = self.core.networks().values()
        if not all(p.isfinite().all() for network in networks for p in network.parameters()):
            raise DivergedError(
                f"training has diverged at iteration {self.done}: weights are no longer numbers",
                "begin a new run --from its last checkpoint with a lower --learning-rate",
            )
        if self.world.first:
            self.checkpoints.save(self.core, self.state)

    def _measure_if_due(self, log: Log | None, ending: bool = False) -> None:
        """Measure the newest checkpoint on held-out clips and draw a sheet, once, where due."""
        done = self.done
        if not log or self.state.score is not None or not (self._due() or (ending and done)):
            return
        began = time.monotonic()
        averaged = copy.deepcopy(self.core.averaged)
        animator = Animator(averaged, self.core.device, self.core.half_precision)
        measured = measure(animator.faces, self.held_out, progress=self.progress).figures()
        response = respond(animator.faces, self.held_out)
        write_sheet(self.run / "sheets" / f"{done:08d}.png", animator, self.held_out)
        figures = brief(measured)
        figures["all"] |= {
            f"{name}_response": round(value, 4)
            for name, value in dataclasses.asdict(response).items()
            if value is not None
        }
        for collapse in self._collapses(response):
            self._say(collapse)
            log.write(done, {"collapse": collapse})
        self.state = State(done, _mouth_psnr(measured.total.right), figures)
        self.checkpoints.describe(self.state)
        log.write(done, {"evaluation": figures})
        self._draw(ending)
        self.forecast.evaluated(time.monotonic() - began)

    def _draw(self, ending: bool) -> None:
        """Draw the log; a run of days is worth more than its pictures."""
        last = ending or self.done == self.iterations
        if not last and time.monotonic() - self.drawn < DRAW_SECONDS:
            return
        self.drawn = time.monotonic()
        try:
            draw(self.run)
        except Exception as error:
            self._say(f"the plots could not be drawn: {error!r}")

    def _collapses(self, now: Response) -> Iterator[str]:
        """What the faces have stopped to depend on, or have not come to by half of the run."""
        measured = self.checkpoints.measured()
        late = self.done >= self.iterations / 2
        for name, meant in (("audio", "sound"), ("face", "person's face")):
            value = getattr(now, name)
            before = [state.figures["all"].get(f"{name}_response", 0.0) for state in measured]
            depended = max(before, default=0.0) >= COLLAPSED
            if value is not None and value < COLLAPSED and (depended or late):
                yield (
                    f"collapse at iteration {self.done}: the generated mouths do not depend on the"
                    f" {meant} (response {value:.3f})"
                )

    def _patience_is_over(self) -> bool:
        """Whether the last `patience` evaluations have brought no better score."""
        if not self.config.patience or not self._due():
            return False
        over = False
        if self.world.first:
            scores = [state.score for state in self.checkpoints.measured() if state.score]
            worse = len(scores) - 1 - scores.index(max(scores)) if scores else 0
            over = worse >= self.config.patience
            if over:
                self._say(f"no better score in {worse} evaluations: ended at iteration {self.done}")
        return self.world.share(over)


def workers_of(session: Session) -> int:
    """Processes that load samples: for a GPU, of the cores that its process can have."""
    if session.workers is not None or session.device.type != "cuda":
        return session.workers or 0
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(0, min(WORKERS, (os.cpu_count() or 1) // processes - 1))


def brief(figures: ProtocolFigures) -> dict[str, dict[str, float]]:
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
    weights = weights_of(run)
    # The file may be handed on: it names data and weights, not where they lie.
    settings = dataclasses.asdict(config)
    settings |= {name: Path(settings[name]).name for name in ("dataset", "initial", "expert")}
    about = {"config": settings, "figures": _best_figures(checkpoints)}
    generator = load_generator(weights_file(best))
    with atomic_path(weights) as temporary:
        save_packed(generator.state_dict(), temporary, about)
    return weights


def _best_figures(checkpoints: Checkpoints) -> dict[str, Any]:
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
