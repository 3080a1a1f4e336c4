"""Once, a reminder, and the end."""

from __future__ import annotations

from kline_ops.watch.staleness import Finding, Pulse
from kline_ops.watch.vigil import REMIND, Kind, Telling, Vigil

WELL, STALE, DEAD = Finding(Pulse.WELL), Finding(Pulse.STALE, "why"), Finding(Pulse.DEAD, "killed")
STALLED_AS = Finding(Pulse.STALLED, "one that starts")


def kinds(told: list[Telling | None]) -> list[Kind | None]:
    return [telling and telling.kind for telling in told]


def test_it_is_told_once_and_its_end_with_its_length() -> None:
    vigil = Vigil()
    assert vigil.hear(WELL, 0.0) is None
    assert vigil.hear(STALE, 10.0) == Telling(Kind.ALARM, STALE, 0.0)
    assert [vigil.hear(STALE, 10.0 + n) for n in range(100)] == [None] * 100
    assert vigil.is_on
    assert vigil.hear(WELL, 200.0) == Telling(Kind.RECOVERED, WELL, 190.0, "STALE")
    assert not vigil.is_on
    assert vigil.hear(WELL, 201.0) is None


def test_it_is_brought_to_mind_each_hour() -> None:
    vigil = Vigil()
    told = [vigil.hear(STALE, float(minute * 60)) for minute in range(181)]
    reminders = {minute: telling.kind for minute, telling in enumerate(told) if telling is not None}
    assert reminders == {
        0: Kind.ALARM, 60: Kind.REMINDER, 120: Kind.REMINDER, 180: Kind.REMINDER
    }  # fmt: skip
    last = told[180]
    assert last is not None
    assert last.lasted == 10_800.0


def test_another_kind_of_trouble_is_told_once_each() -> None:
    vigil = Vigil()
    told = [vigil.hear(finding, float(n)) for n, finding in enumerate([STALE, DEAD, STALE, DEAD])]
    assert kinds(told) == [Kind.ALARM, Kind.CHANGED, None, None]
    ended = vigil.hear(WELL, 9.0)
    assert ended is not None
    assert ended.was == "STALE, DEAD"


def test_what_a_start_looks_like_for_a_moment_is_no_news() -> None:
    """The new recorder has the lock, and has not written its state."""
    vigil = Vigil()
    stalled = Finding(Pulse.STALLED)
    told = [vigil.hear(f, float(n)) for n, f in enumerate([DEAD, STALE, STALLED_AS, WELL])]
    assert kinds(told) == [Kind.ALARM, None, None, Kind.RECOVERED]
    told = [vigil.hear(f, 10.0 + n) for n, f in enumerate([DEAD, stalled, stalled, STALE])]
    assert kinds(told) == [Kind.ALARM, None, Kind.CHANGED, None]


def test_what_waits_is_neither_an_alarm_nor_an_all_clear() -> None:
    vigil = Vigil()
    waiting = Finding(Pulse.WAITING, "it slept")
    assert vigil.hear(waiting, 0.0) is None
    assert not vigil.is_on
    vigil.hear(STALE, 1.0)
    assert vigil.hear(waiting, 2.0) is None
    assert vigil.is_on
    assert vigil.hear(STALE, 3.0) is None


def test_who_stops_it_ends_the_alarm() -> None:
    vigil = Vigil()
    stopped = Finding(Pulse.STOPPED)
    assert vigil.hear(stopped, 0.0) is None
    vigil.hear(STALE, 1.0)
    told = vigil.hear(stopped, 4.0)
    assert told == Telling(Kind.ENDED, stopped, 3.0, "STALE")


def test_what_comes_and_goes_all_day_is_told_at_the_pace_of_the_floor() -> None:
    vigil = Vigil(floor=300.0)
    alarms = 0
    for n in range(360):  # every ten seconds, for an hour
        telling = vigil.hear(STALE if n % 2 else WELL, n * 10.0)
        alarms += telling is not None and telling.kind is Kind.ALARM
    assert 6 <= alarms <= 6 + REMIND / 300


def test_an_alarm_that_is_held_back_is_told_if_it_lasts() -> None:
    vigil = Vigil(floor=300.0)
    for n in range(6):
        assert vigil.hear(STALE, n * 10.0) is not None
        assert vigil.hear(WELL, n * 10.0 + 5) is not None
    assert vigil.hear(STALE, 60.0) is None
    assert vigil.hear(STALE, 200.0) is None
    told = vigil.hear(STALE, 351.0)
    assert told is not None
    assert (told.kind, told.lasted) == (Kind.ALARM, 291.0)
