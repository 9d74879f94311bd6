"""The sides of a comparison as two sets: FID and KID of folders, videos, datasets, statistics."""

from __future__ import annotations

import io
import json
import warnings
from contextlib import redirect_stdout
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image
from pytorch_fid import fid_score, inception

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.media.video import probe, read_frames, to_rgb
from lipgan_cli.engine.metrics import fid as fid_engine
from lipgan_cli.engine.metrics.features import load_statistics
from lipgan_cli.engine.metrics.fid import _matrix_root, file_statistics, frechet
from lipgan_cli.engine.metrics.kid import kernel_distance
from lipgan_cli.engine.score import options, pairs
from lipgan_cli.engine.score.sides import open_side

FEW = "FID is not reliable under 2,048 pictures a side: "


def folder(path, count, brightest, side=32):
    """Noise, other noise for every number of pictures."""
    path.mkdir()
    rng = np.random.default_rng(count)
    for index in range(count):
        pixels = rng.integers(0, brightest, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path / f"{index:03d}.png")
    return path


@pytest.fixture
def own(fid_weights, monkeypatch):
    """pytorch-fid as it is, but for where its weights come from."""
    import torch

    state = torch.load(fid_weights, weights_only=True)
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: state)
        patch.setattr(fid_score, "linalg", SimpleNamespace(sqrtm=_matrix_root))
        yield fid_score


def distances(ran):
    """FID, KID and numbers of pictures of the one generated side."""
    assert ran.code == 0, ran.stderr
    (system,) = json.loads(ran.stdout)["systems"]
    return system["distances"]


def failed(ran):
    """The error's one line, of bad input with nothing on stdout."""
    assert (ran.code, ran.stdout) == (2, "")
    line, hint = ran.stderr.splitlines()[-2:]
    assert hint.startswith("hint: ")
    return line


def test_fid_is_that_of_pytorch_fid(tmp_path, lipgan, short_features, own):
    real, fake = folder(tmp_path / "real", 7, 256), folder(tmp_path / "fake", 7, 99)
    arguments = ("score", "--fid", real, fake, "--fid-weights", short_features, "--batch", 3)
    ran = lipgan(*arguments, "--device", "cpu", "--json")
    assert ran.stderr == f"{FEW}7 real, 7 generated\n"
    found = distances(ran)
    theirs = own.calculate_fid_given_paths([str(real), str(fake)], 3, "cpu", 64, num_workers=0)
    assert found["fid"] == pytest.approx(theirs, abs=1e-6)
    assert found["fid"] > 0.01
    assert (found["real"], found["generated"]) == (7, 7)
    assert found["kid"]["low"] < found["kid"]["mean"] < found["kid"]["high"]
    assert json.loads(ran.stdout)["systems"][0]["figures"]["whole"]["psnr"]["count"] == 7
    head, _, row, note = lipgan(*arguments).stdout.split("\n\n")[-1].splitlines()
    assert head.split("  ")[-1].strip() == "generated"
    assert head.split() == ["FID", "KID", "KID,", "low", "KID,", "high", "real", "generated"]
    kid = [f"{found['kid'][name]:.5f}" for name in ("mean", "low", "high")]
    assert row.split() == ["fake", f"{found['fid']:.4f}", *kid, "7", "7"]
    assert note == "Low and high: the ends of KID's 95 % interval."


def test_distances_are_those_of_the_engine(tmp_path, lipgan, short_features, network):
    real, fake = folder(tmp_path / "real", 5, 256), folder(tmp_path / "fake", 9, 99)
    found = distances(
        lipgan("score", "--fid", real, fake, "--fid-weights", short_features, "--json")
    )
    one, other = (file_statistics(sorted(side.iterdir()), network) for side in (real, fake))
    assert found["fid"] == frechet(one, other)
    kid = kernel_distance(one.features, other.features)
    assert found["kid"] == {"mean": kid.mean, "low": kid.low, "high": kid.high}


def test_all_dimensions_are_compared_by_default(tmp_path, lipgan, fid_weights, monkeypatch):
    real = folder(tmp_path / "real", 3, 256)
    compared = []

    def distance(one, other, progress):
        compared.append((one.dimensions, other.dimensions))
        return 1.5

    monkeypatch.setattr(fid_engine, "frechet", distance)
    ran = lipgan("score", "--fid", real, real, "--fid-weights", fid_weights, "--json")
    assert distances(ran)["fid"] == 1.5
    assert compared == [(2048, 2048)]


def test_sides_that_do_not_match_get_fid_alone(tmp_path, lipgan, short_features):
    real, fake = folder(tmp_path / "real", 4, 256), folder(tmp_path / "fake", 3, 99)
    arguments = ("score", "--fid", real, fake, real, "--fid-weights", short_features)
    ran = lipgan(*arguments)
    assert ran.code == 0
    first, *notes = ran.stderr.splitlines()
    assert first.startswith("FID alone, no PSNR and SSIM: the folders do not match by name: only")
    assert notes == [f"{FEW}4 real, 3 generated", f"{FEW}4 real, 4 generated"]
    figures, apart = ran.stdout.split("\n\n")
    assert "SSIM, whole, real" in figures
    assert "fake" not in figures
    assert [row.split()[0] for row in apart.splitlines()[2:-1]] == ["fake", "real"]
    quiet = lipgan(*arguments, "--quiet", "--json")
    assert quiet.stderr == ""
    assert json.loads(quiet.stdout)["systems"][0]["figures"] is None


def test_mixed_sizes_and_too_few_are_told(tmp_path, lipgan, short_features):
    real = folder(tmp_path / "real", 3, 256)
    one, mixed = folder(tmp_path / "one", 1, 256), folder(tmp_path / "mixed", 2, 256)
    Image.new("RGB", (40, 40)).save(mixed / "b.png")
    given = ("--fid-weights", short_features)
    line = failed(lipgan("score", "--fid", real, one, *given))
    assert line == f"error: FID needs two pictures a side or more, not 1: {one / '000.png'}"
    line = failed(lipgan("score", "--fid", real, mixed, *given))
    assert "FID needs pictures of one size" in line
    assert f"{mixed / 'b.png'} has 40x40" in line


def test_statistics_are_saved_and_stand_for_the_pictures(tmp_path, lipgan, short_features):
    real, fake = folder(tmp_path / "real", 6, 256), folder(tmp_path / "fake", 6, 99)
    saved = tmp_path / "out" / "real [1].npz"
    given = ("--fid-weights", short_features, "--json", "--fid")
    first = distances(lipgan("score", real, fake, *given, "--save-statistics", saved))
    ran = lipgan("score", saved, fake, *given)
    note = f"FID alone, no PSNR and SSIM: {saved} is a file of statistics and {fake} is a folder"
    assert ran.stderr.startswith(note)
    assert distances(ran) == first
    assert load_statistics(saved).count == 6
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_statistics_of_pytorch_fid_are_read(tmp_path, lipgan, short_features, own):
    real, fake = folder(tmp_path / "real", 6, 256), folder(tmp_path / "fake", 5, 99)
    saved = tmp_path / "real.npz"
    with redirect_stdout(io.StringIO()):
        own.save_fid_stats([str(real), str(saved)], 50, "cpu", 64, num_workers=0)
    given = ("--fid", "--fid-weights", short_features)
    found = distances(lipgan("score", saved, fake, *given, "--json"))
    assert found["kid"] is found["real"] is None
    pictures = distances(lipgan("score", real, fake, *given, "--json"))
    assert found["fid"] == pytest.approx(pictures["fid"], abs=1e-6)
    head, _, row = lipgan("score", saved, fake, *given).stdout.splitlines()
    assert head.split() == ["FID", "generated"]
    assert row.split() == ["fake", f"{found['fid']:.4f}", "5"]


def test_statistics_are_refused_where_they_are_of_no_use(tmp_path, lipgan, short_features, network):
    real = folder(tmp_path / "real", 3, 256)
    saved, text, deep = (tmp_path / f"{name}.npz" for name in ("saved", "text", "deep"))
    np.savez(saved, mu=np.zeros(64), sigma=np.eye(64))
    np.savez(deep, mu=np.zeros(2048), sigma=np.eye(2048))
    text.write_text("no statistics")
    given = ("--fid", "--fid-weights", short_features)
    line = failed(lipgan("score", real, saved, *given))
    assert line.startswith(f"error: {saved} is a file of statistics, which can stand for the real")
    line = failed(lipgan("score", saved, real))
    assert "is a file of statistics and" in line
    line = failed(lipgan("score", text, real, *given))
    assert line == f"error: {text} does not hold the statistics of features"
    line = failed(lipgan("score", deep, real, *given))
    assert line.endswith("have 2,048 dimensions, not 64")
    assert "nothing to compare" not in failed(lipgan("score", saved))


def test_statistics_that_are_there_are_kept_before_any_work(
    tmp_path, lipgan, short_features, monkeypatch
):
    real, saved = folder(tmp_path / "real", 3, 256), tmp_path / "saved.npz"
    saved.write_text("mine")
    given = ("--fid", "--fid-weights", short_features, "--save-statistics", saved)
    with monkeypatch.context() as patch:
        for module, name in ((pairs, "open_side"), (options, "fid_network_file")):
            patch.setattr(module, name, lambda *_: pytest.fail("it has begun"))
        assert failed(lipgan("score", real, real, *given)) == f"error: {saved} exists already"
    assert saved.read_text() == "mine"
    assert lipgan("score", real, real, *given, "--force").code == 0
    assert load_statistics(saved).count == 3


def test_wrong_network_is_refused(tmp_path, lipgan):
    real, text = folder(tmp_path / "real", 3, 256), tmp_path / "network.pth"
    text.write_text("<html>")
    line = failed(lipgan("score", "--fid", real, real, "--fid-weights", text))
    assert line == f"error: {text} is not a file of PyTorch weights"


def test_a_video_gives_all_its_frames(talk, face, lipgan, short_features, network, tmp_path):
    real = talk(tmp_path / "real.mkv", [face, face[::-1], face[:, ::-1]], sound=False)
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, frame in enumerate(map(to_rgb, read_frames(probe(real)))):
        Image.fromarray(frame).save(frames / f"{number:03d}.png")
    given = ("--fid", "--fid-weights", short_features, "--json")
    ran = lipgan("score", real, frames, *given)
    assert ran.stderr.splitlines() == [
        f"FID alone, no PSNR and SSIM: {real} is a video and {frames} is a folder of pictures",
        f"{FEW}3 real, 3 generated",
    ]
    found = distances(ran)
    assert found["fid"] == pytest.approx(0, abs=1e-5)
    both = distances(lipgan("score", real, real, *given))
    assert (both["fid"], both["generated"]) == (found["fid"], 3)


@pytest.fixture
def dataset(prepare_toy):
    return prepare_toy({"s1/a": 5, "s1/b": 4, "s2/c": 3}, test=("s2/c",))


def test_a_dataset_gives_the_faces_of_a_subset(dataset, lipgan, short_features, network):
    given = ("--fid", "--fid-weights", short_features, "--json")
    clip = dataset / "clips" / "s2" / "c"
    ran = lipgan("score", dataset, clip, *given)
    assert ran.stderr.splitlines()[0] == (
        "FID alone, no PSNR and SSIM: the faces of a dataset are not matched by name"
    )
    found = distances(ran)
    assert (found["real"], found["generated"]) == (3, 3)
    assert found["fid"] == pytest.approx(0, abs=1e-5)
    found = distances(lipgan("score", clip, dataset, "--subset", "full", *given))
    assert (found["real"], found["generated"]) == (3, 9)
    assert "not matched by name" in failed(lipgan("score", dataset, clip))
    assert "there is no subset 'all'" in failed(lipgan("score", dataset, clip, "--subset", "all"))


def test_kinds_of_sides(dataset, films, tmp_path):
    pictures = folder(tmp_path / "pictures", 2, 256)
    kinds = {
        pictures: "a folder of pictures",
        pictures / "000.png": "a picture",
        films["real"]: "a video",
        tmp_path / "saved.NPZ": "a file of statistics",
        dataset: "a folder of pictures",
    }
    (tmp_path / "saved.NPZ").write_text("")
    for path, kind in kinds.items():
        assert open_side(path).kind == kind
    assert [open_side(path).named for path in (pictures, dataset)] == [True, False]
    with pytest.raises(InputError, match="does not exist"):
        open_side(tmp_path / "none")
    with pytest.raises(InputError, match="no picture in"):
        open_side(dataset / "clips")


def test_a_picture_stays_one_whatever_its_ending(tmp_path, lipgan):
    # As a video its colours would have half the size, and the figures would be others.
    rng = np.random.default_rng(1)
    decibels = []
    noise = [rng.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(2)]
    for ending in ("png", "PNG"):
        paths = [tmp_path / f"{number}.{ending}" for number in range(2)]
        for path, picture in zip(paths, noise, strict=True):
            cv2.imwrite(str(path), picture)
        (system,) = json.loads(lipgan("score", *paths, "--json").stdout)["systems"]
        decibels.append(system["figures"]["whole"]["psnr"]["mean"])
    assert decibels[0] == decibels[1]
