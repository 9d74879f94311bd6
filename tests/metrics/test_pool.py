"""Mapping over processes: order, errors, a few items in flight."""

from __future__ import annotations

import os

import pytest

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.metrics.pool import WORTH, mapped


def square(number):
    if number == 13:
        raise InputError("13 is unlucky", "take another")
    if number == -1:
        os._exit(1)
    return number * number


def test_little_work_stays_in_this_process():
    assert list(mapped(lambda n: n + 1, [1, 2], WORTH - 1, cores=2)) == [2, 3]
    assert list(mapped(lambda n: n + 1, [1, 2], WORTH, cores=1)) == [2, 3]


def test_much_work_goes_over_processes_in_order():
    taken = []

    def numbers():
        for number in range(40):
            if number != 13:
                taken.append(number)
                yield number

    results = mapped(square, numbers(), WORTH, cores=2)
    assert next(results) == 0
    assert len(taken) <= 17  # no more than a few are waiting
    assert list(results) == [number * number for number in taken[1:]]


def test_error_comes_back_whole():
    with pytest.raises(InputError, match="13 is unlucky") as caught:
        list(mapped(square, [1, 13, 2], WORTH, cores=2))
    assert caught.value.hint == "take another"


def test_dead_process_is_an_error():
    with pytest.raises(LipganError, match="a measuring process died"):
        list(mapped(square, [1, -1, 2], WORTH, cores=2))
