"""Marks on the axis of time, whatever the order of events; of the words see the tests of the history."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kline_ops import events
from kline_ops.events import PLANNED, Event
from kline_ops.observe.marks import Marks

STEP = 1000
number = st.integers(1, 3)
happenings: st.SearchStrategy[Event] = st.one_of(
    number.map(lambda n: events.Live(connection=n, endpoint="wss://x", seconds=1.0)),
    st.tuples(number, st.sampled_from([None, 5.0])).map(
        lambda t: events.Disconnected(
            connection=t[0], endpoint="wss://x", code=None, reason="gone", seconds=t[1]
        )
    ),
    st.tuples(number, number, st.sampled_from([PLANNED, "stalled"])).map(
        lambda t: events.Replaced(old=t[0], new=t[1], why=t[2], overlap=1.0)
    ),
    st.sampled_from([(), (1,), (2, 3)]).map(
        lambda live: events.SessionStarted(
            name="a", pid=1, symbol="BTCUSDT", interval="1m", csv="x", live=live
        )
    ),
    st.just(events.SessionStopped(reason="SIGTERM")),
    st.just(events.HandedOver(pid=1)),
    st.just(events.RestartPlanned(boundary="2026-01-01T04:00:00Z")),
    st.sampled_from([1, 7]).map(
        lambda pid: events.ProcessEnded(
            role="recorder", pid=pid, code=None, signal="SIGKILL", seconds=1.0, reason=""
        )
    ),
    st.just(events.DiskFull(reason="full", waiting=1)),
    st.just(events.DiskRecovered(written=1, seconds=1.0)),
    st.just(events.Stalled(connection=1, seconds=5.0)),
    st.sampled_from(["opened", "escalated", "resolved", "passed", "again", ""]).map(
        lambda step: events.Alerted(level="WARNING", topic="stream", step=step, title="t")
    ),
)


def test_ten_thousand_drops_take_away_no_restart_and_no_crash() -> None:
    marks = Marks()
    at_ms = 0
    for event in (
        events.Live(connection=0, endpoint="wss://x", seconds=1.0),
        events.CrashLoop(crashes=5, reason="SIGKILL"),
        events.Replaced(old=0, new=1, why=PLANNED, overlap=1.0),
    ):
        marks.hear(at_ms := at_ms + STEP, event)
    for number in range(1, 10_001):
        for event in (
            events.Disconnected(
                connection=number, endpoint="wss://x", code=1006, reason="", seconds=5.0
            ),
            events.Live(connection=number + 1, endpoint="wss://x", seconds=1.0),
        ):
            marks.hear(at_ms := at_ms + STEP, event)
    found = list(marks.between(0, at_ms))
    assert [mark.kind for mark in found[:2]] == ["crash_loop", "restart"]
    drops = [mark for mark in found if mark.kind == "dark"]
    assert len(drops) == 1000
    assert drops[-1].until_ms == at_ms
    assert len(marks._live) == 1


def test_a_darkness_that_a_new_process_tells_of_is_not_called_a_session() -> None:
    marks = Marks()
    for at, event in enumerate(
        (
            events.Live(connection=1, endpoint="wss://x", seconds=1.0),
            events.SessionStarted(name="a", pid=2, symbol="BTCUSDT", interval="1m", csv="x"),
        )
    ):
        marks.hear(at * STEP, event)
    assert [(mark.kind, mark.title) for mark in marks.between(0, STEP)] == [
        ("started", "session a: BTCUSDT 1m into x (pid 2)"),
        ("dark", "the process before ended without a last word"),
    ]


@given(st.lists(happenings, max_size=40))
def test_a_mark_ends_after_it_began_and_one_of_a_kind_lasts_at_a_time(told: list[Event]) -> None:
    marks = Marks()
    for at, event in enumerate(told):
        marks.hear(at * STEP, event)
    found = list(marks.between(-10 * STEP, len(told) * STEP))
    assert [mark.at_ms for mark in found] == sorted(mark.at_ms for mark in found)
    for mark in found:
        assert mark.title
        assert mark.until_ms is None or mark.until_ms >= mark.at_ms
        assert not (mark.is_open and mark.until_ms is not None)
    for kind in ("dark", "disk_full", "alert"):
        assert sum(mark.is_open for mark in found if mark.kind == kind) <= 1
    dark = [mark for mark in found if mark.kind == "dark"]
    for one, other in pairwise(dark):
        assert one.until_ms is not None
        assert one.until_ms <= other.at_ms


def test_what_ended_before_is_left_out_and_what_lasts_is_not() -> None:
    marks = Marks()
    marks.hear(0, events.DiskFull(reason="full", waiting=1))
    marks.hear(1000, events.ClockStepped(seconds=1.0))
    assert [mark.kind for mark in marks.between(5000, 9000)] == ["disk_full"]
    marks.hear(6000, events.DiskRecovered(written=1, seconds=6.0))
    assert [mark.kind for mark in marks.between(5000, 9000)] == ["disk_full"]
    assert list(marks.between(6001, 9000)) == []
