"""The invented market: one truth, whatever the interval, the process and the order of asking."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kline_ops.exchange.bar import Bar
from kline_ops.exchange.market import LISTED_MS, Market
from kline_ops.exchange.symbols import LISTED, Symbol
from kline_ops.market import interval as intervals
from kline_ops.market import timestamp
from kline_ops.market.interval import DAY_MS, HOUR_MS, NAMES, SECOND_MS

MARKET = Market(7)
MOMENT = timestamp.to_ms("2026-01-27T14:00:00Z")
ALL_INTERVALS = [*NAMES, *(f"{name}@+08:00" for name in NAMES)]
#: What each interval is put together from, to be compared with it.
PARTS = {"1m": "1s", "1h": "1m", "1d": "1h", "3d": "1d", "1w": "1d", "1M": "1d"}

#: A day of BTCUSDT and an hour of LRCBTC as seed 1 has always told them.
DAY = ("59079.71000000", "61637.54000000", "58578.27000000", "60456.36000000", "31837.32892000")
HOUR = ("0.00000701", "0.00000703", "0.00000699", "0.00000702", "21594.00000000")


def joined(bars: list[Bar]) -> Bar:
    """The candle of consecutive ones, in decimals, by no code of the market."""

    def total(name: str) -> str:
        return f"{sum(Decimal(getattr(bar, name)) for bar in bars):.8f}"

    traded = [bar for bar in bars if bar.trades]
    return Bar(
        bars[0].open_ms,
        bars[-1].close_ms,
        bars[0].open,
        max((bar.high for bar in bars), key=Decimal),
        min((bar.low for bar in bars), key=Decimal),
        bars[-1].close,
        total("volume"),
        total("quote_volume"),
        sum(bar.trades for bar in bars),
        total("taker_volume"),
        total("taker_quote_volume"),
        traded[0].first_trade_id if traded else -1,
        traded[-1].last_trade_id if traded else -1,
    )


def parts(symbol: str, whole: str, part: str, moment: int) -> tuple[Bar, Bar]:
    """A candle, and the same one from its parts."""
    outer = intervals.parse(whole)
    inner = intervals.parse(part + ("@+08:00" if outer.zone_ms else ""))
    opened = outer.floor(moment)
    end, at, bars = outer.after(opened), opened, []
    while at < end:
        bars.append(MARKET.bar(symbol, inner, at))
        at = inner.after(at)
    return MARKET.bar(symbol, outer, opened), joined(bars)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "SHIBUSDT", "LRCBTC"])
@pytest.mark.parametrize("zone", ["", "@+08:00"])
@pytest.mark.parametrize(("whole", "part"), PARTS.items())
def test_candles_add_up(symbol: str, whole: str, part: str, zone: str) -> None:
    candle, from_parts = parts(symbol, whole + zone, part, MOMENT)
    assert candle == from_parts


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["1m", "3m", "5m", "15m", "30m", "1h"]),
    st.sampled_from(sorted(LISTED)),
    st.integers(LISTED_MS, MOMENT),
)
def test_candles_add_up_anywhere(whole: str, symbol: str, moment: int) -> None:
    candle, from_parts = parts(symbol, whole, "1s" if whole == "1m" else "1m", moment)
    assert candle == from_parts


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ALL_INTERVALS), st.sampled_from(sorted(LISTED)), st.integers(0, 3 * 10**11))
def test_a_forming_candle_is_the_same_range_cut_short(name: str, symbol: str, elapsed: int) -> None:
    interval = intervals.parse(name)
    opened = interval.floor(MOMENT)
    after = interval.after(opened)
    now = opened + elapsed % (after - opened)
    forming = MARKET.bar(symbol, interval, opened, now)
    whole = MARKET.bar(symbol, interval, opened)
    assert forming.candle().problem() is None
    assert forming.open == whole.open
    assert forming.trades <= whole.trades
    assert Decimal(whole.low) <= Decimal(forming.low)
    assert Decimal(forming.high) <= Decimal(whole.high)
    if now % SECOND_MS == 0 and now > opened:
        second = MARKET.bar(symbol, intervals.parse("1s"), now - SECOND_MS)
        assert forming.close == second.close


@pytest.mark.parametrize("name", ALL_INTERVALS)
def test_candles_chain(name: str) -> None:
    interval = intervals.parse(name)
    opened = interval.floor(MOMENT)
    for _ in range(20):
        after = interval.after(opened)
        one, other = (MARKET.bar("ETHUSDT", interval, at) for at in (opened, after))
        assert one.candle().problem() is None
        assert one.close == other.open
        assert one.close_ms == after - 1
        assert one.trades == one.last_trade_id - one.first_trade_id + 1
        opened = after


def test_a_candle_that_has_just_opened_stands_at_the_price_before() -> None:
    hour = intervals.parse("1h")
    fresh = MARKET.bar("BTCUSDT", hour, MOMENT, MOMENT + 900)
    before = MARKET.bar("BTCUSDT", hour, MOMENT - HOUR_MS)
    assert {fresh.open, fresh.high, fresh.low, fresh.close} == {before.close}
    assert (fresh.trades, fresh.volume, fresh.first_trade_id) == (0, "0.00000000", -1)


def test_every_process_has_the_same_market() -> None:
    script = (
        "from kline_ops.exchange.market import Market\n"
        "from kline_ops.market.interval import parse\n"
        f"print(repr([Market(7).bar('SOLUSDT', parse(i), parse(i).floor({MOMENT}))"
        " for i in ('1s', '1m', '1h', '1M')]))\n"
    )
    told = []
    for hash_seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
        )
        told.append(done.stdout.strip())
    here = [
        MARKET.bar("SOLUSDT", i, i.floor(MOMENT))
        for i in map(intervals.parse, ("1s", "1m", "1h", "1M"))
    ]
    assert told == [repr(here)] * 2


def test_the_market_of_a_seed_does_not_change() -> None:
    day = Market(1).bar("BTCUSDT", intervals.parse("1d"), timestamp.to_ms("2026-01-27T00:00:00Z"))
    minute = Market(1).bar("LRCBTC", intervals.parse("1h"), MOMENT)
    assert day.candle().values() == DAY
    assert minute.candle().values() == HOUR


def test_another_seed_is_another_market() -> None:
    day = intervals.parse("1d")
    assert Market(1).bar("BTCUSDT", day, day.floor(MOMENT)) != Market(2).bar(
        "BTCUSDT", day, day.floor(MOMENT)
    )


@pytest.mark.parametrize("symbol", ["SHIBUSDT", "LRCBTC"])
def test_small_prices_keep_all_their_digits(symbol: str) -> None:
    minute = intervals.parse("1m")
    seen = set()
    for n in range(600):
        bar = MARKET.bar(symbol, minute, minute.shift(MOMENT, n))
        for price in (bar.open, bar.high, bar.low, bar.close):
            assert price.startswith("0.0000")
            assert len(price) == len("0.00000638")
            seen.add(Decimal(price))
    steps = {b - a for a, b in zip(sorted(seen), sorted(seen)[1:], strict=False)}
    assert min(steps) == Decimal("0.00000001")


def test_a_thin_symbol_has_seconds_without_a_trade() -> None:
    second = intervals.parse("1s")
    bars = [MARKET.bar("LRCBTC", second, MOMENT + n * SECOND_MS) for n in range(3600)]
    quiet = [bar for bar in bars if not bar.trades]
    assert 0 < len(bars) - len(quiet) < 60
    for bar in quiet:
        assert bar.open == bar.high == bar.low == bar.close
        assert (bar.volume, bar.first_trade_id, bar.last_trade_id) == ("0.00000000", -1, -1)


def test_symbols_can_be_added() -> None:
    market = Market(1, extra=[Symbol("FOO", "BAR", 10, 8, 0, 1000, 10)])
    bar = market.bar("FOOBAR", intervals.parse("1h"), MOMENT)
    assert bar.candle().problem() is None
    assert Decimal(bar.low) >= Decimal("0.00000001")
    with pytest.raises(KeyError):
        MARKET.bar("FOOBAR", intervals.parse("1h"), MOMENT)


def test_nothing_is_older_than_the_listing() -> None:
    week = intervals.parse("1w")
    first = MARKET.first_open(week)
    assert first <= LISTED_MS < week.after(first)
    day = MARKET.bar("BTCUSDT", intervals.parse("1d"), LISTED_MS)
    assert MARKET.bar("BTCUSDT", week, first, LISTED_MS + DAY_MS).volume == day.volume
