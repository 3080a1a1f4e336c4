"""The embedded exchange in a thread of its own, for clients that are real processes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar

from kline_ops.clock import SystemClock
from kline_ops.exchange.bar import MarketData
from kline_ops.exchange.market import Market
from kline_ops.exchange.server import ExchangeServer
from kline_ops.exchange.session import ExchangeOptions

T = TypeVar("T")


class ExchangeThread:
    """``with ExchangeThread() as exchange``: it serves until the end of the block."""

    def __init__(self, market: MarketData | None = None, **options: Any) -> None:
        self.server = ExchangeServer(
            market or Market(7), SystemClock(), options=ExchangeOptions(**options)
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    @property
    def rest_url(self) -> str:
        return self.server.rest_url

    @property
    def requests(self) -> int:
        """Pages of klines that were asked for, whatever came of them."""
        return self.server.rest_requests["/api/v3/klines"]

    def do(self, call: Callable[[ExchangeServer], T]) -> T:
        """Call something on the exchange's own loop."""

        async def run() -> T:
            return call(self.server)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
