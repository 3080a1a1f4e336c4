"""REST: what is asked for, what comes back, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kline_ops.exchange.market import Market
from kline_ops.exchange.rest import RestApi
from kline_ops.market import interval as intervals
from kline_ops.market import rest, timestamp
from kline_ops.market.interval import DAY_MS, HOUR_MS, MINUTE_MS

MARKET = Market(7)
API = RestApi(MARKET, 6000)
NOW = timestamp.to_ms("2026-01-27T14:00:30Z") + 250
HOUR = timestamp.to_ms("2026-01-27T14:00:00Z")


def ask(query: str, path: str = "/api/v3/klines") -> Any:
    status, body = API.answer(path, query, NOW)
    assert status == 200, body
    return json.loads(body)


def opens(query: str) -> list[int]:
    return [row[0] for row in ask(query)]


def test_ping_and_time() -> None:
    assert ask("", "/api/v3/ping") == {}
    assert ask("", "/api/v3/time") == {"serverTime": NOW}
    assert rest.decode_time(API.answer(rest.TIME, "", NOW).body) == NOW


def test_the_most_recent_candles_with_the_one_that_forms() -> None:
    rows = ask("symbol=BTCUSDT&interval=1h")
    assert len(rows) == 500
    assert [row[0] for row in rows] == [HOUR + (n - 499) * HOUR_MS for n in range(500)]
    forming = MARKET.bar("BTCUSDT", intervals.parse("1h"), HOUR, NOW)
    assert rows[-1] == [
        HOUR,
        forming.open,
        forming.high,
        forming.low,
        forming.close,
        forming.volume,
        HOUR + HOUR_MS - 1,
        forming.quote_volume,
        forming.trades,
        forming.taker_volume,
        forming.taker_quote_volume,
        "0",
    ]
    assert ask("symbol=BTCUSDT&interval=1h", "/api/v3/uiKlines") == rows


def test_the_page_that_the_recorder_asks_for() -> None:
    minute = intervals.parse("1m")
    query = rest.klines_query("LRCBTC", minute, HOUR - 5 * MINUTE_MS, HOUR - MINUTE_MS)
    text = "&".join(f"{name}={value}" for name, value in query.items())
    body = API.answer(rest.KLINES, text, NOW).body
    expected = [MARKET.bar("LRCBTC", minute, HOUR - n * MINUTE_MS) for n in range(5, 0, -1)]
    assert rest.decode_klines(body) == [bar.candle() for bar in expected]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=1", [HOUR]),
        (f"startTime={HOUR}", [HOUR]),
        (f"startTime={HOUR + 1}", []),
        (f"startTime={HOUR - HOUR_MS - 1}&limit=1", [HOUR - HOUR_MS]),
        (
            f"startTime={HOUR - 3 * HOUR_MS}&endTime={HOUR - HOUR_MS}",
            [HOUR - n * HOUR_MS for n in (3, 2, 1)],
        ),
        (f"endTime={HOUR - 1}&limit=2", [HOUR - 2 * HOUR_MS, HOUR - HOUR_MS]),
        (f"startTime={HOUR}&endTime={HOUR - 1}", []),
        (f"startTime={HOUR + DAY_MS}", []),
        (f"startTime={HOUR}&endTime={HOUR + DAY_MS}", [HOUR]),
    ],
)
def test_ranges(query: str, expected: list[int]) -> None:
    assert opens(f"symbol=BTCUSDT&interval=1h&{query}") == expected


def test_a_page_has_a_thousand_rows_at_most() -> None:
    assert len(opens("symbol=BTCUSDT&interval=1m&limit=5000")) == 1000


@pytest.mark.parametrize("name", intervals.NAMES)
def test_all_intervals_are_served_from_the_first_candle_on(name: str) -> None:
    interval = intervals.parse(name)
    first = MARKET.first_open(interval)
    assert opens(f"symbol=BTCUSDT&interval={name}&startTime=0&limit=2") == [
        first,
        interval.after(first),
    ]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("8", "2026-01-26T16:00:00Z"),
        ("0", "2026-01-27T00:00:00Z"),
        ("-1:00", "2026-01-27T01:00:00Z"),
        ("05:45", "2026-01-26T18:15:00Z"),
        ("+08:00", "2026-01-26T16:00:00Z"),
        ("%2B14", "2026-01-27T10:00:00Z"),
    ],
)
def test_days_in_another_time_zone(zone: str, expected: str) -> None:
    rows = opens(f"symbol=BTCUSDT&interval=1d&limit=1&timeZone={zone}")
    assert [timestamp.to_text(opened) for opened in rows] == [expected]


ILLEGAL_TIME = "Illegal characters found in parameter 'startTime'; legal range is '^[0-9]{1,20}$'."
MANDATORY = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("interval=1m", -1102, MANDATORY.format("symbol")),
        ("symbol=BTCUSDT", -1102, MANDATORY.format("interval")),
        ("symbol=FOOBAR&interval=1m", -1121, "Invalid symbol."),
        ("symbol=BTCUSDT&interval=7m", -1120, "Invalid interval."),
        ("symbol=btcusdt&interval=1m", -1100, "Illegal characters found in parameter 'symbol'"),
        ("symbol=BTCUSDT&interval=1m&startTime=x", -1100, ILLEGAL_TIME),
        ("symbol=BTCUSDT&interval=1m&startTime=-1", -1100, ILLEGAL_TIME),
        (
            "symbol=BTCUSDT&interval=1m&endTime=99999999999999999999",
            -1108,
            "Parameter 'endTime' overflowed.",
        ),
        (
            "symbol=BTCUSDT&interval=1m&limit=0",
            -1130,
            "Data sent for parameter 'limit' is not valid.",
        ),
        ("symbol=BTCUSDT&interval=1m&limit=", -1105, "Parameter 'limit' was empty."),
        (
            "symbol=BTCUSDT&symbol=BTCUSDT",
            -1101,
            "Duplicate values for parameter 'symbol' detected.",
        ),
        (
            "symbol=BTCUSDT&interval=1m&timeZone=15",
            -1130,
            "Data sent for parameter 'timeZone' is not valid.",
        ),
        (
            "symbol=BTCUSDT&interval=1m&timeZone=x",
            -1130,
            "Data sent for parameter 'timeZone' is not valid.",
        ),
        (
            "symbol=BTCUSDT&interval=1m&foo=1",
            -1104,
            "Not all sent parameters were read; read '2' parameter(s) but was sent '3'.",
        ),
    ],
)
def test_what_is_refused(query: str, code: int, message: str) -> None:
    status, body = API.answer("/api/v3/klines", query, NOW)
    answer = json.loads(body)
    assert status == 400
    assert rest.decode_error(body) == (answer["code"], answer["msg"])
    assert answer["code"] == code
    assert answer["msg"].startswith(message)


def test_exchange_info() -> None:
    info = ask("", "/api/v3/exchangeInfo")
    assert [entry["symbol"] for entry in info["symbols"]] == list(MARKET.symbols)
    weight = info["rateLimits"][0]
    assert (weight["rateLimitType"], weight["limit"]) == ("REQUEST_WEIGHT", 6000)
    shib = ask("symbol=SHIBUSDT", "/api/v3/exchangeInfo")["symbols"]
    assert len(shib) == 1
    filters = {entry["filterType"]: entry for entry in shib[0]["filters"]}
    assert shib[0]["status"] == "TRADING"
    assert filters["PRICE_FILTER"]["tickSize"] == "0.00000001"
    assert filters["LOT_SIZE"]["stepSize"] == "1.00000000"
    assert "NOTIONAL" in filters
    two = ask("symbols=%5B%22BTCUSDT%22,%22LRCBTC%22%5D", "/api/v3/exchangeInfo")
    assert [entry["symbol"] for entry in two["symbols"]] == ["BTCUSDT", "LRCBTC"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("symbol=FOOBAR", -1121),
        ('symbols=["FOOBAR"]', -1121),
        ("symbols=[", -1100),
        ("symbols=7", -1130),
        ('symbol=BTCUSDT&symbols=["BTCUSDT"]', -1128),
    ],
)
def test_exchange_info_refused(query: str, code: int) -> None:
    status, body = API.answer("/api/v3/exchangeInfo", query, NOW)
    assert (status, json.loads(body)["code"]) == (400, code)


def test_weights() -> None:
    assert [
        API.weight(f"/api/v3/{name}")
        for name in ("ping", "time", "exchangeInfo", "klines", "uiKlines", "x")
    ] == [1, 1, 20, 2, 2, None]
