"""A fresh process takes over from one that records: no candle lost, doubled, or asked of REST."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from kline_ops import events
from kline_ops.config.settings import Settings, load_settings
from kline_ops.errors import JournalError
from kline_ops.events import Event
from kline_ops.exchange.market import Market
from kline_ops.exchange.server import ExchangeServer
from kline_ops.gaps.explain import cause_of
from kline_ops.gaps.find import report
from kline_ops.gaps.history import read_history
from kline_ops.market.timestamp import to_ms
from kline_ops.service import Host, Session
from kline_ops.session.parts import new_journal
from kline_ops.watch.memory import MemoryLimit
from tests.support.trial import write_config
from tests.support.virtual_time import VirtualClock, run_virtual


class Relay:
    """Sessions on one candle file, each taking over from the one before."""

    def __init__(
        self, folder: Path, server: ExchangeServer, clock: VirtualClock, **changes: Any
    ) -> None:
        self.server, self.clock = server, clock
        self.path = write_config(folder, server.ws_url, server.rest_url, **changes)
        self.settings: Settings = load_settings("trial", self.path, {})
        self.events: list[Event] = []
        self.running: list[asyncio.Task[None]] = []
        self.sessions: list[Session] = []
        #: Called when a successor delivers; a predecessor that hangs does nothing.
        self.tells = True

    def start(self) -> Session:
        """The first recorder, or a successor of the last one."""
        before = self.sessions[-1] if self.sessions else None

        def tell() -> None:
            if before is not None and self.tells:
                before.make_way()

        session = Session(
            self.settings,
            new_journal(self.settings, takes_over=before is not None),
            clock=self.clock,
            draw=random.Random(len(self.sessions)).random,
            listeners=(self.events.append,),
            host=Host(on_live=None if before is None else tell),
        )
        self.sessions.append(session)
        self.running.append(asyncio.ensure_future(session.run()))
        return session

    def rows(self) -> list[str]:
        _, *rows = self.settings.csv.read_text().splitlines()
        return rows

    def assert_complete(self) -> None:
        interval, rows = self.settings.stream.interval, self.rows()
        first = to_ms(rows[0].split(",")[0])
        last = interval.shift(interval.floor(self.clock.wall_ms() - 300), -1)
        truth = self.server.truth(self.settings.stream.symbol, interval, first, last)
        assert rows[: len(truth)] == [candle.row().decode().rstrip("\n") for candle in truth]

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.settings.events_file.read_text().splitlines()]


def relay(folder: Path, script: Any, **changes: Any) -> Relay:
    async def main(clock: VirtualClock) -> Relay:
        async with ExchangeServer(Market(), clock) as server:
            made = Relay(folder, server, clock, **changes)
            made.start()
            await asyncio.sleep(10)
            await script(made)
            await asyncio.sleep(10)
            made.assert_complete()
            made.sessions[-1].stop("end")
            await asyncio.gather(*made.running)
            return made

    return run_virtual(main)


def test_a_change_of_processes_loses_nothing_and_asks_nothing_of_rest(tmp_path: Path) -> None:
    async def script(made: Relay) -> None:
        for _ in range(5):
            made.start()
            await asyncio.sleep(9.3)
            assert made.running[-2].done()

    made = relay(tmp_path, script)
    assert not [e for e in made.events if isinstance(e, events.HoleFound)]
    recorded = [e for e in made.events if isinstance(e, events.Recorded)]
    assert {e.source for e in recorded} == {"stream"}
    assert sum(e.candles for e in recorded) == len(made.rows())
    kinds = [told["kind"] for told in made.log()]
    assert kinds.count("handed_over") == 5
    assert kinds.count("session_stopped") == 1
    for at, kind in enumerate(kinds):
        if kind == "handed_over":
            assert "session_started" in kinds[at : at + 6]
    # The last state is the last one's.
    state = json.loads(made.settings.state_file.read_text())
    assert (state["status"], state["metadata"]["missing"]) == ("stopped", 0)


def test_at_every_moment_of_a_candle(tmp_path: Path) -> None:
    async def script(made: Relay) -> None:
        for tenth in range(10):
            await asyncio.sleep(1.1 - made.clock.wall_ms() % 1000 / 1000 + tenth / 10)
            made.start()
            await asyncio.sleep(9)

    relay(tmp_path, script)


def test_a_predecessor_that_hangs_is_waited_for_and_nothing_is_lost(tmp_path: Path) -> None:
    """It goes on holding the lock; what the successor hears waits in memory meanwhile."""

    async def script(made: Relay) -> None:
        made.tells = False
        made.start()
        await asyncio.sleep(15)
        assert not made.running[0].done()
        made.sessions[0].make_way()
        await asyncio.sleep(2)
        assert made.running[0].done()

    made = relay(tmp_path, script)
    assert not [e for e in made.events if isinstance(e, events.HoleFound)]


def test_a_successor_without_data_leaves_the_old_one_alone(tmp_path: Path) -> None:
    async def script(made: Relay) -> None:
        made.server.refuse(20)
        late = made.start()
        await asyncio.sleep(5)
        assert not made.running[0].done()
        late.stop("not live in time")
        await asyncio.sleep(2)
        assert made.running[1].done()
        await asyncio.sleep(20)
        made.sessions.pop()
        made.running.pop()

    made = relay(tmp_path, script)
    # It has not touched the files of the one that records.
    assert [told["kind"] for told in made.log()].count("session_stopped") == 1


def test_a_gap_report_takes_it_for_no_outage(tmp_path: Path) -> None:
    async def script(made: Relay) -> None:
        made.start()
        await asyncio.sleep(5)

    made = relay(tmp_path, script)
    # Rows taken out afterwards, just where one process followed the other and long after it.
    lines = made.settings.csv.read_text().splitlines(keepends=True)
    kept = [line for at, line in enumerate(lines) if at not in {11, 12, 18}]
    made.settings.csv.write_text("".join(kept))
    history = read_history(made.settings.events_file)
    found = report(made.settings.csv, "1s")
    assert [gap.missing for gap in found.gaps] == [2, 1]
    kinds = {cause_of(history, gap, found.interval).kind for gap in found.gaps}
    assert kinds == {"unknown"}


def test_memory_over_the_limit_asks_for_a_fresh_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kline_ops.session.upkeep.resident_megabytes", lambda: 300.0)
    monkeypatch.setattr(
        "kline_ops.session.upkeep.MemoryLimit", lambda limit: MemoryLimit(limit, 60.0)
    )
    asked: list[float] = []
    told: list[Event] = []

    async def main(clock: VirtualClock) -> None:
        async with ExchangeServer(Market(), clock) as server:
            path = write_config(
                tmp_path, server.ws_url, server.rest_url, binance__stream__timeframe="1m"
            )
            settings = load_settings("trial", path, {})
            session = Session(
                settings,
                new_journal(settings),
                clock=clock,
                draw=random.Random(1).random,
                listeners=(told.append,),
                host=Host(ask_renewal=lambda: asked.append(clock.monotonic())),
            )
            running = asyncio.ensure_future(session.run())
            await asyncio.sleep(130)
            session.stop("end")
            await running

    run_virtual(main)
    assert [round(at) for at in asked] == [60, 120]
    assert [e.megabytes for e in told if isinstance(e, events.MemoryHigh)] == [300.0, 300.0]


def test_a_predecessor_that_died_is_followed_though_there_is_no_data(tmp_path: Path) -> None:
    """Its lock is free: whoever was to take over is the recorder now, and REST may have candles."""

    async def script(made: Relay) -> None:
        made.server.refuse(60)
        made.start()
        await asyncio.sleep(3)
        made.sessions[0].stop("died")  # as good as: the lock is free, and nobody was told
        await asyncio.sleep(10)
        assert made.running[0].done()
        state = json.loads(made.settings.state_file.read_text())
        assert state["status"] != "stopped"
        await asyncio.sleep(60)

    made = relay(tmp_path, script)
    assert [told["kind"] for told in made.log()].count("session_started") == 2


def test_a_candle_under_way_on_the_old_connection_is_waited_for(tmp_path: Path) -> None:
    """The old one's frames are late; what closed before the new one delivered comes to it alone."""

    async def script(made: Relay) -> None:
        made.server.late(1.5, 60, 1)
        await asyncio.sleep(5)
        made.start()
        await asyncio.sleep(10)
        assert made.running[0].done()

    relay(tmp_path, script, record__backfill=False)


def test_told_to_end_just_after_the_old_one_made_way_it_writes_what_it_has(tmp_path: Path) -> None:
    async def script(made: Relay) -> None:
        for hundredth in (0, 3, 10, 25):
            successor = made.start()
            while not made.sessions[-2]._makes_way:
                await asyncio.sleep(0.005)
            await asyncio.sleep(hundredth / 100)
            successor.stop("SIGTERM")
            await asyncio.gather(*made.running)
            told = made.log()
            assert told[-1]["kind"] == "session_stopped", told[-1]
            # Begun anew, as if by hand: the file has no second owner.
            made.sessions.clear()
            made.start()
            await asyncio.sleep(4)

    relay(tmp_path, script, record__backfill=False)


def test_a_file_that_can_not_be_taken_over_is_left_to_who_has_it(tmp_path: Path) -> None:
    async def script(made: Relay) -> None:
        made.settings = load_settings("trial", made.path, {"KLINE_OPS__RECORD__COLUMNS": "full"})
        made.start()
        await asyncio.sleep(5)
        with pytest.raises(JournalError, match="has basic columns"):
            await made.running.pop()
        made.sessions.pop()
        assert not made.running[0].done()

    made = relay(tmp_path, script)
    assert "handed_over" not in {told["kind"] for told in made.log()}


def test_what_a_successor_meets_is_not_told_of_the_recorder(tmp_path: Path) -> None:
    """Its connections have numbers of their own: a gap report would take them for the old one's."""

    async def script(made: Relay) -> None:
        made.server.refuse(6)
        made.start()
        await asyncio.sleep(25)

    made = relay(tmp_path, script)
    told = [told["kind"] for told in made.log()]
    assert "disconnected" not in told[: told.index("handed_over")]
