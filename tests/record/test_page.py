"""What an answer of REST settles."""

from __future__ import annotations

from msgspec.structs import replace

from kline_ops.market.candle import Candle
from kline_ops.market.interval import parse
from kline_ops.market.span import Span
from kline_ops.record.page import answered, with_follower

HOUR = 3_600_000
GRID = parse("1h")
MINUTE = 60_000
MINUTES = parse("1m")
NOW = 100 * HOUR


def candle(open_ms: int, low: str = "1") -> Candle:
    return Candle(open_ms, "1", "1", low, "1", "0")


def test_an_empty_answer_settles_all_that_was_asked() -> None:
    assert answered(GRID, Span(0, 9 * HOUR), [], NOW) == (Span(0, 9 * HOUR), [])


def test_what_lies_behind_the_last_candle_is_left_open() -> None:
    came = [candle(HOUR), candle(3 * HOUR)]
    assert answered(GRID, Span(0, 9 * HOUR), came, NOW) == (Span(0, 4 * HOUR), came)


def test_candles_beside_the_grid_or_the_question_and_such_that_can_not_be_are_left_out() -> None:
    came = [candle(-HOUR), candle(28 * 60_000), candle(HOUR, low="2"), candle(2 * HOUR)]
    assert answered(GRID, Span(0, 3 * HOUR), came, NOW) == (Span(0, 3 * HOUR), came[3:])


def test_an_answer_from_outside_settles_what_was_asked_and_brings_nothing() -> None:
    assert answered(GRID, Span(0, 2 * HOUR), [candle(7 * HOUR)], NOW) == (Span(0, 2 * HOUR), [])


def test_what_shows_that_a_candle_is_final_may_come_behind_a_maintenance() -> None:
    asked = Span(0, 2 * MINUTE)
    assert with_follower(MINUTES, asked, 2 * MINUTE + 1) == Span(0, 3 * MINUTE)
    assert with_follower(MINUTES, asked, 3 * MINUTE + 1) == Span(0, 4 * MINUTE)
    # By then it is believed by itself, and a page more would be asked for in vain.
    assert with_follower(MINUTES, asked, 9 * MINUTE) == Span(0, 3 * MINUTE)


def test_the_newest_candle_is_final_only_when_another_follows_or_long_after_its_close() -> None:
    """The exchange's time may be wrong by a minute: a forming candle must not pass for a closed one."""
    asked = Span(0, 2 * HOUR)
    came = [candle(0), candle(HOUR)]
    close = 2 * HOUR
    assert answered(GRID, asked, came, close + 60_000) == (asked, came[:1])
    assert answered(GRID, asked, came, close + 90_000) == (asked, came)
    followed = [*came, candle(2 * HOUR)]
    assert answered(GRID, asked, followed, close + 1) == (asked, came)


def test_a_candle_of_a_longer_interval_is_none_of_ours() -> None:
    full = replace(candle(0), quote_volume="0", taker_volume="0", taker_quote_volume="0")
    for length, good in ((HOUR, [0]), (24 * HOUR, [])):
        came = [replace(full, open_ms=at, close_ms=at + length - 1) for at in (0, length)]
        settled = answered(GRID, Span(0, HOUR), came, NOW)[1]
        assert [found.open_ms for found in settled] == good


def test_what_opens_before_its_close_does_not_follow_a_candle() -> None:
    came = [candle(0), candle(60_000)]
    assert answered(GRID, Span(0, HOUR), came, 120_000)[1] == []
