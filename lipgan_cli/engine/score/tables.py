"""Scores as tables, for the terminal and for reports alike, and as rows of every picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lipgan_cli.engine.metrics.image import COLUMNS, PairSummary, Summary
from lipgan_cli.engine.metrics.report import Cell, Table

if TYPE_CHECKING:
    from lipgan_cli.engine.metrics.landmarks import LipFigures
    from lipgan_cli.engine.metrics.lipsync import SyncFigures
    from lipgan_cli.engine.metrics.protocol import GroupFigures
    from lipgan_cli.engine.metrics.sync_protocol import SyncGroup
    from lipgan_cli.engine.score.films import FilmScore, VideoFigures
    from lipgan_cli.engine.score.models import ModelFigures, ModelScore
    from lipgan_cli.engine.score.options import Distances
    from lipgan_cli.engine.score.pairs import PairScore

Row = tuple[Cell, ...]
STATISTICS = ("mean", "median", "max", "min")
OFFSET_NOTE = "An offset is by how many milliseconds the sound is late; negative: early."


def pair_tables(score: PairScore) -> list[Table]:
    """The tables of pictures or videos beside real ones."""
    names = short_names([str(system.generated) for system in score.systems])
    several = len(names) > 1
    rows: list[Row] = []
    for name, system in zip(names, score.systems, strict=True):
        if system.figures is not None:
            prefix = f"{name}: " if several else ""
            rows += [(prefix + str(row[0]), *row[1:]) for row in summary_rows(system.figures)]
    tables = [Table("", ("", *STATISTICS, "pairs", "identical"), tuple(rows))] if rows else []
    apart = {
        name: system.distances
        for name, system in zip(names, score.systems, strict=True)
        if system.distances is not None
    }
    tables += distance_tables(apart)
    for name, system in zip(names, score.systems, strict=True):
        if system.video is not None:
            tables += _video_tables(system.video, name if several else "")
    return tables


def film_tables(score: FilmScore) -> list[Table]:
    """The tables of one video's lip-sync."""
    return _video_tables(score.figures, "")


def model_tables(score: ModelScore) -> list[Table]:
    """The tables of models by the measuring protocol."""
    several = len(score.models) > 1
    tables = [_side_by_side(score.models)] if several else []
    for model in score.models:
        groups = _groups(model)
        name = f"{model.name}: " if several else ""
        tables += [
            Table(
                "",
                (
                    f"{name}mouth, mean PSNR in dB",
                    "clips",
                    "frames",
                    "right audio",
                    "swapped",
                    "still",
                    "copy",
                    "gap to swapped",
                    "gap to still",
                ),
                tuple(_gap_row(group) for group in groups),
            ),
            Table(
                "",
                (f"{name}right audio", *STATISTICS),
                tuple(
                    (f"{group.name}, {row[0]}", *row[1:-2])
                    for group in groups
                    for row in summary_rows(group.right)
                ),
            ),
        ]
        if model.response is not None:
            face = model.response.face
            tables.append(
                Table(
                    "",
                    (f"{name}response", "to the sound", "to the person's face"),
                    (("", f"{model.response.audio:.2f}", None if face is None else f"{face:.2f}"),),
                )
            )
        if model.sync is not None:
            tables += _sync_tables(model.sync, name)
    apart = {model.name: model.distances for model in score.models if model.distances is not None}
    return tables + distance_tables(apart)


def summary_rows(figures: PairSummary) -> list[Row]:
    """One row for each measure: its statistics, the number of pairs, and of identical ones."""
    measured: list[tuple[str, Summary | None, int]] = []
    for place, both in (("whole", figures.whole), ("mouth", figures.mouth)):
        if both is not None:
            measured += [(f"SSIM, {place}", both.ssim, 4), (f"PSNR in dB, {place}", both.psnr, 2)]
    measured += [
        ("change of upper face, levels", figures.upper_change, 2),
        ("change of eyes, levels", figures.eyes_change, 2),
    ]
    return [
        (
            name,
            *(f"{getattr(summary, statistic):.{digits}f}" for statistic in STATISTICS),
            summary.count,
            summary.identical,
        )
        for name, summary, digits in measured
        if summary is not None
    ]


def distance_tables(apart: Mapping[str, Distances]) -> list[Table]:
    """FID and KID of one set or more."""
    if not apart:
        return []
    rows = []
    for name, found in apart.items():
        kid: tuple[Cell, ...] = (None, None, None)
        if found.kid is not None:
            kid = tuple(f"{x:.5f}" for x in (found.kid.mean, found.kid.low, found.kid.high))
        rows.append((name, f"{found.fid:.4f}", *kid, found.real, found.generated))
    columns = ("", "FID", "KID", "KID, low", "KID, high", "real", "generated")
    return [Table("", columns, tuple(rows), "Low and high: the ends of KID's 95 % interval.")]


def short_names(paths: Sequence[str]) -> list[str]:
    """The last parts of paths, as many as tell them apart."""
    parts = [path.replace("\\", "/").rstrip("/").split("/") for path in paths]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(own[-count:]) for own in parts]
        if len(set(names)) == len(names):
            return names
    return list(paths)


def _video_tables(figures: VideoFigures, name: str) -> list[Table]:
    of = f", {name}" if name else ""
    tables = [
        Table(
            "",
            (f"lip-sync{of}", "offset in ms", "confidence", "moments"),
            tuple(_sync_row(condition, said) for condition, said in figures.sync.items()),
            OFFSET_NOTE,
        )
    ]
    if figures.syncnet:
        rows = tuple(
            (condition, f"{said.offset_ms:+.0f}", f"{said.lse_d:.3f}", f"{said.lse_c:.3f}")
            for condition, said in figures.syncnet.items()
        )
        tables.append(Table("", (f"SyncNet{of}", "offset in ms", "LSE-D", "LSE-C"), rows))
    if figures.lips:
        tables.append(_lip_table(f"lips against the real ones{of}", figures.lips))
    if figures.seam is not None:
        apart = None if figures.distance is None else f"{figures.distance:.4f}"
        columns = (f"artefacts{of}", "seam (1: none shows)", "Frechet distance of lip-sync")
        tables.append(Table("", columns, (("", f"{figures.seam:.2f}", apart),)))
    return tables


def _sync_row(condition: str, said: SyncFigures) -> Row:
    return (condition, f"{said.offset_ms:+.0f}", f"{said.confidence:.3f}", said.moments)


def _lip_table(title: str, lips: Mapping[str, LipFigures]) -> Table:
    return Table(
        "",
        (title, "LMD in pixels of 96", "correlation of opening"),
        tuple((condition, *_lips(each)) for condition, each in lips.items()),
    )


def _lips(lips: LipFigures) -> Row:
    moves = None if lips.correlation is None else f"{lips.correlation:.2f}"
    return (f"{lips.distance:.2f}", moves)


def _sync_tables(groups: Sequence[SyncGroup], name: str) -> list[Table]:
    rows: list[Row] = []
    for group in groups:
        real = group.conditions.get("real")
        for condition, said in group.conditions.items():
            share = said.confidence / real.confidence if real and real.confidence > 0 else None
            rows.append(
                (
                    f"{group.name}, {condition}",
                    said.clips,
                    f"{100 * said.in_sync:.0f} %",
                    f"{said.offset_ms:+.0f}",
                    f"{said.confidence:.3f}",
                    None if share is None else f"{share:.2f}",
                    None if said.distance is None else f"{said.distance:.4f}",
                )
            )
    columns = ("clips", "within a frame", "offset in ms", "confidence", "of real", "distance")
    auc = tuple((group.name, _auc(group.real_auc), _auc(group.right_auc)) for group in groups)
    tables = [
        Table("", (f"{name}lip-sync", *columns), tuple(rows), OFFSET_NOTE),
        Table("", (f"{name}AUC, own sound against another's", "real", "generated"), auc),
    ]
    lips = {
        f"{group.name}, {condition}": each
        for group in groups
        for condition, each in (group.lips or {}).items()
    }
    if lips:
        tables.append(_lip_table(f"{name}lips against the real ones", lips))
    return tables


def _auc(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _side_by_side(models: Sequence[ModelFigures]) -> Table:
    columns = (
        "model",
        "mouth PSNR in dB",
        "gap to swapped",
        "gap to still",
        "whole PSNR in dB",
        "whole SSIM",
        "eyes changed",
        "FID",
        "driven, within a frame",
        "driven, confidence of real",
    )
    rows = []
    for model in models:
        total = model.figures.total
        eyes = total.right.eyes_change
        rows.append(
            (
                model.name,
                _mouth_psnr(total.right),
                _signed(total.gap_to_swapped),
                _signed(total.gap_to_still),
                f"{total.right.whole.psnr.mean:.2f}",
                f"{total.right.whole.ssim.mean:.4f}",
                None if eyes is None else f"{eyes.mean:.2f}",
                None if model.distances is None else f"{model.distances.fid:.4f}",
                *_driven(model.sync),
            )
        )
    return Table("", columns, tuple(rows))


def _driven(groups: Sequence[SyncGroup] | None) -> Row:
    conditions = groups[-1].conditions if groups else {}
    driven, real = conditions.get("driven"), conditions.get("real")
    if driven is None or real is None or real.confidence <= 0:
        return (None, None)
    return (f"{100 * driven.in_sync:.0f} %", f"{driven.confidence / real.confidence:.2f}")


def _groups(model: ModelFigures) -> tuple[GroupFigures, ...]:
    figures = model.figures
    return figures.speakers if len(figures.speakers) == 1 else (*figures.speakers, figures.total)


def _gap_row(group: GroupFigures) -> Row:
    return (
        group.name,
        group.clips,
        group.frames,
        _mouth_psnr(group.right),
        _mouth_psnr(group.swapped),
        _mouth_psnr(group.still),
        _mouth_psnr(group.copy),
        _signed(group.gap_to_swapped),
        _signed(group.gap_to_still),
    )


def _signed(gap: float | None) -> str | None:
    # Adding nothing turns -0.0 into 0.0.
    return None if gap is None else f"{round(gap, 2) + 0.0:+.2f}"


def _mouth_psnr(figures: PairSummary | None) -> str | None:
    return None if figures is None or figures.mouth is None else f"{figures.mouth.psnr.mean:.2f}"


PAIR_HEADER = ("generated", "name", *COLUMNS)
MODEL_HEADER = ("model", "clip", "frame", "condition", *COLUMNS)


def pair_rows(score: PairScore) -> Iterator[Row]:
    """The figures of every pair, as `PAIR_HEADER` has it."""
    for system in score.systems:
        if system.table is not None:
            figures = system.table.figures.rows().tolist()
            for name, values in zip(system.table.names, figures, strict=True):
                yield (str(system.generated), name, *map(_known, values))


def model_rows(score: ModelScore) -> Iterator[Row]:
    """The figures of every measured frame, as `MODEL_HEADER` has it."""
    for model in score.models:
        for condition, table in model.measured.tables.items():
            for (clip, frame), values in zip(
                model.measured.frames, table.rows().tolist(), strict=True
            ):
                if not math.isnan(values[0]):
                    yield (model.name, clip, frame, condition, *map(_known, values))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
