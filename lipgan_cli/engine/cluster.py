"""The machines of a Dask cluster that work through a list of jobs, as workers.py has processes do.

All of them have the same lipgan and see the same files under the same paths.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.workers import Failed

if TYPE_CHECKING:
    from distributed import Client, Future

Job = TypeVar("Job")
Result = TypeVar("Result")

CONNECT_SECONDS = 10.0
"""For which a scheduler is tried."""

PATIENCE_SECONDS = 60.0
"""For which a run waits for the first worker, or for another one where none is left."""

POLL_SECONDS = 1.0
"""Between two looks at which workers there are, so that those that join are used."""

AHEAD = 2
"""Jobs that a worker has at a time: one that it does, and one for when that is finished."""

_PACKAGE = "lipgan-cli"
_LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application")

_ALONE = threading.Lock()
"""Held by the job that a worker's process does: what it keeps and calls is used by one thread."""


def check_scheduler(scheduler: str) -> None:
    """Check before any work that a scheduler answers at this address, such as tcp://host:8786.

    Raises:
        InputError: it does not within ten seconds, or the extra `cluster` is not installed.
    """
    with _connected(scheduler):
        pass


def work_on(
    scheduler: str,
    do: Callable[[Job], Result],
    jobs: Iterable[Job],
    output: Path | None = None,
    inputs: Iterable[Path] = (),
) -> Generator[tuple[Job, Result | Failed], None, None]:
    """Yield every job once with its outcome, in the order in which they are finished.

    `do` must be importable by name on every worker, and a worker's process does one job at a time,
    however many threads it has. A job whose worker dies is done again by another one: `do` may
    begin a job several times. One that has cost as many workers as the scheduler allows is tried
    once more with nothing beside it, so that only a job that is deadly itself fails. Few jobs are
    out at a time. When the iterator is closed or fails, with Ctrl-C too, those that wait at a
    worker are taken back, those that are being done run to their end there; scheduler and workers
    go on.

    Args:
        output: a folder that must be the same one on this machine and on every worker.
        inputs: what every worker must find under the same path.

    Raises:
        InputError: no scheduler answers, there is no worker for a minute, or a worker has another
            version of lipgan or does not see the files.
        LipganError: the scheduler was lost.
    """
    waiting = iter(jobs)
    head = list(islice(waiting, 1))
    if not head:
        return
    with (
        _connected(scheduler) as client,
        nullcontext() if output is None else _mark(output) as mark,
    ):
        seen = tuple(path.absolute() for path in (mark, *inputs) if path is not None)
        yield from _Crew(scheduler, client, _Errand(do, seen)).work(chain(head, waiting))


@contextmanager
def _connected(scheduler: str) -> Iterator[Client]:
    """Open a connection that keeps its own counsel: what matters in its logs is raised."""
    try:
        from distributed import Client
        from distributed.versions import VersionMismatchWarning
    except ImportError as error:
        raise InputError(
            f"a cluster cannot be used: {error}", "pip install 'lipgan-cli[cluster]'"
        ) from error
    with _silenced(), warnings.catch_warnings():
        # Other versions of other packages do no harm as a rule; that of lipgan is checked.
        warnings.simplefilter("ignore", VersionMismatchWarning)
        try:
            client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:  # a TimeoutError is an OSError
            raise InputError(
                f"no scheduler answers at {scheduler}",
                "give the address that `dask scheduler` prints, such as tcp://host:8786",
            ) from error
        try:
            yield client
        finally:
            client.close(timeout=CONNECT_SECONDS)


@contextmanager
def _silenced() -> Iterator[None]:
    """Let nothing be logged on stderr; log files that a user's own Dask settings name are kept."""
    handlers = {each for name in _LOGGERS for each in logging.getLogger(name).handlers}
    levels = {each: each.level for each in handlers if type(each) is logging.StreamHandler}
    for handler in levels:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in levels.items():
            handler.setLevel(level)


@contextmanager
def _mark(folder: Path) -> Iterator[Path]:
    """Put a file into a folder by which a worker knows that it sees the same folder."""
    path = folder / f".cluster.{secrets.token_hex(8)}.part"
    path.touch()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Blind:
    """What a worker says that does not see the files."""

    host: str
    path: Path


@dataclass(frozen=True)
class _Killed:
    """What is known of a job whose workers have died."""

    reason: str


@dataclass(frozen=True)
class _Errand(Generic[Job, Result]):
    """What a worker is asked to do with a job."""

    do: Callable[[Job], Result]
    seen: tuple[Path, ...]

    def __call__(self, job: Job) -> Result | Failed | _Blind:
        for path in self.seen:
            if not path.exists():
                return _Blind(socket.gethostname(), path)
        with _ALONE:
            try:
                return self.do(job)
            except Exception as error:  # reported with its job, and the next one goes on
                return Failed(f"{type(error).__name__}: {error}")


class _Crew(Generic[Job, Result]):
    """The workers of a scheduler, and what they are doing."""

    def __init__(self, scheduler: str, client: Client, errand: _Errand[Job, Result]) -> None:
        self._scheduler, self._client, self._errand = scheduler, client, errand
        self._name = f"lipgan-{secrets.token_hex(4)}"
        self._given = 0  # jobs in all
        self._out: dict[str, tuple[Future, Job]] = {}
        self._finished: SimpleQueue[Future] = SimpleQueue()
        self._workers: set[str] = set()  # their addresses
        self._looked = 0.0  # when
        self._deserted_since: float | None = None  # where there are none

    def work(self, jobs: Iterable[Job]) -> Generator[tuple[Job, Result | Failed], None, None]:
        """Yield every job with its outcome."""
        suspects: list[Job] = []
        for job, outcome in self._outcomes(jobs, crowded=True):
            if isinstance(outcome, _Killed):
                suspects.append(job)  # or what was done beside it killed them
            else:
                yield job, outcome
        for job, outcome in self._outcomes(suspects, crowded=False):
            yield job, Failed(outcome.reason) if isinstance(outcome, _Killed) else outcome

    def _outcomes(
        self, jobs: Iterable[Job], crowded: bool
    ) -> Iterator[tuple[Job, Result | Failed | _Killed]]:
        waiting, more = iter(jobs), True
        self._look()
        while True:
            room = AHEAD * len(self._workers) if crowded else min(1, len(self._workers))
            free = max(0, room - len(self._out))
            given = list(islice(waiting, free))
            more = more and len(given) == free
            for job in given:
                self._give(job)
            if not more and not self._out:
                return
            try:
                future = self._finished.get(timeout=POLL_SECONDS)
            except Empty:
                self._look()
                continue
            if not future.done():  # its worker died before it had handed the result over
                self._await(future)
                continue
            _, job = self._out.pop(future.key)
            yield job, self._outcome(future)
            if time.monotonic() - self._looked > POLL_SECONDS:
                self._look()

    def _look(self) -> None:
        """See which workers there are.

        Raises:
            InputError: there have been none for too long, or one has another version of lipgan.
            LipganError: the scheduler is lost.
        """
        try:
            workers = set(self._client.nthreads())
            if workers - self._workers:
                self._check_versions()
        except OSError as error:
            raise _lost(self._scheduler) from error
        self._workers, self._looked = workers, time.monotonic()
        if workers:
            self._deserted_since = None
            return
        self._deserted_since = self._deserted_since or self._looked
        if self._looked - self._deserted_since > PATIENCE_SECONDS:
            raise InputError(
                f"the scheduler at {self._scheduler} has no workers",
                f"start some: dask worker {self._scheduler} --nthreads 1 --memory-limit 0",
            )

    def _check_versions(self) -> None:
        said = self._client.get_versions(packages=[_PACKAGE])
        here = said["client"]["packages"][_PACKAGE]
        for place, about in {"the scheduler": said["scheduler"], **said["workers"]}.items():
            there = about["packages"].get(_PACKAGE)
            if there != here:
                who = place if place == "the scheduler" else f"the worker at {place}"
                raise InputError(
                    f"{who} has {f'lipgan {there}' if there else 'no lipgan'}, this is {here}",
                    "install the same version for the scheduler and every worker",
                )

    def _give(self, job: Job) -> None:
        key = f"{self._name}-{self._given}"
        self._given += 1
        future = self._client.submit(self._errand, job, key=key, pure=False)
        self._out[key] = future, job
        self._await(future)

    def _await(self, future: Future) -> None:
        future.add_done_callback(self._finished.put)

    def _outcome(self, future: Future) -> Result | Failed | _Killed:
        from distributed import CancelledError, KilledWorker

        try:
            outcome: Any = future.result()
        except CancelledError as error:
            raise _lost(self._scheduler) from error
        except KilledWorker as error:
            address = error.last_worker.address
            return _Killed(f"the workers that did it have died, the last of them at {address}")
        except Exception as error:  # of the way there or back: `do` itself raises none here
            said = str(error).splitlines()[:1]  # a whole traceback may follow
            return Failed(": ".join([type(error).__name__, *said]))
        if isinstance(outcome, _Blind):
            what = "the output folder" if outcome.path.suffix == ".part" else str(outcome.path)
            raise InputError(
                f"a worker on {outcome.host} does not see {what}",
                "every machine of the cluster must have the files under the same path",
            )
        return outcome  # type: ignore[no-any-return]


def _lost(scheduler: str) -> LipganError:
    return LipganError(
        f"the scheduler at {scheduler} was lost, and with it the jobs that were out",
        "start it and its workers again, and run the same command: what is done is kept",
    )
