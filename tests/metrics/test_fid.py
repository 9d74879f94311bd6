"""FID: the same number as pytorch-fid's own, from a local file of weights."""

from __future__ import annotations

import pickle
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_fid import fid_score, inception

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.metrics import fid
from lipgan_cli.engine.metrics.fid import (
    DIMENSIONS,
    _statistics,
    frechet_distance,
    load_network,
)
from lipgan_cli.engine.metrics.pictures import ENDINGS


@pytest.fixture(scope="module")
def fid_weights(tmp_path_factory):
    """A file of the FID network's shape with random weights, about as loud at its end as inside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: None)
        torch.manual_seed(10)
        network = inception.fid_inception_v3()
    state = network.state_dict()
    for name, weight in state.items():
        if name.endswith("conv.weight"):
            weight *= 6**0.5  # what torch's default loses in each layer
    path = tmp_path_factory.mktemp("fid") / "network.pth"
    torch.save(state, path)
    return path


def pictures(folder, count, brightest, side=32):
    folder.mkdir()
    rng = np.random.default_rng(count)
    for index in range(count):
        pixels = rng.integers(0, brightest, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:03d}.png")
    return sorted(folder.iterdir())


@contextmanager
def own_weights(path):
    """pytorch-fid as it is, but for where its weights come from."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = torch.load(path, weights_only=True)
        patch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: state)
        yield


class Notes:
    """A progress that remembers its notes and counts its steps."""

    def __init__(self):
        self.notes, self.steps = [], 0

    @contextmanager
    def task(self, description, total=None, unit=""):
        yield self

    def advance(self, steps=1):
        self.steps += steps

    def show(self, **figures):
        pass

    def note(self, message):
        self.notes.append(message)


def test_equals_pytorch_fid(tmp_path, fid_weights, capfd, monkeypatch):
    monkeypatch.setattr(fid, "BATCH", 4)
    real = pictures(tmp_path / "real", 6, 256)  # more than one batch, and a smaller last one
    generated = pictures(tmp_path / "generated", 5, 128)
    told = Notes()
    ours = frechet_distance(real, generated, fid_weights, "cpu", told, dimensions=64)
    assert capfd.readouterr() == ("", "")
    with own_weights(fid_weights):
        folders = [str(tmp_path / "real"), str(tmp_path / "generated")]
        theirs = fid_score.calculate_fid_given_paths(folders, 4, "cpu", 64, num_workers=0)
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert ours > 0.01
    assert told.steps == 11
    assert told.notes == ["FID is not reliable under 2,048 pictures a side: 6 real, 5 generated"]


def test_features_are_those_that_everybody_compares(tmp_path, fid_weights):
    # The root of a 2048 x 2048 matrix takes too long here: the statistics before it must do.
    assert DIMENSIONS == 2048
    real = pictures(tmp_path / "real", 3, 256)
    network = load_network(fid_weights)
    ours = _statistics(network, real, DIMENSIONS, "cpu", Notes())
    with own_weights(fid_weights):
        theirs = fid_score.calculate_activation_statistics(
            real, inception.InceptionV3([3]), batch_size=3, dims=2048, num_workers=0
        )
    assert ours[0].shape == (2048,)
    assert ours[0].std() > 0.01
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-9)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-9)


def test_same_pictures_have_no_distance(tmp_path, fid_weights):
    real = pictures(tmp_path / "real", 3, 256)
    assert frechet_distance(real, real, fid_weights, dimensions=64) == pytest.approx(0, abs=1e-5)


def test_pytorch_fid_is_left_as_it_was(tmp_path, fid_weights):
    before = dict(vars(fid_score)), dict(vars(inception))
    real = pictures(tmp_path / "real", 3, 256)
    frechet_distance(real, real, fid_weights, dimensions=64)
    with pytest.raises(InputError):
        load_network(Path(__file__))
    assert (dict(vars(fid_score)), dict(vars(inception))) == before


def test_endings_are_those_of_pytorch_fid():
    assert ENDINGS == fid_score.IMAGE_EXTENSIONS


def test_one_picture_is_too_few(tmp_path, fid_weights):
    real = pictures(tmp_path / "real", 2, 256)
    with pytest.raises(InputError, match=r"two pictures a side or more, not 1: .*000\.png"):
        frechet_distance(real, real[:1], fid_weights)


def test_mixed_sizes_are_named(tmp_path, fid_weights):
    real = pictures(tmp_path / "real", 2, 256) + pictures(tmp_path / "large", 1, 256, side=40)
    with pytest.raises(InputError, match=r"000\.png has 32x32, .*large.000\.png has 40x40"):
        frechet_distance(real, real, fid_weights)


def test_damaged_picture_is_named(tmp_path, fid_weights):
    real = pictures(tmp_path / "real", 3, 256)
    real[1].write_bytes(real[1].read_bytes()[:500])
    with pytest.raises(InputError, match=r"real.001\.png cannot be read"):
        frechet_distance(real, real, fid_weights, dimensions=64)


class Evil:
    def __reduce__(self):
        return (print, ("unpickled",))


@pytest.mark.parametrize(
    ("content", "protocol"),
    [("text", 0), ("pickle", 2), ("pickle", 4), ("other", 0), ("list", 0)],
)
def test_wrong_weights_are_named(tmp_path, content, protocol, capfd):
    path = tmp_path / "weights.pth"
    if content == "text":
        path.write_text("<html>not found</html>")
    elif content == "pickle":
        path.write_bytes(pickle.dumps(Evil(), protocol=protocol))
    else:
        torch.save({"a": torch.zeros(1)} if content == "other" else [1], path)
    with pytest.raises(InputError, match=r"weights\.pth (is not a file|does not hold)") as caught:
        load_network(path)
    assert "download-weights fid-inception" in caught.value.hint
    assert "unpickled" not in capfd.readouterr().out


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(InputError, match=r"the FID network .* does not exist"):
        load_network(tmp_path / "weights.pth")
