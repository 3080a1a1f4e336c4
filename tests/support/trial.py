"""The real session against the real embedded exchange, in one loop of virtual time.

A trial ends with the one question that matters: does the candle file equal the truth?
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext
from typing import Any

import yaml

from kline_ops.config.settings import Settings, load_settings
from kline_ops.events import Event
from kline_ops.exchange.market import Market
from kline_ops.exchange.server import ExchangeServer
from kline_ops.exchange.session import ExchangeOptions
from kline_ops.market.candle import HEADERS
from kline_ops.market.timestamp import to_ms
from kline_ops.record.disk import Disk
from kline_ops.service import Session
from kline_ops.session.parts import new_journal
from tests.support.virtual_time import VirtualClock, run_virtual

Script = Callable[["Trial"], Awaitable[None]]


@dataclass
class Trial:
    """One run: what the script may use, and what is known afterwards."""

    clock: VirtualClock
    server: ExchangeServer
    settings: Settings
    session: Session
    events: list[Event] = field(default_factory=list)
    live_from_ms: int = 0
    #: Where the same market is to be had, in the order of the config.
    others: list[ExchangeServer] = field(default_factory=list)
    ended_ms: int = 0

    def rows(self) -> list[str]:
        """The candle file's rows, without the header."""
        header, *rows = self.settings.csv.read_text().splitlines()
        assert header == HEADERS[self.settings.config.record.columns]
        return rows

    def of(self, kind: type[Event]) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def truth(self) -> list[str]:
        """What the exchange had, from the first row on disk to the last candle closed in the run."""
        interval = self.settings.stream.interval
        first = to_ms(self.rows()[0].split(",")[0])
        last = interval.shift(interval.floor(self.ended_ms - 100), -1)
        candles = self.server.truth(self.settings.stream.symbol, interval, first, last)
        columns = self.settings.config.record.columns
        return [candle.row(columns).decode().rstrip("\n") for candle in candles]

    def state(self) -> dict[str, Any]:
        """The state file, once what was to be written before is written."""
        if not self.ended_ms:
            self.session._sideline.submit(lambda: None).result(10)
        else:
            self.session._sideline.join(10)  # a busy machine may be late with the last one
        return json.loads(self.settings.state_file.read_text())


def write_config(folder: Path, server_ws: str, server_rest: str | None, **changes: Any) -> Path:
    """A config file for an exchange at these addresses; ``changes`` are dotted keys."""
    tree: dict[str, Any] = {
        "data_dir": "data",
        "binance": {
            "ws_url": server_ws,
            "rest_url": server_rest,
            "stream": {"symbol": "btcusdt", "timeframe": "1s"},
        },
    }
    for dotted, value in changes.items():
        *sections, key = dotted.split("__")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
    if server_rest is None:
        del tree["binance"]["rest_url"]
    path = folder / "trial.yml"
    path.write_text(yaml.safe_dump(tree))
    return path


def run_trial(
    folder: Path,
    seconds: float,
    script: Script | None = None,
    *,
    seed: int = 1,
    rest: bool = True,
    tls: SSLContext | None = None,
    start_ms: int = 1_767_225_600_300,
    disk: Disk | None = None,
    skew: Callable[[VirtualClock], Any] = lambda clock: clock,
    failovers: int = 0,
    options: ExchangeOptions | None = None,
    **changes: Any,
) -> Trial:
    """Record for so many (virtual) seconds while the script does what it does.

    ``failovers``: so many more addresses of the same market, for ``binance.failover_urls``.
    """

    async def main(clock: VirtualClock) -> Trial:
        market = Market(seed)
        async with AsyncExitStack() as stack:
            server, *others = [
                await stack.enter_async_context(
                    ExchangeServer(market, clock, ssl=tls, options=options)
                )
                for _ in range(1 + failovers)
            ]
            for each in (server, *others):
                clock.excuse(lambda each=each: each.rest_held)
            return await _record(clock, server, others)

    async def _record(
        clock: VirtualClock, server: ExchangeServer, others: list[ExchangeServer]
    ) -> Trial:
        if others:
            changes["binance__failover_urls"] = [other.ws_url for other in others]
        path = write_config(folder, server.ws_url, server.rest_url if rest else None, **changes)
        settings = load_settings("trial", path, {})
        journal = new_journal(settings)
        if disk is not None:
            journal._disk = disk
        events: list[Event] = []
        session = Session(
            settings,
            journal,
            clock=skew(clock),
            draw=random.Random(seed).random,
            listeners=(events.append,),
        )
        trial = Trial(clock, server, settings, session, events, clock.wall_ms(), others)
        running = asyncio.ensure_future(session.run())
        play = asyncio.ensure_future(script(trial)) if script is not None else None
        await asyncio.wait({running}, timeout=seconds)
        if play is not None:
            await play
        trial.ended_ms = clock.wall_ms()
        session.stop("end of the trial")
        await running
        return trial

    return run_virtual(main, start_ms)
