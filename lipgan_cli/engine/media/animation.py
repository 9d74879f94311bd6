"""Animated WebP, which FFmpeg does not decode: its frames and their times, by Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageSequence

from lipgan_cli.engine.media.clock import Clock, Timed, clock_of
from lipgan_cli.engine.media.picture import on_white

MILLISECOND = Fraction(1, 1000)
SHORTEST = 10  # ms; viewers show frames that name no time for about as long


def is_animated(path: Path) -> bool:
    """Return whether a file is an animated WebP, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(21)
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


def probe(path: Path) -> tuple[Clock, int, int]:
    """Return the clock, the width and the height."""
    times, end = [], 0
    with Image.open(path) as image:
        size = image.size
        for frame in ImageSequence.Iterator(image):
            times.append(end)
            end += _shown(frame)
    return clock_of(times, end, MILLISECOND, ()), *size


def read(path: Path) -> Iterator[Timed]:
    """Yield the frames with their times, as RGB on white."""
    begin = 0
    with Image.open(path) as image:
        for frame in ImageSequence.Iterator(image):
            shown = _shown(frame)
            picture = on_white(np.asarray(frame.convert("RGBA")))
            yield Timed(
                begin / 1000, shown / 1000, av.VideoFrame.from_ndarray(picture, format="rgb24")
            )
            begin += shown


def _shown(frame: Image.Image) -> int:
    """Return how long a frame is shown, ms; known once it is decoded."""
    frame.load()
    return max(SHORTEST, int(frame.info.get("duration", 0)))
