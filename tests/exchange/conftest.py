"""An exchange whose clock starts where a test wants it: just before a candle closes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from kline_ops.exchange.bar import MarketData
from kline_ops.exchange.market import Market
from kline_ops.exchange.server import ExchangeServer
from kline_ops.exchange.session import ExchangeOptions
from kline_ops.market import timestamp
from tests.support.virtual_time import VirtualClock, run_virtual

#: 1s, 1m … 1d, 3d and 1M candles close here.
MONTH_END_MS = timestamp.to_ms("2026-02-01T00:00:00Z")


class RealClock:
    """Runs at the speed of real time, from a start of one's choice: for clients of others."""

    def __init__(self, start_ms: int) -> None:
        self._offset = start_ms - time.monotonic() * 1000

    def wall_ms(self) -> int:
        return int(time.monotonic() * 1000 + self._offset)

    def monotonic(self) -> float:
        return time.monotonic()

    def asleep(self) -> float:
        return 0.0


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


Scenario = Callable[[ExchangeServer, VirtualClock], Awaitable[None]]


@pytest.fixture
def play() -> Callable[..., None]:
    """Run a scenario against an exchange, and see that nothing is left running after it."""

    def run(
        scenario: Scenario,
        *,
        start_ms: int = MONTH_END_MS - 180,
        market: MarketData | None = None,
        real_time: bool = False,
        **options: Any,
    ) -> None:
        async def main(clock: Any) -> None:
            given = ExchangeOptions(**options)
            async with asyncio.timeout(120):
                server = ExchangeServer(market or Market(7), clock, options=given)
                if isinstance(clock, VirtualClock):
                    clock.excuse(lambda: server.rest_held)
                async with server:
                    await scenario(server, clock)
                await asyncio.sleep(0)
                assert asyncio.all_tasks() == {asyncio.current_task()}

        if real_time:
            asyncio.run(main(RealClock(start_ms)))
        else:
            run_virtual(main, start_ms)

    return run


@pytest.fixture
def get() -> Callable[..., Awaitable[Reply]]:
    """Ask REST over a plain socket."""

    async def ask(server: ExchangeServer, target: str, method: str = "GET") -> Reply:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: exchange\r\n\r\n".encode())
        raw = await reader.read()
        writer.close()
        await writer.wait_closed()
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        is_json = headers["content-type"].startswith("application/json")
        return Reply(int(lines[0].split()[1]), headers, json.loads(body) if is_json else body)

    return ask
