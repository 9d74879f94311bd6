"""Animated WebP, which FFmpeg does not decode: its frames and their times, by Pillow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageSequence

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.clock import Clock, Timed, clock_of
from lipgan_cli.engine.media.picture import check_size, on_white

MILLISECOND = Fraction(1, 1000)
DAMAGED = (OSError, ValueError, Image.DecompressionBombError)
SHORTEST = 10  # ms; viewers show frames that name no time for about as long


def is_animated(path: Path) -> bool:
    """Return whether a file is an animated WebP, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(21)
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


def probe(path: Path) -> tuple[Clock, int, int]:
    """Return the clock, the width and the height; a damaged frame ends the film.

    Raises:
        InputError: there is no whole frame, or a side is longer than 8192 pixels.
    """
    times, end = [], 0
    with suppress(*DAMAGED), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a size that is refused just below
        with Image.open(path) as image:
            width, height = image.size
            check_size(path, width, height)
            for frame in ImageSequence.Iterator(image):
                shown = _shown(frame)
                times.append(end)
                end += shown
    if not times:
        raise InputError(f"{path} has no frame that can be decoded", "check that it plays")
    return clock_of(times, end, MILLISECOND, ()), width, height


def read(path: Path) -> Iterator[Timed]:
    """Yield the frames with their times, as RGB on white, up to the first damaged one."""
    begin = 0
    with suppress(*DAMAGED), Image.open(path) as image:
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
