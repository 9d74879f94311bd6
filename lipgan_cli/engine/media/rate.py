"""Frames at a constant rate, out of frames that have their own times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import av
from av.container import InputContainer

from lipgan_cli.engine.media.audio import LONGEST_GAP_SECONDS

# A source frame this much of a frame's duration late still counts as on time: containers round
# timestamps, Matroska to whole milliseconds.
LATE = Fraction(1, 4)

Packet = TypeVar("Packet")


@dataclass(frozen=True)
class Timed:
    """A decoded frame and when it is shown."""

    time: float  # seconds since the first frame
    duration: float  # seconds, as the file says; wrong where frames were reordered
    frame: av.VideoFrame


def next_packet(packets: Iterator[Packet]) -> Packet | None:
    """Return the next packet, None at the end and where the file is damaged beyond reading."""
    try:
        return next(packets, None)
    except av.FFmpegError:
        return None


def decoded(container: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Yield the frames that can be decoded, in the order in which they are shown."""
    packets = container.demux(stream)
    while (packet := next_packet(packets)) is not None:
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue  # one damaged packet does not end the film
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                yield frame


def timed(
    container: InputContainer, stream: av.VideoStream, start: float, fps: Fraction
) -> Iterator[Timed]:
    """Yield the frames with their times after `start`; frames without one follow on each other."""
    period = float(1 / fps)
    offset, last = start, -period
    for frame in decoded(container, stream):
        time = last + period if frame.pts is None else frame.time - offset
        if not last <= time < last + LONGEST_GAP_SECONDS:  # another clock: go on from here
            offset, time = offset + time - (last + period), last + period
        base = frame.time_base
        told = float(frame.duration * base) if frame.duration and base is not None else period
        yield Timed(time, told, frame)
        last = time


def constant_rate(
    frames: Iterable[Timed], fps: Fraction, end: float, first: int = 0
) -> Iterator[av.VideoFrame]:
    """Yield what is on screen at k / fps seconds for k from `first` on.

    The last frame is shown to the film's `end` in seconds, or where that is too far off (frames at
    the end are damaged or missing), for 1 / fps.
    """
    number, held = first, None
    for upcoming in frames:
        while held is not None and number + LATE < upcoming.time * fps:
            yield held.frame
            number += 1
        held = upcoming
    if held is None:
        return
    shown, period = end - held.time, float(1 / fps)
    if not 0 < shown < max(held.duration, period) + period / 2:
        shown = period
    while number < count(held.time + shown, fps):
        yield held.frame
        number += 1


def count(seconds: float, fps: Fraction) -> int:
    """Return how many frames a film of this length has, at least one."""
    return max(1, math.floor(seconds * fps + 0.5))
