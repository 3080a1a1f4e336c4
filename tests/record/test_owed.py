"""What a file owes within a window, and what of it is missing."""

from __future__ import annotations

from kline_ops.market.interval import parse
from kline_ops.market.span import Span
from kline_ops.record.contents import Contents
from kline_ops.record.owed import Window, closed_end, missing, owed

HOUR = 3_600_000
GRID = parse("1h")
#: Rows at 10 … 19, without 12 and 15 to 16.
FILE = Contents(7, 10 * HOUR, 19 * HOUR, [Span(12 * HOUR, 13 * HOUR), Span(15 * HOUR, 17 * HOUR)])


def parts(window: Window, end: int = 25) -> list[tuple[int, int]]:
    span = owed(FILE, GRID, window, end * HOUR)
    assert span is not None
    return [(first // HOUR, stop // HOUR) for first, stop in missing(FILE, GRID, span)]


def test_a_candle_is_closed_when_its_grace_is_over() -> None:
    assert closed_end(GRID, 5 * HOUR + 1_999, 2_000) == 4 * HOUR
    assert closed_end(GRID, 5 * HOUR + 2_000, 2_000) == 5 * HOUR


def test_holes_and_the_tail_are_missing_and_the_head_from_a_time_on() -> None:
    assert parts(Window()) == [(12, 13), (15, 17), (20, 25)]
    assert parts(Window(7 * HOUR)) == [(7, 10), (12, 13), (15, 17), (20, 25)]
    assert parts(Window(6 * HOUR + 1)) == [(7, 10), (12, 13), (15, 17), (20, 25)]
    assert parts(Window(since_ms=8 * HOUR))[0] == (8, 10)
    assert parts(Window(since_ms=18 * HOUR)) == parts(Window())


def test_a_window_leaves_out_what_lies_beyond_it() -> None:
    assert parts(Window(16 * HOUR, 22 * HOUR)) == [(16, 17), (20, 22)]
    assert parts(Window(until_ms=16 * HOUR + 5)) == [(12, 13), (15, 16)]
    assert parts(Window(5 * HOUR, 8 * HOUR)) == [(5, 8)]
    assert parts(Window(30 * HOUR)) == []
    assert parts(Window(13 * HOUR, 15 * HOUR)) == []


def test_an_empty_file_owes_the_window_or_nothing_that_is_known() -> None:
    assert owed(Contents(), GRID, Window(until_ms=9 * HOUR), 25 * HOUR) is None
    span = owed(Contents(), GRID, Window(since_ms=3 * HOUR), 25 * HOUR)
    assert span == Span(3 * HOUR, 25 * HOUR)
    assert missing(Contents(), GRID, span) == [span]
