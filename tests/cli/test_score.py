"""`lipgan score`: exact results on stdout, exit code 2 and one clear line for bad input."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine.metrics.features import BATCH
from lipgan_cli.engine.metrics.protocol import EVERY
from lipgan_cli.engine.score import pairs, tables
from lipgan_cli.engine.score.sides import SUBSET


def folder(path, brightness, names=("a", "b", "c"), side=48, ending="png"):
    """Pictures of even brightness, one more for each next one."""
    path.mkdir()
    for index, name in enumerate(names):
        pixels = np.full((side, side, 3), brightness + index, np.uint8)
        Image.fromarray(pixels).save(path / f"{name}.{ending}")
    return path


def summary(value, count, identical=0):
    statistics = dict.fromkeys(("mean", "median", "max", "min"), pytest.approx(value, abs=1e-6))
    return {**statistics, "count": count, "identical": identical}


def failed(ran):
    """The error's one line, of bad input with nothing on stdout."""
    assert (ran.code, ran.stdout) == (2, "")
    lines = ran.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("hint: ")
    return lines[0]


def luminance(one, other):
    return (2 * one * other + 2.55**2) / (one**2 + other**2 + 2.55**2)


def test_table_of_two_folders(tmp_path, lipgan):
    real = folder(tmp_path / "real [1] ü", 100)
    generated = folder(tmp_path / "fake", 105, ending="bmp")
    ran = lipgan("score", real, generated)
    assert (ran.code, ran.stderr) == (0, "")
    rows = [line.split() for line in ran.stdout.splitlines()]
    assert rows[0] == ["mean", "median", "max", "min", "pairs", "identical"]
    # 20 log10(255 / 5) dB, as every value differs by 5.
    low, middle, high = (luminance(value, value + 5) for value in (100, 101, 102))
    ssim = [f"{value:.4f}" for value in ((low + middle + high) / 3, middle, high, low)]
    assert rows[2] == ["SSIM,", "whole", *ssim, "3", "0"]
    assert rows[3] == ["PSNR", "in", "dB,", "whole", *["34.15"] * 4, "3", "0"]
    assert rows[4] == ["SSIM,", "mouth", *ssim, "3", "0"]
    assert rows[5] == ["PSNR", "in", "dB,", "mouth", *["34.15"] * 4, "3", "0"]
    assert rows[6:] == [
        ["change", "of", part, *unit, *["5.00"] * 4, "3", "-"]
        for part, unit in (("upper", ["face,", "levels"]), ("eyes,", ["levels"]))
    ]


def test_json_of_two_folders(tmp_path, lipgan):
    real, generated = folder(tmp_path / "real", 100, "a"), folder(tmp_path / "fake", 150, "a")
    ran = lipgan("score", real, generated, "--json")
    assert (ran.code, ran.stderr) == (0, "")
    figures = {
        "psnr": summary(20 * math.log10(255 / 50), 1),
        "ssim": summary(luminance(100, 150), 1),
    }
    changes = dict.fromkeys(("upper_change", "eyes_change"), summary(50, 1))
    assert json.loads(ran.stdout) == {
        "real": str(real),
        "systems": [
            {
                "generated": str(generated),
                "figures": {"whole": figures, "mouth": figures, **changes},
                "distances": None,
                "video": None,
            }
        ],
    }


def of_one(ran):
    """The figures of the one generated side."""
    (system,) = json.loads(ran.stdout)["systems"]
    return system["figures"]


def test_json_of_identical_folders_has_no_infinity(tmp_path, lipgan):
    real = folder(tmp_path / "real", 100)
    figures = of_one(lipgan("score", real, real, "--json"))["whole"]
    nothing = dict.fromkeys(("mean", "median", "max", "min"))
    assert figures["psnr"] == {**nothing, "count": 3, "identical": 3}
    assert figures["ssim"] == summary(1.0, 3)
    rows = [line.split()[-6:] for line in lipgan("score", real, real).stdout.splitlines()[2:]]
    assert rows == [
        *[["1.0000"] * 4 + ["3", "3"], ["inf"] * 4 + ["3", "3"]] * 2,
        *[["0.00"] * 4 + ["3", "-"]] * 2,
    ]


def test_several_folders_stand_side_by_side(tmp_path, lipgan):
    real = folder(tmp_path / "real", 100, "ab")
    sides = [folder(tmp_path / name, 100 + step, "ab") for name, step in (("one", 1), ("two", 2))]
    ran = lipgan("score", real, *sides)
    assert (ran.code, ran.stderr) == (0, "")
    names = [re.split(r"  +", line)[0] for line in ran.stdout.splitlines()[2:]]
    measures = ["SSIM, whole", "PSNR in dB, whole", "SSIM, mouth", "PSNR in dB, mouth"]
    measures += ["change of upper face, levels", "change of eyes, levels"]
    assert names == [f"{measure}, {side}" for measure in measures for side in ("one", "two")]
    values = [line.split()[-6] for line in ran.stdout.splitlines()[2:]]
    assert values[2:4] == ["48.13", "42.11"]  # off by 1 and by 2
    assert values[-2:] == ["1.00", "2.00"]
    systems = json.loads(lipgan("score", real, *sides, "--json").stdout)["systems"]
    assert [system["generated"] for system in systems] == [str(side) for side in sides]


def test_sides_of_one_name_are_told_apart_by_their_folders(tmp_path, lipgan):
    real = folder(tmp_path / "real", 100, "a")
    sides = []
    for model in ("one", "two"):
        (tmp_path / model).mkdir()
        sides.append(folder(tmp_path / model / "out", 101, "a"))
    lines = lipgan("score", real, *sides).stdout.splitlines()
    assert lines[2].startswith("SSIM, whole, one/out ")
    assert lines[3].startswith("SSIM, whole, two/out ")


def test_a_side_given_twice_is_refused(tmp_path, lipgan, monkeypatch):
    real, fake = folder(tmp_path / "real", 100), folder(tmp_path / "fake", 101)
    monkeypatch.chdir(tmp_path)
    assert "fake is given twice" in failed(lipgan("score", real, fake, "fake"))


def test_two_pictures(tmp_path, lipgan):
    real, generated = folder(tmp_path / "real", 100), folder(tmp_path / "fake", 105)
    ran = lipgan("score", real / "a.png", generated / "b.png", "--json", "--gaussian")
    assert ran.code == 0
    whole = of_one(ran)["whole"]
    assert whole["psnr"] == summary(20 * math.log10(255 / 6), 1)
    assert whole["ssim"] == summary(luminance(100, 106), 1)


def test_names_that_do_not_match_are_listed(tmp_path, lipgan):
    real = folder(tmp_path / "real", 100, [f"{index:02d}" for index in range(9)])
    generated = folder(tmp_path / "fake", 100, ["00", "x"])
    line = failed(lipgan("score", real, generated))
    assert f"only in {real}: 01, 02, 03, 04, 05 and 3 more; only in {generated}: x" in line


def test_two_pictures_of_one_name_are_refused(tmp_path, lipgan):
    real = folder(tmp_path / "real", 100, "a")
    Image.new("RGB", (48, 48)).save(real / "a.jpg")
    assert "a.jpg and" in failed(lipgan("score", real, real))


def test_sizes_that_differ_are_told(tmp_path, lipgan):
    real, generated = folder(tmp_path / "real", 100), folder(tmp_path / "fake", 100, side=32)
    line = failed(lipgan("score", real, generated))
    assert line == (f"error: {real / 'a.png'} has 48x48 pixels, {generated / 'a.png'} has 32x32")


def test_pictures_smaller_than_the_window_are_refused(tmp_path, lipgan):
    real = folder(tmp_path / "real", 100, side=8)
    assert lipgan("score", real, real).code == 0
    assert "less than SSIM's window of 11x11" in failed(lipgan("score", real, real, "--gaussian"))


def test_unreadable_picture_is_named(tmp_path, lipgan):
    real, generated = folder(tmp_path / "real", 100), folder(tmp_path / "fake", 100)
    (generated / "b.png").write_text("no picture")
    assert (
        failed(lipgan("score", real, generated)) == f"error: {generated / 'b.png'} is not a picture"
    )


def test_truncated_picture_is_named(tmp_path, lipgan):
    real, generated = folder(tmp_path / "real", 100), folder(tmp_path / "fake", 100)
    noise = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(generated / "b.png")
    (generated / "b.png").write_bytes((generated / "b.png").read_bytes()[:3000])
    assert f"{generated / 'b.png'} cannot be read" in failed(lipgan("score", real, generated))


def test_empty_folder_is_told(tmp_path, lipgan):
    real = folder(tmp_path / "real", 100)
    assert "no picture in" in failed(lipgan("score", real, folder(tmp_path / "fake", 0, "")))


def test_missing_folder_is_told(tmp_path, lipgan):
    line = failed(lipgan("score", folder(tmp_path / "real", 100), tmp_path / "none"))
    assert line == f"error: {tmp_path / 'none'} does not exist"
    line = failed(lipgan("score", "x" * 300, tmp_path / "real"))
    assert line == f"error: {'x' * 300} does not exist"


def test_folder_against_file_is_told(tmp_path, lipgan):
    real = folder(tmp_path / "real", 100)
    line = failed(lipgan("score", real / "a.png", real))
    assert line == f"error: {real / 'a.png'} is a picture and {real} is a folder of pictures"


@pytest.mark.parametrize("content", ["this is text", ""])
def test_what_is_no_video_is_told(tmp_path, lipgan, content):
    path = tmp_path / "a.mp4"
    path.write_text(content)
    assert str(path) in failed(lipgan("score", path, path))
    assert str(path) in failed(lipgan("score", path))


def test_a_missing_video_is_told(tmp_path, lipgan):
    line = failed(lipgan("score", tmp_path / "a.mp4"))
    assert line == f"error: the video {tmp_path / 'a.mp4'} does not exist"


def test_one_folder_or_picture_is_too_few(tmp_path, lipgan):
    real = folder(tmp_path / "real", 100)
    for path in (real, real / "a.png"):
        assert f"nothing to compare {path} with" in failed(lipgan("score", path))


REFUSED = [
    (["R", "R", "--every", 2], "--every is for scoring a model on a dataset, not paths"),
    (["R", "R", "--model", "x", "--data", "D"], "--data, --model is for scoring a model"),
    (["R", "R", "--batch-statistics"], "--batch-statistics is for scoring a model"),
    (["R", "R", "--subset", "test"], "a subset is that of a prepared dataset"),
    (["R", "R", "--fid-weights", "W"], "--fid-weights is of no use without --fid"),
    (["R", "R", "--batch", 9, "--save-statistics", "S"], "--save-statistics, --batch is of no use"),
    (["R", "R", "--fid", "--batch", 0], "--batch"),
    (["R", "R", "--judge", "J"], "--judge is of no use without --sync"),
    (["R", "R", "--syncnet", "J"], "--syncnet is of no use without --sync"),
    (["R", "R", "--sync"], "lip-sync is that of videos: R is a folder of pictures"),
    (["R/a.png", "R/b.png", "--sync"], "lip-sync is that of videos: R/a.png is a picture"),
    (["R/a.png", "R/a.png", "--fid"], "FID needs two pictures a side or more, not 1: R/a.png"),
    (["R", "R", "--fid", "--save-statistics", "S"], "S does not end in .npz"),
    (["--mos-pairs", 3, "R", "R"], "--mos-pairs is for making a kit"),
    (["--mos-results", "K", "A", "--mos-pairs", 3], "--mos-pairs is for making a kit"),
    (["--mos-kit", "K", "R", "R", "--mos-pairs", 0], "--mos-pairs"),
    (["v.mp4", "--fid"], "--fid needs something to compare with"),
    (["v.mp4", "--gaussian", "--csv", "C"], "--gaussian, --csv needs something to compare"),
    (["v.mp4", "--subset", "test"], "--subset needs something"),
    (["v.mp4", "--save-statistics", "S"], "--save-statistics needs something"),
    (["v.mp4", "--model", "m"], "--model is for scoring a model"),
    (["--syncnet", "S", "--sync"], "--syncnet is for videos, not for models"),
    (["--judge", "J"], "--judge is of no use without --sync"),
    (["--mos-kit", "K", "--mos-results", "K", "A"], "two steps"),
    (["--mos-kit", "K", "R", "R", "--fid"], "--fid is of no use with opinions"),
    (["--mos-results", "K", "A", "--csv", "C", "--force"], "--csv, --force is of no use"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_options_that_make_no_sense_are_refused(tmp_path, lipgan, monkeypatch, arguments, message):
    folder(tmp_path / "R", 100)
    monkeypatch.chdir(tmp_path)
    ran = lipgan("score", *arguments)
    assert (ran.code, ran.stdout) == (2, "")
    assert message in ran.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["R"]


def test_help_names_the_defaults(lipgan):
    from lipgan_cli.engine.metrics import fid

    told = " ".join(lipgan("score", "--help").stdout.split())
    assert f"(default {EVERY})" in told
    assert f"{SUBSET} (default)" in told
    assert f"({BATCH})" in told
    assert fid.BATCH == BATCH


def test_help_and_pictures_do_without_torch(tmp_path):
    real = folder(tmp_path / "real", 100)
    code = "import sys; from lipgan_cli.cli import run; code = run(sys.argv[1:]); "
    code += "sys.exit(code or 'torch' in sys.modules)"
    for arguments in (["--help"], [str(real), str(real)]):
        command = [sys.executable, "-c", code, "score", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def test_fid_without_its_network_says_how_to_get_it(tmp_path, lipgan, home):
    real = folder(tmp_path / "real", 100)
    ran = lipgan("score", "--fid", real, real)
    assert "fid-inception are not installed" in failed(ran)
    assert "lipgan download-weights fid-inception" in ran.stderr
    assert "--fid-weights FILE" in ran.stderr
    (home / "weights").mkdir()
    (home / "weights" / "pt_inception-2015-12-05-6726825d.pth").write_text("<html>")
    assert "not the file that was published" in failed(lipgan("score", "--fid", real, real))


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_rows_of_pictures(tmp_path, lipgan):
    real, fake = (
        folder(tmp_path / "real", 100, ["a", "=b"]),
        folder(tmp_path / "=fake", 105, ["=b", "a"]),
    )
    path = tmp_path / "out" / "rows.csv"
    assert lipgan("score", real, fake, real, "--csv", path).code == 0
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    columns = ["psnr", "ssim", "mouth_psnr", "mouth_ssim", "upper_change", "eyes_change"]
    assert header == ["generated", "name", *columns]
    assert [row[:2] for row in rows] == [
        [str(side), name] for side in (fake, real) for name in ("'=b", "a")
    ]
    # Of the folder itself all are identical; =b and a have changed places in the other.
    assert [row[2] for row in rows[2:]] == ["inf", "inf"]
    decibels = [20 * math.log10(255 / step) for step in (4, 6)]
    assert [float(row[2]) for row in rows[:2]] == pytest.approx(decibels)
    assert [float(row[6]) for row in rows[:2]] == [4, 6]


def test_files_that_are_there_are_kept_unless_forced(tmp_path, lipgan, monkeypatch):
    real = folder(tmp_path / "real", 100)
    page, rows = tmp_path / "ü [1].html", tmp_path / "rows.csv"
    for option, path in (("--report", page), ("--csv", rows)):
        path.write_text("mine")
        with monkeypatch.context() as patch:
            patch.setattr(pairs, "score_pairs", lambda *_: pytest.fail("it has begun"))
            line = failed(lipgan("score", real, real, option, path))
        assert line == f"error: {path} exists already"
        assert path.read_text() == "mine"
    assert lipgan("score", real, real, "--report", page, "--csv", rows, "--force").code == 0
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert rows.read_text("utf-8").startswith("generated,")
    assert files(tmp_path) == ["real", "rows.csv", "ü [1].html"]


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """Whatever may be scored, or read for it; scoring itself fails the test."""
    from lipgan_cli.cli import score

    for name in ("_film", "_pairs", "_models"):
        monkeypatch.setattr(score, name, lambda *_: pytest.fail("it has begun"))
    folder(tmp_path / "R", 100)
    folder(tmp_path / "F", 101)
    for name in ("real.npz", "v.mp4", "judge", "syncnet", "fid.pth", "model", "mine.html"):
        (tmp_path / name).write_text(name)
    (tmp_path / "data" / "clips").mkdir(parents=True)
    (tmp_path / "data" / "dataset.json").write_text("{}")
    (tmp_path / "link.html").symlink_to(tmp_path / "F" / "b.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["R", "F", "--csv"], "R/a.png"),
        (["R", "F", "--report"], "F/b.png"),
        (["R", "F", "--report"], "x/../F/b.png"),
        (["R", "F", "--report"], "link.html"),
        (["R/a.png", "F/a.png", "--csv"], "F/a.png"),
        (["real.npz", "F", "--fid", "--save-statistics"], "real.npz"),
        (["v.mp4", "--report"], "v.mp4"),
        (["v.mp4", "--judge", "judge", "--report"], "judge"),
        (["v.mp4", "--syncnet", "syncnet", "--report"], "syncnet"),
        (["R", "F", "--fid", "--fid-weights", "fid.pth", "--csv"], "fid.pth"),
        (["--data", "data", "--csv"], "data/dataset.json"),
        (["--model", "model", "--report"], "model"),
        (["--sync", "--judge", "judge", "--csv"], "judge"),
    ],
)
def test_what_is_scored_or_read_is_never_overwritten(inputs, lipgan, arguments, output):
    (inputs / "x").mkdir()
    before = contents(inputs)
    line = failed(lipgan("score", *arguments, output, "--force"))
    assert line == f"error: {Path(output)} is part of what is scored"
    assert contents(inputs) == before


def test_datasets_and_runs_by_name_are_never_overwritten(inputs, lipgan, home):
    weights, about = home / "runs/mine/weights.safetensors", home / "datasets/grid/dataset.json"
    for path in (weights, about):
        path.parent.mkdir(parents=True)
        path.write_text("mine")
    for arguments in (
        ["--model", "mine", "--csv", weights],
        ["--data", "grid", "--csv", about],
        ["--csv", about],
    ):
        line = failed(lipgan("score", *arguments, "--force"))
        assert line == f"error: {arguments[-1]} is part of what is scored"
    assert weights.read_text() == about.read_text() == "mine"


def test_files_beside_what_is_scored_are_replaced_if_forced(inputs, lipgan, monkeypatch):
    from lipgan_cli.cli import score

    monkeypatch.setattr(score, "_pairs", lambda *_: None)
    line = failed(lipgan("score", "R", "F", "--report", "mine.html"))
    assert line == "error: mine.html exists already"
    for output in ("mine.html", "F/new.html", "Rx.html"):
        ran = lipgan("score", "R", "F", "--report", output, "--force")
        assert (ran.code, ran.stderr) == (0, "")
    assert lipgan("score", "R", "F", "--fid", "--save-statistics", "real.NPZ").code == 0


def test_two_files_in_one_place_and_folders_are_refused(tmp_path, lipgan, monkeypatch):
    real = folder(tmp_path / "real", 100)
    one = tmp_path / "one"
    line = failed(lipgan("score", real, real, "--report", one, "--csv", one))
    assert line == f"error: two files cannot both be {one}"
    monkeypatch.chdir(tmp_path)
    line = failed(lipgan("score", real, real, "--report", one, "--csv", "real/../one"))
    assert line == f"error: two files cannot both be {one}"
    line = failed(lipgan("score", real, real, "--report", tmp_path, "--force"))
    assert line == f"error: {tmp_path} is a folder, not a file"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path, lipgan):
    real, closed = folder(tmp_path / "real", 100), tmp_path / "closed"
    closed.mkdir(mode=0o500)
    line = failed(lipgan("score", real, real, "--csv", closed / "rows.csv"))
    assert line == f"error: cannot write into {closed}"


def test_a_file_cannot_be_the_folder_of_another(tmp_path, lipgan):
    real = folder(tmp_path / "real", 100)
    line = failed(lipgan("score", real, real, "--csv", real / "a.png" / "rows.csv"))
    assert line.startswith(f"error: cannot make the folder {real / 'a.png'}")


def test_nothing_is_written_when_the_scoring_fails(tmp_path, lipgan):
    real, fake = folder(tmp_path / "real", 100), folder(tmp_path / "fake", 100)
    (fake / "b.png").write_bytes((fake / "b.png").read_bytes()[:60])
    place = tmp_path / "out"
    place.mkdir()
    ran = lipgan("score", real, fake, "--csv", place / "rows.csv", "--report", place / "page.html")
    assert f"{fake / 'b.png'} cannot be read" in failed(ran)
    assert files(place) == []


def test_a_disk_that_is_full_leaves_nothing(tmp_path, lipgan, monkeypatch):
    real, place = folder(tmp_path / "real", 100), tmp_path / "out"

    def rows(_score):
        yield (str(real), "a", *range(6))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tables, "pair_rows", rows)
    ran = lipgan("score", real, real, "--csv", place / "rows.csv")
    assert (ran.code, ran.stdout) == (1, "")
    line = f"error: cannot write {place / 'rows.csv'}: No space left on device"
    assert ran.stderr.splitlines()[0] == line
    assert files(place) == []


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent otherwise there")
def test_ctrl_c_leaves_nothing(tmp_path):
    real, fake, place = folder(tmp_path / "real", 100), tmp_path / "fake", tmp_path / "out"
    folder(fake, 105)
    code = "import sys, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from lipgan_cli.engine.metrics import pairs; import time\n"
    code += "def slow(*_): print('begun', flush=True); time.sleep(60)\n"
    code += "pairs.read_picture = slow\n"
    code += "from lipgan_cli.cli import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "score", real, fake, "--csv", place / "rows.csv"]
    with subprocess.Popen(
        [*map(str, command), "--report", str(place / "page.html")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (130, "", "interrupted\n")
    assert files(place) == []
