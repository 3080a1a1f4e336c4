"""A feed that dies of a fault of ours is begun anew within the process; the beats go on meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kline_ops import events
from kline_ops.feed.feed import Feed
from kline_ops.feed.happenings import Delivered, Ended, Happening, Opened, Replace, Settled, Tick
from kline_ops.feed.plan import Plan
from kline_ops.market.timestamp import to_ms
from kline_ops.watch.state_writer import StateWriter
from tests.support.trial import Trial, run_trial

BEAT = {"resilience__heartbeat__interval": 2.0}


class Fault:
    """Breaks the rules of the feed while it is armed: so many times, at such a happening."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self.at: type[Any] = Tick
        real = Plan.advance

        def advance(plan: Plan, happening: Happening, now: float, now_ms: int) -> Any:
            if self.left and isinstance(happening, self.at):
                self.left -= 1
                raise ZeroDivisionError("broken on purpose")
            return real(plan, happening, now, now_ms)

        monkeypatch.setattr(Plan, "advance", advance)


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    return Fault(monkeypatch)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Each state that was handed to the disk (which takes real time, and may pass one over)."""
    states: list[dict[str, Any]] = []
    real = StateWriter.write

    def write(writer: StateWriter, state: dict[str, Any]) -> None:
        states.append(state)
        real(writer, state)

    monkeypatch.setattr(StateWriter, "write", write)
    return states


def assert_beats(states: list[dict[str, Any]], every: float) -> None:
    times = [to_ms(state["timestamp"]) for state in states]
    assert max(b - a for a, b in itertools.pairwise(times)) <= every * 1000 + 50


@pytest.mark.parametrize("at", [Delivered, Settled, Tick])
def test_a_feed_that_dies_is_begun_anew_and_costs_nothing(
    tmp_path: Path, fault: Fault, written: list[dict[str, Any]], at: type[Any]
) -> None:
    """Without REST: a candle that no connection brings would be lost."""
    tasks = 0

    async def script(trial: Trial) -> None:
        nonlocal tasks
        await asyncio.sleep(5.3)
        fault.at, fault.left = at, 1
        await asyncio.sleep(45)
        assert not fault.left
        state = trial.state()
        assert (state["heartbeat_sessions"], state["status"]) == (2, "recording")
        assert state["websocket_reconnects"] == 0
        # The old connection has gone, and nothing of it is left.
        assert state["metadata"]["live"] == [2]
        tasks = sum(1 for task in asyncio.all_tasks() if task.get_name().startswith("connection"))

    trial = run_trial(tmp_path, 60, script, record__backfill=False, **BEAT)
    assert trial.rows() == trial.truth()
    assert len(trial.rows()) >= 58
    (restart,) = trial.of(events.HeartbeatRestart)
    assert restart.reason == "ZeroDivisionError: broken on purpose"
    assert [(e.connection, e.code) for e in trial.of(events.Disconnected)] == [(1, 1000)]
    server = trial.server
    assert server.dark_ms(server.sessions[0].opened_ms, trial.ended_ms) == 0
    assert len(server.sessions) == 2
    assert tasks == 1
    assert_beats(written, 2.0)
    log = [json.loads(line) for line in trial.settings.events_file.read_text().splitlines()]
    assert "heartbeat_restart" in {told["kind"] for told in log}


def test_one_that_dies_again_and_again_is_tried_at_each_beat_and_costs_nothing(
    tmp_path: Path, fault: Fault, written: list[dict[str, Any]]
) -> None:
    """Each that is begun dies at once; what the first one had open delivers all the time."""

    async def script(trial: Trial) -> None:
        await asyncio.sleep(20.3)
        fault.at, fault.left = Tick, 10
        trial.session.renew()
        trial.session._feed.witnessed("btcusdt@kline_1s", True)
        await asyncio.sleep(60)
        assert not fault.left
        assert trial.state()["status"] == "recording"

    trial = run_trial(tmp_path, 90, script, record__backfill=False, **BEAT)
    assert trial.rows() == trial.truth()
    restarts = trial.of(events.HeartbeatRestart)
    assert len(restarts) == 10
    assert_beats(written, 2.0)
    # Not in a loop: no more attempts than beats.
    assert len(trial.server.sessions) <= 3


def test_a_feed_that_dies_while_it_is_refused_goes_on_trying(tmp_path: Path, fault: Fault) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(10)
        trial.server.refuse(30)
        trial.server.cut()
        await asyncio.sleep(5)
        fault.at, fault.left = Tick, 2
        await asyncio.sleep(60)
        assert not fault.left

    trial = run_trial(tmp_path, 90, script, **BEAT)
    assert trial.rows() == trial.truth()
    assert trial.of(events.HeartbeatRestart)


def test_one_that_dies_at_the_very_end_is_let_go(tmp_path: Path, fault: Fault) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(9)
        fault.at, fault.left = Delivered, 1
        while fault.left:
            await asyncio.sleep(0.001)
        trial.session.stop("now")

    trial = run_trial(tmp_path, 20, script, **BEAT)
    # The last candle may have closed just before the end.
    assert trial.truth() in (trial.rows(), trial.rows()[:-1])
    assert trial.state()["status"] == "stopped"


def test_a_task_of_a_connection_that_dies_is_a_death_of_the_feed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would open another one: its end was never told to the rules."""
    from kline_ops.feed.relay import Relay

    real: Callable[..., Any] = Relay._connect
    broken: list[int] = []

    async def connect(relay: Relay, number: int, endpoint: str) -> Any:
        ending = await real(relay, number, endpoint)
        if not broken:
            broken.append(number)
            relay._tasks.pop(number)  # what the rest of its task trips over
        return ending

    monkeypatch.setattr(Relay, "_connect", connect)

    async def script(trial: Trial) -> None:
        await asyncio.sleep(10.2)
        trial.server.cut()

    trial = run_trial(tmp_path, 40, script, **BEAT)
    assert broken == [1]
    assert trial.rows() == trial.truth()
    assert [e.reason for e in trial.of(events.HeartbeatRestart)] == ["KeyError: 1"]


def test_a_mere_disconnect_is_no_death(tmp_path: Path) -> None:
    dead: list[bool] = []

    async def script(trial: Trial) -> None:
        await asyncio.sleep(10)
        trial.server.refuse(20)
        trial.server.cut()
        for _ in range(40):
            await asyncio.sleep(0.5)
            dead.append(trial.session._feed.is_dead)

    trial = run_trial(tmp_path, 40, script)
    assert not any(dead)
    assert not trial.of(events.HeartbeatRestart)


def test_nothing_under_way_is_a_death(tmp_path: Path) -> None:
    """A timer that is lost, with no connection: nothing would ever happen again."""

    async def script(trial: Trial) -> None:
        await asyncio.sleep(10)
        trial.server.refuse(2)
        trial.server.cut()
        await asyncio.sleep(0.2)
        feed: Feed = trial.session._feed
        while feed._relay._tasks:
            await asyncio.sleep(0.01)
        assert feed._relay._timer is not None
        feed._relay._timer.cancel()
        feed._relay._timer = None

    trial = run_trial(tmp_path, 40, script, **BEAT)
    assert trial.rows() == trial.truth()
    assert [e.reason for e in trial.of(events.HeartbeatRestart)] == ["nothing is under way"]


def test_a_state_that_can_not_be_made_ends_no_recording(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(trial: Trial) -> None:
        await asyncio.sleep(5)
        trial.session._keeper.state = lambda standing: 1 / 0  # type: ignore[method-assign]
        await asyncio.sleep(10)
        del trial.session._keeper.state

    trial = run_trial(tmp_path, 20, script, **BEAT)
    assert trial.rows() == trial.truth()
    assert caplog.text.count("how it stands can not be told") == 1


@pytest.mark.parametrize("seed", range(2))
def test_deaths_among_other_troubles_cost_nothing(
    tmp_path: Path, fault: Fault, written: list[dict[str, Any]], seed: int
) -> None:
    draw = random.Random(seed)

    async def script(trial: Trial) -> None:
        server = trial.server
        troubles = [
            server.cut,
            lambda: server.close_all(draw.choice([1000, 1001, 1011])),
            lambda: (server.refuse(draw.uniform(1, 20)), server.cut()),
            lambda: server.silence(draw.uniform(5, 30)),
            lambda: server.ack_only(seconds=draw.uniform(5, 20)),
            lambda: server.rest_down(draw.uniform(5, 30)),
            trial.session.renew,
            server.announce_shutdown,
        ]
        for _ in range(10):
            await asyncio.sleep(draw.uniform(1, 20))
            draw.choice(troubles)()
            await asyncio.sleep(draw.uniform(0, 3))
            fault.at = draw.choice([Delivered, Settled, Tick, Opened, Ended, Replace])
            fault.left = draw.choice([1, 1, 1, 4])
        fault.left = 0
        await asyncio.sleep(90)
        # Nothing is left of those that died: one connection, or two that change places.
        still_open.append(sum(1 for record in server.sessions if record.closed_ms is None))

    still_open: list[int] = []
    trial = run_trial(tmp_path, 330, script, seed=seed, websocket__stall_timeout=20, **BEAT)
    assert trial.rows() == trial.truth()
    assert len(trial.of(events.HeartbeatRestart)) >= 3
    assert_beats(written, 2.0)
    assert still_open[0] <= 2
    assert len(trial.state()["metadata"]["live"]) <= 2


def test_one_that_dies_as_soon_as_it_is_begun_anew_waits_for_the_next_beat(
    tmp_path: Path, fault: Fault
) -> None:
    """For as long as it lasts; in a loop it would take the whole machine, and its budget of attempts."""

    async def script(trial: Trial) -> None:
        await asyncio.sleep(20.3)
        fault.at, fault.left = Tick, 1_000
        trial.session.renew()
        trial.session._feed.witnessed("btcusdt@kline_1s", True)
        await asyncio.sleep(20)
        fault.left = 0

    trial = run_trial(tmp_path, 60, script, record__backfill=False, **BEAT)
    assert trial.rows() == trial.truth()
    assert 2 <= len(trial.of(events.HeartbeatRestart)) <= 12


def test_one_whose_peer_answers_no_close_is_told_to_have_ended(
    tmp_path: Path, fault: Fault
) -> None:
    """Else it would count as one that delivers for ever."""

    async def script(trial: Trial) -> None:
        await asyncio.sleep(5.3)
        (old,) = trial.session._feed._relay._connections.values()

        async def never_answered() -> None:
            await asyncio.sleep(60)

        assert old._socket is not None
        old._socket.close = never_answered  # type: ignore[method-assign]
        fault.at, fault.left = Delivered, 1
        await asyncio.sleep(30)
        assert trial.session._keeper.live == [2]

    trial = run_trial(tmp_path, 60, script, record__backfill=False, **BEAT)
    assert trial.rows() == trial.truth()
    assert [(e.connection, e.code) for e in trial.of(events.Disconnected)] == [(1, 1006)]


def test_one_that_has_served_is_kept_when_it_dies_too(tmp_path: Path, fault: Fault) -> None:
    """It is all there is, where what the first one had open has ended meanwhile."""

    async def script(trial: Trial) -> None:
        await asyncio.sleep(5.3)
        fault.at, fault.left = Delivered, 1
        while trial.session._keeper.live != [1, 2]:
            await asyncio.sleep(0.05)
        trial.server.refuse(5)
        (old,) = trial.session._feed._leftovers._relay._connections.values()
        old.abort()
        await asyncio.sleep(0.5)
        fault.left = 1
        await asyncio.sleep(30)

    trial = run_trial(tmp_path, 60, script, record__backfill=False, **BEAT)
    assert trial.rows() == trial.truth()
