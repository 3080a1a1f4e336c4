"""Filling and comparing a file in virtual time: the real exchange with its limits, a real budget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kline_ops.budget import Budget, budget_path
from kline_ops.errors import InputError, JournalError, VenueError
from kline_ops.exchange.faults import Fault, FaultKind
from kline_ops.exchange.market import Market
from kline_ops.exchange.server import ExchangeServer
from kline_ops.exchange.session import ExchangeOptions
from kline_ops.market.candle import Candle
from kline_ops.market.interval import MINUTE_MS, parse
from kline_ops.market.span import Span
from kline_ops.market.stream import Stream
from kline_ops.record.asking import Asker
from kline_ops.record.backfill import Backfill
from kline_ops.record.compare import Comparer, Comparison
from kline_ops.record.contents import HEADER_LINE
from kline_ops.record.fill_file import FileFiller
from kline_ops.record.journal import Journal
from kline_ops.record.owed import Window
from kline_ops.record.rows import RowReader
from tests.support.virtual_time import VirtualClock, run_virtual

STREAM = Stream("BTCUSDT", parse("1m"))
#: 2026-01-01T00:00:00Z; virtual time begins three seconds later, so that what closed then is final.
START = 1_767_225_600_000


@dataclass
class Bench:
    clock: VirtualClock
    server: ExchangeServer
    path: Path
    waits: list[tuple[str, float]] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)

    #: REST goes away after so many pages.
    last_page: int = 1_000

    def page(self, candles: int) -> None:
        self.pages.append(candles)
        if len(self.pages) == self.last_page:
            self.server.apply(Fault(FaultKind.REST_DOWN, 1e6))

    def asker(self, *, budget: bool = True, patience: float = 120.0) -> Asker:
        shared = Budget(budget_path(), "test", self.clock) if budget else None
        backfill = Backfill(self.server.rest_url, None, shared)
        return Asker(backfill, lambda why, wait: self.waits.append((why, wait)), patience=patience)

    async def fill(self, first: int, end: int | None = None, **options: Any) -> FileFiller:
        """Fill the candles of these minutes before the start."""
        journal = Journal(self.path, STREAM.interval, owner="test", sync=False)
        journal.lock()
        asker = self.asker(**options)
        filler = FileFiller(STREAM, journal, asker, 2_000, self.page)
        until = None if end is None else START + end * MINUTE_MS
        try:
            await filler.run(Window(START + first * MINUTE_MS, until), lambda _tally: None)
        finally:
            journal.close()
        return filler

    async def compare(self) -> Comparison:
        rows = RowReader(self.path)
        comparer = Comparer(STREAM, rows, self.asker(), 2_000, self.page)
        return await comparer.run(Window(), lambda _total: None)

    def truth(self, first: int, end: int) -> bytes:
        opens = START + first * MINUTE_MS, START + (end - 1) * MINUTE_MS
        rows = self.server.truth("BTCUSDT", STREAM.interval, *opens)
        return HEADER_LINE + b"".join(candle.row() for candle in rows)


def play(folder: Path, script: Callable[[Bench], Awaitable[None]], **options: Any) -> Bench:
    async def main(clock: VirtualClock) -> Bench:
        given = ExchangeOptions(**options)
        async with ExchangeServer(Market(7), clock, options=given) as server:
            bench = Bench(clock, server, folder / STREAM.file_name)
            await script(bench)
            return bench

    return run_virtual(main, START + 3_000)


def test_a_429_is_waited_out_to_the_end_of_its_minute(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        filler = await bench.fill(-9_000, 0)
        assert filler.tally.filled == 9_000
        assert bench.path.read_bytes() == bench.truth(-9_000, 0)

    bench = play(tmp_path, script, weight_per_minute=7)
    assert len(bench.waits) >= 2
    assert all("429" in why and 55 <= wait <= 60 for why, wait in bench.waits)
    # Nine pages, and one more look at the newest candle, which no other followed in the ninth.
    assert bench.server.rest_requests["/api/v3/klines"] == 10 + len(bench.waits)
    assert sum(bench.pages) == 9_000


def test_a_ban_is_waited_out_and_nobody_asks_meanwhile(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        first = asyncio.create_task(bench.fill(-3_000, -1_000))
        await asyncio.sleep(30.0)
        asked = bench.server.rest_requests.total()
        # Another process, in the middle of the ban: it has a budget of its own on the same file.
        with pytest.raises(VenueError, match="waiting for the request budget"):
            await bench.asker()._backfill.server_time()
        await asyncio.sleep(80.0)
        assert bench.server.rest_requests.total() == asked
        await first
        assert bench.path.read_bytes() == bench.truth(-3_000, -1_000)

    bench = play(tmp_path, script, weight_per_minute=3, refusals_before_ban=0)
    (ban, *_) = bench.waits
    assert "418" in ban[0]
    assert ban[1] == 120.0


def test_we_stay_under_our_share_and_so_are_never_refused(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        shared = Budget(budget_path(), "test", bench.clock)
        shared.used(4_797)
        await bench.fill(-3_000, 0)
        assert bench.path.read_bytes() == bench.truth(-3_000, 0)

    bench = play(tmp_path, script)
    ((why, wait),) = bench.waits
    assert "budget" in why
    assert 50 < wait <= 60


def test_a_host_that_stays_away_is_given_up_and_what_came_is_kept(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        bench.last_page = 2
        with pytest.raises(VenueError, match="503"):
            await bench.fill(-3_000, 0, patience=20.0)
        assert bench.path.read_bytes() == bench.truth(-3_000, -1_000)
        bench.server.heal()
        filler = await bench.fill(-3_000, 0)
        assert (filler.tally.on_disk_before, filler.tally.filled) == (2_000, 1_000)
        assert bench.path.read_bytes() == bench.truth(-3_000, 0)

    bench = play(tmp_path, script)
    assert [wait for _, wait in bench.waits] == [1, 2, 4, 8]


def test_what_was_gathered_for_holes_is_kept_when_rest_goes_away(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        lines = bench.truth(-3_000, 0).splitlines(keepends=True)
        bench.path.write_bytes(b"".join([lines[0], lines[1], lines[-1]]))
        bench.last_page = 2
        with pytest.raises(VenueError):
            await bench.fill(-3_000, 0, patience=5.0)
        assert bench.path.read_bytes() == b"".join([*lines[:2002], lines[-1]])

    play(tmp_path, script)


def test_a_file_that_nothing_is_missing_in_asks_for_nothing(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        bench.path.write_bytes(bench.truth(-100, 0))
        filler = await bench.fill(-100, 0)
        assert (filler.tally.owed, filler.tally.missing) == (100, 0)

    bench = play(tmp_path, script)
    assert bench.server.rest_requests == {"/api/v3/time": 1}


def test_a_window_that_has_not_begun_owes_nothing(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        with pytest.raises(InputError, match="no candle closes between these times"):
            await bench.fill(5, 9)

    play(tmp_path, script)


class Lagging:
    """REST whose newest candle comes late."""

    def __init__(self, clock: VirtualClock, lag: float) -> None:
        self._clock, self._lag = clock, lag

    async def server_time(self) -> int:
        return self._clock.wall_ms()

    async def candles(self, stream: Stream, span: Span) -> list[Candle]:
        opens = range(span.first, span.end, MINUTE_MS)
        has = [at for at in opens if self._clock.monotonic() >= self._lag or at < START - MINUTE_MS]
        return [Candle(at, "1", "1", "1", "1", "0") for at in has][:1000]


@pytest.mark.parametrize(("lag", "absent"), [(0.0, 0), (5.0, 0), (60.0, 2)])
def test_an_answer_that_lags_behind_the_newest_close_is_asked_for_again(
    tmp_path: Path, lag: float, absent: int
) -> None:
    async def main(clock: VirtualClock) -> FileFiller:
        clock.jump(3_000)
        journal = Journal(tmp_path / "x.csv", STREAM.interval, owner="test", sync=False)
        journal.lock()
        asker = Asker(Lagging(clock, lag), lambda *_: None)  # type: ignore[arg-type]
        filler = FileFiller(STREAM, journal, asker, 2_000, lambda _count: None)
        await filler.run(Window(START - 10 * MINUTE_MS), lambda _tally: None)
        journal.close()
        return filler

    tally = run_virtual(main, START).tally
    assert (tally.owed, tally.filled, tally.absent) == (10, 10 - absent, absent)


def test_equal_files_compare_equal_and_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        data = bench.truth(-2_500, 0)
        short = data.replace(b".00000000", b".0").replace(b"0,", b"00,")
        for content in (data, short):
            bench.path.write_bytes(content)
            found = await bench.compare()
            assert (found.compared, found.findings) == (2_500, 0)

    play(tmp_path, script)


def test_a_torn_end_and_candles_that_are_forming_are_left_out(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        forming = Candle(START, "1", "1", "1", "1", "0").row()
        bench.path.write_bytes(bench.truth(-50, 0) + forming + b"2026-01-01T00:")
        found = await bench.compare()
        assert (found.compared, found.findings) == (50, 0)

    play(tmp_path, script)


def test_what_is_no_candle_file_is_not_compared(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        bench.path.write_text("a,b\n1,2\n")
        with pytest.raises(JournalError, match="not a candle file"):
            await bench.compare()

    play(tmp_path, script)
