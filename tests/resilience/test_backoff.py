"""Waits: capped, fully jittered, never giving up, and gentle with the exchange."""

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.resilience import Backoff


def test_the_cap_doubles_to_a_plateau_and_ends_at_the_longest_wait() -> None:
    caps = [Backoff().cap(failures) for failures in range(1, 23)]
    assert caps == [0.5, 1.0, 2.0, *[4.0] * 16, 30.0, 30.0, 30.0]


@pytest.mark.parametrize("failures", [0, -1, -(10**9)])
def test_there_is_no_wait_without_a_failure(failures: int) -> None:
    assert Backoff().wait(failures, lambda: 0.999) == 0.0


@given(
    st.floats(0.001, 100),
    st.floats(0.001, 1000),
    st.integers(1, 50),
    st.integers(1, 100) | st.integers(10**6, 10**30),
    st.floats(0, 1, exclude_max=True),
)
def test_every_wait_is_between_zero_and_its_cap(
    delay: float, longest: float, attempts: int, failures: int, draw: float
) -> None:
    backoff = Backoff(delay, longest, attempts)
    cap = backoff.cap(failures)
    assert 0 < cap <= longest
    assert backoff.wait(failures, lambda: draw) == draw * cap
    if failures >= attempts:
        assert cap == longest


@given(st.floats(0.001, 1), st.floats(8, 1000), st.integers(1, 40))
def test_more_failures_never_wait_less(delay: float, longest: float, attempts: int) -> None:
    caps = [Backoff(delay, longest, attempts).cap(failures) for failures in range(1, 60)]
    assert caps == sorted(caps)


def test_the_jitter_uses_the_whole_range() -> None:
    backoff, draw = Backoff(), random.Random(1).random
    waits = [backoff.wait(10, draw) for _ in range(2_000)]
    assert min(waits) < 0.05 * 4
    assert max(waits) > 0.95 * 4
    assert statistics.mean(waits) == pytest.approx(2.0, rel=0.05)


def attempts_during(seconds: float, seed: int) -> tuple[int, float]:
    """How often a host that closes at once is tried, and how long after its return it is tried."""
    backoff, draw = Backoff(), random.Random(seed).random
    now, failures = 0.0, 0
    while now < seconds:
        failures += 1
        now += backoff.wait(failures, draw)
    return failures, now - seconds


def test_twenty_seconds_of_accept_and_close_bring_twenty_attempts_at_most() -> None:
    assert max(attempts_during(20.0, seed)[0] for seed in range(2_000)) <= 20


def test_an_outage_of_twenty_seconds_is_over_within_two_of_its_end_at_the_median() -> None:
    assert statistics.median(attempts_during(20.0, seed)[1] for seed in range(2_000)) <= 2.0


def test_five_minutes_of_refusals_stay_far_below_the_exchanges_limit() -> None:
    assert max(attempts_during(300.0, seed)[0] for seed in range(500)) < 100
