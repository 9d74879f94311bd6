"""`lipgan score`: exact results on stdout, exit code 2 and one clear line for bad input."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine.data.dataset import FORMAT
from lipgan_cli.engine.metrics import fid
from lipgan_cli.engine.metrics.protocol import EVERY
from lipgan_cli.engine.score import SUBSET


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
    assert len(rows) == 6


def test_json_of_two_folders(tmp_path, lipgan):
    real, generated = folder(tmp_path / "real", 100, "a"), folder(tmp_path / "fake", 150, "a")
    ran = lipgan("score", real, generated, "--json")
    assert (ran.code, ran.stderr) == (0, "")
    figures = {
        "psnr": summary(20 * math.log10(255 / 50), 1),
        "ssim": summary(luminance(100, 150), 1),
    }
    assert json.loads(ran.stdout) == {
        "real": str(real),
        "generated": str(generated),
        "figures": {"whole": figures, "mouth": figures},
        "fid": None,
    }


def test_json_of_identical_folders_has_no_infinity(tmp_path, lipgan):
    real = folder(tmp_path / "real", 100)
    figures = json.loads(lipgan("score", real, real, "--json").stdout)["figures"]["whole"]
    nothing = dict.fromkeys(("mean", "median", "max", "min"))
    assert figures["psnr"] == {**nothing, "count": 3, "identical": 3}
    assert figures["ssim"] == summary(1.0, 3)


def test_two_pictures(tmp_path, lipgan):
    real, generated = folder(tmp_path / "real", 100), folder(tmp_path / "fake", 105)
    ran = lipgan("score", real / "a.png", generated / "b.png", "--json", "--gaussian")
    assert ran.code == 0
    whole = json.loads(ran.stdout)["figures"]["whole"]
    assert whole["psnr"] == summary(20 * math.log10(255 / 6), 1)
    assert whole["ssim"] == summary(luminance(100, 106), 1)


def failed(ran):
    """The error's one line, of bad input with nothing on stdout."""
    assert (ran.code, ran.stdout) == (2, "")
    lines = ran.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("hint: ")
    return lines[0]


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


def test_folder_against_file_is_told(tmp_path, lipgan):
    real = folder(tmp_path / "real", 100)
    line = failed(lipgan("score", real / "a.png", real))
    assert line == f"error: {real} is a folder and {real / 'a.png'} is a file"


@pytest.mark.parametrize("content", ["this is text", ""])
def test_what_is_no_video_is_told(tmp_path, lipgan, content):
    path = tmp_path / "a.mp4"
    path.write_text(content)
    assert str(path) in failed(lipgan("score", path, path))


def test_one_path_is_too_few(tmp_path, lipgan):
    real = folder(tmp_path / "real", 100)
    assert "nothing to compare" in failed(lipgan("score", real))


def test_options_of_the_other_kind_are_refused(tmp_path, lipgan):
    real = folder(tmp_path / "real", 100)
    line = failed(lipgan("score", real, real, "--subset", "test", "--every", 2))
    assert "--subset, --every is for scoring a model" in line
    assert "without --fid" in failed(lipgan("score", real, real, "--fid-weights", real / "a.png"))
    assert "FID compares folders" in failed(
        lipgan("score", "--fid", real / "a.png", real / "a.png")
    )


def test_help_names_the_defaults(lipgan):
    told = " ".join(lipgan("score", "--help").stdout.split())
    assert f"(default {EVERY})" in told
    assert f"{SUBSET} (default)" in told


def test_fid_without_its_network_says_how_to_get_it(tmp_path, lipgan, home):
    real = folder(tmp_path / "real", 100)
    ran = lipgan("score", "--fid", real, real)
    assert "fid-inception are not installed" in failed(ran)
    assert "lipgan download-weights fid-inception" in ran.stderr
    assert "--fid-weights FILE" in ran.stderr
    (home / "weights").mkdir()
    (home / "weights" / "pt_inception-2015-12-05-6726825d.pth").write_text("<html>")
    assert "not the file that was published" in failed(lipgan("score", "--fid", real, real))


@pytest.fixture
def fake_fid(monkeypatch):
    """FID without its network: the difference of the numbers of pictures."""

    def distance(real, generated, weights, device, progress):
        calls.append((real, generated, weights))
        return float(len(real) - len(generated))

    calls = []
    monkeypatch.setattr(fid, "frechet_distance", distance)
    return calls


def test_fid_is_added(tmp_path, lipgan, fake_fid):
    real, generated = folder(tmp_path / "real", 100), folder(tmp_path / "fake", 100)
    network = tmp_path / "network.pth"
    network.write_bytes(b"x")
    ran = lipgan("score", "--fid", real, generated, "--fid-weights", network)
    assert ran.code == 0
    assert ran.stdout.splitlines()[-1] == "FID 0.0000"
    assert len(ran.stdout.splitlines()) == 7
    assert fake_fid == [(sorted(real.iterdir()), sorted(generated.iterdir()), network)]


def test_folders_that_do_not_match_get_fid_alone(tmp_path, lipgan, fake_fid):
    real, generated = folder(tmp_path / "real", 100), folder(tmp_path / "fake", 100, "x")
    network = tmp_path / "network.pth"
    network.write_bytes(b"x")
    ran = lipgan("score", "--fid", real, generated, "--fid-weights", network)
    assert (ran.code, ran.stdout) == (0, "FID 2.0000\n")
    assert ran.stderr.startswith("FID alone, no PSNR and SSIM: the folders do not match by name")
    quiet = lipgan("score", "--fid", real, generated, "--fid-weights", network, "--quiet", "--json")
    assert quiet.stderr == ""
    assert json.loads(quiet.stdout) == {
        "real": str(real),
        "generated": str(generated),
        "figures": None,
        "fid": 2.0,
    }


@pytest.fixture
def dataset(home):
    """A prepared dataset in the user's folder: two clips of s1, one of s2, seven frames each."""
    place = home / "datasets" / "tiny"
    (place / "subsets").mkdir(parents=True)
    (place / "dataset.json").write_text(json.dumps({"format": FORMAT}))
    keys = ["s1/a", "s1/b", "s2/c"]
    (place / "subsets" / "test.txt").write_text("\n".join(keys) + "\n")
    for level, key in enumerate(keys):
        clip = place / "clips" / key
        clip.mkdir(parents=True)
        for frame in range(7):
            pixels = np.full((96, 96, 3), 100 + frame, np.uint8)
            cv2.imwrite(str(clip / f"{frame:05d}.jpg"), pixels)
        np.savez(clip / "mel.npz", mel=np.full((80, 240), level, np.float32))
        times = (1 + np.arange(7) / 25).tolist()
        (clip / "clip.json").write_text(json.dumps({"times": times, "frames": list(range(7))}))
    return place


@pytest.fixture
def model(monkeypatch):
    """A model that is off by 1 with level 0, by 2 with 1, by 3 with 2, by 10 in silence."""
    from lipgan_cli.engine.gan.inference import Animator

    def faces(_reference, target, windows):
        levels = windows.mean(axis=(1, 2)).round().astype(int)
        off = np.where(levels < 0, 10, levels + 1)
        return (target + off[:, None, None, None]).astype(np.uint8)

    loaded = []

    def load(weights, device, batch_statistics=False):
        loaded.append((weights, str(device), batch_statistics))
        return SimpleNamespace(faces=faces)

    monkeypatch.setattr(Animator, "load", load)
    return loaded


def off(*steps):
    return np.mean([20 * math.log10(255 / step) for step in steps])


def test_model_on_a_dataset(lipgan, dataset, model):
    ran = lipgan("score", "--device", "cpu")
    assert (ran.code, ran.stderr) == (0, "no swapped audio for s2: one clip alone\n")
    assert model == [(None, "cpu", False)]
    gaps, figures, responses = ran.stdout.split("\n\n")
    rows = [line.split() for line in gaps.splitlines()]
    assert gaps.splitlines()[0].split("  ")[0] == "mouth, mean PSNR in dB"
    # Frames 0 and 6 are measured, with frames 3 and 2 as their references.
    right, still, copy = f"{off(1, 2):.2f}", f"{off(10):.2f}", f"{off(3, 4):.2f}"
    assert rows[2] == [
        "s1", "2", "4", right, right, still, copy, "+0.00", f"{off(1, 2) - off(10):+.2f}"
    ]  # fmt: skip
    assert rows[3] == [
        "s2", "1", "2", f"{off(3):.2f}", "-", still, copy, "-", f"{off(3) - off(10):+.2f}"
    ]  # fmt: skip
    assert rows[4][:4] == ["all", "3", "6", f"{off(1, 2, 3):.2f}"]
    rows = [line.split() for line in figures.splitlines()]
    assert rows[0] == ["right", "audio", "mean", "median", "max", "min"]
    names = [" ".join(row[:-4]) for row in rows[2:]]
    measures = ("SSIM, whole", "PSNR in dB, whole", "SSIM, mouth", "PSNR in dB, mouth")
    assert names == [f"{name}, {measure}" for name in ("s1", "s2", "all") for measure in measures]
    values = [f"{value:.2f}" for value in (off(1, 2), off(1, 2), off(1), off(2))]
    assert rows[3][-4:] == values
    assert responses == "response to the sound 0.00\n"  # the clips' real faces are all alike


def test_batch_statistics_are_asked_of_the_model(lipgan, dataset, model):
    assert lipgan("score", "--device", "cpu", "--batch-statistics").code == 0
    assert model == [(None, "cpu", True)]
    ran = lipgan("score", "--device", "cpu", "--batch-statistics", "--every", 7)
    assert "--batch-statistics needs two measured frames of every clip" in failed(ran)


def test_json_of_a_model(lipgan, dataset, model):
    ran = lipgan("score", "--data", dataset, "--every", 7, "--json", "-q", "--device", "cpu")
    assert (ran.code, ran.stderr) == (0, "")
    result = json.loads(ran.stdout)
    assert {name: value for name, value in result.items() if name != "figures"} == {
        "data": str(dataset),
        "subset": "test",
        "weights": None,
        "every": 7,
        "response": {"audio": 0, "face": None},
        "fid": None,
    }
    one, two = result["figures"]["speakers"]
    assert (one["name"], one["clips"], one["frames"]) == ("s1", 2, 2)
    assert one["right"]["mouth"]["psnr"]["max"] == pytest.approx(off(1))
    assert one["gap_to_swapped"] == pytest.approx(0)
    assert two["swapped"] is two["gap_to_swapped"] is None
    assert result["figures"]["total"]["gap_to_still"] == pytest.approx(off(1, 2, 3) - off(10))


def test_fid_of_a_model_compares_the_measured_frames(tmp_path, lipgan, dataset, model, monkeypatch):
    network = tmp_path / "network.pth"
    network.write_bytes(b"x")
    seen = []

    def distance(real, generated, weights, device, progress):
        for one, other in zip(real, generated, strict=True):
            ours, theirs = cv2.imread(str(one)).astype(int), cv2.imread(str(other))
            seen.append((ours.shape, int((theirs - ours).mean().round())))
        return 1.5

    monkeypatch.setattr(fid, "frechet_distance", distance)
    ran = lipgan("score", "--fid", "--fid-weights", network, "--device", "cpu")
    assert ran.code == 0
    assert ran.stdout.splitlines()[-1] == "FID 1.5000"
    assert seen == [((96, 96, 3), step) for step in (1, 1, 2, 2, 3, 3)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--subset", "all"], "there is no subset 'all'"),
        (["--subset", "full"], "the subset full of"),
        (["--every", "0"], "every 0 frames"),
        (["--data", "nowhere"], "nowhere is not a prepared dataset"),
        (["--device", "abacus"], "the device 'abacus' cannot be used here"),
        (["--fid"], "fid-inception are not installed"),
    ],
)
def test_bad_input_of_a_model_is_told(lipgan, dataset, model, arguments, message):
    assert message in failed(lipgan("score", *arguments))


def test_no_dataset_is_told(lipgan):
    assert "there is no prepared dataset" in failed(lipgan("score"))
