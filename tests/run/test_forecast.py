"""How long training will take: by hand, on a clock of the test's own."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from lipgan_cli.engine.run.forecast import Forecast


def test_it_is_told_once_there_is_something_to_go_by():
    forecast = Forecast(began=100, done=50, planned=150, every=1000)
    assert forecast.left(54, 140) is None  # four iterations
    assert forecast.left(60, 109) is None  # nine seconds
    assert forecast.left(55, 110) == 95 * 2
    assert forecast.left(150, 300) == 0


def test_evaluations_to_come_count_as_soon_as_one_has_been_made():
    forecast = Forecast(began=0, done=0, planned=100, every=30)
    assert forecast.left(20, 20) == 80
    forecast.evaluated(5)
    assert forecast.left(30, 35) == 70 + 3 * 5  # at 60, at 90, at 100
    forecast.evaluated(7)
    assert forecast.left(60, 72) == 40 + 2 * 6
    assert forecast.left(95, 107) == 5 + 6
    whole = Forecast(began=0, done=0, planned=90, every=30)
    whole.evaluated(5)
    assert whole.left(30, 35) == 60 + 2 * 5


def test_a_session_ends_when_its_time_is_up():
    forecast = Forecast(began=0, done=0, planned=1000, every=1000, limit=60)
    assert forecast.left(10, 10) == 50
    assert forecast.left(50, 65) == 0
    assert Forecast(0, 0, 20, 1000, limit=60).left(10, 10) == 10


def test_it_is_told_again_only_where_it_is_quite_another():
    forecast = Forecast(began=0, done=0, planned=1000, every=100)
    (first,) = forecast.news(10, 10)
    assert first.startswith("about 16 minutes here, until ")
    assert list(forecast.news(20, 20)) == []
    assert list(forecast.news(100, 120)) == []  # at 1200, not at 1000: 200 of 1080 s
    forecast.evaluated(40)
    (second,) = forecast.news(110, 160)
    assert second.startswith("about 22 minutes here")  # 890 * 12 / 11 s, and 9 times 40 s
    assert list(forecast.news(111, 161)) == []
    short = Forecast(began=0, done=0, planned=100, every=1000)
    assert list(short.news(10, 10))
    assert list(short.news(60, 120)) == []  # at 200, not at 100: less than two minutes


@pytest.mark.parametrize(
    ("planned", "told"),
    [
        (40, "about 1 minute here"),
        (140, "about 2 minutes here"),
        (6020, "about 100 minutes here"),
        (9020, "about 2.5 hours here"),
    ],
)
def test_lengths(planned, told):
    (news,) = Forecast(0, 0, planned, 10_000).news(20, 20)
    assert news.startswith(told)


def test_the_end_is_told_on_the_user_s_clock():
    now = datetime.now().astimezone()
    (news,) = Forecast(0, 0, 620, 1000, at_most=True).news(20, 20)
    ends = {f"{now + timedelta(seconds=600 + late):%H:%M}" for late in (0, 5)}
    assert re.fullmatch(r"at most about 10 minutes here, until (\d\d:\d\d)( on .+)?", news)
    assert any(f"until {end}" in news for end in ends)
    (far,) = Forecast(0, 0, 3 * 86400 + 20, 10**9).news(20, 20)
    assert far.endswith(f" on {now + timedelta(days=3):%d %B}")
