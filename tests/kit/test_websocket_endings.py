"""Every way that a managed connection can end, and what follows: in virtual time."""

from __future__ import annotations

import asyncio
import statistics
from typing import Any

import pytest

from kline_ops.exchange.session import ExchangeOptions
from kline_ops.kit.websocket_manager import (
    ConnectionState,
    ReconnectStrategy,
)
from tests.kit.stage import Stage, busiest, missing, play, silent_ms

# -- what is said of it


def test_our_own_close_is_called_ours() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(30)
        stage.server.close_all(1000)
        await asyncio.sleep(5)
        assert stage.manager.stats.last_detail == "1000 closed by the server"

    stage = play(script)
    assert stage.reasons == ["SERVER_CLOSED", "USER_REQUESTED"]
    assert stage.manager.stats.last_detail == "1000 closed by us"


def test_that_there_is_no_connection_is_told_after_seconds_and_its_end() -> None:
    async def script(stage: Stage) -> None:
        stage.server.refuse(12)
        connecting = asyncio.create_task(stage.manager.connect())
        await asyncio.sleep(4)
        assert stage.told() == []
        await asyncio.sleep(2)
        ((text, context),) = stage.alerts
        assert (context["event"], context["level"]) == ("no connection", "WARNING")
        assert "no connection: the handshake was answered HTTP 503" in text
        await connecting
        await asyncio.sleep(5)

    stage = play(script, begin=False)
    assert stage.told() == [("no connection", "WARNING"), ("no connection", "SUCCESS")]
    assert not any("exchange" in text for text, _ in stage.alerts)


def test_a_short_loss_is_not_told_nor_one_that_is_wanted() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(30)
        stage.server.refuse(2)
        stage.server.cut()
        await asyncio.sleep(60)
        stage.server.cut()
        wanted.append(False)
        await asyncio.sleep(60)
        wanted.clear()
        await asyncio.sleep(10)
        assert stage.manager.is_connected

    wanted: list[bool] = []
    assert play(script, should_reconnect=lambda: not wanted, reconnect_delay=0.1).told() == []


# -- every way to end is answered ---------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013])
def test_a_close_with_any_code_is_answered_at_once(code: int) -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(30)
        stage.server.close_all(code)
        await asyncio.sleep(30)
        assert stage.manager.is_connected

    stage = play(script)
    assert stage.reasons == ["SERVER_CLOSED", "USER_REQUESTED"]
    assert stage.dark_ms() < 1_000
    assert missing(stage) <= 1
    assert stage.manager.stats.last_connect_ms == stage.connected[-1]


def test_a_reset_is_answered_at_once() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(30)
        stage.server.cut()
        await asyncio.sleep(30)

    stage = play(script)
    assert stage.reasons == ["NETWORK_ERROR", "USER_REQUESTED"]
    assert stage.dark_ms() < 200


@pytest.mark.parametrize("stall", [10.0, 60.0])
def test_silence_is_found_within_the_stall_timeout_though_pongs_come(stall: float) -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(30)
        stage.server.silence(10_000, stage.server.sessions[-1].id)
        began = stage.clock.wall_ms()
        await asyncio.sleep(2 * stall)
        assert stage.connected[1] - began <= stall * 1000 + 100
        assert silent_ms(stage) < 1_500

    stage = play(script, stall_timeout=stall)
    assert stage.reasons == ["STALLED", "USER_REQUESTED"]
    assert stage.told() == [("silence", "WARNING"), ("silence", "SUCCESS")]


def test_a_stalled_connection_does_not_count_as_connected() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(30)
        stage.server.silence(60)
        stage.server.refuse(60)
        await asyncio.sleep(15)
        assert stage.manager.state is ConnectionState.CONNECTED
        await asyncio.sleep(10)
        # It is open still, and there is no other.
        assert stage.server.sessions[-1].closed_ms is None
        assert stage.manager.state is ConnectionState.RECONNECTING
        await asyncio.sleep(60)
        assert stage.manager.state is ConnectionState.CONNECTED

    play(script, stall_timeout=20)


def test_a_half_open_connection_is_found_by_its_missing_pong() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(30)
        stage.server.half_open(10_000, stage.server.sessions[-1].id)
        began = stage.clock.wall_ms()
        await asyncio.sleep(60)
        assert stage.connected[1] - began <= 31_500

    stage = play(script, stall_timeout=None)
    assert stage.reasons == ["PING_TIMEOUT", "USER_REQUESTED"]


def test_a_shutdown_notice_is_honoured_before_the_server_goes() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(30)
        stage.server.announce_shutdown(10.0)
        await asyncio.sleep(30)

    stage = play(script)
    assert stage.reasons == ["SERVER_CLOSED", "USER_REQUESTED"]
    assert stage.dark_ms() == 0
    assert missing(stage) == 0


def test_a_connection_is_renewed_before_the_limit_of_its_age(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Half an hour before the exchange's limit, in minutes.
    monkeypatch.setattr("kline_ops.feed.plan._MAX_AGE", 270.0)

    async def script(stage: Stage) -> None:
        await asyncio.sleep(600)

    stage = play(script, options=ExchangeOptions(max_age_seconds=300.0))
    assert stage.reasons == ["CONNECTION_LIMIT"] * 2 + ["USER_REQUESTED"]
    assert stage.dark_ms() == 0
    assert missing(stage) == 0


def test_after_a_suspend_another_connection_takes_over_at_once() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(30)
        stage.server.half_open(10_000, stage.server.sessions[-1].id)
        stage.clock.suspend(600)
        woke = stage.clock.wall_ms()
        await asyncio.sleep(30)
        assert stage.connected[1] - woke <= 5_100

    assert play(script).reasons == ["NETWORK_ERROR", "USER_REQUESTED"]


# -- never given up, never hammered -------------------------------------------------------------------


def outage(seed: int, seconds: float, *, tcp: bool) -> float:
    """Seconds from the end of an outage to the next connection."""

    async def script(stage: Stage) -> None:
        await asyncio.sleep(15)
        stage.server.refuse(seconds, tcp=tcp)
        stage.server.cut()
        await asyncio.sleep(seconds + 10)

    stage = play(script, seed=seed)
    cut_ms = stage.ended[0][0]
    return (stage.connected[1] - cut_ms) / 1000 - seconds


def test_an_outage_of_20_s_is_over_within_2_s_at_the_median() -> None:
    late = [outage(seed, 20, tcp=False) for seed in range(15)]
    assert statistics.median(late) <= 2.0
    assert max(late) <= 4.5


def test_a_closed_port_is_tried_until_it_is_open() -> None:
    assert -0.5 <= outage(3, 25, tcp=True) <= 4.5


@pytest.mark.parametrize("code", [1013, 1011, 1000, 1006])
def test_a_server_that_accepts_and_closes_is_not_hammered(code: int) -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(10)
        before = len(stage.server.attempts)
        stage.server.accept_then_close(20, code)
        stage.server.cut()
        await asyncio.sleep(20)
        assert len(stage.server.attempts) - before <= 20
        await asyncio.sleep(20)
        assert stage.manager.is_connected
        assert silent_ms(stage) < 1_500

    play(script, seed=code)


@pytest.mark.parametrize(
    "hasty",
    [
        {"reconnect_strategy": ReconnectStrategy.IMMEDIATE},
        {"reconnect_delay": 0.01, "max_reconnect_delay": 0.02, "max_reconnect_attempts": 10**6},
        pytest.param(
            {"reconnect_strategy": ReconnectStrategy.FIXED_DELAY, "reconnect_delay": 0.0},
            marks=pytest.mark.long,
        ),
        pytest.param(
            {
                "reconnect_strategy": ReconnectStrategy.CALLBACK_CONTROLLED,
                "should_reconnect": lambda: True,
            },
            marks=pytest.mark.long,
        ),
    ],
    ids=["immediate", "exponential", "fixed", "callback"],
)
def test_the_attempts_that_an_address_has_are_never_exceeded(hasty: dict[str, Any]) -> None:
    """The exchange refuses for good whoever makes more than 300 in 5 minutes."""

    async def script(stage: Stage) -> None:
        stage.server.accept_then_close(330, 1013)
        stage.server.cut()
        await asyncio.sleep(360)
        assert stage.manager.is_connected

    assert busiest(play(script, **hasty)) < 300


def test_it_never_gives_up_and_says_once_that_it_takes_long() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(10)
        stage.server.refuse(1_800)
        stage.server.cut()
        await asyncio.sleep(1_000)
        assert stage.manager.state is ConnectionState.RECONNECTING
        assert not stage.manager.is_dead
        await asyncio.sleep(900)
        assert stage.manager.is_connected

    stage = play(script, max_reconnect_attempts=5)
    assert stage.told() == [("no connection", "CRITICAL"), ("no connection", "SUCCESS")]
    assert stage.reasons == ["NETWORK_ERROR", "USER_REQUESTED"]
    assert stage.manager.stats.failed_attempts > 20


def test_a_handshake_that_hangs_is_given_up() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(10)
        stage.server.hang(7)
        stage.server.cut()
        await asyncio.sleep(20)
        assert stage.manager.is_connected

    stage = play(script, connection_timeout=5)
    assert stage.connected[1] - stage.ended[0][0] <= 11_000


def test_another_address_takes_over_and_the_better_one_is_gone_back_to() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(10)
        stage.server.refuse(60)
        stage.server.cut()
        await asyncio.sleep(30)
        assert stage.manager.is_connected
        assert stage.others[0].sessions
        await asyncio.sleep(700)

    stage = play(script, failovers=1)
    assert stage.reasons == ["NETWORK_ERROR", "SCHEDULED", "USER_REQUESTED"]
    assert stage.server.sessions[-1].closed_ms >= stage.others[0].sessions[-1].closed_ms
