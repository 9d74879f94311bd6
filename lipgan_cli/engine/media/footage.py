"""Footage: the part of a face video, or the photo, that is made to speak."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.audio import SAMPLE_RATE, Samples, read_audio
from lipgan_cli.engine.media.blend import planes
from lipgan_cli.engine.media.clock import LATE, Clock
from lipgan_cli.engine.media.picture import Frame, luma
from lipgan_cli.engine.media.video import VideoInfo, probe, read_frames

LARGEST_PHOTO = 1920
"""Longest side of a video made from a photo, in pixels: a camera's 6000 is no video size."""


@dataclass(frozen=True, eq=False)
class Footage:
    """A part of a video from one frame to before another, or a photo."""

    info: VideoInfo
    first: int  # frame of the file
    clock: Clock  # of the part
    photo: Frame | None = None
    held: tuple[Frame, ...] = ()  # the part's first frames, where they are kept in memory

    @property
    def start(self) -> float:
        """Seconds on the file's own clock at which the part begins."""
        begun = self.info.clock.seconds(np.array([self.first]))
        return self.info.start + float(begun[0])

    @property
    def begins(self) -> float:
        """Seconds of the video at which the part begins."""
        return self.start - self.info.start

    def read(self, first: int) -> Iterator[Frame]:
        """Yield the I420 frames from frame `first` of the part on, and those behind the part."""
        if self.photo is not None:
            yield from islice((self.photo,), first, None)
            return
        yield from islice(self.held, first, None)
        behind = self.first + max(first, len(self.held))
        # Those who need no more than is held do not open the file.
        yield from read_frames(self.info, behind)

    def hold(self, most_bytes: int) -> Footage:
        """Return the part with as many of its first frames in memory as fit.

        They are shared: copy one before it is changed.
        """
        if self.photo is not None:
            return self
        each = self.info.width * self.info.height * 3 // 2
        return replace(
            self, held=tuple(islice(self.read(0), min(self.clock.frames, most_bytes // each)))
        )

    def held_frame(self, place: int) -> Frame | None:
        """Return a frame of the part where it is in memory."""
        if self.photo is not None:
            return self.photo
        return self.held[place] if place < len(self.held) else None

    def part(self, first: int, last: int) -> Footage:
        """Return frames first..last-1 of the part."""
        clock = self.clock.part(first, last)
        return replace(self, first=self.first + first, clock=clock, held=self.held[first:])

    def sound(self, seconds: float) -> Samples | None:
        """Return the video's own sound from the part's first frame on; None without any."""
        if not self.info.has_audio:
            return None
        try:
            samples = read_audio(self.info.path, self.start, seconds)
        except InputError:  # a damaged sound track is no reason to refuse the picture
            return None
        return samples[: round(seconds * SAMPLE_RATE)]


def open_footage(path: Path, start: Fraction | None, end: Fraction | None) -> Footage:
    """Return a face video between two times in seconds, or a photo at a video's size.

    Raises:
        InputError: the file cannot be used, or nothing lies between the two.
    """
    info = probe(path)
    if info.photo:
        photo = _shrunk(next(read_frames(info)), LARGEST_PHOTO)
        shown = replace(info, width=photo.shape[1], height=photo.shape[0] * 2 // 3)
        return Footage(shown, 0, info.clock, photo)
    first, last = span(info, info.clock, start, end)
    return Footage(info, first, info.clock.part(first, last))


def span(
    info: VideoInfo, clock: Clock, start: Fraction | None, end: Fraction | None
) -> tuple[int, int]:
    """Return the first frame between two times of a clock in seconds, and the one after the last.

    Raises:
        InputError: there is none.
    """
    first = 0 if start is None else _frame_at(clock, start)
    last = clock.frames if end is None else min(clock.frames, _frame_at(clock, end))
    if first >= last:
        wanted = f"from {_told(start, 'its start')} to {_told(end, 'its end')}"
        raise InputError(
            f"{info.path} has no frame {wanted}", f"it lasts {float(clock.duration):.2f} s"
        )
    return first, last


def _frame_at(clock: Clock, seconds: Fraction) -> int:
    """Return the first frame that begins at a time or after it."""
    return max(0, math.ceil(clock.position(float(seconds)) - float(LATE)))


def _told(seconds: Fraction | None, otherwise: str) -> str:
    return otherwise if seconds is None else f"{float(seconds):g} s"


def _shrunk(frame: Frame, longest: int) -> Frame:
    """Return an I420 frame whose sides are at most `longest`, even."""
    height, width = luma(frame).shape
    scale = min(1.0, longest / max(height, width))
    if scale == 1:
        return frame
    rows, columns = (max(2, round(side * scale / 2) * 2) for side in (height, width))
    sizes = ((columns, rows), (columns // 2, rows // 2), (columns // 2, rows // 2))
    smaller: list[NDArray[np.uint8]] = [
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA).ravel().astype(np.uint8, copy=False)
        for plane, size in zip(planes(frame), sizes, strict=True)
    ]
    return np.concatenate(smaller).reshape(rows * 3 // 2, columns)
