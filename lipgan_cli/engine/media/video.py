"""Moving pictures: what a file holds, its frames at a constant rate, and writing new ones.

Frames travel as I420: uint8 (height * 3 // 2, width), the luma rows first, then the two chroma
planes at half size. An 8-bit 4:2:0 source keeps its own bytes, whatever its range and matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.opening import open_media
from lipgan_cli.engine.media.picture import (
    FROM_RGB,
    Colour,
    Frame,
    check_size,
    colour_of,
    from_bgr,
    luma,
    planar,
    quarter_turns,
    read_photo,
    to_rgb,
)
from lipgan_cli.engine.media.rate import Timed, constant_rate, count, decoded, next_packet, timed
from lipgan_cli.engine.media.writer import VideoWriter
from lipgan_cli.engine.paths import require_file

__all__ = [
    "Colour",
    "Frame",
    "VideoInfo",
    "VideoWriter",
    "luma",
    "probe",
    "read_frames",
    "to_rgb",
]

LOWEST_FPS, HIGHEST_FPS = 1, 240
USUAL_FPS = Fraction(25)  # of photos, and of files that name no rate

# Formats whose index leads to the exact frame. Elsewhere a seek is a guess.
INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
SEEK_MARGIN_SECONDS = 0.5  # decoded before the wanted frame, past any damaged leading frames


@dataclass(frozen=True)
class VideoInfo:
    """What a video or photo is, as it is displayed."""

    path: Path
    width: int  # pixels, even
    height: int  # pixels, even
    fps: Fraction
    duration: float  # seconds from the first frame to the end of the last
    frames: int  # at the constant rate
    start: float  # seconds on the file's own clock at which the first frame is shown
    has_audio: bool
    photo: bool
    pixel_aspect: Fraction = Fraction(1)  # width / height of one pixel
    colour: Colour = Colour()


def probe(path: Path) -> VideoInfo:
    """Return what a video or photo holds; its first frame is decoded to be sure.

    Raises:
        InputError: the file is missing, empty, damaged, neither video nor picture, or more than
            8192 pixels wide or high.
    """
    require_file(path, "the video")
    with _open(path) as container:
        if _is_photo(container):
            return _probe_photo(path)
        stream = _video_stream(path, container)
        first = next(decoded(container, stream), None)
        if first is None:
            raise InputError(f"{path} has no frame that can be decoded", "check that it plays")
        size = _displayed_size(path, first)
        fps = _rate(stream)
        start = float(first.time or 0.0)
        end = _end(path, container, stream, start, fps)
        return VideoInfo(
            path=path,
            width=size[0],
            height=size[1],
            fps=fps,
            duration=end - start,
            frames=count(end - start, fps),
            start=start,
            has_audio=bool(container.streams.audio),
            photo=False,
            pixel_aspect=_pixel_aspect(stream, first),
            colour=colour_of(first),
        )


def read_frames(info: VideoInfo, first: int = 0, threads: int = 0) -> Iterator[Frame]:
    """Yield I420 frames at the constant rate from frame `first` on.

    Frame k is what is on screen k / fps seconds after the first frame; each is an array of its
    own. A damaged tail ends the
    frames at the last good one. `threads` decode (0: as many as there are cores).

    Raises:
        InputError: the file cannot be opened any more.
    """
    if info.photo:
        if first == 0:
            yield _photo(info.path)
        return
    if first > 0:
        with _open(info.path) as container:
            shown = _seek(container, info, first, threads)
            if shown is not None:
                yield from shown
                return
    with _open(info.path) as container:
        stream = _video_stream(info.path, container)
        _use_threads(stream, threads)
        yield from _planar(timed(container, stream, info.start, info.fps), info, first)


def _open(path: Path) -> InputContainer:
    try:
        container = open_media(path)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"{path} is not a video or picture that can be read",
            "give a video such as .mp4, .mov, .mkv, .webm, .avi, .mpg or a photo",
        ) from error
    return container


def _is_photo(container: InputContainer) -> bool:
    return container.format.name == "image2" or container.format.name.endswith("_pipe")


def _video_stream(path: Path, container: InputContainer) -> av.VideoStream:
    """Return the stream with the picture; cover art of a song and text art are none."""
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving or container.format.name == "tty":
        raise InputError(f"{path} has no video track", "give a file with moving pictures")
    best = container.streams.best("video")
    return best if isinstance(best, av.VideoStream) and best in moving else moving[0]


def _use_threads(stream: av.VideoStream, threads: int) -> None:
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = threads


def _rate(stream: av.VideoStream) -> Fraction:
    """Return the average frame rate, kept within 1 to 240."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate is not None and LOWEST_FPS <= rate <= HIGHEST_FPS:
            return Fraction(rate).limit_denominator(1001)
    return USUAL_FPS


def _pixel_aspect(stream: av.VideoStream, first: av.VideoFrame) -> Fraction:
    aspect = stream.sample_aspect_ratio
    if not aspect:
        return Fraction(1)
    return 1 / Fraction(aspect) if quarter_turns(first) % 2 else Fraction(aspect)


def _displayed_size(path: Path, frame: av.VideoFrame) -> tuple[int, int]:
    width, height = frame.width, frame.height
    check_size(path, width, height)
    width, height = width // 2 * 2, height // 2 * 2
    return (height, width) if quarter_turns(frame) % 2 else (width, height)


def _end(
    path: Path,
    container: InputContainer,
    stream: av.VideoStream,
    start: float,
    fps: Fraction,
) -> float:
    """Return when the last frame ends, in seconds on the file's clock."""
    base = stream.time_base
    if container.format.name == INDEXED[0] and stream.duration and base is not None:
        return float((stream.start_time or 0) * base + stream.duration * base)
    end, packets = start, 0
    with _open(path) as again:
        track = again.streams[stream.index]
        demuxed = again.demux(track)
        while (packet := next_packet(demuxed)) is not None:
            if not packet.size:
                continue
            packets += 1
            if packet.pts is not None and packet.time_base is not None:
                length = packet.duration * packet.time_base if packet.duration else 1 / fps
                end = max(end, float(packet.pts * packet.time_base + length))
    # Streams without timestamps count by packets.
    return end if end > start else start + float(packets / fps)


def _seek(
    container: InputContainer, info: VideoInfo, first: int, threads: int
) -> Iterator[Frame] | None:
    """Return the frames from `first` on by seeking, or None where that would not be exact."""
    stream = _video_stream(info.path, container)
    if container.format.name not in INDEXED or stream.time_base is None:
        return None
    _use_threads(stream, threads)
    wanted = float(first / info.fps)
    before = max(0.0, info.start + wanted - SEEK_MARGIN_SECONDS)
    try:
        container.seek(int(before / stream.time_base), stream=stream)
    except av.FFmpegError:
        return None
    frames = timed(container, stream, info.start, info.fps)
    begin = next(frames, None)
    if begin is None or begin.frame.pts is None or begin.time > wanted or begin.frame.is_corrupt:
        return None
    return _planar(chain([begin], frames), info, first)


def _planar(frames: Iterable[Timed], info: VideoInfo, first: int) -> Iterator[Frame]:
    for frame in constant_rate(frames, info.fps, info.duration, first):
        yield planar(frame, info.width, info.height)


def _probe_photo(path: Path) -> VideoInfo:
    frame = _photo(path)
    return VideoInfo(
        path=path,
        width=frame.shape[1],
        height=frame.shape[0] * 2 // 3,
        fps=USUAL_FPS,
        duration=float(1 / USUAL_FPS),
        frames=1,
        start=0.0,
        has_audio=False,
        photo=True,
        colour=FROM_RGB,
    )


def _photo(path: Path) -> Frame:
    picture = read_photo(path)
    if picture is None:
        raise InputError(f"{path} is a picture that cannot be decoded", "save it as PNG or JPEG")
    return from_bgr(picture)
