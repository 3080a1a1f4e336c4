"""A managed connection that is renewed, asked about and killed, against the embedded exchange."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from kline_ops.errors import VenueError
from kline_ops.kit.websocket_manager import (
    ConnectionState,
    ReconnectStrategy,
)
from tests.kit.stage import Stage, missing, play, silent_ms

# -- renewed without a dark moment --------------------------------------------------------------------


def test_a_planned_restart_has_no_dark_moment_and_with_dedupe_nothing_comes_twice() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(10 * 60)

    stage = play(script, restart_every="1m", dedupe=lambda message: message)
    assert stage.reasons == ["SCHEDULED"] * 10 + ["USER_REQUESTED"]
    assert stage.dark_ms() == 0
    assert missing(stage) == 0
    assert len(stage.closes) == len(set(stage.closes))
    # Two seconds, and up to one more until the successor has delivered.
    sessions = stage.server.sessions
    overlaps = [old.closed_ms - new.opened_ms for old, new in itertools.pairwise(sessions)]
    assert max(overlaps) <= 3_100
    assert stage.manager.stats.doubles >= 10
    assert stage.manager.stats.proactive_disconnects == 11
    # The margin before each boundary.
    assert {round(at / 1000) % 60 for at in stage.connected[1:]} == {55}


def test_without_dedupe_the_messages_are_of_one_connection_and_then_of_the_other() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(10 * 60)

    stage = play(script, restart_every="1m")
    assert stage.dark_ms() == 0
    assert missing(stage) == 0
    # One at most at each of ten switches.
    assert len(stage.closes) - len(set(stage.closes)) <= 10


def test_a_successor_that_brings_nothing_takes_nothing_over() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(30)
        stage.server.ack_only(seconds=100)
        stage.manager.request_reconnect()
        await asyncio.sleep(200)

    stage = play(script)
    assert missing(stage) == 0
    assert stage.reasons[-2:] == ["USER_REQUESTED", "USER_REQUESTED"]
    assert set(stage.reasons[:-2]) == {"STALLED"}


def test_a_requested_reconnect_has_no_dark_moment() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(5)
        stage.manager.request_reconnect()
        await asyncio.sleep(5)
        assert len(stage.connected) == 2

    stage = play(script)
    assert stage.reasons == ["USER_REQUESTED", "USER_REQUESTED"]
    assert stage.dark_ms() == 0


def test_a_reconnect_can_be_requested_in_another_thread() -> None:
    async def script(stage: Stage) -> None:
        stage.manager.request_reconnect()
        await asyncio.to_thread(stage.manager.request_reconnect)
        await asyncio.sleep(5)
        assert not stage.manager.is_dead

    stage = play(script)
    assert stage.reasons == ["USER_REQUESTED", "USER_REQUESTED"]
    stage.manager.request_reconnect()


def test_a_callback_may_have_the_connection_replaced() -> None:
    wish = {"now": False}

    async def script(stage: Stage) -> None:
        await asyncio.sleep(20)
        wish["now"] = True
        await asyncio.sleep(2)
        wish["now"] = False
        await asyncio.sleep(20)

    async def should_disconnect() -> bool:
        return wish["now"]

    stage = play(script, should_disconnect=should_disconnect)
    assert stage.reasons == ["CALLBACK_TRIGGERED", "USER_REQUESTED"]
    assert stage.dark_ms() == 0


def test_a_callback_that_always_wants_another_connection_gets_none_too_often() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(300)

    stage = play(script, should_disconnect=lambda: True)
    assert 10 <= len(stage.connected) <= 300 / 10
    assert stage.dark_ms() == 0
    assert missing(stage) == 0


def test_where_silence_is_no_fault_a_planned_restart_comes_through_all_the_same() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(5 * 60 + 20)
        assert stage.manager.is_connected

    # No stream: the server sends nothing at all.
    stage = play(script, path="", stall_timeout=None, restart_every="1m")
    assert stage.heard == []
    assert stage.reasons == ["SCHEDULED"] * 5 + ["USER_REQUESTED"]
    assert stage.dark_ms() == 0


# -- what the user has a say in -----------------------------------------------------------------------


def test_should_reconnect_is_asked_before_a_lost_connection_is_made_anew() -> None:
    answers = itertools.chain([False] * 5, [10.0], itertools.repeat(True))

    async def script(stage: Stage) -> None:
        await asyncio.sleep(20)
        stage.server.cut()
        await asyncio.sleep(60)

    async def should_reconnect() -> object:
        return next(answers)

    stage = play(
        script,
        should_reconnect=should_reconnect,
        reconnect_strategy=ReconnectStrategy.CALLBACK_CONTROLLED,
    )
    # Five times a second, and ten.
    assert stage.connected[1] - stage.ended[0][0] == pytest.approx(15_000, abs=300)


@pytest.mark.parametrize("answer", ["hangs", "raises"])
def test_a_should_reconnect_without_an_answer_is_a_yes(answer: str) -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(20)
        stage.server.cut()
        await asyncio.sleep(60)

    async def should_reconnect() -> object:
        if answer == "hangs":
            await asyncio.Event().wait()
        raise RuntimeError("no answer")

    stage = play(script, should_reconnect=should_reconnect)
    assert stage.connected[1] - stage.ended[0][0] <= 5_500


def test_without_auto_reconnect_it_is_over_when_its_connection_ends() -> None:
    taken: list[str] = []

    async def script(stage: Stage) -> None:
        manager = stage.manager

        async def take() -> None:
            taken.extend([str(message) async for message in manager])

        taking = asyncio.ensure_future(take())
        await asyncio.sleep(10)
        assert not manager.is_dead
        stage.server.close_all(1000)
        await asyncio.sleep(0.5)
        assert taking.done()
        assert (manager.state, manager.is_dead) == (ConnectionState.DISCONNECTED, True)
        await manager.connect()
        assert (manager.state, manager.is_dead) == (ConnectionState.CONNECTED, False)

    stage = play(script, auto_reconnect=False, on_message=None)
    assert stage.reasons == ["SERVER_CLOSED", "USER_REQUESTED"]
    assert len(taken) >= 9


def test_begun_anew_it_goes_on_with_on_message() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(5)
        stage.server.close_all(1000)
        await asyncio.sleep(1)
        before = len(stage.heard)
        await stage.manager.connect()
        await asyncio.sleep(5)
        assert len(stage.heard) > before
        await stage.manager.close()
        before = len(stage.heard)
        await stage.manager.connect()
        await asyncio.sleep(5)
        assert len(stage.heard) > before

    play(script, auto_reconnect=False)


def test_without_auto_reconnect_a_planned_restart_is_no_end() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(150)
        assert stage.manager.is_connected

    stage = play(script, auto_reconnect=False, restart_every="1m")
    assert stage.reasons == ["SCHEDULED"] * 2 + ["USER_REQUESTED"]


def test_without_auto_reconnect_a_first_attempt_that_fails_is_told() -> None:
    async def script(stage: Stage) -> None:
        stage.server.refuse(10)
        with pytest.raises(VenueError, match=r"no connection to ws://.* \(.*HTTP 503\)") as raised:
            await stage.manager.connect()
        assert raised.value.retryable
        assert stage.manager.is_dead

    play(script, auto_reconnect=False, begin=False)


def test_a_connect_that_takes_too_long_raises_and_attempts_go_on() -> None:
    async def script(stage: Stage) -> None:
        manager = stage.manager
        assert (manager.state, manager.is_dead) == (ConnectionState.DISCONNECTED, False)
        stage.server.refuse(20)
        with pytest.raises(VenueError, match="within 5 s"):
            await manager.connect(5)
        assert (manager.state, manager.is_dead) == (ConnectionState.CONNECTING, False)
        await manager.wait_connected(30)
        assert manager.is_connected

    play(script, begin=False)


def test_nothing_can_be_sent_where_nothing_is_connected() -> None:
    async def script(stage: Stage) -> None:
        with pytest.raises(VenueError, match="no connection"):
            await stage.manager.send("x")
        await stage.manager.connect()
        await stage.manager.send('{"method": "LIST_SUBSCRIPTIONS", "id": 7}')
        with pytest.raises(TypeError):
            await stage.manager.send({"method": "LIST_SUBSCRIPTIONS"})  # type: ignore[arg-type]
        await asyncio.sleep(1)

    stage = play(script, begin=False)
    assert any('"id":7' in message for message in stage.heard)
    assert stage.manager.stats.messages_sent == 1


def test_killed_it_is_dead_until_somebody_connects_it_again() -> None:
    async def script(stage: Stage) -> None:
        manager = stage.manager
        await asyncio.sleep(10)
        await manager.kill()
        await asyncio.sleep(1)
        assert (manager.state, manager.is_dead) == (ConnectionState.DISCONNECTED, True)
        assert [session.closed_ms is None for session in stage.server.sessions] == [False]
        await asyncio.sleep(60)
        assert len(stage.server.sessions) == 1
        await manager.connect()
        await asyncio.sleep(10)
        assert not manager.is_dead
        assert silent_ms(stage) < 1_500

    stage = play(script)
    assert stage.reasons == ["KILLED", "USER_REQUESTED"]


def test_a_manager_that_a_fault_of_ours_has_broken_is_dead_and_can_be_begun_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def script(stage: Stage) -> None:
        manager = stage.manager
        await asyncio.sleep(10)
        assert manager._run is not None
        manager._run._plan.advance = None  # type: ignore[method-assign, assignment]
        await asyncio.sleep(10)
        assert manager.is_dead
        # What is open goes on, and nothing would follow it.
        assert silent_ms(stage) < 1_500
        await manager.connect()
        await asyncio.sleep(10)
        assert not manager.is_dead
        assert silent_ms(stage) < 1_500

    stage = play(script)
    assert stage.reasons == ["KILLED", "USER_REQUESTED"]
    assert stage.told()[0] == ("broken", "CRITICAL")


def test_killed_in_the_overlap_of_a_restart_it_leaves_nothing_open() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(10)
        stage.server.ack_only(seconds=50)
        stage.manager.request_reconnect()
        await asyncio.sleep(2)
        assert sum(session.closed_ms is None for session in stage.server.sessions) == 2
        await stage.manager.kill()
        await asyncio.sleep(1)
        assert all(session.closed_ms is not None for session in stage.server.sessions)

    stage = play(script)
    assert stage.reasons == ["KILLED", "KILLED"]
