"""Pickles: read without running what is in them, verified, and turned into safetensors."""

from __future__ import annotations

import hashlib
import json
import os
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from lipgan_cli.engine import weights
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.weights import State, converted, tensors
from lipgan_cli.engine.weights.download import download


def test_pickle_becomes_safetensors_on_arrival(pickled, server, home, files):
    wanted = pickled()
    installed = download(wanted)
    assert installed.path == home / "weights" / "toy.safetensors"
    assert files() == ["toy.safetensors"]
    found = load_file(installed.path)
    assert found.keys() == pickled.tensors.keys()
    for name, tensor in pickled.tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    published = hashlib.sha256(server.pickle).hexdigest()
    (note,) = converted.read_header(installed.path).values()
    assert json.loads(note)["file"] == "toy.pth"
    assert json.loads(note)["sha256"] == installed.version.sha256 == published
    assert converted.source_of(installed.path) == published
    assert weights.inspect(wanted) == installed
    assert download(wanted) == installed
    assert len(server.asked) == 1


def test_same_pickle_becomes_the_same_file(pickled):
    wanted = pickled()
    first = download(wanted).path.read_bytes()
    assert download(wanted, force=True).path.read_bytes() == first


def test_published_bytes_are_verified_before_they_are_loaded(pickled, server, files, monkeypatch):
    wanted = pickled()
    server.pickle = server.pickle[:-1] + b"?"
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(LipganError, match="it gave another file: SHA-256"):
        download(wanted, pause=0)
    assert files() == []


class Evil:
    def __reduce__(self):
        return (os.system, ("echo ran > evil",))


@pytest.mark.parametrize(
    ("holds", "told"),
    [
        (Evil(), "holds more than tensors"),
        ({"a": Evil()}, "holds more than tensors"),
        ([torch.zeros(2)], "does not hold weights by name"),
        ({1: torch.zeros(2)}, "does not hold weights by name"),
        ({"a": "text"}, "does not hold weights by name"),
    ],
)
def test_what_holds_more_than_tensors_is_not_taken(
    pickled, files, holds, told, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=told):
        download(pickled(holds))
    assert not [name for name in files() if not name.startswith(".")]
    assert not (tmp_path / "evil").exists()


def test_pickle_in_the_folder_is_used_and_turned(pickled, server, home, files, asked):
    wanted = pickled()
    (home / "weights").mkdir()
    (home / "weights" / "toy.pth").write_bytes(server.pickle)
    found = weights.inspect(wanted)
    assert (found.state, found.path.name) == (State.VERIFIED, "toy.pth")
    assert download(wanted, offline=True).path.name == "toy.safetensors"
    assert files() == ["toy.pth", "toy.safetensors"]
    assert asked() == []


def test_damaged_pickle_in_the_folder_is_replaced(pickled, home, files, notes):
    wanted = pickled()
    (home / "weights").mkdir()
    (home / "weights" / "toy.pth").write_bytes(b"<html>")
    assert weights.inspect(wanted).state is State.DAMAGED
    download(wanted, notes)
    assert "toy.pth is not the file that was published" in notes.notes[0]
    assert files() == ["toy.safetensors"]


def test_damage_is_found_wherever_it_is(pickled):
    wanted = pickled()
    path = download(wanted).path
    whole = path.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    places = [0, 8, 8 + whole[8:end].index(b"dtype"), 8 + whole[8:end].index(b"shape") + 8]
    places += [8 + whole[8:end].index(b"sha256") + 12, end, len(whole) - 1]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        assert weights.inspect(wanted).state is State.DAMAGED, place
    for cut in (0, 4, end, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert weights.inspect(wanted).state is State.DAMAGED, cut
    path.write_bytes(whole)
    assert weights.inspect(wanted).state is State.VERIFIED


def test_file_of_another_source_is_not_taken_for_it(pickled):
    wanted = pickled()
    path = download(wanted).path
    save_file({"a": torch.zeros(1)}, path)
    assert converted.source_of(path) is None
    assert weights.inspect(wanted).state is State.DAMAGED
    other = download(pickled({"a": torch.zeros(1)}, name="other", file="other.pth")).path
    path.write_bytes(other.read_bytes())
    assert converted.source_of(path) is not None
    assert weights.inspect(wanted).state is State.DAMAGED


def test_full_disk_is_told(pickled, files, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensors, "save_file", full)
    with pytest.raises(LipganError, match=r"cannot write .*No space left on device") as caught:
        download(pickled())
    assert caught.value.exit_code == 1
    assert not [name for name in files() if not name.startswith(".")]


def test_reading_takes_every_form(tmp_path):
    state = {"a": torch.arange(3.0)}
    torch.save(state, tmp_path / "zip.pth")
    torch.save(state, tmp_path / "old.model", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "wrapped.pth")
    save_file(state, tmp_path / "plain.safetensors")
    for path in tmp_path.iterdir():
        found = tensors.read_tensors(path, "them", "a hint")
        assert list(found) == ["a"]
        assert torch.equal(found["a"], state["a"])


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (b"<html>", "some.pth", r"is not a file of PyTorch weights"),
        (b"<html>", "some.safetensors", r"is not a \.safetensors file"),
        (pickle.dumps(Evil()), "some.pth", r"is not a file of PyTorch weights"),
    ],
    ids=["page", "page as safetensors", "plain pickle"],
)
def test_other_files_are_refused_in_one_line(tmp_path, monkeypatch, content, name, told):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=told) as caught:
        tensors.read_tensors(path, "them", "a hint")
    assert caught.value.hint == "a hint"
    assert "\n" not in caught.value.message
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 8, (99).to_bytes(8, "little") + b"[]", b"x" * 99]
)
def test_header_of_something_else_is_an_error(tmp_path, content):
    path = tmp_path / "some.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError):
        converted.read_header(path)
    assert converted.source_of(path) is None


def test_header_is_that_of_safetensors(tmp_path):
    path = tmp_path / "some.safetensors"
    save_file({"a": torch.zeros(2)}, path, {"about": json.dumps({"x": 1})})
    assert converted.read_header(path) == {"about": '{"x": 1}'}
