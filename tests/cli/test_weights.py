"""`lipgan download-weights`: what is listed, fetched, verified, removed and printed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors.torch import save_file

from lipgan_cli.engine import weights
from lipgan_cli.engine.gan.inference import DEFAULT_WEIGHTS
from lipgan_cli.engine.run import generators
from lipgan_cli.engine.weights import download, registry
from lipgan_cli.engine.weights.registry import Version, WeightsFile

CONTENT = b"weights" * 1000


class Handler(SimpleHTTPRequestHandler):
    """Gives the files of a folder."""

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A web server's folder and address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "mirror"
    folder.mkdir()
    handler = partial(Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def row(name, url, **changes):
    settings = {
        "name": name,
        "file": f"{name}.dat",
        "purpose": "a toy",
        "unlocks": f"the {name} test",
        "size": len(CONTENT),
        "versions": (Version(hashlib.sha256(CONTENT).hexdigest(), "as published", "read"),),
        "licence": "CC0-1.0",
        "urls": (f"{url}/{name}.dat",),
        "recommended": True,
    }
    return WeightsFile(**settings | changes)


@pytest.fixture(autouse=True)
def rows(mirror, monkeypatch):
    """A registry of three: two that are recommended, one that cannot be had."""
    folder, url = mirror
    for name in ("one.dat", "two.dat"):
        (folder / name).write_bytes(CONTENT)
    rows = (
        row("one", url),
        row("two", url, caveat="for laughing only"),
        row("three", url, recommended=False),
    )
    monkeypatch.setattr(registry, "REGISTRY", rows)
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    return rows


@pytest.fixture
def folder(home):
    path = home / "weights"
    path.mkdir()
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def table(text):
    return [line.split() for line in text.splitlines()]


def test_without_names_the_recommended_are_fetched(lipgan, home):
    ran = lipgan("download-weights")
    assert ran.code == 0
    assert ran.stdout == f"{home / 'weights' / 'one.dat'}\n{home / 'weights' / 'two.dat'}\n"
    assert ran.stderr == (
        "one: verified by SHA-256 (as published)\n"
        "two: for laughing only\n"
        "two: verified by SHA-256 (as published)\n"
    )
    assert (home / "weights" / "two.dat").read_bytes() == CONTENT


def test_quiet_prints_the_path_alone(lipgan, home):
    ran = lipgan("download-weights", "two", "two", "--quiet")
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout == f"{home / 'weights' / 'two.dat'}\n"


def test_json_of_a_download(lipgan):
    ran = lipgan("download-weights", "two", "--json", "--quiet")
    assert (ran.code, ran.stderr) == (0, "")
    assert [entry["state"] for entry in json.loads(ran.stdout)] == ["verified"]


def test_what_cannot_be_had_does_not_keep_the_rest_away(lipgan, home):
    ran = lipgan("download-weights", "three", "one", "--quiet")
    assert (ran.code, ran.stdout) == (1, f"{home / 'weights' / 'one.dat'}\n")
    assert ran.stderr.startswith("error: the weights three could not be downloaded: 127.0.0.1:")
    assert "HTTP 404" in ran.stderr
    assert len(ran.stderr.splitlines()) == 2
    assert names(home / "weights") == ["one.dat"]


def test_several_that_cannot_be_had_are_told_in_one_line(lipgan, mirror):
    for name in ("one.dat", "two.dat"):
        (mirror[0] / name).write_bytes(b"short")
    ran = lipgan("download-weights", "all", "--quiet")
    assert ran.code == 1
    assert ran.stderr.startswith("error: 3 files of weights are missing: the weights one could not")
    assert len(ran.stderr.splitlines()) == 2


def test_unknown_name_is_bad_input(lipgan, home):
    ran = lipgan("download-weights", "one", "four")
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr == (
        "error: there are no weights called 'four'\nhint: known: one, two, three\n"
    )
    assert not (home / "weights").exists()


def test_folder_that_cannot_be_made_is_bad_input(lipgan, home):
    (home / "weights").write_text("a file")
    ran = lipgan("download-weights", "one")
    assert (ran.code, ran.stdout) == (2, "")
    assert f"cannot make the folder {home / 'weights'}" in ran.stderr


def test_from_a_file_a_folder_and_a_mirror(lipgan, mirror, home, tmp_path):
    there, url = mirror
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "three.dat").write_bytes(CONTENT)
    for source in (shelf, shelf / "three.dat"):
        ran = lipgan("download-weights", "--from", source, "--offline", "--force")
        assert (ran.code, ran.stdout) == (0, f"{home / 'weights' / 'three.dat'}\n")
    (there / "sub").mkdir()
    (there / "sub" / "three.dat").write_bytes(CONTENT)
    ran = lipgan("download-weights", "three", "--force", "--from", f"{url}/sub")
    assert (ran.code, ran.stdout) == (0, f"{home / 'weights' / 'three.dat'}\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--from", "{shelf}/none"], "{shelf}/none does not exist"),
        (["--from", "{shelf}"], "{shelf} has none of the known files"),
        (["one", "--from", "{shelf}"], "{shelf} has no one.dat"),
        (["one", "--from", "{shelf}/wrong"], "{shelf}/wrong is 5 bytes, not 7,000"),
        (["all", "--from", "{shelf}/wrong"], "{shelf}/wrong is one file, for one name"),
        (["--from", "{shelf}/wrong"], "wrong is none of the known files"),
        (["--from", "ftp://x.example/one.dat"], "is no URL of http or https"),
        (["--from", "{url}", "--offline"], "--offline fetches nothing from {url}"),
        (["one", "--offline"], "one are not here and cannot be fetched offline"),
        (["--remove"], "--remove needs a name"),
        (["one", "--remove", "--verify"], "exclude each other"),
        (["--list", "--force"], "--from, --offline and --force are for fetching"),
    ],
)
def test_what_does_not_go_together_is_bad_input(lipgan, mirror, tmp_path, home, arguments, told):
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "wrong").write_bytes(b"wrong")
    filled = [argument.format(shelf=shelf, url=mirror[1]) for argument in arguments]
    ran = lipgan("download-weights", *filled)
    assert (ran.code, ran.stdout) == (2, "")
    assert told.format(shelf=shelf, url=mirror[1]) in ran.stderr.splitlines()[0]
    assert len(ran.stderr.splitlines()) == 2
    assert not (home / "weights" / "one.dat").exists()


def test_offline_is_content_with_what_is_here(lipgan, folder):
    (folder / "one.dat").write_bytes(CONTENT)
    ran = lipgan("download-weights", "one", "--offline")
    assert (ran.code, ran.stdout) == (0, f"{folder / 'one.dat'}\n")


def test_list_shows_what_is_here(lipgan, folder):
    (folder / "one.dat").write_bytes(CONTENT)
    (folder / "two.dat").write_bytes(b"x")
    ran = lipgan("download-weights", "--list")
    assert (ran.code, ran.stderr) == (0, "")
    lines = table(ran.stdout)
    assert lines[0] == ["name", "state", "where", "size", "licence", "recommended", "unlocks"]
    ending = ["the", "{}", "test"]
    for line, expected in zip(
        lines[2:5],
        (
            ["one", "verified", "here", "0.0", "MB", "CC0-1.0", "yes"],
            ["two", "damaged", "-", "0.0", "MB", "CC0-1.0", "yes"],
            ["three", "missing", "-", "0.0", "MB", "CC0-1.0", "-"],
        ),
        strict=True,
    ):
        assert line == expected + [word.format(expected[0]) for word in ending]
    assert lines[5] == ["in", str(folder)]
    assert names(folder) == ["one.dat", "two.dat"]


def test_list_as_json(lipgan, folder, mirror):
    (folder / "one.dat").write_bytes(CONTENT)
    ran = lipgan("download-weights", "--list", "--json")
    assert (ran.code, ran.stderr) == (0, "")
    one, two, three = json.loads(ran.stdout)["weights"]
    assert one == {
        "name": "one",
        "file": "one.dat",
        "purpose": "a toy",
        "unlocks": "the one test",
        "size": len(CONTENT),
        "licence": "CC0-1.0",
        "caveat": "",
        "recommended": True,
        "urls": [f"{mirror[1]}/one.dat"],
        "state": "verified",
        "path": str(folder / "one.dat"),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "version": "as published",
        "known": "read",
    }
    assert two["caveat"] == "for laughing only"
    assert (three["state"], three["sha256"], three["recommended"]) == ("missing", None, False)


def test_file_of_the_package_counts_as_installed(lipgan, home, tmp_path, monkeypatch):
    package = tmp_path / "face_recognition_models" / "models"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "one.dat").write_bytes(CONTENT)
    monkeypatch.delitem(sys.modules, "face_recognition_models", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    ran = lipgan("download-weights", "--list", "one")
    assert table(ran.stdout)[2][:3] == ["one", "verified", "face_recognition_models"]
    ran = lipgan("download-weights", "one")
    assert ran.stdout == f"{package / 'one.dat'}\n"
    ran = lipgan("download-weights", "one", "--remove")
    assert (ran.code, ran.stdout) == (0, "")
    assert "stays: it belongs to an installed package" in ran.stderr
    assert (package / "one.dat").exists()


def test_list_shows_the_generators_that_are_here(lipgan, home):
    runs = home / "runs"
    for name in ("good", "odd", "broken", "begun"):
        (runs / name).mkdir(parents=True)
    about = {
        "config": {"variant": "wgan-gp", "dataset": "grid"},
        "figures": {"all": {"right": 27.456}},
    }
    weights_of = {"a": torch.zeros(3)}
    save_file(weights_of, runs / "good" / "weights.safetensors", {"about": json.dumps(about)})
    save_file(weights_of, runs / "odd" / "weights.safetensors")
    (runs / "broken" / "weights.safetensors").write_text("no weights")
    listed = table(lipgan("download-weights", "--list").stdout)
    start = next(place for place, line in enumerate(listed) if line[:1] == ["generator"])
    own, broken, good, odd = listed[start + 2 :]
    size = f"{DEFAULT_WEIGHTS.stat().st_size / 1e6:.1f}"
    assert own[:4] == ["default", size, "MB", "l1"]
    assert own[-1] == str(DEFAULT_WEIGHTS)
    assert broken[:6] == ["broken", "0.0", "MB", "is", "no", "file"]
    path = str(runs / "good" / "weights.safetensors")
    assert good == ["good", "0.0", "MB", "wgan-gp", "grid", "27.46", path]
    assert odd[:6] == ["odd", "0.0", "MB", "-", "-", "-"]
    local = json.loads(lipgan("download-weights", "--list", "--json").stdout)["local"]
    assert [one["name"] for one in local] == ["default", "broken", "good", "odd"]
    assert local[2]["mouth_psnr"] == 27.456
    assert local[1]["problem"]


def test_own_generator_is_the_one_that_sync_takes():
    assert generators.BUILT_IN == DEFAULT_WEIGHTS


def test_verify_looks_at_every_copy(lipgan, folder):
    ran = lipgan("download-weights", "--verify")
    assert (ran.code, ran.stdout) == (0, "")
    assert ran.stderr == "no weights are here that could be verified\n"
    (folder / "one.dat").write_bytes(CONTENT)
    ran = lipgan("download-weights", "--verify")
    assert (ran.code, ran.stderr) == (0, "")
    assert table(ran.stdout)[2:] == [
        ["one", "verified", "as", "published", str(folder / "one.dat")]
    ]
    (folder / "two.dat").write_bytes(b"x")
    ran = lipgan("download-weights", "--verify")
    assert ran.code == 1
    assert table(ran.stdout)[3] == ["two", "damaged", "-", str(folder / "two.dat")]
    assert ran.stderr.splitlines() == [
        f"error: {folder / 'two.dat'} is damaged",
        "hint: lipgan download-weights two fetches what is missing",
    ]
    assert lipgan("download-weights", "--verify", "one").code == 0
    assert lipgan("download-weights", "--verify", "three").code == 1
    ran = lipgan("download-weights", "--verify", "--json")
    assert [entry["state"] for entry in json.loads(ran.stdout)] == ["verified", "damaged"]


def test_remove(lipgan, folder):
    for name in ("one.dat", "two.dat", ".two.dat.part"):
        (folder / name).write_bytes(CONTENT)
    ran = lipgan("download-weights", "--remove", "one")
    assert (ran.code, ran.stdout, ran.stderr) == (0, f"{folder / 'one.dat'}\n", "")
    ran = lipgan("download-weights", "--remove", "all", "--json", "--quiet")
    assert json.loads(ran.stdout) == [str(folder / ".two.dat.part"), str(folder / "two.dat")]
    assert names(folder) == []
    ran = lipgan("download-weights", "--remove", "one")
    assert (ran.code, ran.stderr) == (0, "one: nothing is here\n")


def test_list_and_verify_do_without_torch():
    code = "import sys; from lipgan_cli.cli import run; code = run(sys.argv[1:]); "
    code += "sys.exit(code or 'torch' in sys.modules)"
    for option in ("--list", "--verify", "--help"):
        command = [sys.executable, "-c", code, "download-weights", option]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ)


def test_find_tells_what_the_command_tells(lipgan, folder):
    lipgan("download-weights", "one")
    assert weights.find("one") == folder / "one.dat"
