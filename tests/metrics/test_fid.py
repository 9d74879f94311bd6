"""FID: the same number as pytorch-fid's own, from a local file of weights."""

from __future__ import annotations

import hashlib
import inspect
import io
import os
import pickle
import subprocess
import sys
import warnings
import weakref
from contextlib import contextmanager, redirect_stdout
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_fid import fid_score, inception
from safetensors.torch import load_file, save_file
from scipy import linalg

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.metrics.features import Statistics, load_statistics
from lipgan_cli.engine.metrics.fid import (
    PictureCollector,
    _matrix_root,
    file_statistics,
    frechet,
    note_few,
    picture_statistics,
)
from lipgan_cli.engine.metrics.inception import DIMENSIONS, extract, load_network, prepare
from lipgan_cli.engine.metrics.pictures import ENDINGS, list_pictures, read_picture
from lipgan_cli.engine.weights.tensors import convert

HAS_DISP = "disp" in inspect.signature(linalg.sqrtm).parameters
"""Whether pytorch-fid can use SciPy's matrix root as it is."""


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
        if not HAS_DISP:
            patch.setattr(fid_score, "linalg", SimpleNamespace(sqrtm=_matrix_root))
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


def distance(real, generated, weights):
    network = load_network(weights, dimensions=64)
    return frechet(*(file_statistics(side, network) for side in (real, generated)))


@pytest.mark.parametrize("batch", [2, 5, 50])  # many batches, a whole one, one not full
def test_equals_pytorch_fid(tmp_path, fid_weights, capfd, batch):
    real = pictures(tmp_path / "real", 11, 256)
    generated = pictures(tmp_path / "generated", 5, 128)
    network = load_network(fid_weights, dimensions=64)
    told = Notes()
    sides = [file_statistics(side, network, batch, told) for side in (real, generated)]
    ours = frechet(*sides, told)
    assert capfd.readouterr() == ("", "")
    with own_weights(fid_weights):
        folders = [str(tmp_path / "real"), str(tmp_path / "generated")]
        theirs = fid_score.calculate_fid_given_paths(folders, batch, "cpu", 64, num_workers=0)
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert ours > 0.01
    assert [side.count for side in sides] == [11, 5]
    assert told.steps == 16


@pytest.mark.skipif(not HAS_DISP, reason="pytorch-fid's own command needs SciPy before 1.18")
def test_equals_the_command_of_pytorch_fid(tmp_path, fid_weights):
    # In JPEG, and with endings whose order is not that of the names.
    real = pictures(tmp_path / "real", 7, 256)
    for path in real[::2]:
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    pictures(tmp_path / "generated", 5, 128)
    # pytorch-fid looks for its network where torch keeps what it has downloaded.
    kept = tmp_path / "torch" / "hub" / "checkpoints" / Path(inception.FID_WEIGHTS_URL).name
    kept.parent.mkdir(parents=True)
    kept.symlink_to(fid_weights)
    command = [sys.executable, "-m", "pytorch_fid", str(tmp_path / "real")]
    command += [str(tmp_path / "generated"), "--dims", "64", "--batch-size", "3"]
    ran = subprocess.run(
        [*command, "--device", "cpu", "--num-workers", "0"],
        env=os.environ | {"TORCH_HOME": str(tmp_path / "torch"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = float(ran.stdout.split("FID:")[1])
    network = load_network(fid_weights, dimensions=64)
    ours = frechet(
        *(
            file_statistics(list_pictures(tmp_path / side), network, batch=3)
            for side in ("real", "generated")
        )
    )
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert ours > 0.01


def test_weights_turned_into_safetensors_are_the_same_network(tmp_path, fid_weights):
    published = hashlib.sha256(fid_weights.read_bytes()).hexdigest()
    turned = tmp_path / "network.safetensors"
    convert(fid_weights, turned, "network.pth", published)
    networks = [load_network(path, dimensions=64) for path in (fid_weights, turned)]
    assert [network.sha256 for network in networks] == [published, published]
    real = pictures(tmp_path / "real", 3, 256)
    one, other = (file_statistics(real, network) for network in networks)
    assert (one.features == other.features).all()
    own = tmp_path / "own.safetensors"  # of somebody's own, known by itself
    save_file(load_file(turned), own)
    assert load_network(own, dimensions=64).sha256 == hashlib.sha256(own.read_bytes()).hexdigest()


@pytest.mark.parametrize(("width", "height"), [(96, 96), (31, 340), (299, 299)])
def test_features_are_those_of_pytorch_fid(tmp_path, fid_weights, width, height):
    rng = np.random.default_rng(5)
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(path)
    network = load_network(fid_weights, dimensions=192)
    ours = extract(network, [prepare(network, read_picture(path)) for path in paths])
    with own_weights(fid_weights):
        theirs = fid_score.get_activations(
            paths, inception.InceptionV3([1]), batch_size=3, dims=192, num_workers=0
        )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_features_are_those_that_everybody_compares(tmp_path, fid_weights):
    # The root of a 2048 x 2048 matrix takes too long here: the statistics before it must do.
    assert DIMENSIONS == 2048
    real = pictures(tmp_path / "real", 3, 256)
    ours = file_statistics(real, load_network(fid_weights))
    with own_weights(fid_weights):
        theirs = fid_score.calculate_activation_statistics(
            real, inception.InceptionV3([3]), batch_size=3, dims=2048, num_workers=0
        )
    assert ours.mean.shape == (2048,)
    assert ours.mean.std() > 0.01
    np.testing.assert_allclose(ours.mean, theirs[0], atol=1e-9)
    np.testing.assert_allclose(ours.covariance, theirs[1], atol=1e-9)


def test_statistics_saved_by_pytorch_fid_are_read(tmp_path, fid_weights):
    real = pictures(tmp_path / "real", 6, 256)
    path = tmp_path / "real.npz"
    with own_weights(fid_weights), redirect_stdout(io.StringIO()):
        fid_score.save_fid_stats([str(tmp_path / "real"), str(path)], 4, "cpu", 64, num_workers=0)
    network = load_network(fid_weights, dimensions=64)
    theirs = load_statistics(path, network.sha256, network.dimensions)
    ours = file_statistics(real, network, batch=4)
    assert frechet(ours, theirs) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(ours.covariance, theirs.covariance, atol=1e-9)


def test_pictures_from_anywhere_are_not_held(tmp_path, fid_weights):
    paths = pictures(tmp_path / "real", 20, 256)
    alive, most = set(), 0

    def frames():
        nonlocal most
        for path in paths:
            frame = read_picture(path)
            alive.add(id(frame))
            weakref.finalize(frame, alive.discard, id(frame))
            most = max(most, len(alive))
            yield frame

    network = load_network(fid_weights, dimensions=64)
    told = Notes()
    found = picture_statistics(frames(), network, 4, told, total=20)
    expected = file_statistics(paths, network, 4)
    assert (found.mean == expected.mean).all()
    assert (found.covariance == expected.covariance).all()
    assert found.features.shape == (20, 64)
    assert found.network == network.sha256 == hashlib.sha256(fid_weights.read_bytes()).hexdigest()
    assert most <= 3
    assert told.steps == 20


def test_two_sides_can_be_collected_at_once(tmp_path, fid_weights):
    sides = [pictures(tmp_path / "real", 5, 256), pictures(tmp_path / "generated", 6, 128)]
    network = load_network(fid_weights, dimensions=64)
    collectors = [PictureCollector(network, batch=2) for _ in sides]
    for pair in zip_longest(*sides):
        for collector, path in zip(collectors, pair, strict=True):
            if path is not None:
                collector.add(read_picture(path))
    for side, collector in zip(sides, collectors, strict=True):
        assert (collector.statistics().mean == file_statistics(side, network, 2).mean).all()


def gaussian(mean, covariance, network=None):
    return Statistics(9, np.array(mean, float), np.array(covariance, float), None, network)


def test_frechet_distance_by_hand():
    one = gaussian([0, 0], [[4, 0], [0, 1]])
    other = gaussian([3, 4], [[9, 0], [0, 1]])
    assert frechet(one, other) == pytest.approx(25 + (3 - 2) ** 2)
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet(gaussian([1], [[4]]), gaussian([3], [[1]])) == pytest.approx(4 + 1)


def test_statistics_that_do_not_belong_together_are_refused():
    flat, deep = gaussian([0], [[1]]), gaussian([0, 0], np.eye(2))
    with pytest.raises(InputError, match="have 1 and 2 dimensions"):
        frechet(flat, deep)
    with pytest.raises(InputError, match="come from two networks"):
        frechet(gaussian([0], [[1]], "abc"), gaussian([0], [[1]], "def"))
    assert frechet(gaussian([0], [[1]], "abc"), flat) == pytest.approx(0)  # it may be the same


def test_statistics_without_a_distance_are_a_failure():
    with pytest.raises(LipganError, match="the Frechet distance cannot be computed"):
        frechet(gaussian([0], [[1]]), gaussian([0], [[-1]]))


@pytest.mark.parametrize(
    ("real", "generated", "note"),
    [
        (2048, 2048, None),
        (None, 5000, None),
        (None, None, None),
        (5000, 2047, "5,000 real, 2,047 generated"),
        (None, 9, "9 generated"),
        (9, None, "9 real"),
    ],
)
def test_few_pictures_are_noted(real, generated, note):
    told = Notes()
    note_few(real, generated, told)
    start = "FID is not reliable under 2,048 pictures a side: "
    assert told.notes == ([] if note is None else [start + note])


def test_same_pictures_have_no_distance(tmp_path, fid_weights):
    real = pictures(tmp_path / "real", 3, 256)
    assert distance(real, real, fid_weights) == pytest.approx(0, abs=1e-5)


def test_pytorch_fid_is_left_as_it_was(tmp_path, fid_weights):
    before = dict(vars(fid_score)), dict(vars(inception))
    real = pictures(tmp_path / "real", 3, 256)
    distance(real, real, fid_weights)
    with pytest.raises(InputError):
        load_network(Path(__file__))
    assert (dict(vars(fid_score)), dict(vars(inception))) == before


def test_endings_are_those_of_pytorch_fid():
    assert ENDINGS == fid_score.IMAGE_EXTENSIONS


def test_one_picture_is_too_few(tmp_path, fid_weights):
    real = pictures(tmp_path / "real", 2, 256)
    with pytest.raises(InputError, match=r"two pictures a side or more, not 1: .*000\.png"):
        distance(real, real[:1], fid_weights)


def test_mixed_sizes_are_named(tmp_path, fid_weights):
    real = pictures(tmp_path / "real", 2, 256) + pictures(tmp_path / "large", 1, 256, side=40)
    with pytest.raises(InputError, match=r"000\.png has 32x32, .*large.000\.png has 40x40"):
        distance(real, real, fid_weights)


def test_frames_of_mixed_sizes_are_an_error(fid_weights):
    collector = PictureCollector(load_network(fid_weights, dimensions=64))
    collector.add(np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InputError, match="the first has 30x20, another has 20x30"):
        collector.add(np.zeros((30, 20, 3), np.uint8))
    with pytest.raises(InputError, match="two samples a side or more, not 1"):
        collector.statistics()


def test_batch_of_nothing_is_an_error(fid_weights):
    with pytest.raises(InputError, match="a batch of 0 pictures"):
        PictureCollector(load_network(fid_weights, dimensions=64), batch=0)


def test_damaged_picture_is_named(tmp_path, fid_weights):
    real = pictures(tmp_path / "real", 3, 256)
    real[1].write_bytes(real[1].read_bytes()[:500])
    with pytest.raises(InputError, match=r"real.001\.png cannot be read"):
        distance(real, real, fid_weights)


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
    with pytest.raises(
        InputError, match=r"weights\.pth (is not a file|holds more|does not)"
    ) as caught:
        load_network(path)
    assert "download-weights fid-inception" in caught.value.hint
    assert "unpickled" not in capfd.readouterr().out


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(InputError, match=r"the FID network .* does not exist"):
        load_network(tmp_path / "weights.pth")
