"""Missed closes, dead streams, other addresses, two connections at a time, one budget for all."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from pathlib import Path

import pytest

from kline_ops import events
from kline_ops.config.settings import load_settings
from kline_ops.events import Bus, Listener
from kline_ops.exchange.market import Market
from kline_ops.exchange.server import ExchangeServer
from kline_ops.exchange.session import ExchangeOptions
from kline_ops.feed.connection import Options
from kline_ops.feed.feed import Feed, FeedOptions
from kline_ops.feed.plan import Timing
from kline_ops.market.candle import from_row
from kline_ops.market.interval import parse
from kline_ops.market.server_time import ServerTime
from kline_ops.market.stream import Stream
from kline_ops.market.timestamp import to_ms
from kline_ops.record.backfill import Backfill
from kline_ops.record.journal import Journal
from kline_ops.record.recorder import Recorder, RecordOptions
from kline_ops.resilience import Backoff
from kline_ops.service import Session
from kline_ops.session.parts import new_journal
from tests.support.trial import Trial, run_trial, write_config
from tests.support.virtual_time import VirtualClock, run_virtual

#: Updates of the forming candle every five seconds are enough here, and quicker.
MINUTE = {
    "binance__stream__timeframe": "1m",
    "start_ms": to_ms("2026-01-01T00:00:30Z"),
    "options": ExchangeOptions(update_ms=5_000),
}
SECOND = parse("1s")


def assert_complete(trial: Trial) -> None:
    assert trial.rows() == trial.truth()


def withhold_next(trial: Trial) -> None:
    interval = trial.settings.stream.interval
    opened = interval.floor(trial.clock.wall_ms())
    trial.server.withhold(trial.settings.stream.symbol, interval, opened)


def test_a_missed_close_is_filled_and_its_stream_subscribed_anew(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(100)
        withhold_next(trial)

    trial = run_trial(tmp_path, 400, script, **MINUTE)
    assert_complete(trial)
    (missed,) = trial.of(events.CloseMissed)
    assert missed.strikes == 1
    # The same connection, subscribed anew: two control messages, and it went on.
    assert len(trial.server.sessions) == 1
    assert not trial.of(events.FrameRejected)
    filled = trial.of(events.HoleFilled)
    assert sum(hole.candles for hole in filled) == 1


def test_the_second_missed_close_replaces_the_connection(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        for _ in range(2):
            await asyncio.sleep(60)
            withhold_next(trial)

    trial = run_trial(tmp_path, 400, script, **MINUTE)
    assert_complete(trial)
    assert [missed.strikes for missed in trial.of(events.CloseMissed)] == [1, 2]
    assert [r.why for r in trial.of(events.Replaced)] == ["missed closes"]
    assert trial.server.dark_ms(trial.server.sessions[0].opened_ms, trial.ended_ms) == 0


def test_a_drop_in_the_middle_of_a_long_rest_outage(tmp_path: Path) -> None:
    """The rows on both sides of the hole are on disk at once; it is filled when REST is back."""
    orders: list[list[str]] = []

    async def script(trial: Trial) -> None:
        await asyncio.sleep(60)
        trial.server.rest_down(300)
        await asyncio.sleep(150)
        trial.server.refuse(5, tcp=True)
        trial.server.cut()
        for _ in range(250):
            await asyncio.sleep(1)
            orders.append([row[:20] for row in trial.rows()])

    trial = run_trial(tmp_path, 480, script)
    assert_complete(trial)
    assert all(order == sorted(set(order)) for order in orders)
    during = orders[100]
    owed = SECOND.slots(to_ms(during[0]), to_ms(during[-1]) + 1000)
    # The hole is there, and the rows after it did not wait for it.
    assert 3 <= owed - len(during) <= 10
    assert to_ms(during[-1]) > trial.live_from_ms + 290_000
    assert sum(hole.candles for hole in trial.of(events.HoleFilled)) == owed - len(during)


def test_another_address_takes_over_and_the_first_is_gone_back_to(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(60)
        trial.server.refuse(120, tcp=False)
        trial.server.cut()

    trial = run_trial(tmp_path, 800, script, failovers=1, **MINUTE)
    assert_complete(trial)
    first, second = trial.server.ws_url, trial.others[0].ws_url
    changes = [(change.old, change.new) for change in trial.of(events.EndpointChanged)]
    assert changes == [(first, second), (second, first)]
    assert "a better address" in [r.why for r in trial.of(events.Replaced)]
    # One attempt that failed, one probe that came through.
    assert len(trial.server.attempts) == 3


def test_a_host_that_swallows_handshakes_does_not_keep_from_the_next(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(60)
        trial.server.hang(10_000)
        trial.server.cut()

    trial = run_trial(tmp_path, 120, script, failovers=1, **MINUTE)
    assert_complete(trial)
    (session,) = trial.others[0].sessions
    assert session.opened_ms - trial.live_from_ms <= 60_000 + 12_000


def test_two_connections_lose_nothing_in_a_drop_though_rest_is_down(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(30)
        trial.server.rest_down(10_000)
        for server in (trial.server, trial.others[0]) * 5:
            await asyncio.sleep(20 + random.Random(len(trial.events)).random())
            server.cut()

    trial = run_trial(tmp_path, 300, script, failovers=1, websocket__redundancy=2)
    assert_complete(trial)
    assert not trial.of(events.HoleFound)
    assert len(trial.of(events.Disconnected)) == 10
    assert len(trial.rows()) >= 298


def test_two_connections_are_renewed_without_a_dark_moment(tmp_path: Path) -> None:
    trial = run_trial(
        tmp_path, 100, failovers=1, websocket__redundancy=2,
        binance__reconnect={"modulo": "20s", "margin_seconds": 2, "min_connection_duration": 5},
    )  # fmt: skip
    assert_complete(trial)
    for server in (trial.server, trial.others[0]):
        assert server.dark_ms(server.sessions[0].opened_ms, trial.ended_ms) == 0
    assert not trial.of(events.HoleFilled)


def test_a_shutdown_notice_in_combined_form_is_understood(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(30)
        trial.server.inject('{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}')

    trial = run_trial(tmp_path, 60, script)
    assert_complete(trial)
    assert len(trial.of(events.ShutdownNotice)) == 1
    assert [r.why for r in trial.of(events.Replaced)] == ["server shutdown"]


def one_of_many(
    folder: Path, name: str, server: ExchangeServer, clock: VirtualClock,
    listeners: tuple[Listener, ...] = (), **changes: object,
) -> Session:  # fmt: skip
    """A session with files of its own, and the budget of all."""
    home = folder / name
    home.mkdir()
    path = write_config(home, server.ws_url, server.rest_url, **changes)
    settings = load_settings("trial", path, {})
    return Session(
        settings,
        new_journal(settings),
        clock=clock,
        draw=random.Random(name).random,
        listeners=listeners,
        budget_file=folder / "budget.json",
    )


def test_two_sessions_keep_under_the_attempts_that_an_address_has(tmp_path: Path) -> None:
    """Both meet an exchange that accepts and closes; it refuses for good whoever tries too often."""

    async def main(clock: VirtualClock) -> list[int]:
        async with ExchangeServer(Market(), clock) as server:
            server.accept_then_close(420, 1011)
            # As hasty as a config can be.
            hasty = {"delay": 0.01, "max_delay": 0.05, "max_attempts": 10**6}
            sessions = [
                one_of_many(tmp_path, name, server, clock, websocket__reconnect=hasty)
                for name in ("one", "two")
            ]
            running = [asyncio.ensure_future(session.run()) for session in sessions]
            await asyncio.sleep(440)
            for session in sessions:
                session.stop("end")
            await asyncio.gather(*running)
            return server.attempts

    attempts = run_virtual(main)
    assert len(attempts) > 280
    worst = max(sum(1 for at in attempts if 0 <= at - first < 300_000) for first in attempts)
    assert worst <= 290


def test_a_ban_that_one_session_meets_the_other_keeps(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> tuple[list[int], list[events.Event]]:
        async with ExchangeServer(Market(), clock) as server:
            told: list[events.Event] = []
            sessions = [
                one_of_many(tmp_path, name, server, clock, listeners=(told.append,))
                for name in ("one", "two")
            ]
            first, second = (asyncio.ensure_future(session.run()) for session in sessions)
            await asyncio.sleep(20)
            server.refuse(5, status=429, retry_after=90)
            server.cut(1)  # the other one is connected still
            await asyncio.sleep(20)
            server.cut()
            met = clock.wall_ms()
            await asyncio.sleep(120)
            for session in sessions:
                session.stop("end")
            await asyncio.gather(first, second)
            return [at - met for at in server.attempts], told

    attempts, told = run_virtual(main)
    # One attempt met the ban; nobody tried until it was over, though the exchange let them long before.
    assert len([at for at in attempts if -20_000 <= at < 0]) == 1
    assert not [at for at in attempts if 0 <= at < 69_000]
    assert [at for at in attempts if at >= 69_000]
    assert [e.what for e in told if isinstance(e, events.Banned)] == ["connect"]


@pytest.mark.parametrize("status", [403, 451])
def test_a_host_that_refuses_the_region_is_left_for_good(tmp_path: Path, status: int) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(30)
        trial.server.refuse(10_000, status=status)
        trial.server.cut()

    trial = run_trial(tmp_path, 1_000, script, failovers=1, **MINUTE)
    assert_complete(trial)
    # The one attempt that was refused; no probe in the time that others are probed in.
    assert len(trial.server.attempts) == 2


SILENT = {"websocket__stall_timeout": 20, "websocket__proof_timeout": 5}


@pytest.mark.parametrize("fault", ["silence", "half_open"])
def test_a_connection_without_data_is_found_in_time(tmp_path: Path, fault: str) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(100)
        getattr(trial.server, fault)(10_000, 1)

    trial = run_trial(tmp_path, 300, script, **MINUTE, **SILENT)
    assert_complete(trial)
    noticed = [*trial.of(events.Stalled), *trial.of(events.Disconnected)]
    assert noticed[0].connection == 1
    assert len(trial.server.sessions) == 2
    told_ms = trial.server.sessions[1].opened_ms - trial.live_from_ms - 100_000
    assert told_ms <= 20_000


def test_subscriptions_that_bring_nothing_are_ended_and_another_address_is_tried(
    tmp_path: Path,
) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(100)
        trial.server.ack_only(seconds=10_000)
        trial.server.cut()

    trial = run_trial(tmp_path, 400, script, failovers=1, **MINUTE, **SILENT)
    assert_complete(trial)
    (stalled, *_) = trial.of(events.Stalled)
    assert stalled.seconds <= 20
    assert trial.of(events.Live)[-1].endpoint == trial.others[0].ws_url


def test_a_quiet_market_is_left_in_peace_and_called_recording(tmp_path: Path) -> None:
    words = []

    async def script(trial: Trial) -> None:
        await asyncio.sleep(100)
        now = trial.clock.wall_ms()
        trial.server.quiet(now - now % 60_000 + 60_000, now + 600_000, closes=False)
        for _ in range(35):
            await asyncio.sleep(20)
            words.append(trial.state()["status"])

    trial = run_trial(tmp_path, 900, script, **MINUTE, **SILENT)
    assert_complete(trial)
    assert not trial.of(events.CloseMissed)
    assert not trial.of(events.Stalled)
    assert len(trial.server.sessions) == 1
    assert set(words) <= {"recording", "catching_up"}


def test_one_dead_stream_among_live_ones_is_found_in_time(tmp_path: Path) -> None:
    """Three streams on one connection, each with its keeper; one of them goes dead for good."""
    told: list[events.Event] = []

    async def main(clock: VirtualClock) -> tuple[ExchangeServer, float]:
        async with ExchangeServer(Market(), clock) as server:
            bus = Bus()
            bus.listen(told.append)
            times = ServerTime(clock.wall_ms(), clock.monotonic())
            keepers = {}
            for symbol in ("BTCUSDT", "ETHUSDT", "BNBUSDT"):
                stream = Stream(symbol, parse("1m"))
                journal = Journal(tmp_path / stream.file_name, stream.interval, owner="test")
                keepers[symbol] = Recorder(
                    stream, journal, Backfill(server.rest_url, None), RecordOptions(),
                    bus=bus, clock=clock, server_time=times,
                )  # fmt: skip
            by_name = {keeper.stream.name: keeper for keeper in keepers.values()}
            feed = Feed(
                [keeper.stream for keeper in keepers.values()],
                FeedOptions([server.ws_url], Options(), Backoff(), Timing(20.0, 5.0)),
                bus=bus, clock=clock, server_time=times, draw=random.Random(1).random,
                on_kline=lambda kline: keepers[kline.symbol].deliver(kline),
            )  # fmt: skip
            feed.on_suspect = lambda name: by_name[name].look_at_market(
                lambda traded: feed.witnessed(name, traded)
            )
            for keeper in keepers.values():
                keeper.on_missed = partial(feed.missed, keeper.stream)
                await keeper.start()
            feed.start()
            await asyncio.sleep(90.3)
            server.dead_stream("ethusdt@kline_1m", 1, stays=True)
            began = clock.monotonic()
            while not any(isinstance(e, events.StreamSilent) for e in told):
                await asyncio.sleep(0.1)
            noticed = clock.monotonic() - began
            await asyncio.sleep(200)
            await feed.close()
            for keeper in keepers.values():
                await keeper.close()
            for keeper in keepers.values():
                rows = (tmp_path / keeper.stream.file_name).read_bytes().splitlines(keepends=True)
                opens = [from_row(row).open_ms for row in rows[1:]]
                truth = server.truth(keeper.stream.symbol, "1m", opens[0], opens[-1])
                assert rows[1:] == [candle.row() for candle in truth]
                assert len(rows) >= 5
            return server, noticed

    server, noticed = run_virtual(main)
    assert noticed <= 20.0
    # Subscribed anew first; it stays dead, so its connection is replaced.
    assert len(server.sessions) == 2
    assert [e.why for e in told if isinstance(e, events.Replaced)] == ["stalled"]


def test_a_dead_stream_is_found_while_rest_answers_from_a_cache(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(100)
        trial.server.rest_stale(3600, 150)
        trial.server.dead_stream(stays=True)

    trial = run_trial(tmp_path, 400, script, **MINUTE)
    assert_complete(trial)
    assert trial.of(events.Stalled)[0].seconds <= 62.0
    assert [replaced.why for replaced in trial.of(events.Replaced)] == ["stalled"]
