"""Folders of videos, matched by name and pooled."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest

from lipgan_cli.engine.progress import Silent
from lipgan_cli.engine.score.options import Measures
from lipgan_cli.engine.score.pairs import PairRequest, score_pairs
from lipgan_cli.engine.score.sides import videos_in


@pytest.fixture
def folders(tmp_path, films):
    """Two videos a folder, of the same names with other endings; the generated ones differ."""
    real, fake = tmp_path / "real [ü]", tmp_path / "fake"
    for folder in (real, fake):
        folder.mkdir()
    for name in ("a", "b"):
        shutil.copy(films["real"], real / f"{name}.mkv")
    shutil.copy(films["fake"], fake / "a.mkv")
    shutil.copy(films["real"], fake / "b.MKV")
    return real, fake


def failed(ran):
    assert (ran.code, ran.stdout) == (2, "")
    return ran.stderr.splitlines()[0]


def test_a_folder_of_videos_is_one_without_pictures(folders, tmp_path, films):
    real, _ = folders
    assert [path.name for path in videos_in(real)] == ["a.mkv", "b.mkv"]
    (real / "notes.txt").write_text("no video")
    (real / ".hidden.mkv").write_text("no video")
    assert len(videos_in(real)) == 2
    (real / "a.png").write_bytes(b"")
    assert videos_in(real) == []
    assert videos_in(films["real"]) == []
    assert videos_in(tmp_path / "none") == []


def test_frames_of_all_videos_are_pooled(folders, films, lipgan, tmp_path):
    real, fake = folders
    table = tmp_path / "rows.csv"
    ran = lipgan("score", real, fake, "--json", "--csv", table, "-q")
    assert ran.code == 0
    told = json.loads(ran.stdout)
    assert told["videos"] == ["a", "b"]
    (system,) = told["systems"]
    assert system["sync"] is system["syncnet"] is system["seam"] is None
    one = score_pairs(PairRequest(films["real"], (films["fake"],)), Silent()).systems[0]
    frames = len(one.table.names)
    whole = system["frames"]["figures"]["whole"]["psnr"]
    alone = one.figures.whole.psnr
    assert whole["count"] == 2 * frames
    assert whole["identical"] == frames + alone.identical  # b is the real one
    assert whole["mean"] == pytest.approx(alone.mean)
    rows = list(csv.reader(table.read_text("utf-8").splitlines()))
    assert len(rows) == 1 + 2 * frames
    assert rows[1][:2] == [str(fake), "a, frame 0"]
    assert rows[-1][:2] == [str(fake), f"b, frame {frames - 1}"]


def test_lip_sync_of_all_videos(folders, films, judge, lipgan):
    real, fake = folders
    ran = lipgan("score", real, fake, "--sync", "--judge", judge, "--json", "-q")
    assert ran.code == 0
    (system,) = json.loads(ran.stdout)["systems"]
    conditions = system["sync"]["conditions"]
    assert {"real", "generated", "copy", "shifted", "still"} <= set(conditions)
    request = PairRequest(
        films["real"], (films["fake"], films["real"]), measures=Measures(sync=True, judge=judge)
    )
    said = [one.video.sync for one in score_pairs(request, Silent()).systems]
    for name in ("real", "generated", "shifted", "still"):
        assert conditions[name]["clips"] == 2
        for measure, pooled in (("confidence", np.mean), ("offset_ms", np.median)):
            expected = pooled([getattr(one[name], measure) for one in said])
            assert conditions[name][measure] == pytest.approx(expected, abs=1e-4)
    # The shift is found from the generated film's own offset on, wherever that is.
    assert conditions["shifted"]["in_sync"] >= 0.5
    assert system["seam"] == pytest.approx(1, abs=0.02)
    assert "given twice" in failed(lipgan("score", real, fake, fake))


def test_tables_name_each_folder(folders, lipgan, tmp_path, judge):
    real, fake = folders
    other = tmp_path / "other"
    shutil.copytree(fake, other)
    page = tmp_path / "page.html"
    ran = lipgan("score", real, fake, other, "--sync", "--judge", judge, "--report", page, "-q")
    assert ran.code == 0
    for name in ("fake", "other"):
        assert f"{name}: lip-sync" in ran.stdout
        assert f"SSIM, whole, {name}" in ran.stdout
    assert "generated other" in page.read_text("utf-8")


def test_videos_without_a_counterpart_are_listed(folders, lipgan):
    real, fake = folders
    (fake / "b.MKV").rename(fake / "c.mkv")
    line = failed(lipgan("score", real, fake))
    assert f"only in {real}: b; only in {fake}: c" in line


def test_what_cannot_be_pooled_is_refused(folders, lipgan, tmp_path, films):
    real, fake = folders
    assert "no --subset" in failed(lipgan("score", real, fake, "--subset", "test"))
    shutil.copy(films["silent"], fake / "a.mkv")
    assert "a.mkv has no sound" in failed(lipgan("score", real, fake, "--sync"))
    (fake / "a.mkv").write_text("no video")
    assert "a.mkv" in failed(lipgan("score", real, fake))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "there is no picture in" in failed(lipgan("score", real, empty))
