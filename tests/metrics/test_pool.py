"""Mapping over processes: order, errors, a few items in flight."""

from __future__ import annotations

import os
from operator import neg
from pathlib import Path

import pytest

from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.metrics import pool
from lipgan_cli.engine.metrics.pool import WORTH, mapped


def test_little_work_stays_in_this_process():
    assert list(mapped(lambda n: n + 1, [1, 2], WORTH - 1, cores=2)) == [2, 3]
    assert list(mapped(lambda n: n + 1, [1, 2], WORTH, cores=1)) == [2, 3]


def test_much_work_goes_over_processes_in_order():
    taken = []

    def numbers():
        for number in range(40):
            taken.append(number)
            yield number

    # The work is importable wherever the tests are run from: a spawned process looks it up by name.
    results = mapped(neg, numbers(), WORTH, cores=2)
    assert next(results) == 0
    assert len(taken) <= 17  # no more than a few are waiting
    assert list(results) == [-number for number in taken[1:]]


def test_lists_go_out_in_chunks_in_order():
    items = list(range(100))
    crops = list(pool._chunks(items, 100 * 96 * 96))
    assert [len(chunk) for chunk in crops] == [32, 32, 32, 4]
    assert [item for chunk in crops for item in chunk] == items
    # Four times the pixels, a quarter of the pictures; a frame of a film goes alone.
    assert [len(chunk) for chunk in pool._chunks(items, 100 * 192 * 192)] == [8] * 12 + [4]
    assert {len(chunk) for chunk in pool._chunks(items, 100 * 1920 * 1080)} == {1}
    # What comes one by one may be large, and nobody knows how much there is.
    assert {len(chunk) for chunk in pool._chunks(iter(items), 100 * 96 * 96)} == {1}
    assert list(pool._chunks([], 1)) == []
    assert list(mapped(neg, items, WORTH, cores=2)) == [-number for number in items]


def test_error_in_a_chunk_comes_back(tmp_path: Path):
    folders = [Path(tmp_path, str(number)) for number in range(40)]
    for folder in folders:
        folder.mkdir()
    found = mapped(Path.rmdir, [*folders, tmp_path / "none"], WORTH, cores=2)
    with pytest.raises(FileNotFoundError, match="none"):
        list(found)
    assert list(tmp_path.iterdir()) == []


def test_error_comes_back_whole(tmp_path: Path):
    with pytest.raises(InputError, match="is not a prepared dataset") as caught:
        list(mapped(Dataset.open, [tmp_path] * 3, WORTH, cores=2))
    assert caught.value.hint == "lipgan prep makes one"


def test_dead_process_is_an_error():
    with pytest.raises(LipganError, match="a measuring process died"):
        list(mapped(os._exit, [1], WORTH, cores=2))
