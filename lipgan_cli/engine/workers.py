"""Processes that work through a list of jobs and survive the death of any one of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar, cast

Job = TypeVar("Job")
Result = TypeVar("Result")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Failed:
    """The outcome of a job that ended without a result."""

    reason: str


@dataclass
class _Worker(Generic[Job]):
    process: BaseProcess
    job: Job


def work(
    do: Callable[[Job], Result], jobs: Iterable[Job], processes: int
) -> Generator[tuple[Job, Result | Failed], None, None]:
    """Yield every job with its outcome, in the order in which they are finished.

    `do` must be importable by name. A process that dies costs its own job alone. The processes end
    when the iterator is closed or fails, with Ctrl-C too.
    """
    waiting = deque(jobs)
    running: dict[Connection, _Worker[Job]] = {}
    try:
        while len(running) < processes and waiting:
            _start(do, waiting.popleft(), running)
        while running:
            for connection in wait(list(running)):
                connection = cast(Connection, connection)  # another class on Windows
                job = running[connection].job
                try:
                    outcome: Result | Failed = connection.recv()
                except (EOFError, OSError):
                    outcome = Failed(_death(running[connection].process))
                    _stop(connection, running)
                    if waiting:
                        _start(do, waiting.popleft(), running)
                else:
                    if waiting:
                        running[connection].job = waiting.popleft()
                        _give(connection, running[connection].job)
                    else:
                        _stop(connection, running)
                yield job, outcome
    finally:
        for worker in running.values():
            worker.process.terminate()
        for connection in list(running):
            _stop(connection, running)


def _start(do: Callable[[Job], Result], job: Job, running: dict[Connection, _Worker[Job]]) -> None:
    # Spawned, not forked: libraries that have started threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, do), daemon=True)
    process.start()
    there.close()
    running[here] = _Worker(process, job)
    _give(here, job)


def _give(connection: Connection, job: Job) -> None:
    with suppress(OSError):  # a process that has died meanwhile is noticed at the answer
        connection.send(job)


def _stop(connection: Connection, running: dict[Connection, _Worker[Job]]) -> None:
    """Take a worker out; it ends by itself when its pipe closes."""
    worker = running.pop(connection)
    connection.close()
    worker.process.join()


def _death(process: BaseProcess) -> str:
    process.join()
    code = process.exitcode or 0
    if code < 0:
        return f"the process working on it was ended by {signal.Signals(-code).name}"
    return f"the process working on it ended with exit code {code}"


def _serve(connection: Connection, do: Callable[[Any], Any]) -> None:
    """Answer jobs until the pipe closes."""
    # Ctrl-C reaches the whole group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            job = connection.recv()
        except (EOFError, OSError):
            return
        try:
            outcome = do(job)
        except Exception as error:  # reported with its job, and the next one goes on
            outcome = Failed(f"{type(error).__name__}: {error}")
        try:
            connection.send(outcome)
        except OSError:
            return
