"""Missed closes, dead streams, other addresses, two connections at a time, one budget for all."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from kline_ops import events
from kline_ops.config.settings import load_settings
from kline_ops.exchange.market import Market
from kline_ops.exchange.server import ExchangeServer
from kline_ops.market.interval import parse
from kline_ops.market.timestamp import to_ms
from kline_ops.service import Session, new_journal
from tests.support.trial import Trial, run_trial, write_config
from tests.support.virtual_time import VirtualClock, run_virtual

MINUTE = {"binance__stream__timeframe": "1m", "start_ms": to_ms("2026-01-01T00:00:30Z")}
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
        trial.server.rest_down(600)
        await asyncio.sleep(300)
        trial.server.refuse(5, tcp=True)
        trial.server.cut()
        for _ in range(500):
            await asyncio.sleep(1)
            orders.append([row[:20] for row in trial.rows()])

    trial = run_trial(tmp_path, 900, script)
    assert_complete(trial)
    assert all(order == sorted(set(order)) for order in orders)
    during = orders[200]
    owed = SECOND.slots(to_ms(during[0]), to_ms(during[-1]) + 1000)
    # The hole is there, and the rows after it did not wait for it.
    assert 3 <= owed - len(during) <= 10
    assert to_ms(during[-1]) > trial.live_from_ms + 540_000
    assert sum(hole.candles for hole in trial.of(events.HoleFilled)) == owed - len(during)


def test_another_address_takes_over_and_the_first_is_gone_back_to(tmp_path: Path) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(60)
        trial.server.refuse(120, tcp=False)
        trial.server.cut()

    trial = run_trial(tmp_path, 800, script, failovers=1)
    assert_complete(trial)
    first, second = trial.server.ws_url, trial.others[0].ws_url
    changes = [(change.old, change.new) for change in trial.of(events.EndpointChanged)]
    assert changes == [(first, second), (second, first)]
    assert "a better address" in [r.why for r in trial.of(events.Replaced)]
    # One attempt that failed, one probe that came through.
    assert len(trial.server.attempts) == 3


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


def test_two_sessions_keep_under_the_attempts_that_an_address_has(tmp_path: Path) -> None:
    """Both meet an exchange that accepts and closes; it refuses for good whoever tries too often."""

    async def main(clock: VirtualClock) -> list[int]:
        async with ExchangeServer(Market(), clock) as server:
            server.accept_then_close(420, 1011)
            sessions = []
            for name in ("one", "two", "three", "four"):
                folder = tmp_path / name
                folder.mkdir()
                path = write_config(
                    folder, server.ws_url, server.rest_url,
                    # As hasty as a config can be.
                    websocket__reconnect={"delay": 0.01, "max_delay": 0.05, "max_attempts": 10**6},
                )  # fmt: skip
                settings = load_settings("trial", path, {})
                sessions.append(
                    Session(
                        settings,
                        new_journal(settings),
                        clock=clock,
                        draw=random.Random(name).random,
                        budget_file=tmp_path / "budget.json",
                    )
                )
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
