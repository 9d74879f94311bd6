"""Processes: all jobs are done, and one that dies costs its own job alone.

The jobs are functions of the standard library, because a spawned process cannot import a test.
"""

from __future__ import annotations

import math
import multiprocessing
import operator
import os
import signal
import time
from contextlib import closing

import pytest

from lipgan_cli.engine.workers import Failed, work


def test_every_job_is_done_once() -> None:
    outcomes = dict(work(operator.neg, range(20), processes=2))
    assert outcomes == {number: -number for number in range(20)}


def test_no_jobs_and_fewer_jobs_than_processes() -> None:
    assert list(work(operator.neg, [], processes=3)) == []
    assert list(work(operator.neg, [5], processes=8)) == [(5, -5)]


def test_an_exception_is_an_outcome() -> None:
    outcomes = dict(work(math.sqrt, [4.0, -1.0, 9.0], processes=1))
    assert outcomes[4.0] == 2
    assert outcomes[9.0] == 3
    refused = outcomes[-1.0]
    assert isinstance(refused, Failed)
    assert refused.reason.startswith("ValueError")


def test_a_process_that_ends_costs_its_own_job_alone() -> None:
    outcomes = list(work(os._exit, [3, 4, 0], processes=1))
    assert [job for job, _ in outcomes] == [3, 4, 0]
    assert [o.reason for _, o in outcomes if isinstance(o, Failed)] == [
        f"the process working on it ended with exit code {code}" for code in (3, 4, 0)
    ]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there are no signals to die by")
def test_a_process_that_is_killed_is_told_so() -> None:
    ((_, outcome),) = work(signal.raise_signal, [int(signal.SIGKILL)], processes=1)
    assert outcome == Failed("the process working on it was ended by SIGKILL")


def test_stopping_early_ends_the_processes_at_once() -> None:
    began = time.monotonic()
    with closing(work(time.sleep, [0, 500, 500, 500], processes=2)) as outcomes:
        assert next(outcomes)[0] == 0
        assert len(multiprocessing.active_children()) == 2
    assert not multiprocessing.active_children()
    assert time.monotonic() - began < 100
