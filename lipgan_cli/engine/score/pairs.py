"""Generated pictures or videos against the real ones: pair by pair, as two sets, and lip-sync."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.metrics.image import FigureTable, PairSummary
from lipgan_cli.engine.metrics.pairs import Pair, check_sizes, check_window, compare_pairs, match
from lipgan_cli.engine.paths import check_output
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.score.options import (
    HIDDEN,
    Distances,
    Measures,
    check_once,
    distances,
    fid_network,
)
from lipgan_cli.engine.score.sides import Side, open_side, side_statistics

if TYPE_CHECKING:
    from lipgan_cli.engine.metrics.scene import Scene
    from lipgan_cli.engine.score.films import RealFilm, VideoFigures


@dataclass(frozen=True)
class PairRequest:
    """The real side, and one generated side or more, as `open_side` takes them."""

    real: Path
    generated: tuple[Path, ...]
    subset: str | None = None
    measures: Measures = field(default_factory=Measures)


@dataclass(frozen=True)
class PairTable:
    """The figures of every pair, a row each.

    Attributes:
        names: of pictures; numbers of frames.
        files: where the pictures of each pair are; none of a video.
    """

    names: Sequence[str]
    figures: FigureTable
    files: Sequence[Pair] = ()


@dataclass(frozen=True)
class PairSystem:
    """The figures of one generated side; `figures` is None where only sets could be compared."""

    generated: Path
    figures: PairSummary | None
    distances: Distances | None
    video: VideoFigures | None
    table: PairTable | None = field(metadata=HIDDEN, repr=False)


@dataclass(frozen=True)
class PairScore:
    """All generated sides beside the real one."""

    real: Path
    systems: tuple[PairSystem, ...]
    scene: Scene | None = field(metadata=HIDDEN, repr=False)


def score_pairs(request: PairRequest, progress: Progress) -> PairScore:
    """Compare each generated side with the real one.

    Raises:
        InputError: something is missing or unreadable, or two sides do not match.
        LipganError: a distance cannot be computed.
    """
    measures = request.measures
    check_once(request.generated)
    if measures.save_statistics is not None:
        check_output(measures.save_statistics, measures.force)
    real = open_side(request.real, request.subset)
    others = [open_side(path, request.subset) for path in request.generated]
    if request.subset is not None and all(side.named for side in (real, *others)):
        raise InputError("a subset is that of a prepared dataset: none was given", "leave it out")
    if measures.fid:
        from lipgan_cli.engine.metrics.fid import check_files

        for side in (real, *others):
            if side.pictures:
                check_files(side.pictures)
    pairs = [_check(real, other, measures, progress) for other in others]
    network = fid_network(measures)
    scene = _scene(real, progress) if any(other.video for other in others) else None
    film = None
    if scene is not None and measures.sync:
        from lipgan_cli.engine.score.films import watch_real

        film = watch_real(scene, measures, progress)
    truth = None
    if network is not None:
        from lipgan_cli.engine.metrics.features import save_statistics

        truth = side_statistics(real, network, measures.batch, progress)
        if measures.save_statistics is not None:
            save_statistics(measures.save_statistics, truth)
    systems = []
    for other, matched in zip(others, pairs, strict=True):
        table = _compare(scene, other, matched, measures, progress)
        apart = None
        if network is not None and truth is not None:
            found = side_statistics(other, network, measures.batch, progress)
            apart = distances(truth, found, progress)
        systems.append(
            PairSystem(
                generated=other.path,
                figures=None if table is None else PairSummary.of(table.figures),
                distances=apart,
                video=_watch(film, other, progress),
                table=table,
            )
        )
    return PairScore(real.path, tuple(systems), scene)


def _check(real: Side, other: Side, measures: Measures, progress: Progress) -> list[Pair] | None:
    """Return the pairs of pictures; None of two videos, or where only the sets can be compared."""
    if not other.pictures and other.video is None:
        raise InputError(
            f"{other.path} is a file of statistics, which can stand for the real side alone",
            "give its pictures",
        )
    if real.video is not None and other.video is not None:
        from lipgan_cli.engine.metrics.videos import check_alike

        check_alike(real.video, other.video)
        size = real.video.width, real.video.height
        check_window(real.path, *size, measures.gaussian)
        if measures.sync and not other.video.has_audio:
            raise InputError(f"{other.path} has no sound to judge", "leave --sync out")
        return None
    if measures.sync:
        raise InputError(
            f"lip-sync is that of videos: {real.path} is {real.kind}, {other.path} {other.kind}",
            "give two videos, or leave --sync out",
        )
    try:
        return _matched(real, other, measures.gaussian)
    except InputError as error:
        if not measures.fid:
            raise
        progress.note(f"FID alone, no PSNR and SSIM: {error.message}")
        return None


def _matched(real: Side, other: Side, gaussian: bool) -> list[Pair]:
    hint = "--fid can compare them all the same"
    if real.kind != other.kind:
        raise InputError(
            f"{real.path} is {real.kind} and {other.path} is {other.kind}",
            f"give two folders, or two videos; {hint}",
        )
    if not (real.named and other.named):
        raise InputError("the faces of a dataset are not matched by name", hint)
    if not real.path.is_dir():
        pairs = [(real.path, other.path)]
    else:
        pairs = match(real.pictures, other.pictures)
    check_sizes(pairs, gaussian)
    return pairs


def _scene(real: Side, progress: Progress) -> Scene | None:
    if real.video is None:
        return None
    from lipgan_cli.engine.metrics.scene import look

    return look(real.video, progress)


def _compare(
    scene: Scene | None,
    other: Side,
    matched: list[Pair] | None,
    measures: Measures,
    progress: Progress,
) -> PairTable | None:
    if matched is not None:
        figures = compare_pairs(matched, measures.gaussian, progress)
        return PairTable([real.stem for real, _ in matched], figures, matched)
    if scene is None or other.video is None:
        return None
    from lipgan_cli.engine.metrics.videos import compare_videos

    figures = compare_videos(scene, other.video, measures.gaussian, progress)
    return PairTable([str(frame) for frame in range(len(figures))], figures)


def _watch(film: RealFilm | None, other: Side, progress: Progress) -> VideoFigures | None:
    if film is None or other.video is None:
        return None
    from lipgan_cli.engine.score.films import watch_generated

    return watch_generated(film, other.video, progress)
