"""Scores of pictures and videos: tables for terminal and report alike, rows of every picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from lipgan_cli.engine.metrics.image import COLUMNS, PairSummary, Summary
from lipgan_cli.engine.metrics.table import Cell, Table

if TYPE_CHECKING:
    from lipgan_cli.engine.metrics.landmarks import LipFigures
    from lipgan_cli.engine.metrics.lipsync import SyncFigures
    from lipgan_cli.engine.metrics.syncnet import SyncNetFigures
    from lipgan_cli.engine.score.films import FilmScore, VideoFigures
    from lipgan_cli.engine.score.options import Distances
    from lipgan_cli.engine.score.pairs import PairScore, PairSystem

Row = tuple[Cell, ...]
Figure = TypeVar("Figure")
STATISTICS = ("mean", "median", "max", "min")
OFFSET_NOTE = "An offset is by how many milliseconds the sound is late; negative: early."
LIPS = "lips against the real ones"
LIP_COLUMNS = ("LMD in pixels of 96", "correlation of opening")
REAL = "real"
PAIR_HEADER = ("generated", "name", *COLUMNS)


def pair_tables(score: PairScore) -> list[Table]:
    """The tables of pictures or videos beside real ones."""
    names = short_names([str(system.generated) for system in score.systems])
    systems = dict(zip(names, score.systems, strict=True))
    measured = {name: _measures(system.figures) for name, system in systems.items()}
    rows = _side_by_side(measured, lambda row: row)
    tables = [Table("", ("", *STATISTICS, "pairs", "identical"), rows)] if rows else []
    apart = {
        name: system.distances for name, system in systems.items() if system.distances is not None
    }
    films = {name: system.video for name, system in systems.items() if system.video is not None}
    return tables + distance_tables(apart) + video_tables(films)


def film_tables(score: FilmScore) -> list[Table]:
    """The tables of one video's lip-sync."""
    return video_tables({"": score.figures})


def pair_rows(score: PairScore) -> Iterator[Row]:
    """The figures of every pair, as `PAIR_HEADER` has it."""
    return system_rows(score.systems)


def system_rows(systems: Iterable[PairSystem]) -> Iterator[Row]:
    """The figures of every pair of some generated sides, as `PAIR_HEADER` has it."""
    for system in systems:
        if system.table is not None:
            figures = system.table.figures.rows().tolist()
            for name, values in zip(system.table.names, figures, strict=True):
                yield (str(system.generated), name, *map(known, values))


def summary_rows(figures: PairSummary) -> list[Row]:
    """One row for each measure: its statistics, the number of pairs, and of identical ones."""
    measured: list[tuple[str, Summary | None, int, int | None]] = []
    for place, both in (("whole", figures.whole), ("mouth", figures.mouth)):
        if both is not None:
            same = both.psnr.identical
            measured += [
                (f"SSIM, {place}", both.ssim, 4, same),
                (f"PSNR in dB, {place}", both.psnr, 2, same),
            ]
    measured += [
        ("change of upper face, levels", figures.upper_change, 2, None),
        ("change of eyes, levels", figures.eyes_change, 2, None),
    ]
    return [
        (
            name,
            *(f"{getattr(summary, statistic):.{digits}f}" for statistic in STATISTICS),
            summary.count,
            same,
        )
        for name, summary, digits, same in measured
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
            ends = (found.kid.mean, found.kid.low, found.kid.high)
            kid = tuple(distance_text(each, 5) for each in ends)
        rows.append((name, distance_text(found.fid), *kid, found.real, found.generated))
    columns = ("", "FID", "KID", "KID, low", "KID, high", "real", "generated")
    intervals = any(found.kid is not None for found in apart.values())
    note = "Low and high: the ends of KID's 95 % interval." if intervals else ""
    return [filled(columns, rows, note)]


def short_names(paths: Sequence[str]) -> list[str]:
    """The last parts of paths, as many as tell them apart."""
    parts = [path.replace("\\", "/").rstrip("/").split("/") for path in paths]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(own[-count:]) for own in parts]
        if len(set(names)) == len(names):
            return names
    return list(paths)


def video_tables(films: Mapping[str, VideoFigures]) -> list[Table]:
    """The tables of videos that were judged beside one real one."""
    judged = _side_by_side({name: film.sync for name, film in films.items()}, _judged)
    asked = _side_by_side({name: film.syncnet or {} for name, film in films.items()}, _asked)
    lips = _side_by_side({name: film.lips or {} for name, film in films.items()}, _lips)
    apart = _side_by_side({name: film.distances or {} for name, film in films.items()}, _apart)
    seams = tuple(
        (name, f"{film.seam:.2f}") for name, film in films.items() if film.seam is not None
    )
    tables = [
        Table("", ("lip-sync", "offset in ms", "confidence", "moments"), judged, OFFSET_NOTE),
        Table("", ("SyncNet", "offset in ms", "LSE-D", "LSE-C"), asked),
        Table("", (LIPS, *LIP_COLUMNS), lips),
        Table("", ("Frechet distance of lip-sync", "to the real video"), apart),
        Table("", ("seam", "1: does not show"), seams),
    ]
    return [table for table in tables if table.rows]


def _side_by_side(
    found: Mapping[str, Mapping[str, Figure]], row: Callable[[Figure], Row]
) -> tuple[Row, ...]:
    """What was found of each side, by condition, so that what is to be compared stands together."""
    rows: list[Row] = []
    for condition in dict.fromkeys(each for own in found.values() for each in own):
        there = {name: own[condition] for name, own in found.items() if condition in own}
        if condition == REAL:  # which is the same beside all of them
            rows.append((condition, *row(next(iter(there.values())))))
        else:
            several = len(found) > 1
            rows += [
                (f"{condition}, {name}" if several else condition, *row(figure))
                for name, figure in there.items()
            ]
    return tuple(rows)


def _measures(figures: PairSummary | None) -> dict[str, Row]:
    return {} if figures is None else {str(row[0]): row[1:] for row in summary_rows(figures)}


def _apart(distance: float) -> Row:
    return (distance_text(distance),)


def distance_text(distance: float, digits: int = 4) -> str:
    """A distance, of equal sides without the sign that rounding may leave."""
    return f"{round(distance, digits) + 0.0:.{digits}f}"


def _judged(said: SyncFigures) -> Row:
    return (offset_text(said.offset_ms), f"{said.confidence:.3f}", said.moments)


def _asked(said: SyncNetFigures) -> Row:
    return (offset_text(said.offset_ms), f"{said.lse_d:.3f}", f"{said.lse_c:.3f}")


def _lips(lips: LipFigures) -> Row:
    moves = None if lips.correlation is None else f"{lips.correlation:.2f}"
    return (f"{lips.distance:.2f}", moves)


def lip_table(title: str, lips: Mapping[str, LipFigures]) -> Table:
    """How alike lips move, a row a condition."""
    rows = tuple((condition, *_lips(each)) for condition, each in lips.items())
    return Table("", (title, *LIP_COLUMNS), rows)


def offset_text(milliseconds: float) -> str:
    """An offset with its sign."""
    # A whole number: 0 has one sign alone.
    return f"{round(milliseconds):+d}"


def filled(columns: Sequence[str], rows: Sequence[Row], note: str = "") -> Table:
    """A table without the columns in which no row has anything."""
    kept = [
        place
        for place in range(len(columns))
        if not rows or any(row[place] is not None for row in rows)
    ]
    left = tuple(tuple(row[place] for place in kept) for row in rows)
    return Table("", tuple(columns[place] for place in kept), left, note)


def known(value: float) -> float | None:
    """A figure of a row, None where there is none."""
    return None if math.isnan(value) else value
