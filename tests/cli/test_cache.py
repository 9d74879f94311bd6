"""`lipgan cache`: what it prints, and that it empties."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lipgan_cli.engine.cache import open_cache


@pytest.fixture
def kept():
    """Three entries; returns the bytes they take."""
    cache = open_cache()
    for name in "abc":
        assert cache.put({"of": name}, {"x": np.zeros(MIB, np.uint8)})
    return cache.usage().size


MIB = 1 << 20


def test_an_empty_cache(lipgan, home):
    ran = lipgan("cache")
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout == (
        f"folder    {home / 'cache'}\nentries   0\nsize      0.0 MiB\ncap       2048.0 MiB\n"
    )
    assert not (home / "cache").exists()  # looking makes nothing


def test_what_there_is(lipgan, home, kept):
    ran = lipgan("cache")
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout == (
        f"folder    {home / 'cache'}\nentries   3\nsize      3.0 MiB\ncap       2048.0 MiB\n"
    )


def test_as_json(lipgan, home, kept):
    ran = lipgan("cache", "--json")
    assert (ran.code, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert told == {"folder": str(home / "cache"), "entries": 3, "size": kept, "cap": 2 * 2**30}
    assert 3 * MIB < kept < 3 * MIB + 3000


def test_clear_empties_it(lipgan, home, kept):
    ran = lipgan("cache", "--clear")
    assert (ran.code, ran.stderr) == (0, "entries removed: 3 (3.0 MiB)\n")
    assert ran.stdout.splitlines()[1:3] == ["entries   0", "size      0.0 MiB"]
    assert list((home / "cache").iterdir()) == []


def test_clear_as_json_and_quiet(lipgan, kept):
    ran = lipgan("cache", "--clear", "--json", "--quiet")
    assert (ran.code, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["entries"] == 0


def test_a_cache_that_is_switched_off_can_be_emptied(lipgan, monkeypatch, kept):
    monkeypatch.setenv("LIPGAN_CACHE_GB", "0")
    ran = lipgan("cache", "--clear")
    assert (ran.code, ran.stderr) == (0, "entries removed: 3 (3.0 MiB)\n")
    assert ran.stdout.splitlines()[3] == "cap       0: nothing is kept"


def test_a_size_that_is_none_is_bad_input(lipgan, monkeypatch):
    monkeypatch.setenv("LIPGAN_CACHE_GB", "much")
    ran = lipgan("cache")
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr == (
        "error: LIPGAN_CACHE_GB is 'much', not a size\n"
        "hint: give GiB such as 4 or 0.5; 0 keeps nothing\n"
    )


def test_what_cannot_be_removed_is_a_failure(lipgan, home, kept):
    path = next((home / "cache").iterdir())
    path.unlink()
    path.mkdir()
    ran = lipgan("cache", "--clear")
    assert (ran.code, ran.stdout) == (1, "")
    assert f"cannot remove {path}" in ran.stderr
    assert "Traceback" not in ran.stderr
