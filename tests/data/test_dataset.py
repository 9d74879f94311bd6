"""The dataset on disk: what is written is read, and what is damaged is said to be."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lipgan_cli.engine.data.dataset import FORMAT, Dataset, resolve
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.media.flac import write_flac


def make(path: Path, keys: tuple[str, ...] = ("s1/a", "s1/b c"), number: int = FORMAT) -> Path:
    """Write a dataset by hand, as the format says: 3 faces a clip, in `full` alone."""
    for key in keys:
        clip = path / "clips" / key
        clip.mkdir(parents=True)
        for frame in (0, 1, 12345):
            level = 10 * (frame % 10) + 50
            Image.new("RGB", (96, 96), (level, 20, 200)).save(clip / f"{frame:05d}.jpg", quality=95)
        np.savez_compressed(clip / "mel.npz", mel=np.full((80, 30), -3, np.float32))
        write_flac(clip / "sound.flac", np.array([0.5, -0.25, 0.125], np.float32))
        about = {"frames": [0, 1, 12345], "times": [0.0, 0.04, 493.8]}
        (clip / "clip.json").write_text(json.dumps(about))
    (path / "subsets").mkdir(parents=True)
    (path / "subsets" / "full.txt").write_text("".join(f"{key}\n" for key in keys))
    (path / "dataset.json").write_text(json.dumps({"format": number, "parameters": {}}))
    return path


def test_clips_are_read_as_they_were_written(tmp_path: Path) -> None:
    dataset = Dataset.open(make(tmp_path / "d"))
    first, second = dataset.clips("full")
    assert (first.key, first.speaker, second.key) == ("s1/a", "s1", "s1/b c")
    assert len(first) == 3
    assert first.frames.tolist() == [0, 1, 12345]
    assert first.times.tolist() == [0.0, 0.04, 493.8]
    face = first.face(2)
    assert face.shape == (96, 96, 3)
    assert face.dtype == np.uint8
    np.testing.assert_allclose(face.astype(int), np.tile([100, 20, 200], (96, 96, 1)), atol=3)
    mel = second.mel()
    assert mel.dtype == np.float32
    assert mel.shape == (80, 30)
    assert (mel == -3).all()
    sound = second.sound()
    assert sound.dtype == np.float32
    assert sound.tolist() == [0.5, -0.25, 0.125]


def test_subsets_that_are_none_or_empty_are_refused(tmp_path: Path) -> None:
    dataset = Dataset.open(make(tmp_path / "d"))
    with pytest.raises(InputError, match="no subset 'middle'"):
        dataset.clips("middle")
    with pytest.raises(InputError, match=r"subset test of .* is empty"):
        dataset.clips("test")


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a prepared dataset"):
        Dataset.open(tmp_path)
    with pytest.raises(InputError, match="format 1, this version reads format 2") as old:
        Dataset.open(make(tmp_path / "earlier", number=1))
    assert "prepare the clips again" in old.value.hint
    damaged = make(tmp_path / "damaged")
    (damaged / "dataset.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        Dataset.open(damaged)


def test_damage_names_the_file(tmp_path: Path) -> None:
    path = make(tmp_path / "d")
    first, second = Dataset.open(path).clips("full")
    (first.folder / "00000.jpg").unlink()
    (first.folder / "00001.jpg").write_bytes(b"no picture")
    (first.folder / "mel.npz").write_bytes(b"no array")
    (first.folder / "sound.flac").write_bytes(b"no sound")
    (second.folder / "sound.flac").unlink()
    cv2.imwrite(str(second.folder / "00001.jpg"), np.zeros((64, 64, 3), np.uint8))
    mel = second.folder / "mel.npz"
    mel.write_bytes(mel.read_bytes()[:-10])
    faces = (lambda: first.face(0), lambda: first.face(1), lambda: second.face(1))
    for read in (*faces, first.mel, second.mel, first.sound, second.sound):
        with pytest.raises(LipganError, match=r"missing or damaged"):
            read()
    (second.folder / "clip.json").unlink()
    with pytest.raises(LipganError, match=r"clip\.json"):
        Dataset.open(path).clips("full")


def test_the_only_dataset_is_the_one_that_is_meant(home: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prepared dataset") as none:
        resolve(None)
    assert "lipgan prep" in none.value.hint
    one = make(home / "datasets" / "one")
    (home / "datasets" / "no dataset").mkdir()
    empty = make(home / "datasets" / "empty")
    (empty / "subsets" / "full.txt").write_text("")
    assert resolve(None) == one
    make(home / "datasets" / "two")
    with pytest.raises(InputError, match="one, two") as several:
        resolve(None)
    assert "--data" in several.value.hint
    assert resolve(Path("two")) == home / "datasets" / "two"
    assert resolve(tmp_path) == tmp_path
