"""Playing a clip for longer than it lasts, and decoding ahead, both in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import LipganError

Frame = NDArray[np.uint8]
T = TypeVar("T")

CHUNK_BYTES = 64 << 20
"""Frames held at once when playing backwards, in bytes: a few seconds of a small picture."""
CHUNK_FRAMES = 8
"""Frames held at least, however large: each chunk costs a seek."""


def position(frame: int, length: int) -> int:
    """Return which frame of a clip of `length` is shown when it plays back and forth.

    The frames at both ends are shown once, not twice: 0 1 2 3 2 1 0 1 ...
    """
    if length == 1:
        return 0
    place = frame % (2 * length - 2)
    return min(place, 2 * length - 2 - place)


def back_and_forth(
    read: Callable[[int], Iterator[Frame]], length: int, count: int
) -> Iterator[Frame]:
    """Yield `count` frames of a clip of `length`, played forwards, backwards, forwards...

    `read` gives the clip's frames from a given one on. A frame may come more than once.
    Backwards, the clip is read in short chunks, so that memory does not grow with its length.
    """
    if length == 1:
        (frame,) = islice(read(0), 1)
        yield from repeat(frame, count)
        return
    while count > 0:
        forwards = min(length, count)
        yield from _exactly(read(0), forwards, 0)
        count -= forwards
        for frame in islice(_backwards(read, length - 1), count):
            yield frame
            count -= 1


def _backwards(read: Callable[[int], Iterator[Frame]], end: int) -> Iterator[Frame]:
    """Yield the frames from `end` - 1 down to 1."""
    size = CHUNK_FRAMES
    while end > 1:
        first = max(1, end - size)
        chunk = list(_exactly(read(first), end - first, first))
        size = max(CHUNK_FRAMES, CHUNK_BYTES // chunk[0].nbytes)
        end = first
        while chunk:
            yield chunk.pop()


def _exactly(frames: Iterator[Frame], count: int, first: int) -> Iterator[Frame]:
    got = 0
    for frame in islice(frames, count):
        yield frame
        got += 1
    if got < count:
        raise LipganError(
            f"the face video ended at frame {first + got}, before frame {first + count}",
            "was it changed while it was read?",
        )


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


def ahead(items: Iterable[T], limit: int) -> Generator[T, None, None]:
    """Yield `items`, made by a thread that runs up to `limit` items ahead.

    What the thread raises is raised here. Closing the generator ends the thread.
    """
    queue: Queue[T | _End] = Queue(limit)
    stop = Event()

    def put(item: T | _End) -> None:
        while not stop.is_set():
            try:
                queue.put(item, timeout=0.1)
            except Full:
                continue
            break

    def work() -> None:
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    return
            put(_End())
        except BaseException as error:
            put(_End(error))

    thread = Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := queue.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        thread.join()
