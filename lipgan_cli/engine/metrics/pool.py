"""Mapping a function over many items with all cores, a few items in flight."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from lipgan_cli.engine import workers
from lipgan_cli.engine.errors import LipganError

WORTH = 1500 * 96 * 96
"""Pixels of pairs below which starting processes takes longer than measuring them."""

_IN_FLIGHT = 8  # chunks a process
_CHUNK = 32
"""Face crops in a chunk, so that handing it over costs little; fewer where pictures are larger."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def mapped(
    work: Callable[[Item], Result], items: Iterable[Item], pixels: int, cores: int | None = None
) -> Iterator[Result]:
    """Yield work(item) in the items' order; `pixels` says how much work there is in all.

    `work`, items and results must be picklable. What `work` raises is raised here. The items of a
    sequence are handed out in chunks; others, which may be large, one by one.

    Raises:
        LipganError: a process died, as when memory ran out.
    """
    processes = workers.cores() if cores is None else cores
    if processes < 2 or pixels < WORTH:
        yield from map(work, items)
        return
    # Spawned, not forked: libraries that have started threads do not survive a fork.
    pool = ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=_ignore_interrupts
    )
    waiting: deque[Future[list[Result]]] = deque()
    try:
        for chunk in _chunks(items, pixels):
            waiting.append(pool.submit(_all, work, chunk))
            if len(waiting) >= _IN_FLIGHT * processes:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise LipganError("a measuring process died", "is the memory full?") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _chunks(items: Iterable[Item], pixels: int) -> Iterator[list[Item]]:
    size = 1
    if isinstance(items, Sequence):
        size = max(1, min(_CHUNK, _CHUNK * 96 * 96 * len(items) // pixels))
    left = iter(items)
    while chunk := list(islice(left, size)):
        yield chunk


def _all(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [work(item) for item in items]


def _ignore_interrupts() -> None:
    # Ctrl-C reaches the whole group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
