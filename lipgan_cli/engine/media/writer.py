"""Writing a film: frames and a speech file become H.264 and AAC in an MP4."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import imageio_ffmpeg
import numpy as np

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.audio import GAP_SECONDS, track_number
from lipgan_cli.engine.media.picture import Colour, Frame

CRF = 18
PRESET = "medium"
AUDIO_BIT_RATE = "192k"
UNTOLD = Colour()


class VideoWriter:
    """Encodes I420 frames of one size at a constant rate; picture and sound both start at 0.

    The sound is that of the speech file itself, cut or padded with silence to `duration` seconds.
    `path` is written in place: give a temporary name.

    Raises:
        InputError: the frame size is odd, or the speech file has no audio track.
        LipganError: the encoder fails, at a write or at the end.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        fps: Fraction,
        audio: Path | None,
        duration: float,
        colour: Colour = UNTOLD,
        pixel_aspect: Fraction = Fraction(1),
    ) -> None:
        if width % 2 or height % 2:
            raise InputError(f"{width}x{height} is an odd frame size", "give an even one")
        self._shape = (height * 3 // 2, width)
        source = [
            *("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}"),
            *("-r", str(fps), "-i", "pipe:0"),
        ]
        picture = [
            *("-map", "0:v:0", "-vf", _tags(colour, pixel_aspect)),
            *("-c:v", "libx264", "-crf", str(CRF), "-preset", PRESET, "-pix_fmt", "yuv420p"),
        ]
        sound: list[str] = []
        if audio is not None:
            source += ["-i", f"file:{audio.absolute()}"]
            sound = [
                *("-map", f"1:{track_number(audio)}", "-af", _aligned(duration)),
                *("-c:a", "aac", "-b:a", AUDIO_BIT_RATE),
            ]
        command = [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y"),
            *(*source, *picture, *sound),
            *("-map_metadata", "-1", "-movflags", "+faststart"),
            f"file:{path.absolute()}",
        ]
        # A file, because a full pipe that nobody reads would stop the encoder.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._complaints
        )

    def write(self, frame: Frame) -> None:
        """Append one frame, uint8 (height * 3 // 2, width)."""
        if frame.shape != self._shape:
            raise ValueError(f"the frame is {frame.shape}, the film {self._shape}")
        try:
            self._pipe.write(np.ascontiguousarray(frame).data)
        except OSError as error:
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
            with suppress(OSError):  # the encoder may have gone; its exit code says so
                self._pipe.close()
            if self._process.wait() and kind is None:
                raise self._failure()
        finally:
            self._process.kill()
            self._process.wait()
            self._complaints.close()

    @property
    def _pipe(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _failure(self) -> LipganError:
        code = self._process.wait()
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        reason = said[-1] if said else f"the encoder ended with exit code {code}"
        return LipganError(f"the video cannot be written: {reason}")


def _tags(colour: Colour, pixel_aspect: Fraction) -> str:
    """Return the filters that say how the bytes are to be shown, without touching them."""
    return (
        f"setparams=range={colour.range}:colorspace={colour.matrix}"
        f":color_primaries={colour.primaries}:color_trc={colour.transfer}"
        f",setsar={pixel_aspect.numerator}/{pixel_aspect.denominator}"
    )


def _aligned(duration: float) -> str:
    """Return the filters that start the sound at 0, fill its gaps and give it the film's length."""
    return (
        f"asetpts=PTS-STARTPTS,aresample=async=1:min_hard_comp={GAP_SECONDS}"
        f",apad=whole_dur={duration:.6f},atrim=end={duration:.6f}"
    )
