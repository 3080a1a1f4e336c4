"""Numbers, and how they are written."""

from __future__ import annotations

import random

import pytest

from kline_ops.observe.metrics.board import Board, Buckets
from tests.observe.metrics.reading import Samples

BOUNDS = (0.1, 1.0, 10.0, 60.0)


def test_a_value_counts_up_to_its_bound() -> None:
    buckets = Buckets(BOUNDS)
    for value in (0.0, 0.1, 0.11, 60.0, 61.0):
        buckets.observe(value)
    counts, total = buckets.told()
    assert counts == [("0.1", 2), ("1.0", 3), ("10.0", 3), ("60.0", 4), ("+Inf", 5)]
    assert total == pytest.approx(121.21)


def test_many_at_once_count_as_one_after_another() -> None:
    drawn = random.Random(5)
    for _ in range(300):
        count = drawn.randint(1, 1000)
        least = round(drawn.uniform(0, 20), 1) + 0.05
        step = drawn.choice((0.0, 0.5, 1.0, 60.0))
        at_once, each = Buckets(BOUNDS), Buckets(BOUNDS)
        at_once.spread(least + step * (count - 1), least, count)
        for number in range(count):
            each.observe(least + step * number)
        assert at_once.told()[0] == each.told()[0], (count, least, step)
        assert at_once.told()[1] == pytest.approx(each.told()[1])


@pytest.mark.parametrize("is_openmetrics", [False, True])
def test_any_label_is_read_back_as_it_was(is_openmetrics: bool) -> None:
    name, endpoint = 'a "quoted" \\ name', "ws://h/ws?x=\n…\\n"
    board = Board(name)
    board.count("breaker_opened", endpoint, by=3)
    board.start("stalls")
    board.observe("connect_duration_seconds", 0.2)
    body = "".join(board.lines([("clock_skew_seconds", (), -0.5)], openmetrics=is_openmetrics))
    end = "# EOF\n" if is_openmetrics else ""
    read = Samples(body + end, is_openmetrics=is_openmetrics)
    assert read.sum("breaker_opened_total", session=name, endpoint=endpoint) == 3
    assert read.sum("stalls_total") == 0
    assert read.sum("clock_skew_seconds") == -0.5
    assert read.sum("connect_duration_seconds_count") == 1


def test_a_gauge_is_there_while_it_is_told() -> None:
    board = Board("demo")
    assert "clock_skew" in "".join(
        board.lines([("clock_skew_seconds", (), 1.0)], openmetrics=False)
    )
    assert "clock_skew" not in "".join(board.lines([], openmetrics=False))
