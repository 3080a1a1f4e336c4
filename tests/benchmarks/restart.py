"""What a planned restart costs: 40 s of 1 s candles, renewed every 5 s, in real time.

Run it with `make bench-restart`. Three recorders beside one another on the same embedded exchange: ours,
and the two that one would write by hand with `websockets`: close and connect again at each boundary, and
`async for … in connect(…)`, whose connection the exchange closes at each boundary.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from kline_ops.clock import SystemClock
from kline_ops.config.settings import load_settings
from kline_ops.exchange.market import Market
from kline_ops.exchange.server import ExchangeServer
from kline_ops.market.interval import parse
from kline_ops.market.timestamp import to_ms
from kline_ops.service import Session
from kline_ops.session.parts import new_journal
from tests.support.trial import write_config

SECONDS = 40
EVERY = 5
CLOCK = SystemClock()


@dataclass
class Outcome:
    """What a recorder kept, and how long the exchange had nobody to send to."""

    opens: list[int] = field(default_factory=list)
    dark_ms: int = 0
    connects: int = 0


def seconds_to_boundary() -> float:
    """To the next multiple of EVERY seconds, UTC."""
    return EVERY - CLOCK.wall_ms() / 1000 % EVERY


def closed_open_ms(frame: str | bytes) -> int | None:
    body = json.loads(frame)["k"]
    return body["t"] if body["x"] else None


async def ours(server: ExchangeServer, folder: Path) -> list[int]:
    rotation = {"modulo": f"{EVERY}s", "margin_seconds": 1, "min_connection_duration": 1}
    path = write_config(folder, server.ws_url, server.rest_url, binance__reconnect=rotation)
    settings = load_settings("bench", path, {})
    session = Session(
        settings, new_journal(settings), clock=CLOCK, draw=random.SystemRandom().random
    )
    asyncio.get_running_loop().call_later(SECONDS, session.stop, "end")
    await session.run()
    return [to_ms(row.split(",")[0]) for row in settings.csv.read_text().splitlines()[1:]]


async def close_then_connect(server: ExchangeServer, _folder: Path) -> list[int]:
    opens: list[int] = []

    async def until_next_boundary() -> None:
        async with connect(f"{server.ws_url}/btcusdt@kline_1s", compression=None) as socket:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds_to_boundary()):
                    while True:
                        if (open_ms := closed_open_ms(await socket.recv())) is not None:
                            opens.append(open_ms)

    deadline = CLOCK.monotonic() + SECONDS
    while CLOCK.monotonic() < deadline:
        await until_next_boundary()
    return opens


async def async_for(server: ExchangeServer, _folder: Path) -> list[int]:
    opens: list[int] = []

    async def record() -> None:
        async for socket in connect(f"{server.ws_url}/btcusdt@kline_1s", compression=None):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    if (open_ms := closed_open_ms(await socket.recv())) is not None:
                        opens.append(open_ms)

    async def cut_at_boundaries() -> None:
        while True:
            await asyncio.sleep(seconds_to_boundary())
            server.close_all(1001)

    cutter = asyncio.ensure_future(cut_at_boundaries())
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(record(), SECONDS)
    cutter.cancel()
    return opens


async def measure(recorder, folder: Path) -> Outcome:
    async with ExchangeServer(Market(), CLOCK) as server:
        opens = await recorder(server, folder)
        opened = server.sessions[0].opened_ms
        last = max(record.closed_ms or 0 for record in server.sessions)
        dark = server.dark_ms(opened, last)
        return Outcome(opens, dark, len(server.attempts))


def owed(opens: list[int]) -> int:
    return parse("1s").slots(min(opens), max(opens) + 1000)


async def main() -> None:
    recorders = {
        "kline-ops": ours,
        "close, then connect": close_then_connect,
        "async for … in connect()": async_for,
    }
    with tempfile.TemporaryDirectory() as folder:
        outcomes = await asyncio.gather(
            *(measure(recorder, Path(folder)) for recorder in recorders.values())
        )
    print(f"{SECONDS} s of 1 s candles, a restart every {EVERY} s, one run, pid {os.getpid()}")
    print(f"{'':26}{'connects':>9}{'dark ms':>9}{'owed':>6}{'lost':>6}{'doubled':>9}")
    for name, outcome in zip(recorders, outcomes, strict=True):
        kept = set(outcome.opens)
        lost, doubled = owed(outcome.opens) - len(kept), len(outcome.opens) - len(kept)
        print(
            f"{name:26}{outcome.connects:9}{outcome.dark_ms:9}{owed(outcome.opens):6}{lost:6}{doubled:9}"
        )


if __name__ == "__main__":
    asyncio.run(main())
