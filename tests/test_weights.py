"""Weights of others: the registry, where files are looked for, how they are verified."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace

import pytest

from lipgan_cli.engine import weights
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.weights import State, registry
from lipgan_cli.engine.weights.registry import REGISTRY, Version, WeightsFile

CONTENT = bytes(range(256)) * 20


def toy(**changes):
    row = WeightsFile(
        name="toy",
        file="toy.dat",
        purpose="a toy",
        unlocks="a test",
        size=len(CONTENT),
        versions=(Version(hashlib.sha256(CONTENT).hexdigest(), "as published", "read"),),
        licence="CC0-1.0",
        urls=("https://toys.example/toy.dat",),
        recommended=True,
    )
    return replace(row, **changes)


@pytest.fixture
def folder(home):
    path = home / "weights"
    path.mkdir()
    return path


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The models of an installed face_recognition_models, which must not be imported."""
    models = tmp_path / "face_recognition_models" / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.delitem(sys.modules, "face_recognition_models", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return models


@pytest.fixture
def registered(monkeypatch):
    row = toy()
    monkeypatch.setattr(registry, "REGISTRY", (row,))
    return row


def test_missing_file_belongs_into_the_folder(home):
    found = weights.inspect(toy())
    assert (found.state, found.version) == (State.MISSING, None)
    assert found.path == home / "weights" / "toy.dat"
    assert list(weights.copies(toy())) == []


def test_verified_file(folder):
    (folder / "toy.dat").write_bytes(CONTENT)
    found = weights.inspect(toy())
    assert (found.state, found.version.what, found.own) == (State.VERIFIED, "as published", True)


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"!", b"!" + CONTENT[1:]])
def test_damaged_file(folder, content):
    path = folder / "toy.dat"
    path.write_bytes(CONTENT)
    assert weights.inspect(toy()).state is State.VERIFIED
    path.write_bytes(content)  # found although it was verified before
    assert weights.inspect(toy()).state is State.DAMAGED


def test_file_in_the_package_counts_and_is_verified(package, folder):
    (package / "toy.dat").write_bytes(CONTENT)
    found = weights.inspect(toy())
    assert (found.state, found.path, found.own) == (State.VERIFIED, package / "toy.dat", False)
    (package / "toy.dat").write_bytes(b"!" + CONTENT[1:])
    assert weights.inspect(toy()).state is State.DAMAGED


def test_own_file_comes_first_if_it_is_right(package, folder):
    (package / "toy.dat").write_bytes(CONTENT)
    (folder / "toy.dat").write_bytes(CONTENT)
    assert weights.inspect(toy()).own
    assert len(list(weights.copies(toy()))) == 2
    (folder / "toy.dat").write_bytes(b"damaged")
    assert weights.inspect(toy()).path == package / "toy.dat"
    states = [copy.state for copy in weights.copies(toy())]
    assert states == [State.DAMAGED, State.VERIFIED]


def test_without_the_package_there_is_no_file_of_it(monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    assert weights.inspect(weights.registry.named("mmod")).state is State.MISSING


@pytest.mark.usefixtures("registered")
def test_find_gives_what_is_verified(folder):
    (folder / "toy.dat").write_bytes(CONTENT)
    path = folder / "toy.dat"
    assert weights.find("toy") == weights.find_installed("toy") == weights.find_file("toy.dat")
    assert weights.find("toy") == path


@pytest.mark.usefixtures("registered")
def test_find_says_how_to_get_what_is_missing_or_damaged(folder):
    with pytest.raises(InputError, match="the weights toy are not installed") as caught:
        weights.find("toy")
    assert caught.value.hint == "lipgan download-weights toy fetches them, --from FILE takes a copy"
    assert weights.find_installed("toy") is None
    assert weights.find_file("toy.dat") is None
    assert weights.find_file("another.dat") is None
    (folder / "toy.dat").write_bytes(b"x")
    for find, argument in (
        (weights.find, "toy"),
        (weights.find_installed, "toy"),
        (weights.find_file, "toy.dat"),
    ):
        with pytest.raises(InputError, match="not the file that was published"):
            find(argument)


def test_remove_takes_what_is_ours_and_nothing_else(folder, package):
    (package / "toy.dat").write_bytes(CONTENT)
    ours = ["toy.dat", ".toy.dat.part", ".toy.dat.part.json", ".toy.01234567.part.dat"]
    others = ["toy2.dat", ".toy2.dat.part", "toy.dat.part", ".lock", ".toy.dat"]
    for name in (*ours, *others):
        (folder / name).write_bytes(b"x")
    assert [path.name for path in weights.remove(toy())] == sorted(ours)
    assert sorted(path.name for path in folder.iterdir()) == sorted(others)
    assert weights.remove(toy()) == ()
    assert (package / "toy.dat").exists()


def test_both_forms_of_a_pickle_are_removed(folder):
    for name in ("toy.pth", "toy.safetensors"):
        (folder / name).write_bytes(b"x")
    row = toy(file="toy.pth")
    assert [path.name for path in weights.remove(row)] == ["toy.pth", "toy.safetensors"]


def test_what_cannot_be_removed_is_told(folder):
    (folder / "toy.dat").mkdir()
    with pytest.raises(LipganError, match=r"cannot remove .*toy\.dat"):
        weights.remove(toy())


def test_what_begins_a_file_never_has_its_name(folder):
    (folder / ".toy.dat.part").write_bytes(CONTENT)
    (folder / "toy.dat.bz2").write_bytes(CONTENT)
    assert weights.inspect(toy()).state is State.MISSING


def test_registry_rows_are_whole():
    for field in ("name", "file", "stored"):
        assert len({getattr(row, field) for row in REGISTRY}) == len(REGISTRY)
    for row in REGISTRY:
        assert len(row.urls) >= 2
        assert all(url.startswith(("https://", "http://")) for url in row.urls)
        assert row.size > 0
        assert row.purpose
        assert row.unlocks
        assert row.licence
        assert not row.stored.endswith((".pth", ".model", ".bz2"))
        for version in row.versions:
            assert len(version.sha256) == 64
            assert int(version.sha256, 16)
            assert version.known


def test_what_is_not_free_is_said_and_not_recommended():
    by_name = {row.name: row for row in REGISTRY}
    for name in ("landmarks-68", "syncnet"):
        assert by_name[name].caveat
        assert not by_name[name].recommended
    assert "commercial" in by_name["landmarks-68"].caveat
    assert all(not row.caveat for row in registry.recommended())


def test_rows_are_found_by_name_and_by_file():
    row = registry.named("fid-inception")
    assert row.stored == "pt_inception-2015-12-05-6726825d.safetensors"
    for file in (row.file, row.stored, f"{row.file}.bz2"):
        assert registry.of_file(file) == row
    assert registry.of_file("other.dat") is None
    with pytest.raises(InputError, match="no weights called 'none'") as caught:
        registry.named("none")
    assert "landmarks-68" in caught.value.hint


def test_fid_network_is_the_one_that_pytorch_fid_names():
    from pytorch_fid.inception import FID_WEIGHTS_URL

    row = registry.named("fid-inception")
    assert row.urls[0] == FID_WEIGHTS_URL
    assert row.versions[0].sha256.startswith("6726825d")


@pytest.mark.parametrize("name", ["mmod", "landmarks-5", "landmarks-68", "face-embedding"])
def test_files_of_the_package_are_the_ones_that_the_registry_knows(name):
    """The sums in the registry, and the files that the extra `faces` brings, where it is here."""
    found = weights.inspect(registry.named(name))
    if found.state is State.MISSING:
        pytest.skip("face_recognition_models is not installed")
    assert found.state is State.VERIFIED
    assert not found.own
