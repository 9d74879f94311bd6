"""Mapping a function over many items with all cores, a few items in flight."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from lipgan_cli.engine.errors import LipganError

WORTH = 1500 * 96 * 96
"""Pixels of pairs below which starting processes takes longer than measuring them."""

_IN_FLIGHT = 8  # items a process

Item = TypeVar("Item")
Result = TypeVar("Result")


def mapped(
    work: Callable[[Item], Result], items: Iterable[Item], pixels: int, cores: int | None = None
) -> Iterator[Result]:
    """Yield work(item) in the items' order; `pixels` says how much work there is in all.

    `work`, items and results must be picklable. What `work` raises is raised here.

    Raises:
        LipganError: a process died, as when memory ran out.
    """
    processes = _cores() if cores is None else cores
    if processes < 2 or pixels < WORTH:
        yield from map(work, items)
        return
    # Spawned, not forked: libraries that have started threads do not survive a fork.
    pool = ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=_ignore_interrupts
    )
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= _IN_FLIGHT * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise LipganError("a measuring process died", "is the memory full?") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    # Ctrl-C reaches the whole group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
