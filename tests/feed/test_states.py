"""Two tables: every step that there is, and no other."""

import itertools

import pytest

from kline_ops.feed.states import (
    CONNECTION,
    EFFORT,
    Effort,
    ImpossibleError,
    Outcome,
    State,
    Turn,
    turn,
)

STEPS = {
    (State.CONNECTING, Turn.OPENED, State.OPEN),
    (State.CONNECTING, Turn.ENDED, State.CLOSED),
    (State.OPEN, Turn.PROVED, State.LIVE),
    (State.OPEN, Turn.REPLACED, State.DRAINING),
    (State.OPEN, Turn.ENDED, State.CLOSED),
    (State.LIVE, Turn.REPLACED, State.DRAINING),
    (State.LIVE, Turn.ENDED, State.CLOSED),
    (State.DRAINING, Turn.ENDED, State.CLOSED),
}
POSSIBLE = {(state, happening) for state, happening, _ in STEPS}


@pytest.mark.parametrize(("before", "happening", "after"), sorted(STEPS, key=str))
def test_a_connection_takes_the_steps_of_the_table(
    before: State, happening: Turn, after: State
) -> None:
    assert turn(before, happening) is after


@pytest.mark.parametrize(
    ("state", "happening"), sorted(set(itertools.product(State, Turn)) - POSSIBLE, key=str)
)
def test_every_other_step_is_impossible_and_named(state: State, happening: Turn) -> None:
    with pytest.raises(ImpossibleError, match=f"{happening.name} in {state.name}"):
        turn(state, happening)


def test_the_table_holds_nothing_else() -> None:
    assert {(state, step, after) for (state, step), after in CONNECTION.items()} == STEPS


def test_every_state_but_the_first_is_reached_and_every_one_but_the_last_is_left() -> None:
    assert set(CONNECTION.values()) == set(State) - {State.CONNECTING}
    assert {state for state, _ in CONNECTION} == set(State) - {State.CLOSED}


def test_every_connection_that_is_not_over_can_end() -> None:
    for state in set(State) - {State.CLOSED}:
        assert turn(state, Turn.ENDED) is State.CLOSED


def test_only_data_that_lasted_leads_back_to_steady() -> None:
    assert set(EFFORT) == set(itertools.product(Effort, Outcome))
    after = {
        Outcome.LASTED: Effort.STEADY,
        Outcome.FAILED: Effort.BACKOFF,
        Outcome.EXHAUSTED: Effort.BREAKER_OPEN,
    }
    for (_, outcome), effort in EFFORT.items():
        assert effort is after[outcome]
