"""Writing a film: frames with their times, and sound, become a file of one encode."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Self

import av
import imageio_ffmpeg
import numpy as np

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.audio import GAP_SECONDS, track_of
from lipgan_cli.engine.media.clock import Clock
from lipgan_cli.engine.media.coding import Coding
from lipgan_cli.engine.media.picture import Colour, Frame

USUAL = Coding()
NO_TAGS: Mapping[str, str] = MappingProxyType({})
BROKEN = (OSError, av.FFmpegError)
"""What writing to an encoder that has gone raises."""
LAYOUTS = {1: "mono", 2: "stereo"}
"""By the number of channels; what has more becomes 5.1. AAC, Opus and FLAC code all three."""
SURROUND = "5.1"
MARKED_RATE = 48000  # Hz: half of it is more than the mark in the sound needs
MIXED = "amix=inputs=2:duration=first:normalize=0"
FADE_SECONDS = 0.5
"""How long sound takes to fade where it ends before the film."""


@dataclass(frozen=True)
class Picture:
    """What all frames of a film share."""

    width: int  # pixels, even
    height: int  # pixels, even
    clock: Clock  # its rate and its ticks' length count; frames bring their own times
    colour: Colour = Colour()
    pixel_aspect: Fraction = Fraction(1)


@dataclass(frozen=True)
class Ambience:
    """The sound of a recording, laid under the speech."""

    path: Path
    start: float  # seconds on the file's own clock that are the film's 0
    seconds: float  # how much of it
    gain: float  # decibels


@dataclass(frozen=True)
class Sound:
    """The sound of a film: that of the speech's file itself, from its first sample on."""

    path: Path
    seconds: float  # cut or filled up with silence to this length
    under: Ambience | None = None
    mark: Path | None = None  # mono at 48 kHz, laid under all of it again and again
    room: float = 1.0  # what the rest is multiplied by, so that nothing clips with the mark


class VideoWriter:
    """Encodes I420 frames of one size; picture and sound both start at 0.

    `path` is written in place: give a temporary name. `tags` become the container's metadata.

    Raises:
        InputError: the frame size is odd, or a file of the sound has no audio track.
        LipganError: the encoder fails, at a write or at the end.
    """

    def __init__(
        self,
        path: Path,
        picture: Picture,
        sound: Sound | None,
        coding: Coding = USUAL,
        tags: Mapping[str, str] = NO_TAGS,
    ) -> None:
        width, height = picture.width, picture.height
        if width % 2 or height % 2:
            raise InputError(f"{width}x{height} is an odd frame size", "give an even one")
        self._shape = (height * 3 // 2, width)
        self._base = picture.clock.base
        command = [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y"),
            *("-copyts", "-f", "nut", "-i", "pipe:0"),
            *(sound_inputs(sound) if sound is not None else ()),
            *("-map", "0:v:0", "-vf", _tags(picture)),
            *(("-map", "[sound]") if sound is not None else ()),
            # Told twice, or FFV1 would get its bytes converted to TV range.
            *(("-color_range", "pc") if picture.colour.range == 2 else ()),
            *("-fps_mode", "passthrough", "-enc_time_base:v", "demux"),
            *coding.options(path),
            *metadata(tags),
            f"file:{path.absolute()}",
        ]
        # A file, because a full pipe that nobody reads would stop the encoder.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._complaints
        )
        # NUT carries each frame's time; nothing is coded in it.
        self._sink = _Pipe(self._stdin)
        self._pipe = av.open(self._sink, "w", format="nut")
        self._stream = self._pipe.add_stream("rawvideo", rate=picture.clock.fps)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = self._base

    def write(self, frame: Frame, tick: int) -> None:
        """Append one frame, uint8 (height * 3 // 2, width), shown from `tick` on."""
        if frame.shape != self._shape:
            raise ValueError(f"the frame is {frame.shape}, the film {self._shape}")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="yuv420p")
        picture.pts, picture.time_base = tick, self._base
        try:
            self._pipe.mux(self._stream.encode(picture))
        except BROKEN as error:
            if self._sink.stopped is not None:
                raise self._sink.stopped from None
            raise self._failure() from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is not None:
                self._process.kill()
            with suppress(*BROKEN):  # the encoder may have gone; its exit code says so
                self._pipe.close()
            with suppress(OSError):
                self._stdin.close()
            if self._process.wait() and kind is None:
                raise self._failure()
        finally:
            self._process.kill()
            self._process.wait()
            self._complaints.close()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _failure(self) -> LipganError:
        with suppress(OSError):
            self._stdin.close()
        code = self._process.wait()
        self._complaints.seek(0)
        return failure(self._complaints.read(), code)


def metadata(tags: Mapping[str, str]) -> list[str]:
    """Return FFmpeg's options for a container whose metadata are these and no others."""
    told = [("-metadata", f"{name}={value}") for name, value in tags.items()]
    return ["-map_metadata", "-1", "-map_chapters", "-1", *chain.from_iterable(told)]


def failure(said: bytes, code: int) -> LipganError:
    """Return the error for an FFmpeg that ended with a code, and what it said."""
    lines = said.decode("utf-8", "replace").split("\n")
    told = [re.sub(r"^(\[[^\]]*\]\s*)+", "", line).strip() for line in lines if line.strip()]
    # The first is the cause, and the others what came of it.
    reason = told[0] if told else f"the encoder ended with exit code {code}"
    return LipganError(f"the video cannot be written: {reason}")


class _Pipe:
    """The one method of a pipe that the muxer needs: a file that can seek is written otherwise."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self.stopped: BaseException | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._pipe.write(data)
        except (KeyboardInterrupt, SystemExit) as error:
            self.stopped = error  # the muxer would drop it, and the film go on
            raise InterruptedError from error


def _tags(picture: Picture) -> str:
    """Return the filters that say how the bytes are to be shown, without touching them."""
    colour, aspect = picture.colour, picture.pixel_aspect
    return (
        f"setparams=range={colour.range}:colorspace={colour.matrix}"
        f":color_primaries={colour.primaries}:color_trc={colour.transfer}"
        f",setsar={aspect.numerator}/{aspect.denominator}"
    )


def sound_inputs(sound: Sound) -> list[str]:
    """Return FFmpeg's inputs from 1 on for a sound, and the filters that make it `[sound]`."""
    end = f"apad=whole_dur={sound.seconds:.6f},atrim=end={sound.seconds:.6f}"
    filled = f"aresample=async=1:min_hard_comp={GAP_SECONDS}:first_pts=0"
    track, channels = track_of(sound.path)
    layout = LAYOUTS.get(channels, SURROUND)
    inputs = ["-i", f"file:{sound.path.absolute()}"]
    filters = f"[1:{track}]asetpts=PTS-STARTPTS,{filled},{end}"
    if sound.under is not None:
        under = sound.under
        inputs += ["-i", f"file:{under.path.absolute()}"]
        stop = under.start + under.seconds
        begins = max(0.0, under.seconds - FADE_SECONDS)
        fade = f",afade=out:start_time={begins:.6f}:duration={FADE_SECONDS}"
        filters += (
            f"[speech];[2:{track_of(under.path)[0]}]"
            f"atrim=start={under.start:.6f}:end={stop:.6f},asetpts=PTS-{under.start:.6f}/TB,"
            f"{filled},volume={under.gain:.3f}dB{fade if under.seconds < sound.seconds else ''}"
            f",{end}[under];"
            f"[speech][under]{MIXED}"
        )
    # Layouts that no coder takes become one that all take.
    filters += f",aformat=channel_layouts={layout}"
    if sound.mark is not None:
        number = inputs.count("-i") + 1
        inputs += ["-stream_loop", "-1", "-i", f"file:{sound.mark.absolute()}"]
        # In front alone, where there are speakers all around.
        front = "mono|c0=c0" if layout == "mono" else f"{layout}|FL=c0|FR=c0"
        filters += (
            f",aresample={MARKED_RATE}[unmarked];[{number}:0]pan={front}[mark];"
            f"[unmarked][mark]{MIXED}:weights={sound.room:.6f} 1"
        )
    return [*inputs, "-filter_complex", f"{filters}[sound]"]
