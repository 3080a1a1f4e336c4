"""One stream's keeper: on a real file, in virtual time, with a REST host that is played by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kline_ops import events
from kline_ops.errors import VenueError
from kline_ops.events import Bus, Event
from kline_ops.market.candle import Candle
from kline_ops.market.interval import parse
from kline_ops.market.messages import FrameRejected, Kline
from kline_ops.market.server_time import ServerTime
from kline_ops.market.span import Span
from kline_ops.market.stream import Stream
from kline_ops.market.timestamp import to_text
from kline_ops.record.backfill import BudgetSpentError, RefusalError
from kline_ops.record.contents import HEADER_LINE
from kline_ops.record.journal import Journal
from kline_ops.record.recorder import Recorder, RecordOptions
from tests.support.disks import FailingDisk
from tests.support.virtual_time import VirtualClock, run_virtual

MINUTE = 60_000
STREAM = Stream("BTCUSDT", parse("1m"))
#: 2026-01-01T00:00:00Z: where virtual time begins.
START = 1_767_225_600_000


def candle(minute: int, price: str = "1", trades: int = 0) -> Candle:
    return Candle(START + minute * MINUTE, price, price, price, price, "0", trades)


def kline(
    minute: int, price: str = "1", *, closed: bool = True, event_ms: int | None = None
) -> Kline:
    told = START + (minute + 1) * MINUTE + 20 if event_ms is None else event_ms
    return Kline("BTCUSDT", "1m", told, closed, candle(minute, price))


def rows(*minutes: int) -> bytes:
    return HEADER_LINE + b"".join(candle(minute).row() for minute in minutes)


class Host:
    """What REST has, and how it answers; the questions are kept."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.has: set[int] = set()
        self.trades: dict[int, int] = {}
        self.time_takes = 0.0
        self.refusal: Exception | None = None
        self.asked: list[float] = []
        self.spans: list[Span] = []
        self.closed = False

    async def _answer(self) -> None:
        self.asked.append(self._clock.monotonic())
        await asyncio.sleep(0.05)
        if self.refusal is not None:
            raise self.refusal

    async def server_time(self) -> int:
        await self._answer()
        await asyncio.sleep(self.time_takes)
        return self._clock.wall_ms()

    async def symbol_status(self, stream: Stream) -> str:
        await self._answer()
        return "TRADING"

    async def candles(self, stream: Stream, span: Span) -> list[Candle]:
        self.spans.append(span)
        await self._answer()
        opens = {START + minute * MINUTE: minute for minute in sorted(self.has)}
        forming = (self._clock.wall_ms() - START) // MINUTE
        opens[START + forming * MINUTE] = forming
        inside = [minute for at, minute in opens.items() if span.first <= at < span.end]
        return [candle(minute, trades=self.trades.get(minute, 0)) for minute in inside[:1000]]

    def close(self) -> None:
        self.closed = True


@dataclass
class Bench:
    clock: VirtualClock
    path: Path
    recorder: Recorder
    host: Host
    disk: FailingDisk
    told: list[Event] = field(default_factory=list)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.told if isinstance(event, kind)]

    async def at(self, second: float) -> None:
        """Wait until this second of virtual time."""
        await asyncio.sleep(max(0.0, second - self.clock.monotonic()))

    async def written(self) -> None:
        """Wait until nothing is pending."""
        while self.recorder.figures().waiting:
            await asyncio.sleep(0.01)


Script = Callable[[Bench], Awaitable[None]]


def play(
    folder: Path,
    script: Script,
    *,
    rest: bool = True,
    before: bytes | None = None,
    refusal: Exception | None = None,
    options: RecordOptions | None = None,
) -> Bench:
    """Run a script against a recorder; it is closed at the end."""
    path = folder / STREAM.file_name
    if before is not None:
        path.write_bytes(before)

    async def main(clock: VirtualClock) -> Bench:
        disk, host, bus = FailingDisk(), Host(clock), Bus()
        host.refusal = refusal
        journal = Journal(path, STREAM.interval, owner="test", sync=False, disk=disk)
        journal.lock()
        recorder = Recorder(
            STREAM,
            journal,
            host if rest else None,  # type: ignore[arg-type]
            options or RecordOptions(),
            bus=bus,
            clock=clock,
            server_time=ServerTime(clock.wall_ms(), clock.monotonic()),
        )
        bench = Bench(clock, path, recorder, host, disk)
        bus.listen(bench.told.append)
        await recorder.start()
        await script(bench)
        await recorder.close()
        return bench

    return run_virtual(main, START)


def test_closed_candles_are_written_as_they_come_and_open_ones_are_not(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        await bench.at(30.0)
        bench.recorder.deliver(kline(0, closed=False, event_ms=START + 30_000))
        for minute in range(3):
            await bench.at(60.02 * (minute + 1))
            bench.recorder.deliver(kline(minute))
            told = bench.clock.wall_ms()
            bench.recorder.deliver(kline(minute + 1, closed=False, event_ms=told))
            await bench.written()
            assert bench.path.read_bytes() == rows(*range(minute + 1))

    bench = play(tmp_path, script)
    assert not bench.of(events.HoleFound)
    assert bench.host.closed
    assert [e.candles for e in bench.of(events.Recorded)] == [1, 1, 1]  # type: ignore[attr-defined]


def test_what_the_stream_skipped_is_written_at_once_and_filled_by_rest(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        bench.host.has = {1, 2}
        await bench.at(60.02)
        bench.recorder.deliver(kline(0))
        await bench.at(240.02)
        bench.recorder.deliver(kline(3))
        await bench.at(245.0)
        await bench.written()

    bench = play(tmp_path, script)
    assert bench.path.read_bytes() == rows(0, 1, 2, 3)
    assert sum(e.candles for e in bench.of(events.HoleFound)) == 2  # type: ignore[attr-defined]
    assert sum(e.candles for e in bench.of(events.HoleFilled)) == 2  # type: ignore[attr-defined]


def test_a_candle_is_asked_for_when_its_grace_is_over_and_not_before(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        bench.host.has = {1}
        await bench.at(60.02)
        bench.recorder.deliver(kline(0))
        await bench.at(121.9)
        assert not bench.host.spans
        await bench.at(123.0)
        await bench.written()

    bench = play(tmp_path, script)
    assert bench.path.read_bytes() == rows(0, 1)
    assert len(bench.host.spans) == 1


@pytest.mark.parametrize("wall_is_right", [True, False])
def test_a_machine_that_slept_goes_on_recording(tmp_path: Path, wall_is_right: bool) -> None:
    async def script(bench: Bench) -> None:
        bench.host.has = set(range(1, 300))
        await bench.at(60.02)
        bench.recorder.deliver(kline(0))
        # Asleep: the monotonic clock stands still while the world goes on for five hours.
        bench.clock.start_ms += 300 * MINUTE * wall_is_right
        await bench.at(120.02)
        for _ in range(3):
            try:
                bench.recorder.deliver(kline(301))
            except FrameRejected:
                await asyncio.sleep(1.0)
        await bench.at(130.0)
        await bench.written()

    bench = play(tmp_path, script)
    assert candle(301).row() in bench.path.read_bytes()


def test_a_candle_from_the_far_future_is_rejected(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        await bench.at(60.02)
        bench.recorder.deliver(kline(0))
        with pytest.raises(FrameRejected, match="future"):
            bench.recorder.deliver(kline(5_000, event_ms=START + 60_030))
        await bench.written()

    assert play(tmp_path, script).path.read_bytes() == rows(0)


def test_the_wait_that_rest_asks_for_holds_for_its_clock_too(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        await bench.at(300.0)

    banned = VenueError("answered 418", retryable=True, retry_after=600.0)
    bench = play(tmp_path, script, refusal=banned)
    assert len(bench.host.asked) == 1
    assert len(bench.of(events.BackfillFailed)) == 1


def test_a_ban_is_told_once_and_waited_out(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        await bench.at(100.0)
        bench.host.refusal = BudgetSpentError(20.0)
        assert "418" in str(bench.recorder.figures().rest_error)
        await bench.at(130.0)
        bench.host.refusal = None
        await bench.at(150.0)

    banned = RefusalError("answered 418: banned", seconds=120.0, banned=True, retry_after=None)
    bench = play(tmp_path, script, refusal=banned)
    (told,) = bench.of(events.Banned)
    assert told.until == to_text(START + 120_050)  # type: ignore[attr-defined]
    assert not bench.of(events.BackfillFailed)
    assert [round(at) for at in bench.host.asked[:3]] == [0, 120, 140]
    assert bench.recorder.figures().rest_error is None


@pytest.mark.parametrize(("seconds", "told"), [(29.0, 0), (30.0, 1)])
def test_a_wait_for_the_budget_is_no_failure_unless_it_is_long(
    tmp_path: Path, seconds: float, told: int
) -> None:
    async def script(bench: Bench) -> None:
        await bench.at(10.0)
        bench.host.refusal = None
        error = bench.recorder.figures().rest_error
        assert error is None if told == 0 else "waiting for the request budget" in str(error)
        await bench.at(45.0)
        assert bench.recorder.figures().rest_error is None

    bench = play(tmp_path, script, refusal=BudgetSpentError(seconds))
    assert len(bench.of(events.BackfillFailed)) == told
    assert bench.host.asked[1] == pytest.approx(seconds, abs=0.2)


def test_every_hole_is_told_once_whichever_is_met_first(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        bench.host.has = {1, 4, 5, 6}
        bench.clock.start_ms += 7 * MINUTE
        # The stream is faster than REST: the newest hole is met before the old one is asked for.
        bench.recorder.deliver(kline(6, event_ms=bench.clock.wall_ms()))
        await bench.at(10.0)
        await bench.written()

    bench = play(tmp_path, script, before=rows(0, 2, 3))
    assert bench.path.read_bytes() == rows(*range(7))
    found = [(e.first, e.last) for e in bench.of(events.HoleFound)]  # type: ignore[attr-defined]
    assert sorted(found) == [
        (to_text(START + MINUTE), to_text(START + MINUTE)),
        (to_text(START + 4 * MINUTE), to_text(START + 5 * MINUTE)),
    ]


def test_what_differs_between_two_sightings_is_told_and_the_first_stays(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        await bench.at(60.02)
        bench.recorder.deliver(kline(0))
        bench.recorder.deliver(kline(0))
        bench.recorder.deliver(kline(0, "2"))
        await bench.written()

    bench = play(tmp_path, script)
    assert bench.path.read_bytes() == rows(0)
    assert len(bench.of(events.CandleConflict)) == 1


def test_no_more_candles_wait_for_the_disk_than_there_is_room_for(tmp_path: Path) -> None:
    """The rest is left to REST, and asked for only once there is room."""

    async def script(bench: Bench) -> None:
        await bench.at(60.02)
        bench.recorder.deliver(kline(0))
        await bench.written()
        bench.disk.fail(1, 28, times=10**6)
        for minute in range(1, 9):
            await bench.at(60.02 * (minute + 1))
            bench.recorder.deliver(kline(minute))
            assert bench.recorder.figures().waiting <= 3
        bench.host.has = set(range(9))
        asked = len(bench.host.spans)
        await bench.at(590.0)
        assert len(bench.host.spans) == asked
        assert bench.recorder.figures().missing == 8
        bench.disk.heal()
        await bench.at(598.0)
        await bench.written()

    bench = play(tmp_path, script, options=RecordOptions(max_waiting=3))
    assert bench.path.read_bytes() == rows(*range(9))
    assert [e.waiting for e in bench.of(events.BacklogFull)] == [3]  # type: ignore[attr-defined]


def test_a_file_that_is_moved_away_before_several_candles_come_is_begun_anew(
    tmp_path: Path,
) -> None:
    async def script(bench: Bench) -> None:
        await bench.at(60.02)
        bench.recorder.deliver(kline(0))
        await bench.written()
        await bench.at(180.02)
        bench.path.rename(tmp_path / "away.csv")
        bench.recorder.deliver(kline(1))
        bench.recorder.deliver(kline(2))
        bench.host.has = {0, 1, 2}
        await bench.at(190.0)
        await bench.written()

    bench = play(tmp_path, script)
    assert bench.path.read_bytes() == rows(0, 1, 2)
    assert not bench.of(events.DiskFull)


def test_a_candle_that_comes_due_while_the_time_is_asked_for_is_not_left_for_a_minute(
    tmp_path: Path,
) -> None:
    """All frames are late, so the time is asked for; its answer takes until after a candle is due.

    An old hole is pursued as well, and is asked for again much later.
    """

    async def script(bench: Bench) -> None:
        bench.host.has = {0, *range(2, 12)}
        await bench.at(60.02)
        bench.recorder.deliver(kline(0))
        for minute in range(2, 11):
            await bench.at(60.0 * (minute + 1))
            late = bench.clock.wall_ms() - 8_000
            bench.recorder.deliver(kline(minute, closed=False, event_ms=late))
            bench.host.time_takes = 5.0
            await bench.at(60.0 * (minute + 1) + 1.0)
            bench.recorder.wake()
            await bench.at(60.0 * (minute + 1) + 9.5)
            assert bench.path.read_bytes() == rows(0, *range(2, minute + 1))

    play(tmp_path, script)


def test_a_candle_that_only_rest_had_is_a_missed_close_if_it_traded(tmp_path: Path) -> None:
    missed: list[int] = []

    async def script(bench: Bench) -> None:
        bench.recorder.on_missed = missed.append
        bench.host.has, bench.host.trades = {1, 2}, {1: 5}
        await bench.at(60.02)
        bench.recorder.deliver(kline(0))
        await bench.at(240.02)
        bench.recorder.deliver(kline(3))
        await bench.at(245.0)

    play(tmp_path, script)
    assert missed == [START + MINUTE]


def test_while_the_disk_is_full_candles_wait_and_are_written_in_order_after_it(
    tmp_path: Path,
) -> None:
    async def script(bench: Bench) -> None:
        await bench.at(60.02)
        bench.recorder.deliver(kline(0))
        await bench.written()
        bench.disk.fail(1, 28, times=10**6)
        for minute in (1, 2, 3):
            await bench.at(60.02 * (minute + 1))
            bench.recorder.deliver(kline(minute))
        await bench.at(250.0)
        assert bench.recorder.figures().waiting == 3
        assert "No space left" in (bench.recorder.figures().disk_error or "")
        assert bench.recorder.settled_before() <= START + 2 * MINUTE
        bench.disk.heal()
        await bench.at(255.0)
        assert bench.recorder.figures().disk_error is None

    bench = play(tmp_path, script)
    assert bench.path.read_bytes() == rows(0, 1, 2, 3)
    assert len(bench.of(events.DiskFull)) == 1
    assert [e.written for e in bench.of(events.DiskRecovered)] == [3]  # type: ignore[attr-defined]


def test_a_candle_is_asked_for_in_time_while_an_old_hole_is_asked_for_seldom(
    tmp_path: Path,
) -> None:
    async def script(bench: Bench) -> None:
        bench.host.has = set(range(3, 60))  # minutes 1 and 2 exist nowhere
        await bench.at(20)
        bench.recorder.deliver(kline(0, closed=False, event_ms=START + 20_000))
        bench.host.has.add(0)
        for minute in range(20):
            await bench.at((minute + 1) * 60 + 2.5)
            await bench.written()
            if minute > 2:
                assert bench.path.read_bytes() == rows(0, *range(3, minute + 1))

    play(tmp_path, script)


def test_without_rest_a_hole_stays_and_is_counted(tmp_path: Path) -> None:
    async def script(bench: Bench) -> None:
        await bench.at(60.02)
        bench.recorder.deliver(kline(0))
        await bench.at(240.02)
        bench.recorder.deliver(kline(3))
        await bench.written()
        await bench.at(243.0)
        figures = bench.recorder.figures()
        assert (figures.owed, figures.on_disk, figures.missing) == (4, 2, 2)

    bench = play(tmp_path, script, rest=False)
    assert bench.path.read_bytes() == rows(0, 3)
    assert len(bench.of(events.HoleFound)) == 1


def test_an_outage_of_the_exchange_that_is_long_over_is_confirmed_by_a_second_look(
    tmp_path: Path,
) -> None:
    async def script(bench: Bench) -> None:
        bench.clock.start_ms += 3 * 1440 * MINUTE
        bench.host.has = set(range(20, 3 * 1440 + 2))
        await bench.at(30.0)
        await bench.written()
        assert not bench.of(events.HoleConfirmed)
        await bench.at(180.0)

    bench = play(tmp_path, script, before=rows(0, 1))
    assert bench.path.read_bytes() == rows(0, 1, *range(20, 3 * 1440 + 2))
    confirmed = [(e.first, e.candles) for e in bench.of(events.HoleConfirmed)]  # type: ignore[attr-defined]
    assert confirmed == [(to_text(START + 2 * MINUTE), 18)]
    assert len(bench.host.spans) <= 24


def test_a_look_at_the_market_is_answered_whatever_fails(tmp_path: Path) -> None:
    answers: list[bool | None] = []

    async def script(bench: Bench) -> None:
        await bench.at(60.02)
        for bench.host.refusal in (VenueError("down", retryable=True), RuntimeError("odd")):
            bench.recorder.look_at_market(answers.append)
            await asyncio.sleep(1)

    play(tmp_path, script)
    assert answers == [None, None]
