"""One seed over real sockets: a day of minutes, the recorder unchanged, and everything that goes wrong.

Virtual time, real loopback sockets, real files. Where the disk dies in the middle of a call, so does the
session; a new one begins on what is left.
"""

from __future__ import annotations

import asyncio
import logging
import random
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

from kline_ops.config.settings import Settings, load_settings
from kline_ops.exchange import chaos
from kline_ops.exchange.faults import Fault, FaultKind
from kline_ops.exchange.market import Market
from kline_ops.exchange.parameters import fault_text
from kline_ops.exchange.server import ExchangeServer
from kline_ops.exchange.session import ExchangeOptions
from kline_ops.market.timestamp import to_ms
from kline_ops.record import outbox
from kline_ops.service import Session
from kline_ops.session import upkeep
from kline_ops.session.parts import new_journal
from tests.simulation.month import moment
from tests.support.disks import Crash, CrashingDisk
from tests.support.trial import write_config
from tests.support.virtual_time import VirtualClock, run_virtual

DAY = 86_400.0
_NEVER = 1 << 60
_BEGIN_MS = to_ms("2026-01-01T00:00:30Z")
#: REST tells other values than the stream for good (AMEND); the exchange's time is off by up to a minute
#: (SKEW): a candle that it calls closed half a minute before its close can not be told from a final one.
KINDS = frozenset(FaultKind) - {FaultKind.AMEND, FaultKind.SKEW}
#: These change the market itself, which all addresses share.
_OF_THE_MARKET = frozenset({FaultKind.MAINTENANCE, FaultKind.QUIET})
#: Updates are as seldom as the stall time-out lets them be.
_UPDATE_MS = 20_000
#: Seconds between two looks at the clocks, and at the lock and the file while nothing is written. Nobody
#: touches either here, and at one a second (as a user has it) they are a third of a day's work.
_LOOK_EVERY = 5.0


@dataclass(frozen=True)
class Pace:
    """Seconds: a fault in each so many, a crash about every so many, and the peace at the end."""

    every: float = 5_400.0
    crash_every: float = 14_400.0
    calm: float = 3_600.0
    kinds: frozenset[FaultKind] = KINDS


#: What is confirmed to exist nowhere takes half an hour of peace.
QUICK = Pace(300.0, 900.0, 900.0, KINDS - {FaultKind.MAINTENANCE})


@dataclass
class SocketRun:
    """What became of a seed."""

    seed: int
    schedule: list[tuple[float, Fault]]
    rows: int = 0
    crashes: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def report(self) -> str:
        """The schedule, and the first difference."""
        lines = [f"seed {self.seed}, sockets: {len(self.schedule)} faults"]
        lines += [f"  {moment(at)}  {fault_text(fault)}" for at, fault in self.schedule]
        lines += [f"  {moment(at)}  crash" for at in self.crashes]
        lines += [f"PROBLEM  {problem}" for problem in self.problems]
        return "\n".join(lines)


def draw_faults(seed: int, seconds: float, pace: Pace) -> list[tuple[float, Fault]]:
    """The faults of a seed; all of them are over when the peace begins."""
    return [
        (at, replace(fault, seconds=min(fault.seconds, seconds - pace.calm - at)))
        for at, fault in chaos.schedule(seed, seconds - pace.calm, pace.every, pace.kinds)
    ]


def run_sockets(seed: int, seconds: float = DAY, pace: Pace | None = None) -> SocketRun:
    """Everything in it follows from its arguments, but for what the machine's threads make of it."""
    pace = pace or Pace()
    run = SocketRun(seed, draw_faults(seed, seconds, pace))
    # A session that crashed may still be writing its state while the folder is removed.
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        patch.object(upkeep, "_CLOCKS_EVERY", _LOOK_EVERY),
        patch.object(outbox, "_CHECK_EVERY", _LOOK_EVERY),
    ):
        run_virtual(lambda clock: _Day(run, pace, Path(folder), clock, seconds).play(), _BEGIN_MS)
    return run


def check_sockets(seed: int) -> tuple[int, str]:
    """How many candles a seed has brought, and the report of what failed, or nothing."""
    logging.getLogger("kline_ops").setLevel(logging.CRITICAL)
    run = run_sockets(seed)
    return run.rows, run.report() if run.problems else ""


class _Day:
    def __init__(
        self, run: SocketRun, pace: Pace, folder: Path, clock: VirtualClock, seconds: float
    ) -> None:
        self._run = run
        self._pace = pace
        self._folder = folder
        self._clock = clock
        self._seconds = seconds
        self._draw = random.Random(run.seed)

    async def play(self) -> None:
        market, options = Market(self._run.seed), ExchangeOptions(update_ms=_UPDATE_MS)
        async with AsyncExitStack() as stack:
            servers = [
                await stack.enter_async_context(
                    ExchangeServer(market, self._clock, options=options)
                )
                for _ in range(2)
            ]
            for each in servers:
                self._clock.excuse(lambda each=each: each.rest_held)
            self._share_out(servers)
            settings = self._settings(servers)
            while (left := self._seconds - self._clock.monotonic()) > 0:
                await self._live(settings, left)
            self._compare(settings, servers[0])

    def _share_out(self, servers: list[ExchangeServer]) -> None:
        """What is wrong is wrong at one address or at both."""
        plans: list[list[tuple[float, Fault]]] = [[] for _ in servers]
        for at, fault in self._run.schedule:
            both = fault.kind in _OF_THE_MARKET or self._draw.random() < 0.5
            for plan in plans if both else [self._draw.choice(plans)]:
                plan.append((at, fault))
        for server, plan in zip(servers, plans, strict=True):
            server.play(plan)

    def _settings(self, servers: list[ExchangeServer]) -> Settings:
        path = write_config(
            self._folder,
            servers[0].ws_url,
            servers[0].rest_url,
            binance__stream__timeframe="1m",
            binance__failover_urls=[server.ws_url for server in servers[1:]],
            binance__reconnect={"modulo": "4h"},
            websocket__redundancy=self._draw.choice((1, 1, 2)),
            resilience__heartbeat={"interval": 30.0},  # the state file is not what is asked about
            # All that is owed from here on, whatever the first session lived to see.
            record__since="2026-01-01T00:01:00Z",
        )
        return load_settings("day", path, {})

    async def _live(self, settings: Settings, left: float) -> None:
        """One session, to the end of the day or to the call in which its disk dies."""
        journal = new_journal(settings)
        disk = self._disk(left)
        journal._disk = disk
        session = Session(
            settings,
            journal,
            clock=self._clock,
            draw=self._draw.random,
            budget_file=self._folder / "budget.json",
        )
        running = asyncio.ensure_future(session.run())
        await asyncio.wait({running}, timeout=left)
        session.stop("end of the day")
        try:
            await running
        except Crash:
            # What the kernel does at the end of a process.
            disk.close_all()
            journal._lock.release()
            self._run.crashes.append(self._clock.monotonic())
            down = self._draw.uniform(0.5, self._pace.crash_every / 20)
            await asyncio.sleep(down)

    def _disk(self, left: float) -> CrashingDisk:
        """It dies at a call of its opening, or at one some time later; not in the peace."""
        disk = CrashingDisk(_NEVER, keep=self._draw.choice((0, 1, 30)))
        after = self._draw.choice((0.0, self._draw.expovariate(1 / self._pace.crash_every)))
        calls = self._draw.randint(1, 60)
        if after < left - self._pace.calm - 60:

            def arm() -> None:
                disk.at = disk.calls + calls

            asyncio.get_running_loop().call_later(after, arm)
        return disk

    def _compare(self, settings: Settings, server: ExchangeServer) -> None:
        run, interval = self._run, settings.stream.interval
        rows = settings.csv.read_text().splitlines()[1:]
        run.rows = len(rows)
        times = [to_ms(row.partition(",")[0]) for row in rows]
        if any(a >= b for a, b in pairwise(times)):
            run.problems.append("rows are out of order")
        first = interval.ceil(_BEGIN_MS)
        last = interval.shift(interval.floor(self._clock.wall_ms() - 5_000), -1)
        truth = [
            candle.row().decode().rstrip("\n")
            for candle in server.truth(settings.stream.symbol, interval, first, last)
        ]
        if missing := sorted(set(truth) - set(rows)):
            run.problems.append(
                f"{len(missing)} of {len(truth)} rows are missing, first {missing[0]}"
            )
        if wrong := sorted(set(rows) - set(truth)):
            run.problems.append(f"{len(wrong)} rows are not the exchange's, first {wrong[0]}")
        for at in (server.attempts[i : i + 301] for i in range(len(server.attempts) - 300)):
            if at[-1] - at[0] < 300_000:
                run.problems.append("more than 300 attempts in five minutes")
                break
