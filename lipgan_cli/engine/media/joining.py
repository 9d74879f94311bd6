"""Joining films that were coded alike, without coding their pictures again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TypeAlias

import av
import imageio_ffmpeg

from lipgan_cli.engine.errors import LipganError
from lipgan_cli.engine.media.coding import Coding
from lipgan_cli.engine.media.writer import (
    BROKEN,
    NO_TAGS,
    Sound,
    failure,
    metadata,
    sound_inputs,
)

_Packet: TypeAlias = "av.Packet[av.VideoStream]"


def join(
    films: Sequence[Path],
    fps: Fraction,
    sound: Sound,
    output: Path,
    coding: Coding,
    tags: Mapping[str, str] = NO_TAGS,
) -> None:
    """Write films one after the other, with a sound, and `tags` as the container's metadata.

    All are of one size and a constant rate, without sound, and coded as `coding` says for the
    container of `output`, which is written in place. What lies between is put beside the first.

    Raises:
        LipganError: it cannot be written.
    """
    silent = films[0].with_name(f"joined{output.suffix}")
    try:
        aspect = _concatenate(films, fps, silent)
    except (*BROKEN, IndexError) as error:  # that there is no picture in one
        raise LipganError(f"the video cannot be written: {error}") from error
    command = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y"),
        *("-i", f"file:{silent.absolute()}", *sound_inputs(sound)),
        *("-map", "0:v:0", "-map", "[sound]", *coding.options(output, coded=True)),
        *("-aspect:v", f"{aspect.numerator}:{aspect.denominator}"),
        *(*metadata(tags), f"file:{output.absolute()}"),
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    silent.unlink(missing_ok=True)
    if done.returncode:
        raise failure(done.stderr, done.returncode)


@cache
def encoder() -> str:
    """Return the version of what codes films."""
    return str(imageio_ffmpeg.get_ffmpeg_version())


def _concatenate(films: Sequence[Path], fps: Fraction, output: Path) -> Fraction:
    """Write the pictures of all films, and return the shape in which they are shown."""
    packets = [list(_packets(film, fps)) for film in films]
    # How many frames at most are decoded before one that is shown earlier.
    delay = max(place - shown for film in packets for place, (shown, _) in enumerate(film))
    with av.open(str(output), "w") as container, av.open(str(films[0])) as first:
        like = first.streams.video[0]
        stream = container.add_stream_from_template(like)
        begin = 0  # frame
        for film in packets:
            for place, (shown, packet) in enumerate(film):
                packet.stream, packet.time_base = stream, 1 / fps
                packet.pts, packet.dts = begin + shown, begin + place - delay
                packet.duration = 1
                container.mux(packet)
            begin += len(film)
        return Fraction(like.width, like.height) * (like.sample_aspect_ratio or 1)


def _packets(film: Path, fps: Fraction) -> Iterator[tuple[int, _Packet]]:
    """Yield the coded frames in the order of decoding, each with its number in the film."""
    with av.open(str(film)) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.size and packet.pts is not None:
                yield round(packet.pts * packet.time_base * fps), packet
