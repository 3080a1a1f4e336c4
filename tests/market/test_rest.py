"""REST answers: what is asked, and what the bodies mean."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.market import rest
from kline_ops.market.candle import Candle
from kline_ops.market.interval import parse

REAL = Path(__file__).parents[2].parent / "shared/data/rest/kriss-BTCUSDT-15m-klines.json"

ROW = [1_499_040_000_000, "0.01634790", "0.80000000", "0.01575800", "0.01577100", "148976.11427815"]
ROW += [1_499_644_799_999, "2434.19055334", 308, "1756.87402397", "28.46694368", "0"]
CANDLE = Candle(
    1_499_040_000_000,
    *(str(text) for text in ROW[1:6]),
    trades=308,
    close_ms=1_499_644_799_999,
    quote_volume="2434.19055334",
    taker_volume="1756.87402397",
    taker_quote_volume="28.46694368",
)
DEEP = b"[" * 5_000


def test_a_page_is_asked_by_its_first_and_last_open_time() -> None:
    assert rest.klines_query("BTCUSDT", parse("1h"), 3_600_000, 7_200_000, 2) == {
        "symbol": "BTCUSDT",
        "interval": "1h",
        "startTime": "3600000",
        "endTime": "7200000",
        "limit": "2",
    }


def test_a_page_is_as_long_as_the_exchange_allows_unless_told_otherwise() -> None:
    assert rest.klines_query("BTCUSDT", parse("1M"), 0, 1)["limit"] == "1000"


def test_a_zone_is_asked_for_in_a_parameter_of_its_own() -> None:
    query = rest.klines_query("BTCUSDT", parse("1d@+08:00"), 0, 1)
    assert query["interval"] == "1d"
    assert query["timeZone"] == "8"


def test_rows_are_candles_digit_for_digit() -> None:
    assert rest.decode_klines(json.dumps([ROW, ROW]).encode()) == [CANDLE, CANDLE]
    assert rest.decode_klines(b"[]") == []


@pytest.mark.parametrize("column", range(12))
@pytest.mark.parametrize("value", [None, [], {}, True, 1.5])
def test_a_row_with_a_wrong_type_spoils_the_answer(column: int, value: object) -> None:
    row = [*ROW[:column], value, *ROW[column + 1 :]]
    with pytest.raises(ValueError, match="not as documented"):
        rest.decode_klines(json.dumps([ROW, row]).encode())


@pytest.mark.parametrize("size", [0, 1, 11, 13])
def test_a_row_of_another_length_spoils_the_answer(size: int) -> None:
    with pytest.raises(ValueError, match="not as documented"):
        rest.decode_klines(json.dumps([[*ROW, "x"][:size]]).encode())


BODIES = [b"", b"{}", b"null", b"<html>503</html>", b"\xff\xfe", b'{"code":-1121}', DEEP]
BODIES += [b'{"a":' + DEEP, b'{"serverTime":{"a":' + DEEP, b'{"code":{"a":' + DEEP, b"[{" * 5_000]


@pytest.mark.parametrize("body", BODIES)
def test_other_bodies_are_value_errors_or_no_error_told(body: bytes) -> None:
    with pytest.raises(ValueError, match="not as documented"):
        rest.decode_klines(body)
    with pytest.raises(ValueError, match="not as documented"):
        rest.decode_time(body)
    assert rest.decode_error(body) is None


@given(st.binary(max_size=100))
def test_any_body_is_understood_or_a_value_error(body: bytes) -> None:
    for decode in (rest.decode_klines, rest.decode_time):
        try:
            decode(body)
        except ValueError:
            continue
    rest.decode_error(body)


def test_half_an_answer_is_a_value_error_wherever_it_is_cut() -> None:
    body = json.dumps([ROW]).encode()
    for length in range(len(body)):
        with pytest.raises(ValueError, match="not as documented"):
            rest.decode_klines(body[:length])


def test_the_servers_time_is_a_whole_number_of_milliseconds() -> None:
    assert rest.decode_time(b'{"serverTime":1499827319559}') == 1_499_827_319_559
    for body in (b'{"serverTime":"1499827319559"}', b'{"serverTime":null}', b'{"serverTime":1.5}'):
        with pytest.raises(ValueError, match="not as documented"):
            rest.decode_time(body)


def test_an_error_tells_its_code_and_message() -> None:
    body = b'{"code":-1121,"msg":"Invalid symbol.","data":{}}'
    assert rest.decode_error(body) == (-1121, "Invalid symbol.")
    assert rest.decode_error(b'{"code":"x","msg":"y"}') is None


@pytest.mark.skipif(not REAL.is_file(), reason="needs ../shared/data beside the project")
def test_a_real_answer_is_a_run_of_candles_on_the_grid() -> None:
    candles = rest.decode_klines(REAL.read_bytes())
    interval = parse("15m")
    assert len(candles) == 779
    assert all(candle.problem() is None for candle in candles)
    opens = [candle.open_ms for candle in candles]
    assert opens == [interval.shift(opens[0], step) for step in range(779)]
    assert [list(candle.values()) for candle in candles] == [
        row[1:6] for row in json.loads(REAL.read_bytes())
    ]
