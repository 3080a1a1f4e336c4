"""Candles that exist nowhere, and times without trades: streams, REST and truth agree on them."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect

from kline_ops.exchange.altered import AlteredMarket
from kline_ops.exchange.bar import Bar
from kline_ops.exchange.faults import Fault, FaultKind
from kline_ops.exchange.market import Market
from kline_ops.exchange.server import ExchangeServer
from kline_ops.market import interval as intervals
from kline_ops.market import rest
from kline_ops.market.candle import Candle
from kline_ops.market.interval import HOUR_MS, MINUTE_MS, SECOND_MS
from tests.exchange.clients import SECOND, ask_rest, klines, opens

MONTH_END_MS = 1_769_904_000_000
MINUTE = "btcusdt@kline_1m"
MARKET = Market(7)


def at(seconds: int) -> int:
    return MONTH_END_MS + seconds * SECOND_MS


async def candles(server: ExchangeServer, interval: str, query: str) -> list[Candle]:
    target = f"/api/v3/klines?symbol=BTCUSDT&interval={interval}&{query}"
    return rest.decode_klines((await ask_rest(server, target)).content)


def test_maintenance_exists_nowhere(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.maintenance(at(2), at(5))
        async with connect(f"{server.ws_url}/{SECOND}/{MINUTE}") as ws:
            told = [k for k in await klines(ws, 8) if k.interval == "1s"]
        expected = [at(n) for n in (-1, 0, 1, 5, 6)]
        assert opens(told) == expected
        assert server.truth("BTCUSDT", "1s", at(-1), at(6)) == [k.candle for k in told]
        shown = await candles(server, "1s", f"startTime={at(-1)}&endTime={at(6)}")
        assert [candle.open_ms for candle in shown] == expected
        # The page is as long as ever: those before take the places.
        shown = await candles(server, "1s", f"endTime={at(6)}&limit=5")
        assert [candle.open_ms for candle in shown] == expected
        shown = await candles(server, "1s", f"startTime={at(1)}&limit=2")
        assert [candle.open_ms for candle in shown] == [at(1), at(5)]
        assert len(server.truth("BTCUSDT", "1m", MONTH_END_MS, MONTH_END_MS)) == 1

    play(scenario)


def test_maintenance_from_now_on_ends_when_healed(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.apply(Fault(FaultKind.MAINTENANCE, seconds=3600, symbol="BTCUSDT"))
        await asyncio.sleep(3.5)
        server.heal()
        truth = server.truth("BTCUSDT", "1s", at(-1), at(5))
        assert [candle.open_ms for candle in truth] == [at(-1), at(4), at(5)]
        assert len(server.truth("ETHUSDT", "1s", at(-1), at(5))) == 7

    play(scenario)


def test_a_quiet_time_is_told_flat(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.quiet(at(1), at(5), "BTCUSDT")
        async with connect(f"{server.ws_url}/{SECOND}/{MINUTE}") as ws:
            told = await klines(ws, 8)
        seconds = [kline.candle for kline in told if kline.interval == "1s"]
        assert seconds == server.truth("BTCUSDT", "1s", at(-1), at(6))
        for flat in seconds[2:6]:
            assert flat.values() == (*4 * (seconds[1].close,), "0.00000000")
            assert flat.trades == 0
            assert flat.problem() is None
        # The minute is told of at its end, and then not before it has traded again.
        times = [k.event_ms // SECOND_MS * SECOND_MS for k in told if k.interval == "1m"]
        assert times == [MONTH_END_MS, at(6)]
        assert await candles(server, "1s", f"startTime={at(-1)}&endTime={at(6)}") == seconds

    play(scenario)


def test_closing_frames_wait_for_the_next_trade(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.quiet(at(-1), at(4), "BTCUSDT", closes=False)
        async with connect(f"{server.ws_url}/{SECOND}/{MINUTE}/ethusdt@kline_1s") as ws:
            told = [kline for kline in await klines(ws, 5.3) if kline.closed]
            quiet = [kline for kline in told if kline.symbol == "BTCUSDT"]
            assert {kline.event_ms // SECOND_MS * SECOND_MS for kline in quiet} == {at(5)}
            seconds = [k.candle for k in quiet if k.interval == "1s"]
            assert seconds == server.truth("BTCUSDT", "1s", at(-1), at(4))
            minute = [k.candle for k in quiet if k.interval == "1m"]
            assert minute == server.truth("BTCUSDT", "1m", at(-60), at(-60))
            assert len([kline for kline in told if kline.symbol == "ETHUSDT"]) == 6
        assert len(await candles(server, "1s", f"startTime={at(-1)}&endTime={at(3)}")) == 5

    play(scenario)


def test_rest_has_a_quiet_candle_before_the_stream(play) -> None:
    async def scenario(server: ExchangeServer, _clock) -> None:
        server.apply(Fault(FaultKind.QUIET, seconds=3600, closes=False))
        async with connect(f"{server.ws_url}/{SECOND}") as ws:
            assert [k.candle.open_ms for k in await klines(ws, 3)] == [at(-1)]
            shown = await candles(server, "1s", f"startTime={at(0)}&endTime={at(1)}")
            assert [candle.trades for candle in shown] == [0, 0]
            server.heal()
            told = await klines(ws, 3)
            assert opens(told)[:3] == [at(0), at(1), at(2)]
            assert told[3].candle.trades > 0

    play(scenario)


def amounts(bars: list[Bar]) -> list[Decimal]:
    columns = zip(
        *((b.volume, b.quote_volume, b.taker_volume, b.trades) for b in bars), strict=True
    )
    return [sum(map(Decimal, column), Decimal(0)) for column in columns]


@settings(max_examples=25, deadline=None)
@given(st.integers(-4000, 4000), st.integers(1, 4000))
def test_the_intervals_still_add_up(begin: int, length: int) -> None:
    market = AlteredMarket(MARKET)
    market.hush(at(begin), at(begin + length))
    hour, minute = intervals.parse("1h"), intervals.parse("1m")
    for opened in (MONTH_END_MS - HOUR_MS, MONTH_END_MS):
        whole = market.bar("BTCUSDT", hour, opened)
        parts = [market.bar("BTCUSDT", minute, opened + n * MINUTE_MS) for n in range(60)]
        assert amounts([whole]) == amounts(parts)
        assert whole.candle().problem() is None
        traded = [part for part in parts if part.trades]
        if traded:
            assert (whole.open, whole.close) == (traded[0].open, traded[-1].close)
            assert Decimal(whole.high) == max(Decimal(part.high) for part in traded)
            assert Decimal(whole.low) == min(Decimal(part.low) for part in traded)


def test_a_candle_without_quiet_is_the_market_s_own() -> None:
    market = AlteredMarket(MARKET)
    market.hush(at(60), at(120), "BTCUSDT")
    minute = intervals.parse("1m")
    for symbol, opened in (("BTCUSDT", at(0)), ("BTCUSDT", at(120)), ("ETHUSDT", at(60))):
        assert market.bar(symbol, minute, opened) == MARKET.bar(symbol, minute, opened)
    forming = market.bar("BTCUSDT", minute, at(0), at(30))
    assert forming == MARKET.bar("BTCUSDT", minute, at(0), at(30))


@pytest.mark.parametrize("shared", [False, True])
def test_two_endpoints_of_one_market(play, shared: bool) -> None:
    async def scenario(first: ExchangeServer, clock) -> None:
        async with ExchangeServer(first.market, clock) as second:
            streams = [f"{server.ws_url}/{SECOND}" for server in (first, second)]
            async with connect(streams[0]) as one, connect(streams[1]) as two:
                first.silence(3, 1)
                second.rest_down(60)
                first.maintenance(at(5), at(6))
                told = [await klines(ws, seconds) for ws, seconds in ((two, 8), (one, 0.01))]
                assert (await ask_rest(first, "/api/v3/ping")).status_code == 200
                assert (await ask_rest(second, "/api/v3/ping")).status_code == 503
                first.cut()
                assert second.sessions[0].closed_ms is None
            everywhere = second.truth("BTCUSDT", "1s", at(-1), at(6))
            assert [k.candle for k in told[0]] == everywhere
            assert len(everywhere) == (7 if shared else 8)
            assert {k.candle for k in told[1]} <= set(everywhere)
            assert len(told[1]) in {4, 5}

    play(scenario, market=AlteredMarket(Market(7)) if shared else Market(7))
