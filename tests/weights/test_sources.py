"""Weights from a local copy or a mirror: what is meant, what is taken, what is refused."""

from __future__ import annotations

import bz2
import shutil
from pathlib import Path

import pytest

from lipgan_cli.engine import weights
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.weights import State, registry
from lipgan_cli.engine.weights.download import download
from lipgan_cli.engine.weights.sources import chosen, source_of

CONTENT = bytes(range(256)) * 2000


@pytest.fixture
def shelf(tmp_path):
    folder = tmp_path / "shelf"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_local_file_is_copied_and_stays(row, shelf, files, asked, packed):
    path = shelf / "any name"
    path.write_bytes(bz2.compress(CONTENT) if packed else CONTENT)
    installed = download(row("nothing"), source=path, offline=True)
    assert installed.path.read_bytes() == CONTENT
    assert installed.version.what == "as published"
    assert path.exists()
    assert files() == ["toy.dat"]
    assert asked() == []


def test_another_published_version_is_taken(row, shelf):
    (shelf / "toy.dat").write_bytes(b"?" + CONTENT[1:])
    assert download(row(), source=shelf).version.what == "of another year"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is 0 bytes, not 512,000"),
        (CONTENT[:-1], "is 511,999 bytes, not 512,000"),
        (CONTENT + b"!", "is more than 512,000 bytes"),
        (b"!" + CONTENT[1:], "is another file: SHA-256 "),
        (b"<html>", "is 6 bytes, not 512,000"),
        (b"BZh9 but no more", "is a damaged .bz2 file"),
        (bz2.compress(CONTENT)[:200], "is an unfinished .bz2 file"),
    ],
)
def test_local_file_that_is_another_is_refused(row, shelf, files, content, reason):
    path = shelf / "toy.dat"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        download(row("file"), source=path)
    assert caught.value.message.startswith(f"{path} {reason}")
    assert files() == []


def test_folder_gives_the_file_under_any_of_its_names(row, shelf):
    wanted = row()
    with pytest.raises(InputError, match=r"shelf has no toy\.dat"):
        download(wanted, source=shelf)
    (shelf / "toy.dat").write_bytes(b"damaged")
    (shelf / "toy.dat.bz2").write_bytes(bz2.compress(CONTENT))
    assert download(wanted, source=shelf).path.read_bytes() == CONTENT


def test_mirror_gives_the_file_under_any_of_its_names(row, server, asked):
    wanted = row("nothing")
    installed = download(wanted, source=f"{server.url}/some/folder/")
    assert installed.path.read_bytes() == CONTENT
    assert asked() == ["toy.dat", "toy.dat.bz2"]
    assert server.asked[0][0] == "/some/folder/toy.dat"


def test_url_of_the_file_is_asked_alone(row, server, asked):
    download(row("nothing"), source=f"{server.url}/packed.dat.bz2")
    assert asked() == ["packed.dat.bz2"]
    with pytest.raises(LipganError, match="HTTP 404"):
        download(row("file"), source=f"{server.url}/nothing.dat", force=True)


def test_what_from_means(shelf):
    assert source_of(None) is None
    assert source_of(str(shelf)) == shelf
    assert source_of("https://mirror.example/weights") == "https://mirror.example/weights"
    for wrong in (str(shelf / "none"), "ftp://mirror.example/x", "file:///etc/passwd", "http://"):
        with pytest.raises(InputError):
            source_of(wrong)


def names(*arguments):
    return [row.name for row in chosen(*arguments)]


def test_names_say_what_is_meant():
    assert names(["syncnet", "mmod", "syncnet"]) == ["syncnet", "mmod"]
    assert names(["mmod", "all"]) == [row.name for row in registry.REGISTRY]
    with pytest.raises(InputError, match="no weights called 'none'"):
        chosen(["none"])


def test_without_names_the_recommended_are_meant():
    assert names([]) == ["mmod", "landmarks-5", "face-embedding", "fid-inception"]
    assert names([], "https://mirror.example/weights") == names([])


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("mmod_human_face_detector.dat", "mmod"),
        ("mmod_human_face_detector.dat.bz2", "mmod"),
        ("syncnet_v2.model", "syncnet"),
        ("syncnet_v2.safetensors", "syncnet"),
    ],
)
def test_file_says_by_its_name_what_it_is(shelf, file, name):
    (shelf / file).write_bytes(b"x")
    assert names([], shelf / file) == [name]
    assert names([], f"https://mirror.example/weights/{file}?key=1") == [name]
    assert names([], shelf) == [name]


def test_one_file_is_for_one_name(shelf):
    path = shelf / "some.dat"
    path.write_bytes(b"x")
    assert names(["mmod"], path) == ["mmod"]
    with pytest.raises(InputError, match="is one file, for one name"):
        chosen(["mmod", "syncnet"], path)
    with pytest.raises(InputError, match=r"some\.dat is none of the known files"):
        chosen([], path)
    with pytest.raises(InputError, match="has none of the known files"):
        chosen([], shelf)


def test_weights_folder_of_another_machine_is_taken(pickled, home, shelf, files):
    wanted = pickled()
    made = download(wanted).path
    moved = Path(shutil.move(made, shelf))
    assert weights.inspect(wanted).state is State.MISSING
    installed = download(wanted, source=shelf, offline=True)
    assert installed.path.read_bytes() == moved.read_bytes()
    damaged = bytearray(moved.read_bytes())
    damaged[-1] ^= 1
    moved.write_bytes(damaged)
    with pytest.raises(InputError, match=r"is a \.safetensors file that is not whole"):
        download(wanted, source=moved, force=True)
    assert installed.path.exists()
