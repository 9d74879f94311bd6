"""Two videos of the same scene, measured frame by frame; the mouth where the real one has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.detectors import HogDetector
from lipgan_cli.engine.media.faces import region, squares
from lipgan_cli.engine.media.people import Position, choose
from lipgan_cli.engine.media.tracks import find_tracks
from lipgan_cli.engine.media.video import Frame, VideoInfo, probe, read_frames, to_rgb
from lipgan_cli.engine.metrics.image import (
    PairFigures,
    PairSummary,
    Region,
    compare,
    mouth_region,
)
from lipgan_cli.engine.metrics.pairs import check_window
from lipgan_cli.engine.metrics.pool import mapped
from lipgan_cli.engine.progress import Progress

LENGTH_SLACK = 2
"""Frames by which what a file promises of its length may be wrong."""

_FramePair = tuple[Frame, Frame, Region | None]


def compare_videos(
    real_path: Path, generated_path: Path, gaussian: bool, progress: Progress
) -> PairSummary:
    """Measure two videos of equal size, rate and length.

    The mouth region is that of the face square that `lipgan prep` would cut from the real video.

    Raises:
        InputError: one cannot be read, or the two differ in size, rate or length.
    """
    real, generated = probe(real_path), probe(generated_path)
    _check(real, generated)
    check_window(real_path, real.width, real.height, gaussian)
    mouths = _mouths(real, progress)
    figures: list[PairFigures] = []
    with progress.task("PSNR and SSIM", real.frames, "frames") as task:
        work = partial(_compare_frames, gaussian=gaussian)
        pixels = real.frames * real.width * real.height
        for result in mapped(work, _pairs(real, generated, mouths), pixels):
            figures.append(result)
            task.advance()
    return PairSummary.of(figures)


def _check(real: VideoInfo, generated: VideoInfo) -> None:
    def differ(what: str, one: object, other: object) -> InputError:
        return InputError(
            f"the videos differ in {what}: {real.path} has {one}, {generated.path} has {other}",
            "videos are compared frame by frame: give two of equal size, rate and length",
        )

    if (real.width, real.height) != (generated.width, generated.height):
        raise differ("size", f"{real.width}x{real.height}", f"{generated.width}x{generated.height}")
    constant = real.clock.constant and generated.clock.constant
    if constant and real.fps != generated.fps:
        raise differ("rate", f"{float(real.fps):g} fps", f"{float(generated.fps):g} fps")
    if abs(real.frames - generated.frames) > LENGTH_SLACK:
        raise differ("length", f"{real.frames:,} frames", f"{generated.frames:,} frames")


def _mouths(real: VideoInfo, progress: Progress) -> list[Region | None]:
    """Where the mouth is in each frame, None where no face is found."""

    def watched() -> Iterator[NDArray[np.uint8]]:
        for frame in read_frames(real):
            yield frame
            task.advance()

    with progress.task("finding the mouth", real.frames, "frames") as task:
        found = find_tracks(watched(), HogDetector())
    boxes = choose(found, Position.LARGEST, (real.width, real.height))[:, :4]
    steady = squares(boxes, float(real.fps), found.cuts)
    mouths = [_mouth(square, real) for square in steady]
    missing = sum(mouth is None for mouth in mouths)
    if missing:
        progress.note(f"{real.path}: no mouth to measure in {missing:,} of {len(mouths):,} frames")
    return mouths


def _mouth(square: NDArray[np.float64], info: VideoInfo) -> Region | None:
    if np.isnan(square).any():
        return None
    left, top, side = region(square)
    rows, columns = mouth_region(side, side)
    return (
        _shifted(rows, top, info.height),
        _shifted(columns, left, info.width),
    )


def _shifted(span: slice, start: int, end: int) -> slice:
    """The span moved by `start`, as much of it as lies in 0..end."""
    return slice(
        min(max(span.start + start, 0), end),
        min(max(span.stop + start, 0), end),
    )


def _pairs(
    real: VideoInfo, generated: VideoInfo, mouths: Sequence[Region | None]
) -> Iterator[_FramePair]:
    frames = enumerate(zip_longest(read_frames(real), read_frames(generated)))
    for count, (one, other) in frames:
        if one is None or other is None:
            longer = count + 1 + sum(1 for _ in frames)
            lengths = (count, longer) if one is None else (longer, count)
            raise InputError(
                f"the videos differ in length: {real.path} has {lengths[0]:,} frames, "
                f"{generated.path} has {lengths[1]:,}",
                "videos are compared frame by frame: give two of equal length",
            )
        yield one, other, mouths[count]


def _compare_frames(pair: _FramePair, gaussian: bool) -> PairFigures:
    real, generated, mouth = pair
    return compare(to_rgb(real), to_rgb(generated), mouth, gaussian)
