"""One recorder under one fault: how it is run beside an exchange of its own, and what came of it."""

from __future__ import annotations

import asyncio
import random
import statistics
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kline_ops import events
from kline_ops.clock import SystemClock
from kline_ops.config.settings import Settings, load_settings
from kline_ops.events import Event
from kline_ops.exchange.market import Market
from kline_ops.exchange.records import SessionRecord, dark_ms
from kline_ops.exchange.server import ExchangeServer
from kline_ops.market.timestamp import to_ms
from kline_ops.service import Session
from kline_ops.session.parts import new_journal
from tests.support.machine import Machine
from tests.support.trial import write_config

CLOCK = SystemClock()
#: Seconds before the first fault: the connection has worked for a while then.
_WARM_UP = 12.0
_TELLING = (
    events.Disconnected,
    events.Stalled,
    events.StreamSilent,
    events.CloseMissed,
    events.ShutdownNotice,
    events.FrameRejected,
)


@dataclass
class Run:
    """A recorder, its exchange, and what happens to them. Moments in milliseconds."""

    server: ExchangeServer
    folder: Path
    settings: Settings
    heard: list[tuple[int, Event]] = field(default_factory=list)
    #: When the faults began.
    faults: list[int] = field(default_factory=list)
    #: From when on a session, by its id, brought nothing though it was open.
    dead_from: dict[int, int] = field(default_factory=dict)
    #: Seconds to a notice that is not an event.
    noticed: list[float] = field(default_factory=list)
    ended_ms: int = 0

    def bring_nothing(self) -> list[int]:
        """The sessions that are open; from now on they count as dead."""
        sessions = [record.id for record in self.server.sessions if record.closed_ms is None]
        for number in sessions:
            self.dead_from.setdefault(number, CLOCK.wall_ms())
        return sessions

    def hear(self, event: Event) -> None:
        self.heard.append((CLOCK.wall_ms(), event))

    async def end_between_closes(self) -> None:
        """Wait so that no candle closes in the moment that the recorder ends."""
        await asyncio.sleep((1600 - CLOCK.wall_ms() % 1000) % 1000 / 1000)
        self.ended_ms = CLOCK.wall_ms()


Fault = Callable[[Run], None]


@dataclass(frozen=True)
class Case:
    """A fault, how often it happens, and the seconds after each time and after the last one."""

    name: str
    baseline: str
    fault: Fault
    times: int = 1
    every: float = 20.0
    recovery: float = 10.0
    changes: dict[str, Any] = field(default_factory=dict)
    record: Callable[[Case, Run], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Outcome:
    """A row of the table. ``noticed`` and ``gap`` in seconds, for each fault."""

    times: int
    noticed: float | None
    gap: float
    owed: int
    lost: int
    doubled: int
    wrong: int
    attempts: int


async def measure(case: Case, folder: Path) -> Outcome:
    folder.mkdir()
    async with ExchangeServer(Market(), CLOCK) as server:
        path = write_config(folder, server.ws_url, server.rest_url, **case.changes)
        run = Run(server, folder, load_settings("bench", path, {}))
        await (case.record or in_this_process)(case, run)
        return judge(case, run)


async def strike(case: Case, run: Run) -> None:
    """Let the fault happen as often as it is to, then give the recorder time."""
    await asyncio.sleep(_WARM_UP + random.random())
    for _ in range(case.times):
        run.faults.append(CLOCK.wall_ms())
        case.fault(run)
        await asyncio.sleep(case.every)
    await asyncio.sleep(case.recovery)


async def in_this_process(case: Case, run: Run) -> None:
    session = Session(
        run.settings,
        new_journal(run.settings),
        clock=CLOCK,
        draw=random.SystemRandom().random,
        listeners=(run.hear,),
        budget_file=run.folder / "budget.json",
    )
    recording = asyncio.create_task(session.run())
    await strike(case, run)
    await run.end_between_closes()
    session.stop("end")
    await recording


async def ended(child: subprocess.Popen[str]) -> int:
    return await asyncio.to_thread(child.wait, 20)


async def killed(case: Case, run: Run) -> None:
    """`kill -9`, and the recorder is started again at once; processes of their own."""
    machine = Machine(run.folder, "unused")
    command = ("run", "bench", "--config", str(run.folder / "trial.yml"))
    child = machine.begin(*command, stdout=subprocess.DEVNULL)
    await asyncio.sleep(_WARM_UP)
    for _ in range(case.times):
        run.faults.append(CLOCK.wall_ms())
        child.kill()
        await ended(child)
        child = machine.begin(*command, stdout=subprocess.DEVNULL)
        await asyncio.sleep(case.every + random.random())
    await asyncio.sleep(case.recovery)
    await run.end_between_closes()
    child.terminate()
    await ended(child)


async def started_twice(case: Case, run: Run) -> None:
    """A second recorder of the same file."""
    machine = Machine(run.folder, "unused")
    command = ("run", "bench", "--config", str(run.folder / "trial.yml"))
    first = machine.begin(*command, stdout=subprocess.DEVNULL)
    await asyncio.sleep(_WARM_UP)
    run.faults.append(CLOCK.wall_ms())
    second = machine.begin(*command, stdout=subprocess.DEVNULL)
    if await ended(second) == 0:
        raise SystemExit("the second recorder did not refuse to run")
    run.noticed.append((CLOCK.wall_ms() - run.faults[0]) / 1000)
    await asyncio.sleep(case.recovery)
    await run.end_between_closes()
    first.terminate()
    await ended(first)


def judge(case: Case, run: Run) -> Outcome:
    rows = run.settings.csv.read_text().splitlines()[1:]
    opens = [to_ms(row.split(",")[0]) for row in rows]
    told = truth(run, opens[0])
    times = planned_since(run, run.faults[0]) or case.times
    noticed = run.noticed or [seconds for at in run.faults for seconds in first_told(run, at)]
    return Outcome(
        times=times,
        noticed=statistics.fmean(noticed) if noticed else None,
        gap=dark_ms(bringing_data(run), run.faults[0], run.ended_ms) / 1000 / times,
        owed=len(told),
        lost=len(told.keys() - set(opens)),
        doubled=len(opens) - len(set(opens)),
        wrong=sum(row != told.get(open_ms) for open_ms, row in zip(opens, rows, strict=True)),
        attempts=sum(at_ms >= run.faults[0] for at_ms in run.server.attempts),
    )


def planned_since(run: Run, at_ms: int) -> int:
    """How many planned restarts came after that."""
    told = [event for heard_ms, event in run.heard if heard_ms >= at_ms]
    return sum(isinstance(e, events.Replaced) and e.why == events.PLANNED for e in told)


def truth(run: Run, first_ms: int) -> dict[int, str]:
    """The rows of a complete recording from there to the end, by open time."""
    symbol, interval = run.settings.stream.symbol, run.settings.stream.interval
    last = interval.shift(interval.floor(run.ended_ms), -1)
    candles = run.server.truth(symbol, interval, first_ms, last)
    return {candle.open_ms: candle.row().decode().rstrip("\n") for candle in candles}


def first_told(run: Run, at_ms: int) -> list[float]:
    """Seconds from this fault to the first event that tells of it; none if nothing did."""
    until = next((later for later in run.faults if later > at_ms), run.ended_ms)
    told = [
        heard_ms
        for heard_ms, event in run.heard
        if at_ms <= heard_ms < until and isinstance(event, _TELLING)
    ]
    return [(min(told) - at_ms) / 1000] if told else []


def bringing_data(run: Run) -> list[SessionRecord]:
    """The connections that brought data, each until it brought none any more."""
    return [
        replace(record, closed_ms=run.dead_from.get(record.id, record.closed_ms))
        for record in run.server.sessions
        if record.frames_sent
    ]
