"""Statistics of features: exact for few, in bounded memory for many, in files of two tools."""

from __future__ import annotations

import io
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from pytorch_fid import fid_score

from lipgan_cli.engine.errors import InputError
from lipgan_cli.engine.metrics.features import (
    KEPT,
    FeatureCollector,
    Statistics,
    load_statistics,
    save_statistics,
)


def drawn(count, dimensions, seed=1):
    mixed = np.random.default_rng(seed).normal(3, 1, (count, dimensions))
    mixed[:, 0] += 100 * mixed[:, 1]
    return mixed.astype(np.float32)


def collected(features, batch, kept=KEPT):
    collector = FeatureCollector(kept)
    for start in range(0, len(features), batch):
        collector.add(features[start : start + batch])
    return collector.statistics("abc")


def test_hand_computed():
    found = collected(np.array([[1.0, 0.0], [3.0, 4.0]]), 1)
    assert (found.count, found.dimensions, found.network) == (2, 2, "abc")
    assert found.mean.tolist() == [2, 2]
    assert found.covariance.tolist() == [[2, 4], [4, 8]]


def test_few_are_computed_as_pytorch_fid_does():
    features = drawn(70, 6)
    found = collected(features, 32, kept=70)
    exact = features.astype(np.float64)
    assert (found.mean == np.mean(exact, axis=0)).all()
    assert (found.covariance == np.cov(exact, rowvar=False)).all()
    assert (found.features == features).all()


@pytest.mark.parametrize("batch", [1, 7, 50, 5000])
def test_many_are_computed_alike(batch):
    features = drawn(5000, 6)
    few, many = collected(features, batch), collected(features, batch, kept=60)
    assert many.count == few.count == 5000
    np.testing.assert_allclose(many.mean, few.mean, rtol=1e-12)
    np.testing.assert_allclose(many.covariance, few.covariance, rtol=1e-10, atol=1e-10)
    assert many.features.shape == (60, 6)


def test_sums_are_about_the_first_mean():
    # Features that are large for how they differ: sums of plain squares would lose all of it.
    features = drawn(3000, 3).astype(np.float64) + 1e8
    many = collected(features, 50, kept=64)
    np.testing.assert_allclose(many.covariance, np.cov(features, rowvar=False), rtol=1e-9)


def test_one_dimension():
    features = np.array([[1.0], [2.0], [6.0]])
    for kept in (2, 3):
        found = collected(features, 2, kept)
        assert found.mean == pytest.approx([3])
        assert found.covariance == pytest.approx(np.array([[7.0]]))


def test_sample_is_the_same_however_the_features_come():
    features = drawn(900, 2)
    samples = [collected(features, batch, kept=20).features for batch in (1, 13, 900)]
    assert (samples[0] == samples[1]).all()
    assert (samples[0] == samples[2]).all()
    every = {tuple(row) for row in features}
    assert len({tuple(row) for row in samples[0]} & every) == 20


def test_sample_is_even():
    # Long streams of numbers in one: each of 40 numbers is kept in 8 of 40 samples.
    collectors = [FeatureCollector(8) for _ in range(2000)]
    times = np.zeros(40)
    for seed, collector in enumerate(collectors):
        collector._random = np.random.default_rng(seed)
        collector.add(np.arange(40.0)[:, None])
        times[collector.statistics().features[:, 0].astype(int)] += 1
    assert times.sum() == 2000 * 8
    deviation = (2000 * 0.2 * 0.8) ** 0.5
    assert np.abs(times - 400).max() < 4 * deviation
    assert 0.5 < times.std() / deviation < 1.5


def test_statistics_do_not_change_with_what_is_added_later():
    collector = FeatureCollector(4)
    collector.add(drawn(4, 2))
    before = collector.statistics()
    kept = before.features.copy()
    collector.add(drawn(500, 2, seed=2))
    assert (before.features == kept).all()
    assert collector.statistics().count == 504


def test_memory_does_not_grow_with_the_number():
    def peak(batches):
        batch = drawn(50, 64)
        tracemalloc.start()
        collector = FeatureCollector(1000)
        for _ in range(batches):
            collector.add(batch.copy())
        collector.statistics()
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    few, many = peak(60), peak(600)
    assert many < 1.05 * few
    assert few < 30_000 * 64 * 4 / 2  # half of what holding the many would take


def test_one_feature_is_too_few():
    collector = FeatureCollector()
    with pytest.raises(InputError, match="two samples a side or more, not 0"):
        collector.statistics()
    collector.add(drawn(1, 2))
    with pytest.raises(InputError, match="two samples a side or more, not 1"):
        collector.statistics()


def test_file_comes_back(tmp_path):
    path = tmp_path / "folder" / "real.npz"
    saved = collected(drawn(9, 3), 4)
    save_statistics(path, saved)
    found = load_statistics(path, "abc", 3)
    assert (found.count, found.network) == (9, "abc")
    for name in ("mean", "covariance", "features"):
        assert (getattr(found, name) == getattr(saved, name)).all()
        assert getattr(found, name).dtype == getattr(saved, name).dtype
    assert [entry.name for entry in path.parent.iterdir()] == ["real.npz"]


def test_pytorch_fid_reads_ours(tmp_path):
    path = tmp_path / "real.npz"
    saved = collected(drawn(9, 3), 4)
    save_statistics(path, saved)
    mean, covariance = fid_score.compute_statistics_of_path(str(path), None, 50, 3, "cpu")
    assert (mean == saved.mean).all()
    assert (covariance == saved.covariance).all()


def test_file_of_pytorch_fid_has_no_features(tmp_path):
    path = tmp_path / "theirs.npz"
    np.savez_compressed(path, mu=np.zeros(3), sigma=np.eye(3))
    found = load_statistics(path, "abc")
    assert (found.count, found.features, found.network) == (None, None, None)
    assert (found.covariance == np.eye(3)).all()
    again = tmp_path / "again.npz"
    save_statistics(again, found)
    with np.load(again, allow_pickle=False) as stored:
        assert sorted(stored) == ["mu", "sigma"]


def test_statistics_of_another_network_are_refused(tmp_path):
    path = tmp_path / "real.npz"
    save_statistics(path, collected(drawn(9, 3), 4))
    with pytest.raises(InputError, match=r"real\.npz come from another network"):
        load_statistics(path, "def")
    with pytest.raises(InputError, match=r"real\.npz have 3 dimensions, not 2,048"):
        load_statistics(path, dimensions=2048)
    assert load_statistics(path).network == "abc"


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path):
    objects = np.array([object()])
    with pytest.raises(ValueError):
        save_statistics(tmp_path / "a.npz", Statistics(2, np.zeros(1), objects))
    assert list(tmp_path.iterdir()) == []


class Evil:
    def __reduce__(self):
        return (print, ("unpickled",))


GOOD = {"mu": np.zeros(2), "sigma": np.eye(2)}


@pytest.mark.parametrize(
    "arrays",
    [
        {"mu": np.zeros(2)},
        GOOD | {"sigma": np.eye(3)},
        GOOD | {"mu": np.zeros((2, 1))},
        GOOD | {"mu": np.array([0, np.nan])},
        GOOD | {"sigma": np.full((2, 2), np.inf)},
        GOOD | {"count": np.array(1)},
        GOOD | {"count": np.array("many")},
        GOOD | {"features": np.zeros((5, 3))},
        GOOD | {"features": np.zeros((1, 2))},
        GOOD | {"features": np.full((5, 2), np.nan)},
        GOOD | {"features": np.array([["a", "b"]] * 3)},
        {"mu": np.zeros(0), "sigma": np.zeros((0, 0))},
    ],
)
def test_wrong_statistics_are_named(tmp_path, arrays):
    path = tmp_path / "real.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=r"real\.npz does not hold the statistics") as caught:
        load_statistics(path)
    assert "\n" not in caught.value.message
    assert "pytorch_fid --save-stats" in caught.value.hint


@pytest.mark.parametrize("kind", ["text", "array", "pickle", "zip", "objects", "empty"])
def test_other_files_are_named(tmp_path, kind, capfd):
    path = tmp_path / "real.npz"
    if kind == "text":
        path.write_text("mu, sigma")
    elif kind == "array":
        stream = io.BytesIO()
        np.save(stream, np.eye(2))
        path.write_bytes(stream.getvalue())
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Evil()))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("mu.npy", b"nothing")
    elif kind == "objects":
        np.savez(path, mu=np.array([Evil()]), sigma=np.eye(1))
    else:
        path.touch()
    with pytest.raises(InputError, match=r"real\.npz (does not hold the statistics|is empty)"):
        load_statistics(path)
    assert "unpickled" not in capfd.readouterr().out


def test_damage_is_noticed(tmp_path):
    path = tmp_path / "real.npz"
    save_statistics(path, collected(drawn(9, 3), 4))
    whole = path.read_bytes()
    start = whole.index(b"\x93NUMPY") + 128  # the first of the mean's numbers
    path.write_bytes(whole[:start] + bytes([whole[start] ^ 1]) + whole[start + 1 :])
    with pytest.raises(InputError, match="does not hold the statistics"):
        load_statistics(path)
    for length in (10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="does not hold the statistics"):
            load_statistics(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"the statistics .*real\.npz does not exist"):
        load_statistics(tmp_path / "real.npz")
