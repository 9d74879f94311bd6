"""Folders of videos, matched by name: every pair is compared, and all of them are pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.video import VideoInfo, probe, read_frames, to_rgb
from lipgan_cli.engine.metrics.image import FigureTable, PairSummary
from lipgan_cli.engine.metrics.lipsync import Embedded
from lipgan_cli.engine.metrics.pairs import check_window, match
from lipgan_cli.engine.metrics.scene import look
from lipgan_cli.engine.metrics.sync_protocol import SyncGroup, SyncSummary, mean_lips, summarise
from lipgan_cli.engine.metrics.syncnet import SyncNetFigures
from lipgan_cli.engine.metrics.table import Table
from lipgan_cli.engine.metrics.videos import check_alike, compare_videos
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.score.films import RealFilm, VideoFigures, watch_generated, watch_real
from lipgan_cli.engine.score.model_tables import sync_tables
from lipgan_cli.engine.score.options import Measures, check_once, distances, fid_network
from lipgan_cli.engine.score.pairs import PairRequest, PairScore, PairSystem, PairTable
from lipgan_cli.engine.score.sides import videos_in
from lipgan_cli.engine.score.tables import pair_tables, short_names, video_tables

if TYPE_CHECKING:
    from lipgan_cli.engine.metrics.features import Statistics
    from lipgan_cli.engine.metrics.inception import Network


@dataclass(frozen=True)
class FolderSystem:
    """The figures of one folder of generated videos.

    Attributes:
        frames: of all frames of all videos.
        sync: of all videos, by the conditions of `film_sync.pair_conditions`.
        syncnet: means over the videos, of the offset the median.
        seam: mean over the videos.
    """

    frames: PairSystem
    sync: SyncGroup | None
    syncnet: Mapping[str, SyncNetFigures] | None
    seam: float | None


@dataclass(frozen=True)
class FolderScore:
    """All folders of generated videos beside that of the real ones."""

    real: Path
    videos: tuple[str, ...]
    systems: tuple[FolderSystem, ...]


def score_film_folders(request: PairRequest, progress: Progress) -> FolderScore:
    """Compare each folder of generated videos with the real ones of the same names.

    Raises:
        InputError: a video has no counterpart, cannot be read, or does not match its real one.
        LipganError: a distance cannot be computed.
    """
    measures = request.measures
    check_once(request.generated)
    if measures.save_statistics is not None or request.subset is not None:
        raise InputError(
            "folders of videos have no --subset, and no --save-statistics", "leave it out"
        )
    real = videos_in(request.real)
    matched = [dict(match(real, videos_in(folder), otherwise="")) for folder in request.generated]
    films = [_opened(path, [own[path] for own in matched], measures) for path in real]
    network = fid_network(measures)
    found = [_Pool() for _ in request.generated]
    with progress.task("comparing videos", len(films), "videos") as task:
        for truth, generated in films:
            scene = look(truth, progress)
            watched = watch_real(scene, measures, progress) if measures.sync else None
            for pool, film in zip(found, generated, strict=True):
                table = compare_videos(scene, film, measures.gaussian, progress)
                pool.add(film, table, watched, progress)
            task.advance()
    together = None
    if network is not None:
        together = _statistics([film for film, _ in films], network, measures, progress)
    systems = []
    for place, (folder, pool) in enumerate(zip(request.generated, found, strict=True)):
        apart = None
        if network is not None and together is not None:
            side = [generated[place] for _, generated in films]
            apart = distances(together, _statistics(side, network, measures, progress), progress)
        frames = PairSystem(folder, PairSummary.of(pool.figures), apart, None, pool.table())
        systems.append(pool.system(frames))
    return FolderScore(request.real, tuple(path.stem for path in real), tuple(systems))


def _opened(
    real: Path, generated: Sequence[Path], measures: Measures
) -> tuple[VideoInfo, list[VideoInfo]]:
    truth, films = probe(real), [probe(path) for path in generated]
    check_window(real, truth.width, truth.height, measures.gaussian)
    for film in films:
        check_alike(truth, film)
        if measures.sync and not film.has_audio:
            raise InputError(f"{film.path} has no sound to judge", "leave --sync out")
    return truth, films


def _statistics(
    films: Sequence[VideoInfo], network: Network, measures: Measures, progress: Progress
) -> Statistics:
    from lipgan_cli.engine.metrics.fid import picture_statistics

    pictures = (to_rgb(frame) for film in films for frame in read_frames(film))
    total = sum(film.frames for film in films)
    return picture_statistics(pictures, network, measures.batch, progress, total)


@dataclass
class _Pool:
    """What is found of one folder's videos, one after the other."""

    figures: FigureTable = field(default_factory=FigureTable)
    names: list[str] = field(default_factory=list)
    videos: list[VideoFigures] = field(default_factory=list)

    def add(
        self, film: VideoInfo, table: FigureTable, real: RealFilm | None, progress: Progress
    ) -> None:
        self.figures.extend(table)
        self.names += [f"{film.path.stem}, frame {frame}" for frame in range(len(table))]
        if real is not None:
            self.videos.append(watch_generated(real, film, progress))

    def table(self) -> PairTable:
        return PairTable(self.names, self.figures)

    def system(self, frames: PairSystem) -> FolderSystem:
        if not self.videos:
            return FolderSystem(frames, None, None, None)
        films = [video.conditions for video in self.videos]
        seams = [video.seam for video in self.videos if video.seam is not None]
        return FolderSystem(
            frames=frames,
            sync=SyncGroup(
                name="all",
                conditions=_conditions(films),
                real_auc=None,
                right_auc=None,
                lips=mean_lips([video.lips or {} for video in self.videos]),
            ),
            syncnet=_mean_syncnet([video.syncnet or {} for video in self.videos]),
            seam=float(np.mean(seams)) if seams else None,
        )


def _conditions(films: Sequence[Mapping[str, Embedded]]) -> dict[str, SyncSummary]:
    out = {}
    for name in dict.fromkeys(name for film in films for name in film):
        summary = summarise(films, name, "generated" if name == "shifted" else "")
        if summary is not None:
            out[name] = summary
    return out


def _mean_syncnet(
    films: Sequence[Mapping[str, SyncNetFigures]],
) -> dict[str, SyncNetFigures] | None:
    out = {}
    for name in dict.fromkeys(name for film in films for name in film):
        there = [film[name] for film in films if name in film]
        out[name] = SyncNetFigures(
            lse_d=float(np.mean([said.lse_d for said in there])),
            lse_c=float(np.mean([said.lse_c for said in there])),
            offset_ms=int(np.median([said.offset_ms for said in there])),
        )
    return out or None


def folder_tables(score: FolderScore) -> list[Table]:
    """The tables of folders of videos beside that of the real ones."""
    names = short_names([str(system.frames.generated) for system in score.systems])
    tables = pair_tables(
        PairScore(score.real, tuple(system.frames for system in score.systems), None)
    )
    several = len(names) > 1
    for name, system in zip(names, score.systems, strict=True):
        if system.sync is not None:
            tables += sync_tables([system.sync], f"{name}: " if several else "")
    whole = {
        name: VideoFigures({}, syncnet=system.syncnet, seam=system.seam)
        for name, system in zip(names, score.systems, strict=True)
    }
    return tables + video_tables(whole)
