"""Generated pictures and videos against real ones: what matches, what is refused."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.metrics import pool, scene
from lipgan_cli.engine.progress import Silent
from lipgan_cli.engine.score import options
from lipgan_cli.engine.score.pairs import PairRequest, score_pairs


def failed(ran):
    """The error's one line, of bad input with nothing on stdout."""
    assert (ran.code, ran.stdout) == (2, "")
    line, hint = ran.stderr.splitlines()
    assert hint.startswith("hint: ")
    return line


def figures_of(ran):
    assert (ran.code, ran.stderr) == (0, "")
    return [system["figures"] for system in json.loads(ran.stdout)["systems"]]


def test_two_videos(films, lipgan):
    arguments = ("score", films["real"], films["silent fake"])
    (figures,) = figures_of(lipgan(*arguments, "--json"))
    # The mouth alone has changed, in 30 of 50 frames: three of five are open where others are shut.
    whole, mouth = figures["whole"]["psnr"], figures["mouth"]["psnr"]
    assert (whole["count"], whole["identical"]) == (mouth["count"], mouth["identical"]) == (50, 20)
    assert mouth["mean"] < whole["mean"] - 10
    assert figures["upper_change"]["max"] == figures["eyes_change"]["max"] == 0
    rows = [line.split() for line in lipgan(*arguments).stdout.splitlines()]
    assert rows[3][:4] == ["PSNR", "in", "dB,", "whole"]
    assert rows[3][4:] == [f"{whole['mean']:.2f}"] * 4 + ["50", "20"]


def test_videos_without_a_face_have_no_mouth(tmp_path, lipgan, talk, face):
    paths = [
        talk(tmp_path / f"{level}.mkv", [np.full_like(face, level)] * 3, sound=False)
        for level in (90, 99)
    ]
    ran = lipgan("score", *paths)
    assert (ran.code, ran.stderr) == (0, f"{paths[0]}: no face in 3 of 3 frames\n")
    names = [line.split("  ")[0] for line in ran.stdout.splitlines()[2:]]
    assert names == ["SSIM, whole", "PSNR in dB, whole"]


@pytest.mark.parametrize(
    ("frames", "fps", "rows", "message"),
    [
        (9, 25, 176, "length: {real} has 3 frames, {fake} has 9 frames"),
        (6, 25, 176, "length: {real} has 3 frames, {fake} has 6 frames"),
        (3, 30, 176, "rate: {real} has 25 fps, {fake} has 30 fps"),
        (3, 25, 160, "size: {real} has 176x176, {fake} has 176x160"),
    ],
)
def test_videos_that_do_not_match_are_told(
    tmp_path, lipgan, talk, face, frames, fps, rows, message
):
    real = talk(tmp_path / "real [1].mkv", [face] * 3, sound=False)
    fake = talk(tmp_path / "fake.mkv", [face[:rows]] * frames, sound=False, fps=fps)
    expected = message.format(real=real, fake=fake)
    assert failed(lipgan("score", real, fake)) == f"error: the videos differ in {expected}"


def test_a_video_is_not_compared_with_pictures(tmp_path, lipgan, films):
    Image.new("RGB", (48, 48)).save(tmp_path / "a.png")
    line = failed(lipgan("score", films["real"], tmp_path))
    assert line == f"error: {films['real']} is a video and {tmp_path} is a folder of pictures"
    line = failed(lipgan("score", films["real"], tmp_path, "--sync"))
    assert line.startswith("error: lip-sync is that of videos: ")


def test_all_sides_are_checked_before_the_first_is_measured(films, lipgan, monkeypatch, tmp_path):
    monkeypatch.setattr(scene, "look", lambda *_: pytest.fail("it has begun"))
    none = tmp_path / "none.mkv"
    assert str(none) in failed(lipgan("score", films["real"], films["fake"], none))
    ran = lipgan("score", films["real"], films["fake"], "--fid")
    assert "fid-inception are not installed" in failed(ran)


def test_all_files_of_fid_are_checked_before_its_network_is_loaded(tmp_path, lipgan, monkeypatch):
    from lipgan_cli.engine.score import pairs

    monkeypatch.setattr(pairs, "fid_network", lambda _: pytest.fail("it has begun"))
    for name, sizes in (("real", (8, 8)), ("fake", (8, 8)), ("mixed", (8, 9)), ("one", (8,))):
        (tmp_path / name).mkdir()
        for number, size in enumerate(sizes):
            Image.new("RGB", (size, 8)).save(tmp_path / name / f"{number}.png")
    real, fake, mixed, one = (tmp_path / name for name in ("real", "fake", "mixed", "one"))
    line = failed(lipgan("score", "--fid", real, fake, mixed))
    assert "FID needs pictures of one size" in line
    assert f"{mixed / '1.png'} has 9x8" in line
    line = failed(lipgan("score", "--fid", real, fake, one))
    assert "FID needs two pictures a side or more, not 1" in line
    assert str(one) in line
    (fake / "1.png").write_text("no picture")
    for sides in ((real, fake), (fake, real)):
        assert f"{fake / '1.png'} is not a picture" in failed(lipgan("score", "--fid", *sides))


def test_the_face_is_sought_once_for_several_videos(films, lipgan, monkeypatch, tmp_path):
    sought = []
    look = scene.look
    monkeypatch.setattr(scene, "look", lambda *told: sought.append(told[0].path) or look(*told))
    path = tmp_path / "rows.csv"
    ran = lipgan("score", films["real"], films["fake"], films["silent"], "--csv", path, "--json")
    fake, same = figures_of(ran)
    assert sought == [films["real"]]
    assert fake["whole"]["psnr"]["identical"] == 20
    assert same["whole"]["psnr"]["identical"] == 50
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [str(frame) for frame in range(50)] * 2
    assert {row["generated"] for row in rows[50:]} == {str(films["silent"])}
    assert {row["psnr"] for row in rows[50:]} == {"inf"}


def test_many_pictures_go_over_processes(tmp_path, lipgan, monkeypatch):
    monkeypatch.setattr(pool, "WORTH", 1)
    monkeypatch.setattr(pool.workers, "cores", lambda: 2)
    for side, step in (("real", 0), ("fake", 1)):
        (tmp_path / side).mkdir()
        for number in range(70):
            picture = np.full((12, 12, 3), number, np.uint8)
            picture += np.uint8(step * (1 + number % 3))
            Image.fromarray(picture).save(tmp_path / side / f"{number:02d}.png")
    path = tmp_path / "rows.csv"
    assert lipgan("score", tmp_path / "real", tmp_path / "fake", "--csv", path).code == 0
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [f"{number:02d}" for number in range(70)]
    assert [float(row["upper_change"]) for row in rows] == [1 + n % 3 for n in range(70)]


def test_rows_and_scene_are_for_the_engine(films):
    score = score_pairs(PairRequest(films["real"], (films["fake"],)), Silent())
    (system,) = score.systems
    assert system.figures.whole.psnr.count == len(system.table.figures) == 50
    assert system.table.names[-1] == "49"
    assert score.scene.info.path == films["real"]
    assert "figures=" in repr(score)
    assert "table=" not in repr(score)


def test_nothing_is_given_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options.check_once([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(InputError, match="a is given twice"):
        options.check_once([tmp_path / "a", tmp_path / "b", options.Path("a")])
