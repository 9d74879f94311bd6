"""Moving pictures: what a file holds, and its frames, each at its own time.

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
from lipgan_cli.engine.media import animation
from lipgan_cli.engine.media.clock import (
    HIGHEST_FPS,
    LOWEST_FPS,
    USUAL_FPS,
    Clock,
    Timed,
    constant,
    on_screen,
)
from lipgan_cli.engine.media.decoding import decoded, read_clock, timed
from lipgan_cli.engine.media.matrix import resolved
from lipgan_cli.engine.media.opening import open_media
from lipgan_cli.engine.media.picture import (
    FROM_RGB,
    UPRIGHT,
    Colour,
    Frame,
    Orientation,
    check_size,
    colour_of,
    from_rgb,
    luma,
    orientation,
    planar,
    read_photo,
    to_rgb,
)
from lipgan_cli.engine.paths import require_file

__all__ = [
    "Colour",
    "Frame",
    "VideoInfo",
    "luma",
    "probe",
    "read_frames",
    "to_rgb",
]

# Formats whose index leads to the exact frame. Elsewhere a seek is a guess.
INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
STILL = ("gif", "apng")  # formats of animations that may hold a single picture
SEEK_MARGIN_SECONDS = 0.5  # decoded before the wanted frame, past any damaged leading frames


@dataclass(frozen=True)
class VideoInfo:
    """What a video or photo is, as it is displayed."""

    path: Path
    width: int  # pixels, even
    height: int  # pixels, even
    clock: Clock
    start: float  # seconds on the file's own clock at which the first frame is shown
    has_audio: bool
    photo: bool
    pixel_aspect: Fraction = Fraction(1)  # width / height of one pixel
    colour: Colour = Colour()
    orientation: Orientation = UPRIGHT
    interlaced: bool = False
    indexed: bool = False  # whether reading can begin anywhere

    @property
    def fps(self) -> Fraction:
        """The constant frame rate, or the mean of a varying one."""
        return self.clock.fps

    @property
    def frames(self) -> int:
        return self.clock.frames

    @property
    def seen_as(self) -> Colour:
        """The range and matrix by which its bytes are read, told or guessed."""
        return resolved(self.colour, self.height)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return float(self.clock.duration)


def probe(path: Path) -> VideoInfo:
    """Return what a video or photo holds; its first frame is decoded to be sure.

    Raises:
        InputError: the file is missing, empty, damaged, neither video nor picture, or more than
            8192 pixels wide or high.
    """
    require_file(path, "the video")
    if animation.is_animated(path):
        return _probe_animation(path)
    with _open(path) as container:
        if _is_photo(container):
            return _probe_photo(path)
        stream = _video_stream(path, container)
        coder = stream.codec_context
        if getattr(coder, "width", 0):  # before anything is decoded; there may be no decoder
            check_size(path, coder.width, coder.height)
        first = next(decoded(container, stream), None)
        if first is None:
            raise InputError(f"{path} has no frame that can be decoded", "check that it plays")
        shown_as = orientation(first)
        size = _displayed_size(path, first, shown_as)
        start = float(first.time or 0.0)
        with _open(path) as again:
            clock = read_clock(again, _video_stream(path, again), start, _rate(stream))
        if clock.frames == 1 and container.format.name in STILL:
            return _probe_photo(path)
        return VideoInfo(
            path=path,
            width=size[0],
            height=size[1],
            clock=clock,
            start=start,
            has_audio=bool(container.streams.audio),
            photo=False,
            pixel_aspect=_pixel_aspect(stream, shown_as),
            colour=colour_of(first),
            orientation=shown_as,
            interlaced=first.interlaced_frame,
            # In interlaced film each picture takes the one before it.
            indexed=container.format.name in INDEXED and not first.interlaced_frame,
        )


def read_frames(info: VideoInfo, first: int = 0, threads: int = 0) -> Iterator[Frame]:
    """Yield I420 frames from frame `first` on, one for each beginning on the film's clock.

    Frame k is what is on screen at that time; each is an array of its own. A damaged tail ends the
    frames at the last good one. `threads` decode (0: as many as there are cores).

    Raises:
        InputError: the file cannot be opened any more.
    """
    if info.photo:
        if first == 0:
            yield _photo(info.path)
        return
    if animation.is_animated(info.path):
        yield from _planar(animation.read(info.path), info, first)
        return
    if first > 0:
        with _open(info.path) as container:
            shown = _seek(container, info, first, threads)
            if shown is not None:
                yield from shown
                return
    with _open(info.path) as container:
        stream = _video_stream(info.path, container)
        yield from _planar(_timed(container, stream, info, threads), info, first)


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


def _timed(
    container: InputContainer, stream: av.VideoStream, info: VideoInfo, threads: int
) -> Iterator[Timed]:
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = threads
    return timed(decoded(container, stream, info.interlaced), info.start, info.fps)


def _rate(stream: av.VideoStream) -> Fraction:
    """Return the average frame rate, kept within 1 to 240."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate is not None and LOWEST_FPS <= rate <= HIGHEST_FPS:
            return Fraction(rate).limit_denominator(1001)
    return USUAL_FPS


def _pixel_aspect(stream: av.VideoStream, shown_as: Orientation) -> Fraction:
    aspect = stream.sample_aspect_ratio
    if not aspect:
        return Fraction(1)
    return 1 / Fraction(aspect) if shown_as.turns % 2 else Fraction(aspect)


def _displayed_size(path: Path, frame: av.VideoFrame, shown_as: Orientation) -> tuple[int, int]:
    width, height = frame.width, frame.height
    check_size(path, width, height)
    width, height = width // 2 * 2, height // 2 * 2
    return (height, width) if shown_as.turns % 2 else (width, height)


def _seek(
    container: InputContainer, info: VideoInfo, first: int, threads: int
) -> Iterator[Frame] | None:
    """Return the frames from `first` on by seeking, or None where that would not be exact."""
    stream = _video_stream(info.path, container)
    if first >= info.frames or not info.indexed or stream.time_base is None:
        return None
    wanted = float(int(info.clock.ticks[first]) * info.clock.base)
    before = max(0.0, info.start + wanted - SEEK_MARGIN_SECONDS)
    try:
        container.seek(int(before / stream.time_base), stream=stream)
    except av.FFmpegError:
        return None
    frames = _timed(container, stream, info, threads)
    begin = next(frames, None)
    if begin is None or begin.frame.pts is None or begin.time > wanted or begin.frame.is_corrupt:
        return None
    return _planar(chain([begin], frames), info, first)


def _planar(frames: Iterable[Timed], info: VideoInfo, first: int) -> Iterator[Frame]:
    for frame in on_screen(frames, info.clock, first):
        yield planar(frame, info.width, info.height, info.orientation)


def _probe_photo(path: Path) -> VideoInfo:
    frame = _photo(path)
    return VideoInfo(
        path=path,
        width=frame.shape[1],
        height=frame.shape[0] * 2 // 3,
        clock=constant(USUAL_FPS, 1),
        start=0.0,
        has_audio=False,
        photo=True,
        colour=FROM_RGB,
    )


def _photo(path: Path) -> Frame:
    picture = read_photo(path)
    if picture is None:
        raise InputError(f"{path} is a picture that cannot be decoded", "save it as PNG or JPEG")
    return from_rgb(picture)


def _probe_animation(path: Path) -> VideoInfo:
    clock, width, height = animation.probe(path)
    check_size(path, width, height)
    return VideoInfo(
        path=path,
        width=width // 2 * 2,
        height=height // 2 * 2,
        clock=clock,
        start=0.0,
        has_audio=False,
        photo=False,
        colour=FROM_RGB,
    )
