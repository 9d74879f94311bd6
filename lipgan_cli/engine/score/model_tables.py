"""Scores of models: tables for terminal and report alike, rows of every frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lipgan_cli.engine.metrics.image import COLUMNS, PairSummary
from lipgan_cli.engine.metrics.table import Table
from lipgan_cli.engine.score.tables import (
    LIPS,
    OFFSET_NOTE,
    STATISTICS,
    Row,
    distance_tables,
    distance_text,
    filled,
    known,
    lip_table,
    offset_text,
    summary_rows,
)

if TYPE_CHECKING:
    from lipgan_cli.engine.metrics.protocol import GroupFigures
    from lipgan_cli.engine.metrics.sync_protocol import SyncGroup
    from lipgan_cli.engine.score.models import ModelFigures, ModelScore

MODEL_HEADER = ("model", "clip", "frame", "condition", *COLUMNS)
SPEAKERS_NOTE = "The figures of each speaker are in --report and --json."
DETAILED = 4
"""Groups (speakers, and all) whose details the terminal shows; of more, those of the last."""


def model_tables(score: ModelScore, full: bool = False) -> list[Table]:
    """The tables of models by the measuring protocol.

    full: every table of every speaker, however many there are of models and speakers.
    """
    several = len(score.models) > 1
    tables = [_side_by_side(score.models)] if several else []
    for model in score.models:
        groups = _groups(model)
        named = f"{model.name}: " if several else ""
        shown = groups if full or (not several and len(groups) <= DETAILED) else groups[-1:]
        tables.append(_gap_table(shown if several else groups, named))
        tables += _model_details(model, shown, named)
        if len(shown) < len(groups):
            tables[-1] = replace(tables[-1], note=f"{tables[-1].note} {SPEAKERS_NOTE}".lstrip())
    apart = {model.name: model.distances for model in score.models if model.distances is not None}
    return tables + distance_tables(apart)


def model_rows(score: ModelScore) -> Iterator[Row]:
    """The figures of every measured frame, as `MODEL_HEADER` has it."""
    for model in score.models:
        for condition, table in model.measured.tables.items():
            for (clip, frame), values in zip(
                model.measured.frames, table.rows().tolist(), strict=True
            ):
                if not math.isnan(values[0]):
                    yield (model.name, clip, frame, condition, *map(known, values))


def _model_details(model: ModelFigures, groups: Sequence[GroupFigures], named: str) -> list[Table]:
    rows = tuple(
        (f"{group.name}, {row[0]}", *row[1:-2])
        for group in groups
        for row in summary_rows(group.right)
    )
    tables = [Table("", (f"{named}right audio", *STATISTICS), rows)]
    if model.response is not None:
        responses = {
            "to the sound": model.response.audio,
            "to the person's face": model.response.face,
        }
        answers = tuple(
            (what, f"{value:.2f}") for what, value in responses.items() if value is not None
        )
        tables.append(Table("", (f"{named}response", "share of real"), answers))
    if model.sync is not None:
        names = {group.name for group in groups}
        tables += sync_tables([group for group in model.sync if group.name in names], named)
    return tables


def sync_tables(groups: Sequence[SyncGroup], name: str) -> list[Table]:
    """What the judge says of groups of clips; `name` stands before each heading."""
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
                    offset_text(said.offset_ms),
                    f"{said.confidence:.3f}",
                    None if share is None else f"{share:.2f}",
                    None if said.distance is None else distance_text(said.distance),
                )
            )
    judged = ("clips", "offset within a frame", "offset in ms", "confidence", "share of real")
    columns = (f"{name}lip-sync", *judged, "Frechet distance")
    tables = [filled(columns, rows, OFFSET_NOTE)] if rows else []
    areas = [(group.name, _auc(group.real_auc), _auc(group.right_auc)) for group in groups]
    if any(real or painted for _, real, painted in areas):
        heads = (f"{name}AUC, own sound against another's", "real", "generated")
        tables.append(Table("", heads, tuple(areas)))
    lips = {
        f"{group.name}, {condition}": each
        for group in groups
        for condition, each in (group.lips or {}).items()
    }
    if lips:
        tables.append(lip_table(f"{name}{LIPS}", lips))
    return tables


def _auc(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _side_by_side(models: Sequence[ModelFigures]) -> Table:
    columns = (
        "model",
        "PSNR in dB, mouth",
        "gap to swapped",
        "gap to still",
        "PSNR in dB, whole",
        "SSIM, whole",
        "change of eyes, levels",
        "FID",
        "driven, within a frame",
        "driven, share of real",
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
                None if model.distances is None else distance_text(model.distances.fid),
                *_driven(model.sync),
            )
        )
    return filled(columns, rows)


def _driven(groups: Sequence[SyncGroup] | None) -> Row:
    conditions = groups[-1].conditions if groups else {}
    driven, real = conditions.get("driven"), conditions.get("real")
    if driven is None or real is None or real.confidence <= 0:
        return (None, None)
    return (f"{100 * driven.in_sync:.0f} %", f"{driven.confidence / real.confidence:.2f}")


def _groups(model: ModelFigures) -> tuple[GroupFigures, ...]:
    figures = model.figures
    return figures.speakers if len(figures.speakers) == 1 else (*figures.speakers, figures.total)


def _gap_table(groups: Sequence[GroupFigures], named: str) -> Table:
    columns = ("clips", "frames", "right audio", "swapped", "still", "copy")
    gaps = ("gap to swapped", "gap to still")
    rows = [_gap_row(group) for group in groups]
    return filled((f"{named}mouth, mean PSNR in dB", *columns, *gaps), rows)


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
