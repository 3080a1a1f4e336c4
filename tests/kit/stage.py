"""A managed connection to the embedded exchange, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from kline_ops.exchange.market import Market
from kline_ops.exchange.server import ExchangeServer
from kline_ops.exchange.session import ExchangeOptions
from kline_ops.kit.websocket_manager import WebSocketManager
from kline_ops.market import messages
from kline_ops.market.messages import FrameRejected, Kline
from tests.support.virtual_time import VirtualClock, run_virtual

SECOND = "/btcusdt@kline_1s"


@dataclass
class Stage:
    """What a script may use, and what is known afterwards. Moments are the exchange's, in ms."""

    clock: VirtualClock
    server: ExchangeServer
    others: list[ExchangeServer]
    manager: WebSocketManager = field(init=False)
    heard: list[str] = field(default_factory=list)
    #: When, and why.
    ended: list[tuple[int, str]] = field(default_factory=list)
    connected: list[int] = field(default_factory=list)
    alerts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def reasons(self) -> list[str]:
        return [name for _, name in self.ended]

    @property
    def closes(self) -> list[int]:
        """The candles whose closing frames came, as often as they came."""
        return [kline.candle.open_ms for kline in map(decode, self.heard) if kline and kline.closed]

    def told(self) -> list[tuple[str, str]]:
        """What was alerted: the trouble and the level."""
        return [(context["event"], context["level"]) for _, context in self.alerts]

    def dark_ms(self, since_ms: int = 0) -> int:
        """How long there was no connection since the first one (or since then)."""
        since = since_ms or self.server.sessions[0].opened_ms
        return self.server.dark_ms(since, self.clock.wall_ms())


def decode(text: str) -> Kline | None:
    try:
        message = messages.decode(text)
    except FrameRejected:
        return None
    return message if isinstance(message, Kline) else None


Script = Callable[[Stage], Awaitable[None]]


def play(
    script: Script,
    *,
    path: str = SECOND,
    failovers: int = 0,
    seed: int = 1,
    options: ExchangeOptions | None = None,
    start_ms: int = 1_767_225_600_300,
    begin: bool = True,
    **given: Any,
) -> Stage:
    """Run the script beside a manager that is connected, unless it is to ``begin`` itself."""

    async def main(clock: VirtualClock) -> Stage:
        random.seed(seed)
        market = Market(1)
        async with AsyncExitStack() as stack:
            server, *others = [
                await stack.enter_async_context(ExchangeServer(market, clock, options=options))
                for _ in range(1 + failovers)
            ]
            stage = Stage(clock, server, others)

            async def hear(message: str) -> None:
                stage.heard.append(message)

            async def connected() -> None:
                stage.connected.append(clock.wall_ms())

            async def disconnected(reason: Any) -> None:
                stage.ended.append((clock.wall_ms(), reason.name))

            async def alert(channel: str, text: str, context: dict[str, Any]) -> None:
                assert channel == "websocket"
                stage.alerts.append((text, context))

            calls = {
                "on_message": hear, "on_connect": connected,
                "on_disconnect": disconnected, "on_alert": alert,
            }  # fmt: skip
            given["failover_urls"] = [other.ws_url + path for other in others]
            stage.manager = manager = WebSocketManager(
                server.ws_url + path, clock=clock, **(calls | given)
            )
            try:
                if begin:
                    await manager.connect()
                await script(stage)
            finally:
                await manager.close()
            leftover = [t.get_name() for t in asyncio.all_tasks() if "connection " in t.get_name()]
            assert not leftover
            return stage

    return run_virtual(main, start_ms)


def missing(stage: Stage) -> int:
    """How many closing frames did not come, between the first and the last that did."""
    closes = set(stage.closes)
    return (max(closes) - min(closes)) // 1000 + 1 - len(closes)


def silent_ms(stage: Stage) -> int:
    last = stage.manager.stats.last_message_ms
    assert last is not None
    return stage.clock.wall_ms() - last


def busiest(stage: Stage) -> int:
    """The most attempts in any 5 minutes."""
    at = stage.server.attempts
    return max(sum(first <= other < first + 300_000 for other in at) for first in at)
