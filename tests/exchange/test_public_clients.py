"""Public clients, unchanged but for the address: python-binance and ccxt."""

from __future__ import annotations

import asyncio
import warnings
from types import ModuleType
from typing import Any

import pytest

from kline_ops.exchange.server import ExchangeServer
from kline_ops.market.candle import Candle

MONTH_END_MS = 1_769_904_000_000
HOUR_MS = 3_600_000

# Both libraries leave the closing of their sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(scope="module")
def binance() -> ModuleType:
    with warnings.catch_warnings():
        # It asks websockets for a name that is on its way out.
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("binance")


@pytest.fixture(scope="module")
def ccxt_pro() -> ModuleType:
    return pytest.importorskip("ccxt.pro")


def from_row(row: list[Any]) -> Candle:
    return Candle(*row[:6], row[8], row[6], row[7], row[9], row[10])


def numbers(candle: Candle) -> list[float]:
    return [candle.open_ms, *(float(text) for text in candle.values())]


def test_python_binance(play, binance, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(server: ExchangeServer, clock) -> None:
        monkeypatch.setattr(binance.AsyncClient, "API_URL", f"{server.rest_url}/api")
        monkeypatch.setattr(
            binance.BinanceSocketManager, "STREAM_URL", server.ws_url.removesuffix("ws")
        )
        client = await binance.AsyncClient.create()
        try:
            first, last = MONTH_END_MS - 30 * HOUR_MS, MONTH_END_MS - 2 * HOUR_MS
            rows = await client.get_klines(
                symbol="LRCBTC", interval="1h", startTime=first, endTime=last, limit=1000
            )
            assert [from_row(row) for row in rows] == server.truth("LRCBTC", "1h", first, last)
            history = await client.get_historical_klines("BTCUSDT", "1m", first, first + HOUR_MS)
            truth = server.truth("BTCUSDT", "1m", first, first + HOUR_MS)
            assert [from_row(row) for row in history] == truth
            info = await client.get_symbol_info("SHIBUSDT")
            assert info["baseAsset"] == "SHIB"

            async with binance.BinanceSocketManager(client).kline_socket("BTCUSDT", "1s") as stream:
                frames = [await stream.recv()]
        finally:
            await client.close_connection()
        klines = [frame["k"] for frame in frames]
        assert all(kline["x"] for kline in klines)
        told = [Candle(*(k[key] for key in "tohlcvnTqVQ")) for k in klines]
        assert told == server.truth("BTCUSDT", "1s", told[0].open_ms, told[0].open_ms)

    play(scenario, real_time=True)


def test_ccxt(play, ccxt_pro) -> None:
    async def scenario(server: ExchangeServer, clock) -> None:
        client = ccxt_pro.binance({"options": {"fetchMarkets": {"types": ["spot"]}}})
        client.urls["api"]["public"] = f"{server.rest_url}/api/v3"
        client.urls["api"]["ws"]["spot"] = server.ws_url
        try:
            markets = await client.load_markets()
            assert markets["SHIB/USDT"]["precision"]["price"] == 1e-8
            first = MONTH_END_MS - 30 * HOUR_MS
            rows = await client.fetch_ohlcv("LRC/BTC", "1h", since=first, limit=20)
            truth = server.truth("LRCBTC", "1h", first, first + 19 * HOUR_MS)
            assert rows == [numbers(candle) for candle in truth]

            told: dict[int, list[float]] = {}
            while not told:
                for row in await client.watch_ohlcv("BTC/USDT", "1s"):
                    told[row[0]] = row
        finally:
            await client.close()
            await asyncio.sleep(0)
        truth = server.truth("BTCUSDT", "1s", min(told), max(told))
        assert [told[at] for at in sorted(told)] == [numbers(candle) for candle in truth]

    play(scenario, real_time=True)
