"""Playing a clip for longer than it lasts, and working ahead, both in constant memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, repeat
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.media.choices import Fit
from lipgan_cli.engine.media.clock import Clock

Frame = NDArray[np.uint8]
Numbers = NDArray[np.int64]
T = TypeVar("T")

CHUNK_BYTES = 64 << 20
"""Frames held at once when playing backwards, in bytes: a few seconds of a small picture."""
CHUNK_FRAMES = 8
"""Frames held at least, however large: each chunk costs a seek."""
FADE_SECONDS = 0.24
"""How long the end of a loop fades into its beginning."""


@dataclass(frozen=True, eq=False)
class Playlist:
    """Which frames of a clip are shown and when: arrays with an entry for each frame shown."""

    places: Numbers  # frame of the clip
    ticks: Numbers  # when it is shown, in ticks of the clip's clock
    incoming: Numbers  # frame of the clip that fades in over it, -1 for none
    share: NDArray[np.float64]  # how much of the incoming one is seen
    end: int  # when the last one ends, in ticks

    def __len__(self) -> int:
        return len(self.places)

    def part(self, first: int, last: int) -> Playlist:
        """Return frames first..last-1 of it, shown from 0 on."""
        last = min(last, len(self))
        kept = slice(first, last)
        begins = int(self.ticks[first])
        ends = self.end if last == len(self) else int(self.ticks[last])
        return Playlist(
            self.places[kept],
            self.ticks[kept] - begins,
            self.incoming[kept],
            self.share[kept],
            ends - begins,
        )


def playlist(clock: Clock, seconds: Fraction, fit: Fit) -> Playlist:
    """Return how a clip is played for some time.

    At a constant rate that makes floor(seconds * fps + 0.5) frames; at a varying one every frame
    is shown for its own time and the last one begins before the end.
    """
    if fit in (Fit.TRIM, Fit.ERROR):
        seconds = min(seconds, clock.duration)
    fade = min(round(FADE_SECONDS * clock.fps), clock.frames // 3) if fit is Fit.LOOP else 0
    if clock.constant:
        ticks = np.arange(math.floor(seconds * clock.fps + Fraction(1, 2)))
        places, incoming, share = _order(ticks, clock.frames, fit, fade)
        return Playlist(places, ticks, incoming, share, len(ticks))
    shown = np.diff(clock.ticks)
    if fit is Fit.FREEZE:
        shown[-1] = max(1, round(1 / clock.fps / clock.base))
    wanted, count, ends = float(seconds / clock.base), clock.frames, np.zeros(1, np.int64)
    while ends[-1] < wanted:
        places, incoming, share = _order(np.arange(count), clock.frames, fit, fade)
        ends = np.cumsum(shown[places])
        count *= 2
    ticks = ends - shown[places]
    kept = int(np.searchsorted(ticks, wanted, "left"))
    end = min(round(wanted), int(ends[kept - 1]))
    return Playlist(places[:kept], ticks[:kept], incoming[:kept], share[:kept], end)


def _order(
    numbers: Numbers, length: int, fit: Fit, fade: int
) -> tuple[Numbers, Numbers, NDArray[np.float64]]:
    """Return the place, what fades in over it and how much of that, for frames by number."""
    nothing = np.full(len(numbers), -1), np.zeros(len(numbers))
    if length == 1:
        return np.zeros_like(numbers), *nothing
    if fit is Fit.PINGPONG:  # both ends are shown once, not twice: 0 1 2 3 2 1 0 1 ...
        place = numbers % (2 * length - 2)
        return np.minimum(place, 2 * length - 2 - place), *nothing
    if fit is Fit.LOOP:
        begun, place = np.divmod(numbers, length - fade)
        fading = (begun > 0) & (place < fade)
        return (
            np.where(fading, length - fade + place, place),
            np.where(fading, place, -1),
            np.where(fading, (place + 1) / (fade + 1), 0.0),
        )
    return np.minimum(numbers, length - 1), *nothing


def play(read: Callable[[int], Iterator[Frame]], places: Numbers) -> Iterator[Frame]:
    """Yield the frames of a clip at `places`; one may come more than once.

    `read` gives the clip's frames from a given one on. Backwards, the clip is read in short chunks,
    so that memory does not grow with its length.
    """
    steps = np.diff(places)
    breaks = np.flatnonzero(np.diff(steps)) + 1  # steps before which another one was taken
    first = 0
    while first < len(places):
        begin = int(places[first])
        step = int(steps[first]) if first < len(steps) else 1
        after = np.searchsorted(breaks, first, "right")
        last = int(breaks[after]) if after < len(breaks) else len(steps)
        if step not in (-1, 0, 1):
            last = first
        count = last - first + 1
        if step == -1:
            yield from _backwards(read, begin + 1, count)
        elif step == 0:
            (frame,) = _exactly(read(begin), 1, begin)
            yield from repeat(frame, count)
        else:
            yield from _exactly(read(begin), count, begin)
        first = last + 1


def _backwards(read: Callable[[int], Iterator[Frame]], end: int, count: int) -> Iterator[Frame]:
    """Yield `count` frames from `end` - 1 down."""
    size = CHUNK_FRAMES
    while count > 0:
        size = min(size, count)
        chunk = list(_exactly(read(end - size), size, end - size))
        end, count = end - size, count - size
        size = max(CHUNK_FRAMES, CHUNK_BYTES // chunk[0].nbytes)
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

    What the thread raises is raised here. Closing the generator ends the thread, and closes
    `items` where that is a generator too.
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
        finally:
            if isinstance(items, Generator):
                items.close()

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
