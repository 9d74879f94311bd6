"""The sides of a comparison: folders of pictures, videos, prepared datasets, saved statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lipgan_cli.engine.data.corpus import SUFFIXES
from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.metrics.pictures import is_picture, list_pictures
from lipgan_cli.engine.progress import Progress

if TYPE_CHECKING:
    from lipgan_cli.engine.media.video import VideoInfo
    from lipgan_cli.engine.metrics.features import Statistics
    from lipgan_cli.engine.metrics.inception import Network

SUBSET = "test"
STATISTICS = ".npz"


@dataclass(frozen=True)
class Side:
    """One side: pictures in files, a video, or, with neither, a file of statistics."""

    path: Path
    pictures: Sequence[Path] = ()
    video: VideoInfo | None = None
    named: bool = True  # whether the names of the pictures say which is which

    @property
    def kind(self) -> str:
        """What it is, in words."""
        if self.video is not None:
            return "a video"
        if not self.pictures:
            return "a file of statistics"
        return "a folder of pictures" if self.path.is_dir() else "a picture"


def open_side(path: Path, subset: str | None = None) -> Side:
    """Open one side; of a prepared dataset, the faces of `subset` (`test` by default).

    Raises:
        InputError: it is missing, unreadable, or neither pictures nor video.
    """
    try:
        there = path.exists()
    except OSError:  # a name that no file can have, or a folder that may not be entered
        there = False
    if not there:
        raise InputError(f"{path} does not exist", "check the path")
    if (path / "dataset.json").is_file():
        from lipgan_cli.engine.data.dataset import Dataset, face_name

        clips = Dataset.open(path).clips(subset or SUBSET)
        faces = [clip.folder / face_name(int(n)) for clip in clips for n in clip.frames]
        return Side(path, faces, named=False)
    if path.is_dir():
        return Side(path, list_pictures(path))
    if path.suffix.lower() == STATISTICS:
        return Side(path)
    if is_picture(path):
        return Side(path, [path])
    # Folders of pictures are scored without waiting for the video libraries.
    from lipgan_cli.engine.media.video import probe

    film = probe(path)
    # Whatever its ending: as a video, a picture would lose half of its colours' pixels.
    return Side(path, [path]) if film.photo else Side(path, video=film)


def videos_in(folder: Path) -> list[Path]:
    """The videos that lie in a folder itself, sorted; none where it holds pictures too."""
    try:
        if not folder.is_dir() or (folder / "dataset.json").is_file():
            return []
        files = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    except OSError:
        return []  # whoever opens it next says what is wrong
    if any(is_picture(path) for path in files):
        return []
    return [path for path in files if path.suffix.lower() in SUFFIXES and path.is_file()]


def side_statistics(side: Side, network: Network, batch: int, progress: Progress) -> Statistics:
    """The FID statistics of a side.

    Raises:
        InputError: it has fewer than two pictures, or pictures of several sizes; one cannot be
            read; saved statistics are damaged or come from another network.
    """
    from lipgan_cli.engine.metrics.features import load_statistics
    from lipgan_cli.engine.metrics.fid import file_statistics, picture_statistics

    if side.video is not None:
        from lipgan_cli.engine.media.video import read_frames, to_rgb

        frames = map(to_rgb, read_frames(side.video))
        return picture_statistics(frames, network, batch, progress, side.video.frames)
    if side.pictures:
        return file_statistics(side.pictures, network, batch, progress)
    return load_statistics(side.path, network.sha256, network.dimensions)
