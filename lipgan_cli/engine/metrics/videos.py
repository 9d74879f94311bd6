"""Two videos of the same scene, measured frame by frame; the mouth where the real one has it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import zip_longest

import numpy as np

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.video import Frame, VideoInfo, read_frames, to_rgb
from lipgan_cli.engine.metrics.image import (
    FigureTable,
    PairFigures,
    Region,
    compare,
    eyes_region,
    mouth_region,
    upper_region,
)
from lipgan_cli.engine.metrics.pool import mapped
from lipgan_cli.engine.metrics.scene import Scene
from lipgan_cli.engine.progress import Progress

LENGTH_SLACK = 2
"""Frames that one may have more: the sound of a clip often ends before its picture."""

DRIFT = 0.75
"""Frames by which a frame may be shown earlier or later: files round their times."""

SLOWER = 0.005
"""Part by which one rate may differ from the other: 29.97 is 30 with another clock."""

_Parts = tuple[Region | None, Region | None, Region | None]
_FramePair = tuple[Frame, Frame, _Parts]


def compare_videos(
    scene: Scene, generated: VideoInfo, gaussian: bool, progress: Progress
) -> FigureTable:
    """Measure a video against the real one of a scene, a row a frame; `check_alike` has passed.

    The parts of the face are those of the face square that `lipgan prep` would cut from the real
    video. A frame or two that only one of them has are left out, and told.

    Raises:
        InputError: the two differ in length after all.
    """
    real = scene.info
    figures = FigureTable()
    with progress.task("PSNR and SSIM", real.frames, "frames") as task:
        work = partial(_compare_frames, gaussian=gaussian)
        pixels = real.frames * real.width * real.height
        for result in mapped(work, _pairs(scene, generated, progress), pixels):
            figures.append(result)
            task.advance()
    return figures


def check_alike(real: VideoInfo, generated: VideoInfo) -> None:
    """Check that two videos can be compared frame by frame.

    Raises:
        InputError: they differ in size, rate or length.
    """

    def differ(what: str, one: object, other: object) -> InputError:
        return InputError(
            f"the videos differ in {what}: {real.path} has {one}, {generated.path} has {other}",
            "videos are compared frame by frame: give two of equal size, rate and length",
        )

    if (real.width, real.height) != (generated.width, generated.height):
        raise differ("size", f"{real.width}x{real.height}", f"{generated.width}x{generated.height}")
    common = np.arange(min(real.frames, generated.frames))
    drift = np.abs(real.clock.seconds(common) - generated.clock.seconds(common))
    slower = abs(float(generated.fps / real.fps) - 1)
    if drift.max(initial=0) * float(real.fps) > DRIFT or slower > SLOWER:
        rates = (
            f"{float(film.fps):.6g} fps" + ("" if film.clock.constant else ", varying")
            for film in (real, generated)
        )
        raise differ("rate", *rates)
    if abs(real.frames - generated.frames) > LENGTH_SLACK:
        raise differ("length", f"{real.frames:,} frames", f"{generated.frames:,} frames")


def _pairs(scene: Scene, generated: VideoInfo, progress: Progress) -> Iterator[_FramePair]:
    real = scene.info
    frames = enumerate(zip_longest(read_frames(real), read_frames(generated)))
    for count, (one, other) in frames:
        if one is None or other is None:
            more = 1 + sum(1 for _ in frames)
            lengths = (count, count + more) if one is None else (count + more, count)
            told = f"{real.path} has {lengths[0]:,} frames, {generated.path} has {lengths[1]:,}"
            if more > LENGTH_SLACK:
                raise InputError(
                    f"the videos differ in length: {told}",
                    "videos are compared frame by frame: give two of equal length",
                )
            progress.note(f"the {count:,} frames that both have are compared: {told}")
            return
        parts = (mouth_region, upper_region, eyes_region)
        mouth, upper, eyes = (scene.part(count, where) for where in parts)
        yield one, other, (mouth, upper, eyes)


def _compare_frames(pair: _FramePair, gaussian: bool) -> PairFigures:
    real, generated, (mouth, upper, eyes) = pair
    return compare(to_rgb(real), to_rgb(generated), mouth, gaussian, upper, eyes)
