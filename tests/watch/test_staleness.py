"""What a state file says, from check to check: by its times, and by what needs no time of day."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.clock import Reading
from kline_ops.market.timestamp import to_text
from kline_ops.watch.staleness import Finding, Pulse, Seen, Sight, judge

WALL = 1_769_522_400_000
AGE = 30.0


@dataclass
class World:
    """A writer, its file, and a watchdog with a clock of its own."""

    wall: float = WALL
    mono: float = 50_000.0
    asleep: float = 0.0
    seen: Seen | None = None
    sight: Sight = field(default_factory=lambda: Sight(None, is_there=False))
    beats: int = 0

    def beat(self, ahead: float = 0.0, **content: Any) -> None:
        """``ahead``: of the writer's clock, in seconds."""
        self.beats += 1
        told = {"timestamp": to_text(int(self.wall + ahead * 1000)), "status": "running"} | content
        self.sight = Sight(told, mark=str(self.beats), written_ms=int(self.wall))

    def passes(self, seconds: float) -> None:
        self.mono += seconds
        self.wall += seconds * 1000

    def look(self, held_up: float = 0.0) -> Finding:
        now = Reading(int(self.wall), self.mono, self.asleep)
        finding, self.seen = judge(self.sight, self.seen, now, AGE, held_up=held_up)
        return finding

    def word(self) -> Pulse:
        return self.look().word


@pytest.fixture
def world() -> World:
    return World()


def test_a_life_from_begin_to_end(world: World) -> None:
    assert world.word() is Pulse.NOT_STARTED
    world.beat()
    assert world.word() is Pulse.WELL
    world.passes(AGE)
    assert world.word() is Pulse.WELL
    world.passes(0.1)
    assert world.word() is Pulse.STALE
    world.beat()
    assert world.word() is Pulse.WELL
    world.beat(status="stopped")
    assert world.word() is Pulse.STOPPED
    world.passes(10_000)
    assert world.word() is Pulse.STOPPED
    world.sight = Sight(None, is_there=False)
    assert world.word() is Pulse.STOPPED
    world.beat()
    assert world.word() is Pulse.WELL


def test_a_file_that_is_gone_is_an_alarm_once_there_was_one(world: World) -> None:
    world.beat()
    world.look()
    world.sight = Sight(None, is_there=False)
    assert world.word() is Pulse.GONE
    assert world.word() is Pulse.GONE


def test_an_old_file_at_the_first_look_is_stale_whenever_it_was_written(world: World) -> None:
    world.beat(ahead=-60)
    finding = world.look()
    assert (finding.word, finding.reason) == (Pulse.STALE, "no heartbeat for 1 min 00 s")
    assert finding.age == pytest.approx(60.0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"status": "running"}, "its state file does not say when it was written"),
        ({"timestamp": "yesterday"}, "its state file does not say when it was written"),
        ({"timestamp": "2026-01-22T14:35:00"}, "its state file does not say when it was written"),
        ({"timestamp": 5}, "its state file does not say when it was written"),
        (None, "its state file is torn"),
    ],
)
def test_a_file_that_says_nothing(world: World, content: Any, reason: str) -> None:
    world.sight = Sight(content, mark="1")
    finding = world.look()
    assert (finding.word, finding.reason) == (Pulse.BAD, reason)


def test_the_seeds_own_file_is_understood(world: World) -> None:
    content = {
        "timestamp": "2026-01-22T14:35:00.123456+00:00", "heartbeat_sessions": 1,
        "websocket_reconnects": 4, "candles_received": 42, "status": "running", "error": None,
        "last_candle_time": "2026-01-22T14:30:00+00:00", "metadata": {},
    }  # fmt: skip
    world.wall = 1_769_092_503_000.0
    world.sight = Sight(content, mark="1")
    finding = world.look()
    assert finding.word is Pulse.WELL
    assert finding.age == pytest.approx(2.877, abs=0.001)


def test_it_beats_and_says_that_nothing_comes_in(world: World) -> None:
    world.beat(status="stalled", error="connected, but silent for 61 s")
    finding = world.look()
    assert (finding.word, finding.reason) == (Pulse.STALLED, "connected, but silent for 61 s")


def test_a_clock_that_is_ahead_is_no_life_for_ever(world: World) -> None:
    world.beat(ahead=3600)
    assert world.word() is Pulse.FUTURE
    for _ in range(4):
        world.passes(10)
        world.beat(ahead=3600)
        assert world.word() is Pulse.FUTURE
    world.passes(AGE + 1)  # it dies, and its last word is in the future still
    assert world.word() is Pulse.STALE


def test_a_clock_that_is_behind_is_no_death(world: World) -> None:
    world.beat()
    world.look()
    for _ in range(4):
        world.passes(10)
        world.beat(ahead=-3600)
        finding = world.look()
        assert finding.word is Pulse.BEHIND
        assert "a clock is wrong" in finding.reason
    world.passes(AGE + 1)
    assert world.word() is Pulse.STALE


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_our_clock_is_set_and_the_writer_has_time_to_beat_again(world: World, step: float) -> None:
    world.beat()
    world.look()
    world.passes(5)
    world.wall += step * 1000
    assert world.word() is Pulse.WAITING
    world.passes(5)
    assert world.word() is Pulse.WAITING
    world.beat()
    assert world.word() is Pulse.WELL
    # Nothing of that is left over.
    world.passes(AGE + 1)
    assert world.look().reason == "no heartbeat for 31 s"


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_writer_that_dies_as_the_clock_is_set_is_found_dead(world: World, step: float) -> None:
    world.beat()
    world.look()
    world.passes(5)
    world.wall += step * 1000
    world.look()
    world.passes(AGE + 1)
    finding = world.look()
    assert finding.word is Pulse.STALE
    assert "clock was set" in finding.reason


def test_a_machine_that_slept_is_no_alarm(world: World) -> None:
    world.beat()
    world.look()
    world.passes(5)
    world.asleep += 7200
    world.wall += 7_200_000
    finding = world.look()
    assert finding.word is Pulse.WAITING
    assert finding.reason == "this machine slept for 2 h 00 min: it has 30 s to beat again"
    world.passes(5)
    world.beat()
    assert world.word() is Pulse.WELL
    world.passes(5)
    world.asleep += 7200
    world.wall += 7_200_000
    world.look()
    world.passes(AGE + 1)
    finding = world.look()
    assert finding.word is Pulse.STALE
    assert finding.reason.endswith("and none since this machine slept for 2 h 00 min")


def test_whatever_froze_us_froze_the_writer(world: World) -> None:
    world.beat()
    world.look()
    world.passes(600)
    assert world.look(held_up=590).word is Pulse.WAITING
    world.passes(AGE + 1)
    assert world.word() is Pulse.STALE


def test_after_a_boot_it_has_time_to_begin(world: World) -> None:
    world.beat(ahead=-600)
    world.mono = 12.0
    assert world.word() is Pulse.WAITING
    world.passes(AGE)
    assert world.word() is Pulse.STALE


def test_a_beat_that_is_slower_than_the_age_is_not_late_each_time(world: World) -> None:
    world.beat(metadata={"heartbeat_interval": 60.0})
    world.passes(60)
    assert world.word() is Pulse.WELL
    world.passes(31)
    assert world.word() is Pulse.STALE


@given(
    interval=st.floats(0.5, 100),
    fault=st.floats(0, 400),
    beat=st.floats(0.5, 20),
    step=st.sampled_from([0.0, 5000.0, -5000.0]),
    step_at=st.floats(0.01, 400),  # after the first look: before it there is nothing to compare
)
def test_a_dead_writer_is_told_in_time_and_a_live_one_never(
    interval: float, fault: float, beat: float, step: float, step_at: float
) -> None:
    """``max_age + check_interval`` from the fault; a step of the clock costs what it excuses."""
    world = World()
    world.beat()
    next_beat, next_look, died, stepped = beat, 0.0, False, False
    now = 0.0
    while now < fault + 3 * AGE + 3 * interval + step_at:
        then = min(next_beat if not died else 1e9, next_look, 1e9 if stepped else step_at,
                   1e9 if died else fault)  # fmt: skip
        world.passes(then - now)
        now = then
        if now >= fault:
            died = True
        if now >= step_at and not stepped:
            world.wall += step * 1000
            stepped = True
        if now >= next_beat and not died:
            world.beat()
            next_beat += beat
        if now >= next_look:
            finding = world.look()
            next_look += interval
            if finding.is_alarm:
                assert died, (finding, now)
                excused = step_at + AGE + interval if step else 0.0
                assert now <= max(fault, excused) + AGE + interval + 0.01
                return
    raise AssertionError("never told")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: {"timestamp": value, "metadata": value, "status": value, "error": value})
)
def test_no_content_is_too_odd(content: dict[str, Any]) -> None:
    judge(Sight(content, mark="1"), None, Reading(WALL, 1e6, 0.0), AGE)
