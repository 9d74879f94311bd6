"""`lipgan download-weights`: what is listed, fetched and printed."""

from __future__ import annotations

import hashlib
import json

import pytest

from lipgan_cli.engine import weights
from lipgan_cli.engine.weights import Version, WeightsFile

CONTENT = b"weights" * 1000


def row(name, url, recommended=True):
    return WeightsFile(
        name=name,
        file=f"{name}.dat",
        purpose="a test",
        size=len(CONTENT),
        versions=(Version(hashlib.sha256(CONTENT).hexdigest(), "as published"),),
        licence="CC0-1.0",
        urls=(url,),
        recommended=recommended,
    )


@pytest.fixture(autouse=True)
def registry(tmp_path, monkeypatch):
    """A registry of three: two that are recommended, one that cannot be had."""
    source = tmp_path / "source.dat"
    source.write_bytes(CONTENT)
    gone = (tmp_path / "gone.dat").as_uri()
    rows = (
        row("one", source.as_uri()),
        row("two", source.as_uri()),
        row("three", gone, recommended=False),
    )
    monkeypatch.setattr(weights, "REGISTRY", rows)
    monkeypatch.setattr(weights.time, "sleep", lambda _: None)
    return rows


def test_without_names_the_recommended_are_fetched(lipgan, home):
    ran = lipgan("download-weights")
    assert ran.code == 0
    assert ran.stdout == f"{home / 'weights' / 'one.dat'}\n{home / 'weights' / 'two.dat'}\n"
    assert ran.stderr == (
        "one: verified by SHA-256 (as published)\ntwo: verified by SHA-256 (as published)\n"
    )
    assert (home / "weights" / "two.dat").read_bytes() == CONTENT


def test_quiet_prints_the_path_alone(lipgan, home):
    ran = lipgan("download-weights", "two", "two", "--quiet")
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout == f"{home / 'weights' / 'two.dat'}\n"


def test_list_shows_what_is_here(lipgan, home):
    lipgan("download-weights", "one")
    (home / "weights" / "two.dat").write_bytes(b"x")
    ran = lipgan("download-weights", "--list")
    assert (ran.code, ran.stderr) == (0, "")
    rows = [line.split() for line in ran.stdout.splitlines()]
    assert rows[0] == ["name", "state", "size", "licence", "purpose", "file"]
    assert [row[:2] for row in rows[2:5]] == [
        ["one", "verified"],
        ["two", "damaged"],
        ["three", "missing"],
    ]
    assert rows[5] == ["in", str(home / "weights")]
    assert len(rows) == 6


def test_list_as_json(lipgan, home):
    lipgan("download-weights", "one")
    ran = lipgan("download-weights", "--list", "--json")
    assert (ran.code, ran.stderr) == (0, "")
    one, _two, three = json.loads(ran.stdout)
    assert one == {
        "name": "one",
        "purpose": "a test",
        "size": len(CONTENT),
        "licence": "CC0-1.0",
        "recommended": True,
        "state": "verified",
        "path": str(home / "weights" / "one.dat"),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "version": "as published",
    }
    assert (three["state"], three["sha256"], three["recommended"]) == ("missing", None, False)


def test_json_of_a_download(lipgan):
    ran = lipgan("download-weights", "two", "--json", "--quiet")
    assert (ran.code, ran.stderr) == (0, "")
    assert [entry["state"] for entry in json.loads(ran.stdout)] == ["verified"]


def test_unknown_name_is_bad_input(lipgan, home):
    ran = lipgan("download-weights", "one", "four")
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr == (
        "error: there are no weights called 'four'\nhint: known: one, two, three\n"
    )
    assert not (home / "weights").exists()


def test_what_cannot_be_had_is_a_failure(lipgan, home):
    ran = lipgan("download-weights", "three", "--quiet")
    assert (ran.code, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: the weights three could not be downloaded")
    assert list((home / "weights").iterdir()) == []


def test_folder_that_cannot_be_made_is_bad_input(lipgan, home):
    (home / "weights").write_text("a file")
    ran = lipgan("download-weights", "one")
    assert (ran.code, ran.stdout) == (2, "")
    assert f"cannot make the folder {home / 'weights'}" in ran.stderr
