"""Mapping over processes: order, errors, a few items in flight."""

from __future__ import annotations

import os
from operator import neg
from pathlib import Path

import pytest

from lipgan_cli.engine.data.dataset import Dataset
from lipgan_cli.engine.errors import InputError, LipganError
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


def test_error_comes_back_whole(tmp_path: Path):
    with pytest.raises(InputError, match="is not a prepared dataset") as caught:
        list(mapped(Dataset.open, [tmp_path] * 3, WORTH, cores=2))
    assert caught.value.hint == "lipgan prep makes one"


def test_dead_process_is_an_error():
    with pytest.raises(LipganError, match="a measuring process died"):
        list(mapped(os._exit, [1], WORTH, cores=2))
