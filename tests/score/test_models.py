"""Models on a dataset from the command line: figures that are known, several models, lip-sync."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from lipgan_cli.engine.data.dataset import FORMAT
from lipgan_cli.engine.gan.inference import Animator
from lipgan_cli.engine.media import landmarks
from lipgan_cli.engine.metrics import inception
from lipgan_cli.engine.metrics.features import load_statistics
from lipgan_cli.engine.score import models


@pytest.fixture(autouse=True)
def _no_landmarks(monkeypatch):
    """Without dlib's landmarks, which only some have."""
    monkeypatch.setattr(landmarks, "installed_landmarks", lambda: None)


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
    """A model that is off by 1 with level 0, by 2 with 1, by 3 with 2, by 10 in silence.

    One in a file is worse by the number at the end of the file's name.
    """
    loaded = []

    def load(weights, device, batch_statistics=False):
        loaded.append((weights, str(device), batch_statistics))
        worse = 0 if weights is None else int(weights.stem[-1])

        def faces(_reference, target, windows):
            levels = windows.mean(axis=(1, 2)).round().astype(int)
            off = np.where(levels < 0, 10, levels + 1) + worse
            return (target + off[:, None, None, None]).astype(np.uint8)

        return SimpleNamespace(faces=faces)

    monkeypatch.setattr(Animator, "load", load)
    return loaded


def weights(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    return path


def off(*steps):
    return np.mean([20 * math.log10(255 / step) for step in steps])


def failed(ran):
    """The error's one line, of bad input with nothing on stdout."""
    assert (ran.code, ran.stdout) == (2, "")
    line, hint = ran.stderr.splitlines()
    assert hint.startswith("hint: ")
    return line


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
    measures = ["SSIM, whole", "PSNR in dB, whole", "SSIM, mouth", "PSNR in dB, mouth"]
    measures += ["change of upper face, levels", "change of eyes, levels"]
    assert names == [f"{name}, {measure}" for name in ("s1", "s2", "all") for measure in measures]
    values = [f"{value:.2f}" for value in (off(1, 2), off(1, 2), off(1), off(2))]
    assert rows[3][-4:] == values
    assert rows[6][-4:] == ["1.50", "1.50", "2.00", "1.00"]
    # The clips' real faces are all alike: there is no response to the face.
    head, _, row = responses.splitlines()
    assert (head.split(), row.split()) == (
        ["response", "share", "of", "real"],
        ["to", "the", "sound", "0.00"],
    )


def test_batch_statistics_are_asked_of_the_model(lipgan, dataset, model):
    assert lipgan("score", "--device", "cpu", "--batch-statistics").code == 0
    assert model == [(None, "cpu", True)]
    ran = lipgan("score", "--device", "cpu", "--batch-statistics", "--every", 7)
    assert "--batch-statistics needs two measured frames of every clip" in failed(ran)


def test_json_of_a_model(lipgan, dataset, model):
    ran = lipgan("score", "--data", dataset, "--every", 7, "--json", "-q", "--device", "cpu")
    assert (ran.code, ran.stderr) == (0, "")
    result = json.loads(ran.stdout)
    (scored,) = result.pop("models")
    assert result == {"data": str(dataset), "subset": "test", "every": 7}
    figures = scored.pop("figures")
    assert scored == {
        "name": "lipgan's own",
        "weights": None,
        "response": {"audio": 0, "face": None},
        "distances": None,
        "sync": None,
    }
    one, two = figures["speakers"]
    assert (one["name"], one["clips"], one["frames"]) == ("s1", 2, 2)
    assert one["right"]["mouth"]["psnr"]["max"] == pytest.approx(off(1))
    assert one["right"]["eyes_change"]["mean"] == pytest.approx(1.5)
    assert one["gap_to_swapped"] == pytest.approx(0)
    assert two["swapped"] is two["gap_to_swapped"] is None
    assert figures["total"]["gap_to_still"] == pytest.approx(off(1, 2, 3) - off(10))


def test_models_side_by_side(tmp_path, home, lipgan, dataset, model, monkeypatch):
    file = weights(tmp_path / "model 1.safetensors")
    # A run's file of weights has one name in every run: the run's own is told.
    run = weights(home / "runs" / "run [2] ü" / "weights.safetensors")
    monkeypatch.setattr(models, "find_model", find_run_as(run.with_name("run2"), models.find_model))
    ran = lipgan("score", "--model", file, "--model", "run [2] ü", "--weights", file.parent, "-q")
    assert "there is no model" in failed(ran)
    ran = lipgan("score", "--model", file, "--model", "run [2] ü", "--device", "cpu")
    assert ran.code == 0
    assert [path for path, _, _ in model] == [file, run.with_name("run2")]
    table, *others = ran.stdout.split("\n\n")
    head, _, *rows = table.splitlines()
    assert head.split("  ")[0] == "model"
    columns = ["PSNR in dB, mouth", "gap to swapped", "gap to still", "PSNR in dB, whole"]
    columns += ["SSIM, whole", "change of eyes, levels"]
    assert [part.strip() for part in head.split("  ") if part.strip()][1:] == columns
    first, second = (row.split()[-6:] for row in rows)
    assert first[0] == f"{off(2, 3, 4):.2f}"
    assert second[0] == f"{off(3, 4, 5):.2f}"
    assert (first[-1], second[-1]) == ("3.00", "4.00")
    # Of several models, the totals alone; the rest is in the report.
    names = [other.splitlines()[0].split("  ")[0] for other in others]
    assert names == [
        f"{name}: {table}"
        for name in ("model 1", "run2")
        for table in ("mouth, mean PSNR in dB", "right audio", "response")
    ]
    assert [line.split()[0] for line in others[0].splitlines()[2:]] == ["all"]
    assert others[2].splitlines()[-1] == "The figures of each speaker are in --report and --json."
    result = json.loads(lipgan("score", "--model", file, "--model", "run [2] ü", "--json").stdout)
    assert [each["name"] for each in result["models"]] == ["model 1", "run2"]
    assert [len(each["figures"]["speakers"]) for each in result["models"]] == [2, 2]


def find_run_as(path, find):
    """Let a run's weights have another name, which tells the stub how bad they are."""

    def found(given):
        file = find(given)
        return path if file.stem == "weights" else file

    return found


def test_names_of_models(tmp_path, home):
    run = weights(home / "runs" / "first" / "weights.safetensors")
    assert models.find_model(Path("first")) == run
    assert models.find_model(run.parent) == models.find_model(run) == run
    one, other = tmp_path / "a" / "x.safetensors", tmp_path / "b" / "x.safetensors"
    names = models._names([None, run, one, other])
    assert names == ["lipgan's own", "first", str(one), str(other)]


def test_nothing_is_measured_before_all_is_there(
    tmp_path, lipgan, dataset, model, monkeypatch, fid_weights
):
    monkeypatch.setattr(models, "measure", lambda *_: pytest.fail("it has begun"))
    file = weights(tmp_path / "model1.safetensors")
    arguments = ["--model", file]
    line = failed(lipgan("score", *arguments, "--model", tmp_path / "none"))
    assert line == f"error: there is no model {tmp_path / 'none'}"
    assert f"{file} is given twice" in failed(lipgan("score", *arguments, "--model", file))
    judge = tmp_path / "none.safetensors"
    assert str(judge) in failed(lipgan("score", *arguments, "--sync", "--judge", judge))
    saved = weights(tmp_path / "saved.npz")
    arguments += ["--fid", "--fid-weights", fid_weights, "--save-statistics", saved]
    assert failed(lipgan("score", *arguments)) == f"error: {saved} exists already"


def test_what_is_no_model_is_told(tmp_path, lipgan, dataset):
    line = failed(lipgan("score", "--model", weights(tmp_path / "x.safetensors")))
    assert str(tmp_path / "x.safetensors") in line


def test_rows_of_models(tmp_path, lipgan, dataset, model):
    path = tmp_path / "rows.csv"
    file = weights(tmp_path / "model1.safetensors")
    ran = lipgan("score", "--model", file, "--csv", path, "-q", "--json")
    assert (ran.code, ran.stderr) == (0, "")
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0])[:5] == ["model", "clip", "frame", "condition", "psnr"]
    assert {row["model"] for row in rows} == {"model1"}
    # Six frames under four conditions, but for the swapped audio of the lone clip.
    assert len(rows) == 22
    found = {(row["clip"], row["frame"], row["condition"]): float(row["psnr"]) for row in rows}
    assert found["s1/a", "6", "right"] == pytest.approx(off(2))
    assert found["s1/a", "6", "swapped"] == pytest.approx(off(3))
    assert found["s2/c", "0", "still"] == pytest.approx(off(11))
    assert ("s2/c", "0", "swapped") not in found


def test_distances_of_models_share_the_real_side(
    tmp_path, lipgan, dataset, model, short_features, network, monkeypatch
):
    shown = []
    extract = inception.extract

    def counted(network, pictures):
        shown.append(len(pictures))
        return extract(network, pictures)

    monkeypatch.setattr("lipgan_cli.engine.metrics.fid.extract", counted)
    files = [weights(tmp_path / f"model{number}.safetensors") for number in (1, 9)]
    arguments = ["--fid", "--fid-weights", short_features, "--model", files[0], "--model", files[1]]
    saved = tmp_path / "saved.npz"
    ran = lipgan("score", *arguments, "--save-statistics", saved, "--json")
    assert ran.code == 0
    assert shown == [6, 6, 6]  # the real ones once
    near, far = (each["distances"] for each in json.loads(ran.stdout)["models"])
    assert 0 < near["fid"] < far["fid"]
    assert (near["real"], near["generated"]) == (6, 6)
    assert load_statistics(saved).count == 6
    *_, apart = lipgan("score", *arguments).stdout.split("\n\n")
    rows = [line.split()[:2] for line in apart.splitlines()[2:4]]
    assert rows == [[f"model{n}", f"{one['fid']:.4f}"] for n, one in ((1, near), (9, far))]


def test_lip_sync_of_a_model(prepare_toy, lipgan, model, judge):
    clips = {"s1/a": 30, "s1/b": 28, "s2/c": 30}
    data = prepare_toy(clips, test=tuple(clips))
    arguments = ("score", "--data", data, "--sync", "--judge", judge, "--device", "cpu")
    ran = lipgan(*arguments, "--json")
    assert ran.code == 0
    groups = json.loads(ran.stdout)["models"][0]["sync"]
    assert [group["name"] for group in groups] == ["s1", "s2", "all"]
    conditions = ["real", "real, shifted", "real, swapped", "driven", "right", "swapped"]
    conditions += ["still", "copy"]
    assert list(groups[0]["conditions"]) == conditions
    assert groups[0]["conditions"]["real"]["clips"] == 2
    assert groups[1]["real_auc"] is None  # one clip alone
    assert 0 <= groups[2]["real_auc"] <= 1
    said = lipgan(*arguments).stdout.split("\n\n")
    sync = next(table for table in said if table.startswith("lip-sync "))
    head, _, *rows, note = sync.splitlines()
    columns = ["clips", "offset within a frame", "offset in ms", "confidence", "share of real"]
    assert [part.strip() for part in head.split("  ") if part.strip()][1:] == columns
    assert note.startswith("An offset is")
    lone = [name for name in conditions if name not in {"real, swapped", "swapped", "driven"}]
    assert [row.split("   ")[0] for row in rows] == [
        *(f"s1, {name}" for name in conditions),
        *(f"s2, {name}" for name in lone),
        *(f"all, {name}" for name in conditions),
    ]
    assert rows[0].split()[-1] == "1.00"
    areas = next(table for table in said if table.startswith("AUC"))
    assert [line.split()[0] for line in areas.splitlines()[2:]] == ["s1", "s2", "all"]


def test_clips_that_are_too_short_have_no_lip_sync(lipgan, dataset, model, judge):
    ran = lipgan("score", "--sync", "--judge", judge)
    assert ran.code == 0
    assert "lip-sync" not in ran.stdout


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
