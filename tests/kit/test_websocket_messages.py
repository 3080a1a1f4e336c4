"""The messages and callbacks of a managed connection, and what it can not be made with."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from kline_ops.exchange.chaos import schedule
from kline_ops.exchange.faults import FaultKind
from kline_ops.exchange.session import ExchangeOptions
from kline_ops.kit.websocket_manager import (
    ConnectionState,
    DisconnectReason,
    ReconnectStrategy,
    WebSocketManager,
)
from tests.kit.stage import Stage, busiest, missing, play, silent_ms

# -- messages ----------------------------------------------------------------------------------------


def test_subscriptions_are_sent_on_each_new_connection() -> None:
    subscribe = [
        f'{{"method": "SUBSCRIBE", "params": ["{name}"], "id": {number}}}'
        for number, name in enumerate(["btcusdt@kline_1s", "ethusdt@kline_1s"] * 4)
    ]

    async def script(stage: Stage) -> None:
        await asyncio.sleep(30)
        stage.server.cut()
        await asyncio.sleep(30)
        assert stage.manager.is_connected

    stage = play(script, path="", subscribe=subscribe)
    # The exchange closes at more than five messages a second.
    assert stage.reasons == ["NETWORK_ERROR", "USER_REQUESTED"]
    assert sum('"result":null' in message for message in stage.heard) == 2 * len(subscribe)


def test_an_acknowledgement_is_no_data_where_the_user_says_so() -> None:
    subscribe = ['{"method": "SUBSCRIBE", "params": ["btcusdt@kline_1s"], "id": 1}']

    async def script(stage: Stage) -> None:
        await asyncio.sleep(100)

    async def dead(stage: Stage) -> None:
        stage.server.ack_only(seconds=10_000)
        await script(stage)

    def is_data(message: str) -> bool:
        return '"result"' not in message

    given = {"path": "", "subscribe": subscribe, "stall_timeout": 20, "is_data": is_data}
    assert play(script, **given).reasons == ["USER_REQUESTED"]
    reasons = play(dead, begin=False, **given).reasons
    assert reasons == []


def test_the_oldest_messages_give_way_and_that_is_told_once() -> None:
    gate = asyncio.Event()

    async def script(stage: Stage) -> None:
        await asyncio.sleep(60)
        assert stage.manager.is_connected
        assert stage.told() == [("messages lost", "WARNING")]
        gate.set()
        await asyncio.sleep(10)
        assert stage.told() == [("messages lost", "WARNING"), ("messages lost", "SUCCESS")]

    seen: list[str] = []

    async def slow(message: str) -> None:
        await gate.wait()
        seen.append(message)

    stage = play(script, on_message=slow, queue_size=10)
    stats = stage.manager.stats
    assert stats.messages_received == len(seen) + stats.dropped
    assert stats.dropped > 40
    assert f"{stats.dropped} were dropped" in stage.alerts[-1][0]


def test_messages_are_taken_one_after_another_in_order() -> None:
    inside = {"now": 0, "most": 0}
    seen: list[str] = []

    async def script(stage: Stage) -> None:
        await asyncio.sleep(60)
        stage.heard = seen

    async def slow(message: str) -> None:
        inside["now"] += 1
        inside["most"] = max(inside.values())
        await asyncio.sleep(0.7)
        inside["now"] -= 1
        seen.append(message)

    stage = play(script, on_message=slow)
    assert inside["most"] == 1
    assert missing(stage) == 0
    assert stage.closes == sorted(stage.closes)


def test_messages_can_be_iterated_over_until_it_is_closed() -> None:
    async def script(stage: Stage) -> None:
        async def take() -> None:
            async for message in stage.manager:
                stage.heard.append(str(message))

        taking = asyncio.ensure_future(take())
        await asyncio.sleep(30)
        stage.server.close_all(1000)
        await asyncio.sleep(30)
        await stage.manager.close()
        await asyncio.wait_for(taking, 1)

    stage = play(script, on_message=None)
    assert missing(stage) <= 1
    assert len(stage.closes) >= 58


def test_iteration_beside_on_message_is_refused() -> None:
    async def script(stage: Stage) -> None:
        with pytest.raises(TypeError, match="on_message"):
            aiter(stage.manager)

    play(script)


# -- callbacks harm nothing ---------------------------------------------------------------------------


def test_callbacks_that_hang_delay_no_reconnect() -> None:
    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    async def script(stage: Stage) -> None:
        for _ in range(5):
            await asyncio.sleep(20)
            stage.server.cut()
        await asyncio.sleep(20)
        began = stage.clock.wall_ms()
        await stage.manager.close()
        assert stage.clock.wall_ms() - began <= 4_000

    stage = play(script, on_connect=hang, on_disconnect=hang, on_alert=hang, on_message=hang)
    assert stage.dark_ms(stage.server.sessions[0].opened_ms) <= 4_000 + 5 * 200
    assert stage.manager.stats.connects == 6


def test_callbacks_that_raise_are_logged_and_harm_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> bool:
        raise StopIteration("my own fault")

    async def fail_async(*_: object) -> None:
        raise RuntimeError("my own fault")

    async def script(stage: Stage) -> None:
        for _ in range(3):
            await asyncio.sleep(20)
            stage.server.cut()
        await asyncio.sleep(20)
        assert stage.manager.is_connected

    with caplog.at_level(logging.ERROR):
        stage = play(
            script, on_connect=fail, on_disconnect=fail_async, on_message=fail_async,
            should_disconnect=fail, is_data=fail, dedupe=fail,
        )  # fmt: skip
    assert stage.manager.stats.connects == 4
    names = [record.getMessage().split()[0] for record in caplog.records]
    assert set(names) == {
        "on_connect", "on_disconnect", "on_message", "should_disconnect", "is_data", "dedupe",
    }  # fmt: skip
    # With each message: once a minute.
    assert names.count("on_message") <= 3


def test_a_callback_may_close_it() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(10)
        assert stage.manager.state is ConnectionState.CLOSED

    holder: list[WebSocketManager] = []

    async def close(_message: str) -> None:
        await holder[0].close()

    async def main(stage: Stage) -> None:
        holder.append(stage.manager)
        await script(stage)

    stage = play(main, on_message=close)
    assert stage.reasons == ["USER_REQUESTED"]


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 6))]
)
def test_under_every_fault_at_once_it_comes_back_and_nothing_comes_twice(seed: int) -> None:
    minutes = 10
    rest = {kind for kind in FaultKind if kind.value.startswith(("rest", "amend", "quiet"))}

    async def script(stage: Stage) -> None:
        servers = (stage.server, *stage.others)
        for number, server in enumerate(servers):
            kinds = set(FaultKind) - rest
            server.play(schedule(seed + 100 * number, minutes * 60, 10, kinds))
        await asyncio.sleep(minutes * 60)
        for server in servers:
            server.heal()
        # A ban lasts as long as it was told, whoever healed; the fault is 11 s long at most.
        await asyncio.sleep(100)
        assert stage.manager.is_connected
        assert silent_ms(stage) < 1_500

    stage = play(
        script, seed=seed, failovers=seed % 2, dedupe=lambda message: message,
        restart_every="5m", stall_timeout=20, options=ExchangeOptions(attempts=280),
    )  # fmt: skip
    assert len(stage.heard) == len(set(stage.heard))
    assert stage.manager.stats.connects >= 5
    assert busiest(stage) < 280


# -- what it is made with ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"url": "http://x"}, "no address"),
        ({"url": "ws://"}, "no address"),
        ({"url": "ws://x:99999"}, "no address"),
        ({"failover_urls": ["x"]}, "no address"),
        ({"ping_interval": 0}, "ping_interval is 0"),
        ({"stall_timeout": -1}, "stall_timeout is -1"),
        ({"connection_timeout": 0}, "connection_timeout"),
        ({"reconnect_delay": -1}, "reconnect_delay"),
        ({"max_reconnect_attempts": 0}, "max_reconnect_attempts"),
        ({"queue_size": 0}, "queue_size"),
        ({"restart_every": "4x"}, "4x"),
        ({"restart_every": "10s", "margin": 5.0}, "margin"),
        ({"subscribe": "x"}, "subscribe"),
        ({"reconnect_strategy": ReconnectStrategy.CALLBACK_CONTROLLED}, "should_reconnect"),
    ],
)
def test_what_can_not_be_used_is_refused(given: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        WebSocketManager(**({"url": "ws://127.0.0.1:1/ws"} | given))


def test_no_secret_of_an_address_is_told() -> None:
    with pytest.raises(ValueError, match="no address") as raised:
        WebSocketManager("http://me:hunter2@host/ws?token=swordfish")
    assert "hunter2" not in str(raised.value)
    assert "swordfish" not in str(raised.value)


def test_each_reason_is_one_that_can_happen() -> None:
    """The others are in the tests above; a broken protocol is in those over loopback."""
    proactive = {reason.name for reason in DisconnectReason if reason.is_proactive}
    assert proactive == {"USER_REQUESTED", "SCHEDULED", "CALLBACK_TRIGGERED", "CONNECTION_LIMIT"}
