"""REST as a witness: does the market trade?"""

from kline_ops.market.candle import Candle
from kline_ops.record.witness import Witness

HOUR = 3_600_000


def candle(open_ms: int, trades: int) -> Candle:
    return Candle(open_ms, "1", "1", "1", "1", "1", trades=trades)


def test_where_nothing_is_known_the_first_look_can_not_tell_and_the_second_can() -> None:
    witness = Witness()
    assert witness.judge([candle(0, 7)]) is None
    assert witness.judge([candle(0, 7)]) is False
    assert witness.judge([candle(0, 8)]) is True


def test_more_trades_in_the_candle_that_was_heard_of_are_trade() -> None:
    witness = Witness()
    witness.hear(candle(0, 5))
    assert witness.judge([candle(0, 5)]) is False
    assert witness.judge([candle(0, 6)]) is True


def test_a_later_candle_with_trades_is_trade_and_one_without_is_not() -> None:
    witness = Witness()
    witness.hear(candle(0, 5))
    assert witness.judge([candle(0, 5), candle(HOUR, 0)]) is False
    assert witness.judge([candle(0, 5), candle(HOUR, 1)]) is True


def test_an_answer_that_is_behind_the_stream_proves_nothing() -> None:
    witness = Witness()
    witness.hear(candle(HOUR, 5))
    assert witness.judge([candle(0, 900), candle(HOUR, 3)]) is None
    assert witness.judge([candle(0, 900)]) is None
    assert witness.judge([]) is None
    assert witness.judge([candle(2 * HOUR, 1)]) is True


def test_a_halted_market_has_what_is_known_and_nothing_later() -> None:
    witness = Witness()
    witness.hear(candle(0, 5))
    assert witness.judge([candle(0, 5)]) is False
