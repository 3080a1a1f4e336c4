"""The whole program in virtual time: the real session, the real exchange, real sockets and files."""

from __future__ import annotations

import asyncio
import errno
import json
import threading
from pathlib import Path

import pytest

from kline_ops import events
from kline_ops.exchange.faults import Fault, FaultKind
from kline_ops.market.interval import parse
from kline_ops.market.timestamp import to_ms, to_text
from kline_ops.record.disk import Disk
from tests.support.trial import Trial, run_trial

EVERY_5_S = {"modulo": "5s", "margin_seconds": 1, "min_connection_duration": 1}


def assert_complete(trial: Trial) -> None:
    """The one question: the file equals the truth, digit for digit, nothing lost, nothing twice."""
    assert trial.rows() == trial.truth()


def test_planned_restarts_lose_nothing_and_are_never_dark(tmp_path: Path) -> None:
    trial = run_trial(tmp_path, 40, binance__reconnect=EVERY_5_S)

    assert_complete(trial)
    assert len(trial.rows()) == 40
    planned = [e for e in trial.of(events.Replaced) if e.why == "planned"]
    assert len(planned) == 8
    opened = trial.server.sessions[0].opened_ms
    assert trial.server.dark_ms(opened, trial.ended_ms) == 0
    # Not one candle came from REST (it was asked once whether it knows the symbol).
    assert not trial.of(events.HoleFilled)
    assert trial.server.rest_requests["/api/v3/exchangeInfo"] == 1
    assert trial.server.rest_requests["/api/v3/klines"] == 0
    assert trial.state()["metadata"]["restarts_planned"] == 8
    assert trial.state()["metadata"]["reconnects"] == 0


def test_a_session_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    run_trial(tmp_path, 5)

    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(2)
    assert [thread.name for thread in left if thread.is_alive()] == []


def test_both_connections_are_live_across_the_close_at_the_boundary(tmp_path: Path) -> None:
    """A 1 m candle that closes at the boundary: the old one stays until it is on disk."""
    rotation = {"modulo": "2m", "margin_seconds": 5}
    start = to_ms("2026-01-01T00:00:30Z")
    trial = run_trial(
        tmp_path, 200, start_ms=start, binance__reconnect=rotation, binance__stream__timeframe="1m"
    )
    assert_complete(trial)
    (replaced, *_) = trial.of(events.Replaced)
    old = trial.server.sessions[replaced.old - 1]
    new = trial.server.sessions[replaced.new - 1]
    boundary = to_ms("2026-01-01T00:02:00Z")
    assert boundary - 5_100 <= new.opened_ms <= boundary - 4_900
    assert old.closed_ms is not None
    assert boundary < old.closed_ms < boundary + 1_000


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008, 1011, 1012, 1013])
def test_recording_goes_on_after_every_close(tmp_path: Path, code: int) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(12.4)
        trial.server.close_all(code)
        await asyncio.sleep(3.3)
        trial.server.close_all(code)

    trial = run_trial(tmp_path, 30, script)
    assert_complete(trial)
    endings = trial.of(events.Disconnected)
    assert [e.code for e in endings] == [code, code]
    assert trial.state()["metadata"]["reconnects"] == 2


def test_an_exchange_that_accepts_and_closes_is_not_hammered(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(15)
        before = len(trial.server.attempts)
        trial.server.accept_then_close(20, 1013)
        trial.server.close_all(1013)
        await asyncio.sleep(20)
        assert 3 <= len(trial.server.attempts) - before <= 20

    trial = run_trial(tmp_path, 60, script)
    assert_complete(trial)


def test_the_backoff_is_reset_by_data_only(tmp_path: Path) -> None:
    """Each accepted handshake is followed by a close: the waits must grow all the same."""

    async def script(trial: Trial) -> None:
        trial.server.accept_then_close(300, 1000)

    trial = run_trial(tmp_path, 300, script)
    waits = [b - a for a, b in zip(trial.server.attempts, trial.server.attempts[1:], strict=False)]
    assert max(waits[:3]) <= 4_000
    assert max(waits) > 8_000
    assert len(trial.of(events.AttemptsExhausted)) == 1
    assert trial.state()["status"] == "stopped"


def test_a_refusing_exchange_costs_no_connection_that_lives(tmp_path: Path) -> None:
    """While nothing new can be opened, a planned restart waits and the old connection goes on."""

    async def script(trial: Trial) -> None:
        await asyncio.sleep(8)
        trial.server.refuse(12)

    trial = run_trial(tmp_path, 40, script, binance__reconnect=EVERY_5_S)
    assert_complete(trial)
    opened = trial.server.sessions[0].opened_ms
    assert trial.server.dark_ms(opened, trial.ended_ms) == 0


@pytest.mark.parametrize("tcp", [True, False])
def test_what_an_outage_cost_comes_from_rest(tmp_path: Path, tcp: bool) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(10)
        trial.server.refuse(20, tcp=tcp)
        trial.server.cut()

    trial = run_trial(tmp_path, 60, script)
    assert_complete(trial)
    filled = sum(e.candles for e in trial.of(events.HoleFilled))
    found = sum(e.candles for e in trial.of(events.HoleFound))
    assert filled == found >= 19


@pytest.mark.parametrize(
    "frame",
    [
        "[]", "null", "{}", '"x"', "5", "", '{"e":"kline","E":1', "\x00", '{"e":"trade","E":1}',
        '{"stream":"btcusdt@kline_1s","data":{"e":"kline"}}',
    ],
)  # fmt: skip
def test_a_broken_frame_is_counted_and_ends_nothing(tmp_path: Path, frame: str) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(3.2)
        for _ in range(5):
            trial.server.inject(frame)

    trial = run_trial(tmp_path, 10, script)
    assert_complete(trial)
    assert len(trial.server.sessions) == 1
    # Told once per interval, not five times.
    assert len(trial.of(events.FrameRejected)) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"s": "ETHUSDT"}, "wrong symbol"),
        ({"i": "1m"}, "wrong interval"),
        ({"h": "1.0", "l": "2.0", "o": "1.0", "c": "1.0"}, "high below low"),
        ({"v": "-3"}, "a number that is none, or below zero"),
        ({"c": "abc"}, "a number that is none, or below zero"),
        ({"t": 1_767_225_601_500}, "open time off the grid"),
        ({"t": 1_900_000_000_000}, "opens in the future"),
    ],
)
def test_a_foreign_or_impossible_candle_is_never_written(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(3.2)
        open_ms = 1_767_225_602_000
        body = {
            "t": open_ms, "T": open_ms + 999, "s": "BTCUSDT", "i": "1s", "f": 1, "L": 2,
            "o": "1.0", "c": "1.0", "h": "1.0", "l": "1.0", "v": "1.0", "n": 1, "x": True,
            "q": "1.0", "V": "0.5", "Q": "0.5", "B": "0",
        }  # fmt: skip
        frame = {"e": "kline", "E": open_ms + 1000, "s": "BTCUSDT", "k": body | change}
        trial.server.inject(json.dumps(frame))

    trial = run_trial(tmp_path, 10, script)
    assert_complete(trial)
    assert [e.reason for e in trial.of(events.FrameRejected)] == [reason]


def test_a_close_frame_that_never_comes_is_fetched_within_grace_and_patience(
    tmp_path: Path,
) -> None:
    late: list[float] = []

    async def script(trial: Trial) -> None:
        grid = trial.settings.stream.interval
        held = grid.floor(trial.clock.wall_ms()) + 6_000
        trial.server.withhold("BTCUSDT", grid, held)
        due_ms = held + 1_000 + 2_000
        while not any(e.candles for e in trial.of(events.HoleFilled)):
            await asyncio.sleep(0.05)
        late.append((trial.clock.wall_ms() - due_ms) / 1000)

    trial = run_trial(tmp_path, 20, script)
    assert_complete(trial)
    assert late[0] <= 3.0
    # What came after the hole was on disk at once, and the late candle was merged in order.
    assert len(trial.of(events.HoleFound)) == 1


def test_a_silent_connection_is_replaced_within_the_stall_timeout(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(10.1)
        (session,) = trial.server.sessions
        trial.server.silence(600, session.id)

    trial = run_trial(tmp_path, 60, script, websocket__stall_timeout=5)
    assert_complete(trial)
    (stalled,) = trial.of(events.Stalled)
    # REST is asked after half of the time-out, and knows that the market trades.
    assert 2.5 <= stalled.seconds <= 5.0
    assert [e.why for e in trial.of(events.Replaced)] == ["stalled"]


def test_a_shutdown_notice_is_answered_before_the_server_closes(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(10.1)
        trial.server.announce_shutdown()
        await asyncio.sleep(3)
        assert trial.of(events.Replaced)

    trial = run_trial(tmp_path, 20, script)
    assert_complete(trial)
    assert trial.server.dark_ms(trial.server.sessions[0].opened_ms, trial.ended_ms) == 0


def test_a_restarted_process_fetches_what_it_missed(tmp_path: Path) -> None:
    first = run_trial(tmp_path, 20)
    again = run_trial(tmp_path, 20, start_ms=first.ended_ms + 90_000)
    assert len(again.rows()) >= 120
    assert_complete(again)


def test_a_long_absence_is_fetched_in_pages(tmp_path: Path) -> None:
    first = run_trial(tmp_path, 5)
    again = run_trial(tmp_path, 30, start_ms=first.ended_ms + 3_500_000)
    assert_complete(again)
    assert again.server.rest_requests["/api/v3/klines"] >= 4


def test_rows_are_in_order_at_every_moment_while_rest_is_down(tmp_path: Path) -> None:
    """A hole with REST down: what comes after it is on disk at once, the hole is filled later."""

    async def script(trial: Trial) -> None:
        await asyncio.sleep(10.4)
        trial.server.rest_down(60)
        trial.server.refuse(8)
        trial.server.cut()
        for _ in range(80):
            await asyncio.sleep(0.5)
            times = [row.split(",")[0] for row in trial.rows()]
            assert times == sorted(set(times))
        newest = to_ms(trial.rows()[-1].split(",")[0])
        assert trial.clock.wall_ms() - newest < 3_000
        assert trial.state()["metadata"]["missing"] >= 7
        assert trial.state()["status"] == "catching_up"

    trial = run_trial(tmp_path, 120, script)
    assert_complete(trial)
    assert len(trial.of(events.BackfillFailed)) == 1


class FullDisk(Disk):
    """ENOSPC on every write while ``full``."""

    full = False

    def write(self, fd: int, data: bytes, offset: int) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(fd, data, offset)


def test_a_full_disk_costs_no_candle(tmp_path: Path) -> None:
    disk = FullDisk()

    async def script(trial: Trial) -> None:
        trial.session._journal._disk = disk
        await asyncio.sleep(5.5)
        disk.full = True
        await asyncio.sleep(20)
        assert trial.state()["status"] == "stalled"
        assert "No space left" in trial.state()["error"]
        disk.full = False

    trial = run_trial(tmp_path, 40, script)
    assert_complete(trial)
    assert len(trial.of(events.DiskFull)) == 1
    (recovered,) = trial.of(events.DiskRecovered)
    assert recovered.written >= 19


@pytest.mark.parametrize("symbol", ["shibusdt", "lrcbtc"])
def test_small_prices_keep_every_digit(tmp_path: Path, symbol: str) -> None:
    trial = run_trial(tmp_path, 20, binance__stream__symbol=symbol)
    assert_complete(trial)
    assert all(row.split(",")[1].startswith("0.0000") for row in trial.rows())
    assert len(trial.rows()[0].split(",")[1]) == len("0.00002345")


def test_without_rest_a_hole_is_told_and_recording_goes_on(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(10)
        trial.server.refuse(5)
        trial.server.cut()

    trial = run_trial(tmp_path, 30, script, rest=False)
    missing = [row for row in trial.truth() if row not in trial.rows()]
    assert 4 <= len(missing) <= 12
    assert trial.state()["metadata"]["missing"] == len(missing)
    assert sum(e.candles for e in trial.of(events.HoleFound)) == len(missing)


def test_the_last_boundary_is_remembered_across_processes(tmp_path: Path) -> None:
    first = run_trial(tmp_path, 12, binance__reconnect=EVERY_5_S)
    boundaries = [e.boundary for e in first.of(events.RestartPlanned)]
    # The machine's clock is stepped back: the exchange's time is what counts, and it goes on.
    again = run_trial(tmp_path, 12, start_ms=first.ended_ms, binance__reconnect=EVERY_5_S)
    assert not set(boundaries) & {e.boundary for e in again.of(events.RestartPlanned)}


def test_a_stop_is_clean_and_quick(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(9.9)

    trial = run_trial(tmp_path, 10, script)
    state = trial.state()
    assert state["status"] == "stopped"
    assert trial.clock.wall_ms() - trial.ended_ms < 2_000
    kinds = [
        json.loads(line)["kind"] for line in trial.settings.events_file.read_text().splitlines()
    ]
    assert kinds[0] == "session_started"
    assert kinds[-1] == "session_stopped"


def test_a_stop_leaves_no_candle_behind_that_rest_has(tmp_path: Path) -> None:
    """The close before the last never came, its grace is not over, and somebody ends the session."""

    async def script(trial: Trial) -> None:
        grid = trial.settings.stream.interval
        trial.server.withhold("BTCUSDT", grid, grid.floor(trial.clock.wall_ms()) + 8_000)

    trial = run_trial(tmp_path, 10, script)
    assert_complete(trial)
    state = trial.state()["metadata"]
    assert (state["missing"], state["owed"]) == (0, len(trial.rows()))


def test_a_stop_is_quick_where_rest_hangs(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        grid = trial.settings.stream.interval
        await asyncio.sleep(5)
        trial.server.withhold("BTCUSDT", grid, grid.floor(trial.clock.wall_ms()) + 3_000)
        trial.server.apply(Fault(FaultKind.REST_SLOW, seconds=60, delay=30.0))

    trial = run_trial(tmp_path, 10, script)
    assert trial.clock.wall_ms() - trial.ended_ms < 3_000
    assert len(trial.rows()) == len(trial.truth()) - 1


def test_refused_tcp_is_told_in_plain_words(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(5)
        trial.server.apply(Fault(FaultKind.REFUSE_TCP, seconds=20))
        trial.server.cut()
        await asyncio.sleep(12)
        assert trial.state()["status"] in {"catching_up", "stalled"}

    trial = run_trial(tmp_path, 40, script)
    reasons = {e.reason for e in trial.of(events.Disconnected) if e.code is None}
    assert reasons == {"connection refused"}
    assert_complete(trial)


@pytest.mark.parametrize(
    ("timeframe", "start"),
    [
        ("1M", "2026-01-31T23:59:00Z"),
        ("1w", "2026-01-04T23:59:00Z"),
        ("3d", "2026-01-03T23:59:00Z"),
        ("1d", "2026-01-01T23:59:00Z"),
        ("1d@+08:00", "2026-01-01T15:59:00Z"),
        ("1M@+08:00", "2026-01-31T15:59:00Z"),
    ],
)
def test_long_intervals_close_by_their_calendar(tmp_path: Path, timeframe: str, start: str) -> None:
    """The close is in the run, the two candles before it come from REST (``since``)."""
    interval = parse(timeframe)
    closes = interval.after(interval.floor(to_ms(start)))
    assert closes - to_ms(start) <= 60_000
    since = to_text(interval.shift(closes, -3))
    trial = run_trial(
        tmp_path, 120, start_ms=to_ms(start),
        binance__stream__timeframe=timeframe, record__since=since,
    )  # fmt: skip
    assert trial.rows() == trial.truth()
    assert [to_ms(row.split(",")[0]) for row in trial.rows()] == [
        interval.shift(closes, steps) for steps in (-3, -2, -1)
    ]
