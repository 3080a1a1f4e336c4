"""The state file: what is counted, and how the session stands."""

import dataclasses
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from kline_ops import events
from kline_ops.watch.files import read_json
from kline_ops.watch.keeper import Standing, StateKeeper
from kline_ops.watch.process import started_at
from tests.watch.test_verdict import NEW, WELL

WALL = 1_769_522_400_000
URL = "ws://x"


class HandClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.wall = WALL
        self.mono = 1_000.0

    def wall_ms(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    def asleep(self) -> float:
        return 0.0


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def keeper(tmp_path: Path, clock: HandClock) -> StateKeeper:
    return StateKeeper(
        tmp_path / "state" / "heartbeat.state.json", clock, session="demo", endpoint=URL, beat=5.0
    )


STANDING = Standing(
    facts=WELL,
    last_open_ms=WALL - 3_600_000,
    last_close_ms=WALL,
    next_due_ms=WALL + 3_600_000,
    next_restart_ms=WALL + 7_200_000,
    owed=10,
    on_disk=9,
    missing=1,
    confirmed=0,
    waiting=0,
    clock_skew=-0.012,
)


def live(number: int) -> events.Live:
    return events.Live(connection=number, endpoint=URL, seconds=0.1)


def lost(number: int, reason: str = "reset") -> events.Disconnected:
    return events.Disconnected(
        connection=number, endpoint=URL, code=1006, reason=reason, seconds=1.0
    )


def replaced(old: int, new: int, why: str) -> events.Replaced:
    return events.Replaced(old=old, new=new, why=why, overlap=1.0)


def test_the_fields_are_those_that_users_know(keeper: StateKeeper) -> None:
    state = keeper.state(STANDING)
    assert list(state) == [
        "timestamp",
        "heartbeat_sessions",
        "websocket_reconnects",
        "candles_received",
        "last_candle_time",
        "status",
        "error",
        "metadata",
    ]
    assert state["timestamp"] == "2026-01-27T14:00:00Z"
    assert state["last_candle_time"] == "2026-01-27T13:00:00Z"
    assert (state["status"], state["error"]) == ("recording", None)
    told = state["metadata"]
    assert (told["pid"], told["pid_started"]) == (os.getpid(), started_at())
    assert (told["owed"], told["on_disk"], told["missing"]) == (10, 9, 1)
    assert told["next_due"] == "2026-01-27T15:00:00Z"
    assert told["next_restart"] == "2026-01-27T16:00:00Z"
    assert told["last_boundary"] is None
    assert told["clock_skew_seconds"] == -0.012
    assert told["session"] == "demo"
    json.dumps(state, allow_nan=False)


def test_the_counts_add_up_after_the_end(keeper: StateKeeper) -> None:
    """A candle that closed just before the stop is missing then, not on its way."""
    standing = dataclasses.replace(STANDING, owed=42, on_disk=41, missing=0)
    assert keeper.state(standing)["metadata"]["missing"] == 0
    keeper.hear(events.SessionStopped(reason="asked to"))
    assert keeper.state(standing)["metadata"]["missing"] == 1


def test_the_address_is_the_one_that_delivers(keeper: StateKeeper) -> None:
    assert keeper.state(STANDING)["metadata"]["endpoint"] == URL
    keeper.hear(events.Live(connection=1, endpoint="ws://other/ws", seconds=0.1))
    assert keeper.state(STANDING)["metadata"]["endpoint"] == "ws://other/ws"


def test_the_first_connection_is_no_reconnect(keeper: StateKeeper) -> None:
    keeper.hear(lost(1, "refused"))
    keeper.hear(live(2))
    assert keeper.state(STANDING)["websocket_reconnects"] == 0


@pytest.mark.parametrize("why", ["planned", "stalled", "server shutdown", "24 h limit"])
def test_a_replacement_is_one_reconnect_whatever_it_was_for(keeper: StateKeeper, why: str) -> None:
    keeper.hear(live(1))
    keeper.hear(live(2))
    keeper.hear(replaced(1, 2, why))
    state = keeper.state(STANDING)
    assert state["websocket_reconnects"] == 1
    assert state["metadata"]["restarts_planned"] == (why == "planned")
    assert state["metadata"]["live"] == [2]


def test_a_connection_that_is_lost_and_comes_back_is_one_reconnect(keeper: StateKeeper) -> None:
    keeper.hear(live(1))
    keeper.hear(lost(1))
    keeper.hear(lost(2, "refused"))
    assert keeper.feed_error == "refused"
    keeper.hear(live(3))
    assert keeper.feed_error is None
    assert keeper.state(STANDING)["websocket_reconnects"] == 1


def test_candles_are_counted_as_they_reach_the_disk(keeper: StateKeeper) -> None:
    for count in (1, 1000):
        keeper.hear(events.Recorded(first="", last="", candles=count, source="rest"))
    assert keeper.state(STANDING)["candles_received"] == 1_001


def test_it_is_dark_while_no_connection_delivers(keeper: StateKeeper, clock: HandClock) -> None:
    clock.mono += 3.0
    assert keeper.dark_for == 3.0
    keeper.hear(live(1))
    assert keeper.dark_for is None
    keeper.hear(live(2))
    keeper.hear(lost(1))
    assert keeper.dark_for is None
    assert keeper.feed_error is None
    keeper.hear(lost(2))
    clock.mono += 4.0
    keeper.hear(lost(3))
    assert keeper.dark_for == 4.0
    assert keeper.feed_error == "reset"


def test_a_stepped_wall_clock_makes_nothing_dark_or_light(
    keeper: StateKeeper, clock: HandClock
) -> None:
    clock.mono += 2.0
    clock.wall += 10**9
    assert keeper.dark_for == 2.0


def test_a_stepped_wall_clock_makes_the_session_no_older(
    keeper: StateKeeper, clock: HandClock
) -> None:
    clock.mono += 2.0
    clock.wall += 3_600_000
    assert keeper.uptime == 2.0


def test_the_word_follows_the_data(keeper: StateKeeper) -> None:
    state = keeper.state(replace(STANDING, facts=replace(WELL, disk_error="disk full")))
    assert (state["status"], state["error"]) == ("stalled", "disk full")
    state = keeper.state(replace(STANDING, facts=NEW, last_open_ms=None, next_due_ms=None))
    assert (state["status"], state["error"]) == ("starting", "waiting for the first data")
    assert state["last_candle_time"] is None


def test_a_session_that_stopped_says_so_whatever_else_was_wrong(keeper: StateKeeper) -> None:
    keeper.hear(events.SessionStopped(reason="asked to"))
    state = keeper.state(replace(STANDING, facts=replace(WELL, disk_error="full")))
    assert (state["status"], state["error"]) == ("stopped", None)


@pytest.mark.parametrize(
    "event",
    [
        events.RestartPlanned(boundary="2026-01-27T16:00:00Z"),
        events.RestartSkipped(boundary="2026-01-27T16:00:00Z", seconds=1.0),
    ],
)
def test_the_last_boundary_survives_the_process(
    tmp_path: Path, clock: HandClock, event: events.Event
) -> None:
    path = tmp_path / "state.json"
    first = StateKeeper(path, clock, session="demo", endpoint=URL, beat=5.0)
    first.take_over()
    assert first.last_boundary_ms is None
    first.hear(event)
    first.write(first.state(STANDING))
    second = StateKeeper(path, clock, session="demo", endpoint=URL, beat=5.0)
    second.take_over()
    assert second.last_boundary_ms == WALL + 7_200_000
    other = StateKeeper(path, clock, session="other", endpoint=URL, beat=5.0)
    other.take_over()
    assert other.last_boundary_ms is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"metadata": null}',
        '{"metadata": {}}',
        '{"metadata": {"last_boundary": 5}}',
        '{"metadata": []}',
        '{"metadata": "x"}',
        '{"metadata": [1]}',
        '{"metadata": 5}',
        '{"metadata": {"last_boundary": ""}}',
        '{"metadata": {"last_boundary": "soon"}}',
    ],
)
def test_a_damaged_state_file_keeps_no_recorder_from_starting(
    tmp_path: Path, clock: HandClock, content: str
) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    keeper = StateKeeper(path, clock, session="demo", endpoint=URL, beat=5.0)
    keeper.take_over()
    assert keeper.last_boundary_ms is None
    keeper.write(keeper.state(STANDING))
    assert (read_json(path) or {})["status"] == "recording"


def test_events_of_other_kinds_are_heard_and_change_nothing(keeper: StateKeeper) -> None:
    before = keeper.state(STANDING)
    keeper.hear(events.ShutdownNotice(connection=1))
    keeper.hear(events.Connected(connection=1, endpoint=URL))
    assert keeper.state(STANDING) == before


def test_a_password_is_not_in_the_state(tmp_path: Path, clock: HandClock) -> None:
    """Before the first data the address is the config's own."""
    url = "ws://user:hidden@host/ws?token=hidden"
    keeper = StateKeeper(tmp_path / "x.json", clock, session="demo", endpoint=url, beat=5.0)
    told = keeper.state(STANDING)["metadata"]["endpoint"]
    assert told == "ws://…@host/ws?token=…"


def state_file(folder: Path, **changes: object) -> Path:
    """What a process before has left."""
    path = folder / "state.json"
    metadata = {"session": "demo", "restarts_planned": 7, "reconnects": 2}
    counts = {"heartbeat_sessions": 3, "websocket_reconnects": 9, "candles_received": 400}
    path.write_text(json.dumps({**counts, "metadata": metadata} | changes))
    return path


def counts(keeper: StateKeeper) -> tuple[int, int, int, int, int]:
    state = keeper.state(STANDING)
    told = state["metadata"]
    return (
        state["heartbeat_sessions"],
        state["websocket_reconnects"],
        state["candles_received"],
        told["restarts_planned"],
        told["reconnects"],
    )


def test_counts_survive_the_process(tmp_path: Path, clock: HandClock) -> None:
    path = state_file(tmp_path)
    keeper = StateKeeper(path, clock, session="demo", endpoint=URL, beat=5.0)
    keeper.take_over()
    assert counts(keeper) == (4, 9, 400, 7, 2)
    keeper.hear(live(1))
    keeper.hear(live(2))
    keeper.hear(replaced(1, 2, "planned"))
    keeper.hear(lost(2))
    keeper.hear(live(3))
    keeper.hear(events.Recorded(first="", last="", candles=5, source="stream"))
    assert counts(keeper) == (4, 11, 405, 8, 3)
    keeper.write(keeper.state(STANDING))
    after = StateKeeper(path, clock, session="demo", endpoint=URL, beat=5.0)
    after.take_over()
    assert counts(after) == (5, 11, 405, 8, 3)


def test_a_feed_that_was_begun_anew_is_counted(keeper: StateKeeper) -> None:
    assert counts(keeper)[0] == 1
    keeper.hear(events.HeartbeatRestart(reason="ImpossibleError: x"))
    assert counts(keeper)[0] == 2


def test_a_successor_goes_on_with_the_last_counts_of_the_one_before(
    tmp_path: Path, clock: HandClock
) -> None:
    """It was there, and heard of its own connections, while the other one still counted."""
    path = state_file(tmp_path)
    successor = StateKeeper(path, clock, session="demo", endpoint=URL, beat=5.0)
    successor.hear(live(1))
    state_file(tmp_path, heartbeat_sessions=4, candles_received=450)
    successor.take_over()
    assert counts(successor) == (5, 9, 450, 7, 2)
    path.unlink()
    successor.take_over()
    assert counts(successor) == (1, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"heartbeat_sessions": 3',
        '{"heartbeat_sessions": "3", "candles_received": null, "metadata": {"reconnects": 1.5}}',
        '{"heartbeat_sessions": true, "candles_received": -4, "metadata": {"reconnects": [2]}}',
        '{"heartbeat_sessions": 3, "candles_received": 4, "metadata": {"session": "other"}}',
        "[3]",
    ],
)
def test_a_damaged_file_or_another_sessions_counts_from_zero(
    tmp_path: Path, clock: HandClock, content: str
) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    keeper = StateKeeper(path, clock, session="demo", endpoint=URL, beat=5.0)
    keeper.take_over()
    assert counts(keeper) == (1, 0, 0, 0, 0)
