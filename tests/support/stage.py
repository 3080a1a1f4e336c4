"""The page's own server with a made-up session behind it: states that a real one takes weeks to reach.

App, listener, headers and files are the real ones; what they tell is whatever a test sets.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Self

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from kline_ops.observe.snapshot import Snapshot
from kline_ops.observe.web.answers import JsonAnswer, refusal
from kline_ops.observe.web.app import Sources, new_app
from kline_ops.observe.web.server import Server, bound
from kline_ops.observe.web.stream import Stream

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


class _Uncounted:
    """Counts nothing."""

    def render(self, accept: str, snapshot: Snapshot) -> tuple[bytes, str]:
        return b"", "text/plain"

    def count_request(self, path: str, code: int) -> None:
        pass


def status(name: str = "btcusdt-1m", state: str = "RECORDING", **changes: Any) -> dict[str, Any]:
    """An object of /api/status."""
    return {
        "name": name,
        "state": state,
        "reason": "",
        "pid": 4711,
        "symbol": "BTCUSDT",
        "interval": "1m",
        "csv": "candles.csv",
        "log": "session.log",
        "command": "",
        "endpoint": "wss://stream.binance.com:9443/ws",
        "last_candle": None,
        "last_candle_age_seconds": None,
        "next_due": None,
        "owed": 0,
        "on_disk": 0,
        "missing": 0,
        "restarts_planned": 0,
        "reconnects": 0,
        "next_restart": None,
        "uptime_seconds": 5.0,
        "clock_skew_seconds": 0.0,
        "lacks_secrets": "",
        "lock_holder": 4711,
        "stopping": False,
    } | changes


def candles(rows: list[list[Any]], interval_ms: int = MINUTE, **changes: Any) -> dict[str, Any]:
    """An answer of /api/candles."""
    names = {MINUTE: "1m", HOUR: "1h", 1000: "1s", DAY: "1d"}
    return {
        "session": "btcusdt-1m",
        "symbol": "BTCUSDT",
        "interval": names.get(interval_ms, "1m"),
        "interval_ms": interval_ms,
        "candles": rows,
        "forming": None,
    } | changes


def walk(first_ms: int, count: int, interval_ms: int = MINUTE) -> list[list[Any]]:
    """So many candles in a row."""
    rows = []
    for at in range(count):
        price = 80_000 + 37 * ((at * 7919) % 29) - at % 211
        close = price + 20 - (at * 31) % 43
        numbers = (price, max(price, close) + 9, min(price, close) - 11, close, 1 + at % 17)
        rows.append([first_ms + at * interval_ms, *(f"{number:.8f}" for number in numbers)])
    return rows


def history(
    from_ms: int, until_ms: int, cells: list[list[Any]], *, cell_ms: int = MINUTE, **changes: Any
) -> dict[str, Any]:
    """An answer of /api/history; ``cells`` are runs."""
    figures = dict.fromkeys(("stream", "rest", "pending", "exchange", "missing"), 0)
    for _, _, kind, number in cells:
        figures[kind] += number
    owed = sum(figures.values())
    disk = figures["stream"] + figures["rest"]
    return {
        "from_ms": from_ms,
        "until_ms": until_ms,
        "cell_ms": cell_ms,
        "candles_per_cell": 1,
        "cells": cells,
        "figures": {"owed": owed, "on_disk": disk, **figures},
        "marks": [],
    } | changes


class Stage:
    """Serves until the block ends. What it tells may be set at any time, from any thread."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = status()
        #: All but the one that is asked.
        self.others: list[dict[str, Any]] = []
        self.candles: Callable[[], dict[str, Any]] | None = None
        self.histories: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        #: Paths of the API that are answered by this instead.
        self.instead: dict[str, Callable[[], Response]] = {}
        #: Paths that were asked for, with their query.
        self.asked: list[str] = []
        self._loop = asyncio.new_event_loop()
        self.stream = Stream(1)
        self._server = Server(new_app(self._sources(), None))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        sock = bound("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
        asyncio.run_coroutine_threadsafe(self._server.listen(sock), self._loop).result(10)
        self._ticking = asyncio.run_coroutine_threadsafe(self._tick(), self._loop)
        return self

    def __exit__(self, *_: object) -> None:
        self._ticking.cancel()
        self._do(self.stream.close)
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def listeners(self) -> int:
        return self.stream.listeners

    def tell(self, kind: str, told: dict[str, Any]) -> None:
        """To whoever listens."""
        self._do(lambda: self.stream.tell(kind, msgspec.json.encode(told), keep=False))

    def _do(self, fn: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(fn)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self.stream.show("status", msgspec.json.encode(self.status))

    def _sources(self) -> Sources:
        return Sources(
            session="btcusdt-1m",
            version="1.0",
            snapshot=lambda: None,  # type: ignore[arg-type, return-value] # only health asks for it
            status=lambda: self.status,
            counting=_Uncounted(),
            stream=self.stream,
            events_of=lambda _name, limit: [msgspec.json.encode(e) for e in self.events[-limit:]],
            now=self._loop.time,
            data=dict.fromkeys(("/api/candles", "/api/history", "/api/sessions"), self._answered),
        )

    async def _answered(self, request: Request) -> Response:
        path = request.url.path
        self.asked.append(f"{path}?{request.url.query}")
        if path in self.instead:
            return self.instead[path]()
        if path == "/api/sessions":
            return JsonAnswer([self.status, *self.others])
        if path == "/api/history" and self.histories:
            return JsonAnswer(self.histories[request.query_params.get("span", "day")])
        if path == "/api/candles" and self.candles is not None:
            return JsonAnswer(self.candles())
        return refusal(404, "nothing was recorded yet: there is no candle file")
