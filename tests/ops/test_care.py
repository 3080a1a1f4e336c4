"""The states of a supervisor, without a process."""

from __future__ import annotations

import random
import signal
from itertools import pairwise

import pytest

from kline_ops.ops import care
from kline_ops.ops.care import (
    MAKE_WAY,
    Care,
    Crashed,
    Ended,
    Final,
    GaveUp,
    Live,
    Promote,
    Renew,
    Role,
    Signal,
    Start,
    State,
    Stop,
    Tick,
)
from kline_ops.ops.crashes import BUDGET, HEALTHY, SLOW

MAIN, SUCCESSOR = Role.MAIN, Role.SUCCESSOR
KILLED = -int(signal.SIGKILL)


def running(*, renewable: bool = True) -> Care:
    made = Care(frozenset({0, 2}), renewable=renewable)
    assert made.advance(Tick(), 0.0) == [Start(MAIN)]
    return made


def renewing(now: float = 10.0) -> Care:
    made = running()
    assert made.advance(Renew(), now) == [Start(SUCCESSOR)]
    return made


def handing_over(now: float = 10.0) -> Care:
    made = renewing(now)
    assert made.advance(Live(), now) == [Signal(MAIN, MAKE_WAY)]
    return made


@pytest.mark.parametrize("code", [0, 2])
def test_a_final_code_ends_it(code: int) -> None:
    made = running()
    assert made.advance(Ended(MAIN, code, 5.0), 5.0) == [Final(code)]
    assert made.state is State.ENDED


def test_a_crash_is_waited_out_and_started_again() -> None:
    made = running()
    assert made.advance(Ended(MAIN, KILLED, 5.0), 5.0) == [Crashed(KILLED, 0.5, escalate=0)]
    assert made.wake_at() == 5.5
    assert made.advance(Tick(), 5.4) == []
    assert made.advance(Tick(), 5.5) == [Start(MAIN)]


def test_many_crashes_are_answered_slowly_for_ever_and_told_once() -> None:
    made, now = running(), 0.0
    delays, told = [], []
    for _ in range(40):
        (crashed,) = made.advance(Ended(MAIN, 1, 1.0), now)
        assert isinstance(crashed, Crashed)
        delays.append(crashed.delay)
        told.append(crashed.escalate)
        now += crashed.delay
        assert made.advance(Tick(), now) == [Start(MAIN)]
        now += 1.0
    assert all(a <= b for a, b in pairwise(delays[:BUDGET]))
    # The window empties while it is slow: a few quick ones come again, none in a row of its own.
    assert set(delays[BUDGET : BUDGET + 10]) == {SLOW}
    assert [count for count in told if count] == [BUDGET + 1]
    assert told.index(BUDGET + 1) == BUDGET


def test_after_a_good_run_it_is_told_again() -> None:
    made, now = running(), 0.0
    for lasted in (*[1.0] * (BUDGET + 2), HEALTHY, *[1.0] * BUDGET):
        (crashed,) = made.advance(Ended(MAIN, 1, lasted), now)
        assert isinstance(crashed, Crashed)
        made.advance(Tick(), now + crashed.delay)
        now += 0.1 + crashed.delay
    assert crashed.escalate


def test_a_change_of_processes() -> None:
    made = handing_over()
    assert made.advance(Ended(MAIN, 0, 20.0), 11.0) == [Promote()]
    assert made.state is State.RUNNING
    # The new one is the recorder in every respect.
    assert made.advance(Ended(MAIN, 0, 20.0), 12.0) == [Final(0)]


def test_a_successor_that_comes_to_nothing_costs_nothing() -> None:
    made = renewing()
    (gave_up,) = made.advance(Ended(SUCCESSOR, 2, 1.0), 11.0)
    assert gave_up == GaveUp("the new process ended (exit code 2)")
    assert made.state is State.RUNNING
    assert made.advance(Renew(), 12.0) == [Start(SUCCESSOR)]


def test_a_successor_that_does_not_deliver_is_killed_in_time() -> None:
    made = renewing(10.0)
    assert made.advance(Tick(), 10.0 + care.LIVE_WITHIN - 1) == []
    assert made.advance(Tick(), 10.0 + care.LIVE_WITHIN) == [Signal(SUCCESSOR, signal.SIGKILL)]
    assert made.advance(Tick(), 100.0) == []
    assert made.advance(Ended(SUCCESSOR, KILLED, 60.0), 100.0) == [
        GaveUp("the new process had no data within 60 s")
    ]


def test_an_old_one_that_hangs_is_killed_so_that_its_lock_is_free() -> None:
    made = handing_over(10.0)
    late = 10.0 + care.MAKES_WAY_WITHIN
    assert made.advance(Tick(), late) == [Signal(MAIN, signal.SIGKILL)]
    assert made.advance(Ended(MAIN, KILLED, 30.0), late) == [Promote()]


def test_an_old_one_that_crashes_is_followed_at_once() -> None:
    made = renewing()
    assert made.advance(Ended(MAIN, KILLED, 30.0), 11.0) == [Promote()]


def test_a_successor_that_dies_after_the_old_one_was_told_is_replaced() -> None:
    made = handing_over()
    assert made.advance(Ended(SUCCESSOR, KILLED, 1.0), 11.0) == []
    assert made.advance(Ended(MAIN, 0, 30.0), 12.0) == [Start(MAIN)]


def test_an_old_one_that_the_successor_has_locked_out_is_followed() -> None:
    """It had not locked the file yet when a successor was asked for."""
    made = renewing()
    assert made.advance(Ended(MAIN, 2, 0.5), 11.0) == [Promote()]


def test_a_clean_end_by_hand_while_a_successor_connects_ends_both() -> None:
    made = renewing()
    assert made.advance(Ended(MAIN, 0, 30.0), 11.0) == [Signal(SUCCESSOR, signal.SIGTERM)]
    assert made.advance(Ended(SUCCESSOR, -15, 3.0), 12.0) == [Final(0)]


def test_a_stop_ends_all_there_is() -> None:
    assert running().advance(Stop(), 1.0) == [Signal(MAIN, signal.SIGTERM)]
    both = [Signal(MAIN, signal.SIGTERM), Signal(SUCCESSOR, signal.SIGTERM)]
    assert renewing().advance(Stop(), 11.0) == both
    made = handing_over()
    assert made.advance(Stop(), 11.0) == both
    assert made.advance(Ended(MAIN, 0, 3.0), 12.0) == []
    assert made.advance(Ended(SUCCESSOR, 0, 3.0), 12.0) == [Final(0)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stop_before_it_could_listen_is_a_clean_end(number: signal.Signals) -> None:
    made = running()
    made.advance(Stop(number), 0.1)
    assert made.advance(Ended(MAIN, -number, 0.1), 0.2) == [Final(0)]


def test_a_terminal_that_goes_away_is_told_to_a_recorder_and_to_nobody_else() -> None:
    """A program of one's own may take SIGHUP for a wish to read its config again."""
    hung_up = Stop(signal.SIGHUP)
    assert running().advance(hung_up, 1.0) == [Signal(MAIN, signal.SIGHUP)]
    assert running(renewable=False).advance(hung_up, 1.0) == [Signal(MAIN, signal.SIGTERM)]


def test_what_does_not_end_is_killed() -> None:
    made = running()
    made.advance(Stop(), 1.0)
    assert made.advance(Tick(), 1.0 + care.ENDS_WITHIN) == [Signal(MAIN, signal.SIGKILL)]
    assert made.advance(Ended(MAIN, KILLED, 1.0), 30.0) == [Final(KILLED)]


def test_a_stop_between_two_runs_is_a_clean_end() -> None:
    made = running()
    made.advance(Ended(MAIN, 1, 1.0), 1.0)
    assert made.advance(Stop(), 1.1) == [Final(0)]


def test_a_renewal_between_two_runs_is_a_start() -> None:
    made = running()
    made.advance(Ended(MAIN, 1, 1.0), 1.0)
    assert made.advance(Renew(), 1.1) == [Start(MAIN)]


def test_what_can_not_take_over_ends_first() -> None:
    made = running(renewable=False)
    assert made.advance(Renew(), 1.0) == [Signal(MAIN, signal.SIGTERM)]
    assert made.advance(Tick(), 20.0) == [Signal(MAIN, signal.SIGKILL)]
    assert made.advance(Ended(MAIN, KILLED, 1.0), 20.0) == [Start(MAIN)]


def test_whatever_happens_in_whatever_order() -> None:
    """There is a recorder, or one is due, or all is over; and never two successors."""
    for seed in range(400):
        draw = random.Random(seed)
        made, now, alive = Care(frozenset({0, 2}), renewable=True), 0.0, set[Role]()
        for _ in range(60):
            now += draw.expovariate(0.2)
            choices: list[care.Happening] = [Tick(), Renew()]
            choices += [Live()] if SUCCESSOR in alive else []
            choices += [Stop()] if draw.random() < 0.05 else []
            choices += [Ended(role, draw.choice((0, 1, 2, KILLED)), 5.0) for role in alive]
            happening = draw.choice(choices)
            if isinstance(happening, Ended):
                alive.discard(happening.role)
            for action in made.advance(happening, now):
                if isinstance(action, Start):
                    assert action.role not in alive
                    alive.add(action.role)
                elif isinstance(action, Promote):
                    assert alive == {SUCCESSOR}
                    alive = {MAIN}
                elif isinstance(action, Signal):
                    assert action.role in alive
                elif isinstance(action, Final):
                    assert not alive
            due = made.wake_at() is not None
            assert alive or due or made.state is State.ENDED
            if made.state is State.ENDED:
                break
