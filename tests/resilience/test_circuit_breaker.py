"""A breaker: one table, one probe at a time, and never shut for good."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.resilience.circuit_breaker import (
    BREAKER,
    Breaker,
    BreakerState,
    BreakerTurn,
)

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def test_the_table_holds_these_steps_and_no_other() -> None:
    assert BREAKER == {
        (CLOSED, BreakerTurn.TRIPPED): OPEN,
        (OPEN, BreakerTurn.COOLED): HALF_OPEN,
        (OPEN, BreakerTurn.PROVED): CLOSED,
        (HALF_OPEN, BreakerTurn.FAILED): OPEN,
        (HALF_OPEN, BreakerTurn.PROVED): CLOSED,
    }


def test_it_opens_at_the_threshold_and_says_so_once() -> None:
    breaker = Breaker(failures=3, cooldown=60.0)
    assert [breaker.failed(now) for now in (1.0, 2.0, 3.0, 4.0)] == [False, False, True, False]
    assert not breaker.allows(63.9)
    assert breaker.allows(64.0)
    assert breaker.state is HALF_OPEN


def test_a_failed_probe_opens_it_again_for_a_whole_cool_down() -> None:
    breaker = Breaker(failures=1, cooldown=10.0)
    breaker.failed(0.0)
    breaker.began(10.0)
    assert not breaker.allows(10.1)
    assert breaker.failed(11.0)
    assert not breaker.allows(20.9)
    assert breaker.allows(21.0)


def test_so_many_successes_close_it() -> None:
    breaker = Breaker(failures=1, cooldown=10.0, successes=2)
    breaker.failed(0.0)
    assert breaker.allows(10.0)
    assert not breaker.succeeded(10.5)
    assert breaker.state is HALF_OPEN
    assert breaker.succeeded(11.0)
    assert breaker.state is CLOSED
    assert breaker.failures == 0


def test_a_try_in_spite_of_it_that_works_closes_it_at_once() -> None:
    breaker = Breaker(failures=1, cooldown=60.0)
    breaker.failed(0.0)
    breaker.began(5.0)
    assert breaker.succeeded(20.0)
    assert breaker.state is CLOSED


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker(failures=3)
    for now in range(20):
        assert not breaker.failed(float(now))
        assert not breaker.failed(float(now))
        assert not breaker.succeeded(float(now))


STEPS = st.lists(
    st.tuples(st.sampled_from(["allows", "began", "failed", "succeeded"]), st.floats(0, 50)),
    max_size=60,
)


@given(st.integers(1, 5), st.floats(0.1, 100), st.integers(1, 3), STEPS)
def test_whatever_happens_it_lets_a_try_through_after_a_cool_down(
    failures: int, cooldown: float, successes: int, steps: list[tuple[str, float]]
) -> None:
    breaker, now = Breaker(failures, cooldown, successes), 0.0
    for name, wait in steps:
        now += wait
        getattr(breaker, name)(now)
    # Unless one is under way, which bars the others for one cool-down more at most.
    assert breaker.allows(now + 2 * cooldown + 0.001)


@pytest.mark.parametrize("threshold", [1, 2, 7])
def test_one_probe_at_a_time(threshold: int) -> None:
    breaker = Breaker(failures=threshold, cooldown=5.0)
    for _ in range(threshold):
        breaker.failed(0.0)
    allowed = 0
    for now in itertools.takewhile(lambda now: now < 9.0, itertools.count(5.0, 0.1)):
        if breaker.allows(now):
            breaker.began(now)
            allowed += 1
    assert allowed == 1
