"""Stream names, addresses and frames."""

from __future__ import annotations

import json

import pytest

from kline_ops.exchange import streams
from kline_ops.exchange.market import Market
from kline_ops.market import interval as intervals
from kline_ops.market import messages


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/ws", ((), False, False)),
        ("/ws/", ((), False, False)),
        ("/ws/a@kline_1m/b", (("a@kline_1m", "b"), False, False)),
        ("/ws/a@kline_1d@+08:00", (("a@kline_1d@+08:00",), False, False)),
        ("/ws/a@kline_1d@%2B08:00", (("a@kline_1d@+08:00",), False, False)),
        ("/ws/a?timeUnit=MICROSECOND", (("a",), False, True)),
        ("/stream", ((), True, False)),
        ("/stream?streams=a/b/a", (("a", "b"), True, False)),
        ("/stream?streams=a@kline_1d@+08:00", (("a@kline_1d@+08:00",), True, False)),
        ("/stream?timeUnit=microsecond&streams=a", (("a",), True, True)),
        ("/wsx", None),
        ("/api/v3/ping", None),
        ("/", None),
    ],
)
def test_addresses(target: str, expected: object) -> None:
    assert streams.parse_address(target) == expected


@pytest.mark.parametrize("code", intervals.NAMES)
@pytest.mark.parametrize("zone", ["", "@+08:00"])
def test_all_intervals_have_a_stream(code: str, zone: str) -> None:
    stream = streams.parse_kline(f"1000satsusdt@kline_{code}{zone}")
    assert stream is not None
    assert stream.symbol == "1000SATSUSDT"
    assert stream.interval.name == code + zone


@pytest.mark.parametrize(
    "name",
    [
        "BTCUSDT@kline_1m",
        "btcusdt@kline_2m",
        "btcusdt@kline_1M ",
        "btcusdt@trade",
        "0",
        "btcusdt@kline_1m@+07:00",
    ],
)
def test_other_names_bring_no_candles(name: str) -> None:
    assert streams.parse_kline(name) is None


def test_a_frame_has_all_fields_and_reads_back() -> None:
    stream = streams.KlineStream("BTCUSDT", intervals.parse("1d@+08:00"))
    bar = Market(1).bar("BTCUSDT", stream.interval, stream.interval.floor(1_769_522_400_000))
    name = "btcusdt@kline_1d@+08:00"
    frame = streams.kline_frame(name, stream, bar, 1_769_522_400_007, closed=True)
    raw, wrapped = (json.loads(frame.text(combined=combined)) for combined in (False, True))
    assert wrapped == {"stream": name, "data": raw}
    assert list(raw) == ["e", "E", "s", "k"]
    assert " ".join(raw["k"]) == "t T s i f L o c h l v n x q V Q B"
    assert raw["k"]["T"] == bar.open_ms + intervals.DAY_MS - 1
    read = messages.decode(frame.text(combined=True))
    assert read == messages.Kline("BTCUSDT", "1d", 1_769_522_400_007, True, bar.candle())


def test_microseconds() -> None:
    stream = streams.KlineStream("BTCUSDT", intervals.parse("1s"))
    bar = Market(1).bar("BTCUSDT", stream.interval, 1_769_522_400_000)
    frame = streams.kline_frame("n", stream, bar, 1_769_522_401_007, closed=True, micro=True)
    event = json.loads(frame.event)
    assert event["E"] == 1_769_522_401_007_000
    assert (event["k"]["t"], event["k"]["T"]) == (1_769_522_400_000_000, 1_769_522_400_999_999)


def test_the_shutdown_notice() -> None:
    frame = streams.shutdown_frame(5)
    assert json.loads(frame.text(combined=False)) == {"e": "serverShutdown", "E": 5}
    assert json.loads(frame.text(combined=True))["stream"] == "!serverShutdown"
    assert messages.decode(frame.text(combined=True)) == messages.ServerShutdown(5)
