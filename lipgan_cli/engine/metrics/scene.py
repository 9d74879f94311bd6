"""The face in a video: where `lipgan prep` would cut it, and the crops of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipgan_cli.engine.media.detectors import HogDetector
from lipgan_cli.engine.media.faces import cut, region, squares
from lipgan_cli.engine.media.people import Position, choose
from lipgan_cli.engine.media.tracks import find_tracks
from lipgan_cli.engine.media.video import Frame, VideoInfo, read_frames, to_rgb
from lipgan_cli.engine.metrics.image import Region
from lipgan_cli.engine.progress import Progress


@dataclass(frozen=True, eq=False)
class Scene:
    """A video and its largest face."""

    info: VideoInfo
    boxes: NDArray[np.float64]  # (n, 4) left, top, right, bottom; NaN where there is no face
    squares: NDArray[np.float64]  # (n, 3) centre x, centre y, side; NaN where there is no face

    @property
    def seen(self) -> NDArray[np.int64]:
        """The numbers of the frames with a face."""
        return np.flatnonzero(~np.isnan(self.squares[:, 0]))

    def part(self, frame: int, region_of: Callable[[int, int], Region]) -> Region | None:
        """Where a part of the face is in a frame; None where there is no face, or it is outside.

        region_of: gives the part of a crop of that height and width.
        """
        if frame >= len(self.squares) or np.isnan(self.squares[frame]).any():
            return None
        left, top, side = region(self.squares[frame])
        rows, columns = region_of(side, side)
        rows, columns = (
            _shifted(rows, top, self.info.height),
            _shifted(columns, left, self.info.width),
        )
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None

    def crops(self, film: VideoInfo, progress: Progress) -> Iterator[NDArray[np.uint8]]:
        """Yield the face crops RGB (96, 96, 3) of the frames with a face.

        film: this video, or another one of the same scene.
        """
        with progress.task(f"reading {film.path.name}", len(self.squares), "frames") as task:
            for square, frame in zip(self.squares, read_frames(film), strict=False):
                if not np.isnan(square[0]):
                    yield cut(to_rgb(frame), square)
                task.advance()


def look(info: VideoInfo, progress: Progress) -> Scene:
    """Find the largest face in a video; there may be none."""

    def watched() -> Iterator[Frame]:
        for frame in read_frames(info):
            yield frame
            task.advance()

    with progress.task(f"finding the face in {info.path.name}", info.frames, "frames") as task:
        found = find_tracks(watched(), HogDetector())
    boxes = choose(found, Position.LARGEST, (info.width, info.height))[:, :4]
    scene = Scene(info, boxes, squares(boxes, float(info.fps), found.cuts))
    missing = len(boxes) - len(scene.seen)
    if missing:
        progress.note(f"{info.path}: no face in {missing:,} of {len(boxes):,} frames")
    return scene


def _shifted(span: slice, start: int, end: int) -> slice:
    """The span moved by `start`, as much of it as lies in 0..end."""
    return slice(
        min(max(span.start + start, 0), end),
        min(max(span.stop + start, 0), end),
    )
