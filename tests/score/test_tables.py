"""Scores as tables: what stands in them, and what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipgan_cli.engine.metrics.image import Figures, FigureTable, PairFigures, PairSummary
from lipgan_cli.engine.metrics.kid import Interval
from lipgan_cli.engine.metrics.landmarks import LipFigures
from lipgan_cli.engine.metrics.lipsync import SyncFigures
from lipgan_cli.engine.metrics.protocol import CONDITIONS, Measured
from lipgan_cli.engine.metrics.response import Response
from lipgan_cli.engine.metrics.sync_protocol import SyncGroup, SyncSummary
from lipgan_cli.engine.score.films import FilmScore, VideoFigures
from lipgan_cli.engine.score.model_tables import MODEL_HEADER, model_rows, model_tables
from lipgan_cli.engine.score.models import ModelFigures, ModelScore
from lipgan_cli.engine.score.options import Distances
from lipgan_cli.engine.score.pairs import PairScore, PairSystem, PairTable
from lipgan_cli.engine.score.tables import (
    PAIR_HEADER,
    distance_tables,
    distance_text,
    filled,
    film_tables,
    offset_text,
    pair_rows,
    pair_tables,
    short_names,
    summary_rows,
)


def pair(decibels, mouth=True):
    figures = Figures(decibels, decibels / 100)
    return PairFigures(figures, figures if mouth else None, 1.25 if mouth else None)


def system(path, figures=None, distances=None, video=None):
    table = None
    if figures is not None:
        table = PairTable([str(n) for n in range(len(figures))], FigureTable.of(figures))
    summary = None if table is None else PairSummary.of(table.figures)
    return PairSystem(Path(path), summary, distances, video, table)


def pairs(*systems):
    return PairScore(Path("real"), systems, None)


def said(offset, confidence=0.25, moments=30):
    return SyncFigures(offset, confidence, moments)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/b"], ["b"]),
        (["a/b/", "a/c"], ["b", "c"]),
        (["m/out", "n/out"], ["m/out", "n/out"]),
        (["x/m/out", "y/m/out", "z"], ["x/m/out", "y/m/out", "z"]),
        (["out", "m/out"], ["out", "m/out"]),
        (["/out", "out"], ["/out", "out"]),
        (["a\\out", "b\\out.x"], ["out", "out.x"]),
    ],
)
def test_names_are_as_short_as_they_can_be(paths, names):
    assert short_names(paths) == names


def test_rows_of_a_summary():
    rows = summary_rows(PairSummary.of([pair(20), pair(30), pair(40), pair(float("inf"))]))
    assert rows[1] == ("PSNR in dB, whole", "30.00", "30.00", "40.00", "20.00", 4, 1)
    assert rows[2][0] == "SSIM, mouth"
    assert rows[4] == ("change of upper face, levels", "1.25", "1.25", "1.25", "1.25", 4, None)
    assert len(rows) == 5
    assert [row[0] for row in summary_rows(PairSummary.of([pair(20, mouth=False)]))] == [
        "SSIM, whole",
        "PSNR in dB, whole",
    ]


def test_sides_that_could_not_be_measured_have_no_rows():
    score = pairs(system("a"), system("b", [pair(20)]), system("c", [pair(30, mouth=False)]))
    (table,) = pair_tables(score)
    names = [row[0] for row in table.rows]
    assert names[:5] == [
        "SSIM, whole, b",
        "SSIM, whole, c",
        "PSNR in dB, whole, b",
        "PSNR in dB, whole, c",
        "SSIM, mouth, b",
    ]
    assert pair_tables(pairs(system("a"))) == []


def test_rows_of_pairs():
    score = pairs(system("x/a", [pair(20), pair(float("inf"), mouth=False)]), system("b"))
    rows = list(pair_rows(score))
    assert all(len(row) == len(PAIR_HEADER) for row in rows)
    assert rows[0] == ("x/a", "0", 20, 0.2, 20, 0.2, 1.25, None)
    assert rows[1] == ("x/a", "1", float("inf"), float("inf"), None, None, None, None)
    assert len(rows) == 2


def test_distances_without_an_interval_have_no_column_of_it():
    saved = Distances(1.5, None, None, 7)
    (table,) = distance_tables({"a": saved})
    assert (table.columns, table.rows) == (("", "FID", "generated"), (("a", "1.5000", 7),))
    assert table.note == ""
    known = Distances(2, Interval(0.1, -0.1, 0.3), 9, 7)
    (table,) = distance_tables({"a": saved, "b": known})
    assert table.columns[2:5] == ("KID", "KID, low", "KID, high")
    assert table.rows[0] == ("a", "1.5000", None, None, None, None, 7)
    assert table.rows[1] == ("b", "2.0000", "0.10000", "-0.10000", "0.30000", 9, 7)
    assert "95 %" in table.note
    assert distance_tables({}) == []


def test_columns_without_anything_are_left_out():
    table = filled(("a", "b", "c"), [("x", None, 1), ("y", None, None)], "note")
    assert table.columns == ("a", "c")
    assert table.rows == (("x", 1), ("y", None))
    assert table.note == "note"
    assert filled(("a", "b"), []).columns == ("a", "b")


def test_an_offset_has_a_sign_and_zero_has_one():
    assert [offset_text(ms) for ms in (-0.4, 0.4, 12.5, -100.0)] == ["+0", "+0", "+12", "-100"]


def test_tables_of_a_film():
    (table,) = film_tables(FilmScore(Path("a"), VideoFigures({"own": said(-11.2, 0.5378)})))
    assert table.columns == ("lip-sync", "offset in ms", "confidence", "moments")
    assert table.rows == (("own", "-11", "0.538", 30),)
    assert film_tables(FilmScore(Path("a"), VideoFigures({}))) == []


def film(seam, distances=None):
    lips = {"generated": LipFigures(0.5, 0.75), "still": LipFigures(1.0, None)}
    sync = {"real": said(0), "generated": said(40)}
    return VideoFigures(sync, distances, lips=lips, seam=seam)


def test_tables_of_several_films():
    far = {"generated": 2.0, "copy": 0.0, "still": 3.25}
    score = pairs(
        system("a.mp4", video=film(0.994)),
        system("b.mp4", video=film(1.3, far)),
        system("c.mp4", video=film(None, {"generated": -1e-5})),
    )
    sync, lips, apart, seams = pair_tables(score)
    assert [row[:2] for row in sync.rows] == [
        ("real", "+0"),
        ("generated, a.mp4", "+40"),
        ("generated, b.mp4", "+40"),
        ("generated, c.mp4", "+40"),
    ]
    assert lips.rows[0] == ("generated, a.mp4", "0.50", "0.75")
    assert lips.rows[4] == ("still, b.mp4", "1.00", None)
    assert apart.columns == ("Frechet distance of lip-sync", "to the real video")
    assert apart.rows == (
        ("generated, b.mp4", "2.0000"),
        ("generated, c.mp4", "0.0000"),
        ("copy, b.mp4", "0.0000"),
        ("still, b.mp4", "3.2500"),
    )
    assert seams.columns == ("seam", "1: does not show")
    assert seams.rows == (("a.mp4", "0.99"), ("b.mp4", "1.30"))


def test_a_seam_of_zero_is_a_seam():
    *_, seams = pair_tables(pairs(system("a.mp4", video=film(0.0))))
    assert seams.rows == (("a.mp4", "0.00"),)


@pytest.mark.parametrize(
    ("distance", "digits", "text"),
    [
        (-4e-5, 4, "0.0000"),
        (-0.0, 4, "0.0000"),
        (-6e-5, 4, "-0.0001"),
        (27.45678, 4, "27.4568"),
        (-4e-6, 5, "0.00000"),
        (-0.00123, 5, "-0.00123"),
    ],
)
def test_no_distance_is_less_than_zero_by_its_rounding(distance, digits, text):
    assert distance_text(distance, digits) == text
    if digits == 4:
        (table,) = distance_tables({"a": Distances(distance, None, None, 7)})
        assert table.rows[0][1] == text


def model(name, speakers=2, sync=None, distances=None):
    tables = {
        each: FigureTable.of([pair(30 - 2 * n)] * speakers) for n, each in enumerate(CONDITIONS)
    }
    keys = [f"s{number}" for number in range(speakers)]
    measured = Measured(dict.fromkeys(keys, (1, 1)), [(f"{key}/a", 6) for key in keys], tables)
    return ModelFigures(
        name=name,
        weights=None,
        figures=measured.figures(),
        response=Response(0.5, None),
        distances=distances,
        sync=sync,
        measured=measured,
        animate=lambda *_: None,
    )


def scored(*models):
    return ModelScore(Path("data"), "test", 6, models, ())


def group(name, driven=0.2):
    def summary(confidence, distance=None):
        return SyncSummary(3, 0.5, -10.4, confidence, distance)

    conditions = {"real": summary(0.4), "driven": summary(driven)}
    return SyncGroup(name, conditions, 1.0, None, {"right": LipFigures(0.5, None)})


def test_gaps_have_a_sign_and_zero_has_one():
    gaps, *_ = model_tables(scored(model("a", 1)))
    assert gaps.rows[0][-2:] == ("+2.00", "+4.00")
    assert [row[0] for row in gaps.rows] == ["s0"]  # one speaker is all


def test_few_speakers_have_every_table():
    _, right, response = model_tables(scored(model("a", 3)))
    assert {row[0].split(",")[0] for row in right.rows} == {"s0", "s1", "s2", "all"}
    assert response.rows == (("to the sound", "0.50"),)
    assert response.note == ""


def test_many_speakers_have_their_gaps_alone_but_in_reports():
    score = scored(model("a", 4, sync=(*(group(f"s{n}") for n in range(4)), group("all"))))
    gaps, right, _, sync, areas, lips = model_tables(score)
    assert [row[0] for row in gaps.rows] == ["s0", "s1", "s2", "s3", "all"]
    for table in (right, sync, areas, lips):
        assert {row[0].split(",")[0] for row in table.rows} == {"all"}
    assert lips.note == "The figures of each speaker are in --report and --json."
    _, right, _, sync, areas, lips = model_tables(score, full=True)
    assert len(right.rows) == 25
    assert len(sync.rows) == 10
    assert len(areas.rows) == len(lips.rows) == 5
    assert lips.note == ""


def test_lip_sync_as_a_share_of_the_real_one():
    score = scored(model("a", 1, sync=(group("s0"),)))
    *_, sync, areas, _ = model_tables(score)
    assert sync.columns[1:] == (
        "clips", "offset within a frame", "offset in ms", "confidence", "share of real"
    )  # fmt: skip
    assert sync.rows == (
        ("s0, real", 3, "50 %", "-10", "0.400", "1.00"),
        ("s0, driven", 3, "50 %", "-10", "0.200", "0.50"),
    )
    assert areas.rows == (("s0", "1.000", None),)


def test_models_side_by_side():
    near = model("near", sync=(group("s0"), group("s1"), group("all", 0.3)))
    score = scored(near, model("far", distances=Distances(1.5, None, 5, 5)))
    side, *others = model_tables(score)
    assert side.columns[-3:] == ("FID", "driven, within a frame", "driven, share of real")
    assert side.rows[0][-3:] == (None, "50 %", "0.75")
    assert side.rows[1][-3:] == ("1.5000", None, None)
    assert "change of eyes, levels" not in side.columns  # there is none
    assert [table.columns[0] for table in others if table.columns[0].startswith("far")] == [
        "far: mouth, mean PSNR in dB",
        "far: right audio",
        "far: response",
    ]
    assert others[-1].rows == (("far", "1.5000", 5, 5),)


def test_rows_of_models():
    rows = list(model_rows(scored(model("a", 2))))
    assert all(len(row) == len(MODEL_HEADER) for row in rows)
    assert rows[0] == ("a", "s0/a", 6, "right", 30, 0.3, 30, 0.3, 1.25, None)
    assert [row[1:4:2] for row in rows[:4]] == [
        ("s0/a", "right"), ("s1/a", "right"), ("s0/a", "swapped"), ("s1/a", "swapped")
    ]  # fmt: skip
