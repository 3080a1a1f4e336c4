"""An incident: one message a step, a floor that no flapping line beats, and no CRITICAL lost."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kline_ops.alerts.incident import (
    TABLE,
    Incident,
    Pace,
    State,
    Step,
    Told,
    Turn,
    advance,
    happened,
    known_already,
)
from kline_ops.alerts.message import Level

PACE = Pace(floor=300.0, settle=60.0, remind=3600.0)
INFO, SUCCESS, WARNING, CRITICAL = Level
Messages = list[tuple[float, Step, Level]]


class Line:
    """A topic that is looked at each second."""

    def __init__(self, pace: Pace = PACE) -> None:
        self.incident = Incident()
        self.now = 1_000.0
        self.pace = pace
        self.told: Messages = []

    def stay(
        self, level: Level | None, seconds: float, every: float = 1.0, *, unfinished: bool = False
    ) -> None:
        end = self.now + seconds
        while self.now < end:
            self.look(level, unfinished=unfinished)
            self.now += every

    def look(self, level: Level | None, *, unfinished: bool = False) -> None:
        self.incident, told = advance(
            self.incident, level, self.now, self.pace, unfinished=unfinished
        )
        if told is not None:
            self.told.append((self.now, *told))

    def happens(self, level: Level) -> None:
        self.incident = happened(self.incident, level, self.now, self.pace)

    @property
    def steps(self) -> list[Told]:
        return [Told(step, level) for _, step, level in self.told]


@pytest.fixture
def line() -> Line:
    return Line()


def test_every_state_has_an_answer_to_what_can_happen_in_it() -> None:
    for state in State:
        turns = {turn for known, turn in TABLE if known is state}
        assert {Turn.WELL, Turn.WRONG, Turn.GRAVE} <= turns
    assert [state for state, turn in TABLE if turn is Turn.OVER] == [State.SETTLING]


def test_it_opens_escalates_once_and_is_resolved_once(line: Line) -> None:
    line.stay(INFO, 15)
    assert line.told == []
    line.stay(WARNING, 45)
    line.stay(CRITICAL, 540)
    line.stay(None, 1_000)
    assert line.steps == [
        (Step.OPENED, WARNING),
        (Step.ESCALATED, CRITICAL),
        (Step.RESOLVED, SUCCESS),
    ]
    # At once, whatever the floor; and the end only when it has been well for a while.
    assert [at - 1_000 for at, *_ in line.told] == [15, 60, 660]
    assert line.incident.trouble(line.now) == 600


def test_what_heals_at_once_is_told_when_it_is_over_and_once_a_floor(line: Line) -> None:
    for _ in range(3):
        line.stay(INFO, 2)
        line.stay(None, 20)
    line.stay(None, 1_000)
    assert line.steps == [(Step.PASSED, INFO)]
    assert line.incident.times == 3


def test_a_reminder_comes_each_hour_and_only_of_what_is_critical(line: Line) -> None:
    line.stay(WARNING, 10_000)
    assert line.steps == [(Step.OPENED, WARNING)]
    line.stay(CRITICAL, 3 * 3_600 + 10)
    assert line.steps[1:] == [(Step.ESCALATED, CRITICAL), *[(Step.REMINDED, CRITICAL)] * 3]


def test_what_comes_back_within_the_floor_is_told_no_sooner_and_with_how_often(line: Line) -> None:
    line.stay(WARNING, 300)
    line.stay(None, 61)
    assert line.told[-1][1] is Step.RESOLVED
    resolved_at = line.told[-1][0]
    for _ in range(3):
        line.stay(WARNING, 20)
        line.stay(None, 20)
    line.stay(WARNING, 200)
    at, step, level = line.told[-1]
    assert (step, level) == (Step.OPENED, WARNING)
    assert at == resolved_at + 300
    assert line.incident.times == 5


def test_a_critical_that_came_and_went_within_the_floor_is_told_as_one(line: Line) -> None:
    line.stay(CRITICAL, 300)
    line.stay(None, 100)
    resolved_at = line.told[-1][0]
    line.stay(CRITICAL, 5)
    line.stay(None, 1_000)
    assert line.steps == [
        (Step.OPENED, CRITICAL),
        (Step.RESOLVED, SUCCESS),
        (Step.PASSED, CRITICAL),
    ]
    assert line.told[-1][0] == resolved_at + 300


def test_a_line_that_flaps_for_hours_is_told_once_a_floor(line: Line) -> None:
    for _ in range(12 * 12):
        line.stay(WARNING, 30)
        line.stay(None, 170)
        line.stay(WARNING, 10)
        line.stay(None, 90)
    _check_floor(line.told, 300)
    assert line.steps == [(Step.OPENED, WARNING), *[(Step.AGAIN, WARNING)] * (12 * 12 - 1)]
    line.stay(None, 2_000)
    assert line.steps[12 * 12 :] == [(Step.RESOLVED, SUCCESS)]


def test_what_has_come_often_and_is_well_for_a_floor_is_over(line: Line) -> None:
    """However often it came before, and though readers were told CRITICAL."""
    for _ in range(6):
        line.stay(INFO, 5)
        line.stay(None, 25)
    line.stay(CRITICAL, 45)
    well_at = line.now
    line.stay(None, 2_000)
    assert line.steps == [(Step.OPENED, CRITICAL), (Step.RESOLVED, SUCCESS)]
    assert line.told[-1][0] == well_at - 1 + 301


def test_a_critical_that_comes_back_is_told_once_a_floor_until_it_is_over(line: Line) -> None:
    for _ in range(20):
        line.stay(INFO, 15)
        line.stay(WARNING, 25)
        line.stay(CRITICAL, 20)
        line.stay(None, 50)
    line.stay(None, 1_000)
    opened, escalated, *again, resolved = line.told
    assert (opened[1:], escalated[1:]) == ((Step.OPENED, WARNING), (Step.ESCALATED, CRITICAL))
    assert len(again) >= 5
    assert {each[1:] for each in again} == {(Step.AGAIN, CRITICAL)}
    assert resolved[1:] == (Step.RESOLVED, SUCCESS)
    for (before, *_), (after, *_) in pairwise([escalated, *again]):
        assert 300 <= after - before <= 300 + 110


def test_drops_that_heal_at_once_and_never_end_are_told_once_a_floor(line: Line) -> None:
    for _ in range(30):
        line.stay(INFO, 2)
        line.stay(None, 38)
    line.stay(None, 1_000)
    assert line.steps == [*[(Step.AGAIN, INFO)] * 3, (Step.RESOLVED, SUCCESS)]


@pytest.mark.parametrize("down", [2, 20, 40, 70])
def test_ten_minutes_of_flapping_are_three_messages_and_one_end(line: Line, down: int) -> None:
    end = line.now + 600
    while line.now < end:
        line.stay(INFO, min(down, 15))
        line.stay(WARNING, min(max(down - 15, 0), 45))
        line.stay(CRITICAL, max(down - 60, 0))
        line.stay(None, 10)
    line.stay(None, 2_000)
    *during, over = line.steps
    assert 1 <= len(during) <= 3
    assert over == (Step.RESOLVED, SUCCESS)
    assert not any(told.is_over for told in during)


def test_the_end_waits_for_what_is_being_made_good_but_not_for_ever(line: Line) -> None:
    line.stay(CRITICAL, 300)
    line.stay(None, 100, unfinished=True)
    assert line.steps == [(Step.OPENED, CRITICAL)]
    made_good_at = line.now
    line.stay(None, 1_000)
    assert line.steps[1:] == [(Step.RESOLVED, SUCCESS)]
    assert line.told[-1][0] == made_good_at

    line.stay(CRITICAL, 300)
    well_at = line.now
    line.stay(None, 1_000, unfinished=True)
    assert line.steps[3:] == [(Step.RESOLVED, SUCCESS)]
    assert line.told[-1][0] == well_at + 60 + 300


@pytest.mark.parametrize(("level", "seconds"), [(CRITICAL, 0), (WARNING, 120), (INFO, 360)])
def test_what_is_bad_and_over_already_waits_for_less(
    line: Line, level: Level, seconds: int
) -> None:
    line.happens(level)
    line.stay(None, 1_000, unfinished=True)
    assert line.told == [(1_000 + seconds, Step.PASSED, level)]


def test_what_another_topic_has_told_is_known(line: Line) -> None:
    line.incident = known_already(line.incident, WARNING, line.now, line.pace, 50.0)
    line.stay(WARNING, 400)
    assert line.steps == []
    line.stay(None, 400)
    assert line.steps == [(Step.RESOLVED, SUCCESS)]
    assert line.incident.trouble(line.now) == 450
    # What is open keeps its time.
    line.stay(CRITICAL, 10)
    assert known_already(line.incident, WARNING, line.now, line.pace) == line.incident


def test_what_happens_in_a_moment_is_one_message(line: Line) -> None:
    line.happens(WARNING)
    line.stay(None, 59)
    assert line.told == []
    line.stay(None, 10)
    assert line.steps == [(Step.PASSED, WARNING)]
    for _ in range(10):
        line.happens(WARNING)
        line.stay(None, 1)
    line.stay(None, 2_000)
    assert line.steps == [(Step.PASSED, WARNING)] * 2
    assert line.incident.times == 11


def test_a_process_that_goes_on_knows_what_was_open(line: Line) -> None:
    line.stay(CRITICAL, 100)
    before = line.incident
    after = before.shifted(-900.0)
    moments = dict.fromkeys(("since", "wrong_at", "well_at", "back_at", "told_at"), 0)
    assert asdict(after) | moments == asdict(before) | moments
    line.incident, line.now = after, line.now - 900.0
    line.stay(CRITICAL, 100)
    line.stay(None, 500)
    assert line.steps == [(Step.OPENED, CRITICAL), (Step.RESOLVED, SUCCESS)]


STRETCHES = st.lists(
    st.tuples(
        st.sampled_from([None, None, INFO, WARNING, CRITICAL]),
        st.one_of(st.floats(1, 90), st.floats(1, 900), st.floats(1, 40_000)),
        st.sampled_from([None, None, None, INFO, WARNING, CRITICAL]),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(stretches=STRETCHES, floor=st.sampled_from([1.0, 60.0, 300.0, 5_000.0]))
def test_the_floor_holds_and_no_critical_is_lost(
    stretches: list[tuple[Level | None, float, Level | None]], floor: float
) -> None:
    """Over days of ups and downs, and of happenings between them."""
    line = Line(Pace(floor=floor, settle=60.0, remind=3600.0))
    grave: list[float] = []
    #: When it came, or came back; and from when on it may be told: INFO lasts untold.
    came: list[tuple[float, float]] = []
    pending: float | None = None
    every = 7.0
    for level, seconds, happening in stretches:
        if happening is not None:
            if not line.incident.in_trouble:
                pending = line.now if pending is None else pending
            line.happens(happening)
            grave += [line.now] if happening is CRITICAL else []
        grave += [line.now] if level is CRITICAL else []
        if level is not None and not line.incident.in_trouble:
            pending = line.now if pending is None else pending
        if level is not INFO and pending is not None:
            came.append((pending, line.now))
            pending = None
        step = max(1.0, seconds / 50)
        every = max(every, step)
        line.stay(level, seconds, step)
    came += [] if pending is None else [(pending, line.now)]
    line.stay(None, 4 * floor + 2_000, 7.0)

    _check_floor(line.told, floor)
    _check_order(line.told)
    for at in grave:
        assert _is_told(at, line.told, floor + 2 * every), (at, line.told)
    for at, by in came:
        within = by + floor + max(60.0, floor) + 2 * every
        assert any(at <= told_at <= within for told_at, *_ in line.told), (at, by, line.told)
    assert line.incident.state is State.NONE
    assert not line.told or line.told[-1][1] in {Step.RESOLVED, Step.PASSED}


def _check_floor(told: Messages, floor: float) -> None:
    for index in range(1, len(told)):
        at, _, level = told[index]
        if at < told[index - 1][0] + floor:
            # The escalation: a CRITICAL, and the first for as long.
            assert level is CRITICAL
            assert not [t for t, _, known in told[:index] if known is CRITICAL and t > at - floor]


def _check_order(told: Messages) -> None:
    #: Readers know that it is bad; that it comes and goes.
    is_open = is_known = False
    for _, step, level in told:
        match step:
            case Step.OPENED:
                assert not is_open
                is_open = is_known = True
            case Step.ESCALATED | Step.REMINDED:
                assert is_open
            case Step.AGAIN:
                assert is_open or level is INFO
                is_known = True
            case Step.RESOLVED:
                assert is_known
                is_open = is_known = False
            case Step.PASSED:
                is_open = is_known = False


def _is_told(at: float, told: Messages, within: float) -> bool:
    """A CRITICAL is told soon after, or its readers know: nobody has said since that it is over."""
    if any(at <= t <= at + within and level is CRITICAL for t, _, level in told):
        return True
    known = False
    for t, step, level in told:
        if t < at:
            known = (known or level is CRITICAL) and step not in {Step.RESOLVED, Step.PASSED}
    return known
