"""What several tests ask of a client."""

from __future__ import annotations

import asyncio
from typing import Any

import requests
from websockets.exceptions import ConnectionClosed

from kline_ops.exchange.server import ExchangeServer
from kline_ops.market import messages
from kline_ops.market.messages import Kline

SECOND = "btcusdt@kline_1s"


async def heard(ws: Any, seconds: float) -> list[str]:
    """All frames that come within so many seconds."""
    frames = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                frames.append(await ws.recv())
    except (TimeoutError, ConnectionClosed):
        return frames


async def klines(ws: Any, seconds: float) -> list[Kline]:
    """The klines that come within so many seconds; other messages are left out."""
    told = [messages.decode(frame) for frame in await heard(ws, seconds)]
    return [message for message in told if isinstance(message, Kline)]


def opens(told: list[Kline]) -> list[int]:
    return [kline.candle.open_ms for kline in told]


async def ask_rest(server: ExchangeServer, target: str, **options: Any) -> requests.Response:
    """An answer of REST to a public client in a thread."""
    address = f"{server.rest_url}{target}"
    return await asyncio.to_thread(requests.get, address, timeout=20, **options)
