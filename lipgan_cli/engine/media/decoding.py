"""Out of a container, whatever its state: the packets' times, and decoded frames with theirs."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TypeVar

import av
from av.container import InputContainer
from av.filter import Graph

from lipgan_cli.engine.media.audio import LONGEST_GAP_SECONDS
from lipgan_cli.engine.media.clock import Clock, Timed, clock_of, constant, count

Packet = TypeVar("Packet")


def next_packet(packets: Iterator[Packet]) -> Packet | None:
    """Return the next packet, None at the end and where the file is damaged beyond reading."""
    try:
        return next(packets, None)
    except av.FFmpegError:
        return None


def read_clock(
    container: InputContainer, stream: av.VideoStream, start: float, fps: Fraction
) -> Clock:
    """Return when the frames of a stream are shown, by its packets; decodes nothing.

    start: when the first frame is shown, in seconds on the file's clock. fps: what the file says,
    for streams without timestamps and for those whose clock was reset.
    """
    times: list[int] = []
    packets, end, last, steady = 0, 0, None, True
    base = stream.time_base or 1 / fps
    first = round(start / base)
    demuxed = container.demux(stream)
    while (packet := next_packet(demuxed)) is not None:
        if not packet.size or packet.is_discard:
            continue
        packets += 1
        if packet.pts is None:
            steady = False
            continue
        order = packet.pts if packet.dts is None else packet.dts
        if last is not None and not -1 < (order - last) * base < LONGEST_GAP_SECONDS:
            steady = False  # another clock
        last = order
        if packet.pts >= first:
            times.append(packet.pts)
            end = max(end, packet.pts + (packet.duration or round(1 / fps / base)))
    times = sorted(set(times))
    if steady and times:
        return clock_of(times, end, base, (fps,))
    return constant(fps, count((end - first) * base if end > first else packets / fps, fps))


def decoded(
    container: InputContainer, stream: av.VideoStream, interlaced: bool = False
) -> Iterator[av.VideoFrame]:
    """Yield the frames that can be decoded, in the order in which they are shown.

    Those of interlaced film as whole pictures, one for two fields.
    """
    frames = _decoded(container, stream)
    return _deinterlaced(frames) if interlaced else frames


def _decoded(container: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    packets = container.demux(stream)
    while (packet := next_packet(packets)) is not None:
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue  # one damaged packet does not end the film
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                yield frame


def _deinterlaced(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    graph, shape = None, None
    for frame in frames:
        if graph is None or shape != (frame.width, frame.height, frame.format.name):
            if graph is not None:
                yield from _drained(graph, last=True)
            shape = (frame.width, frame.height, frame.format.name)
            graph = _deinterlacer(frame)
        graph.push(frame)
        yield from _drained(graph)
    if graph is not None:
        yield from _drained(graph, last=True)


def _deinterlacer(frame: av.VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base,
    )
    bwdif = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(bwdif)
    bwdif.link_to(sink)
    graph.configure()
    return graph


def _drained(graph: Graph, last: bool = False) -> Iterator[av.VideoFrame]:
    if last:
        graph.push(None)
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        assert isinstance(frame, av.VideoFrame)
        yield frame


def timed(frames: Iterator[av.VideoFrame], start: float, fps: Fraction) -> Iterator[Timed]:
    """Yield the frames with their times after `start`; frames without one follow on each other."""
    period = float(1 / fps)
    offset, last = start, -period
    for frame in frames:
        time = last + period if frame.pts is None else frame.time - offset
        if not last <= time < last + LONGEST_GAP_SECONDS:  # another clock: go on from here
            offset, time = offset + time - (last + period), last + period
        base = frame.time_base
        told = float(frame.duration * base) if frame.duration and base is not None else period
        yield Timed(time, told, frame)
        last = time
