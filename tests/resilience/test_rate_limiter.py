"""The token bucket, by examples and by its one law."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kline_ops.resilience import RateLimiter


def test_what_is_left_goes_at_once_and_then_at_the_rate() -> None:
    limiter = RateLimiter(capacity=3, rate=2.0)
    assert [limiter.take(10.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limiter.take(10.0) == 0.5
    assert limiter.take(10.5) == 0.0
    assert limiter.take(10.5) == 0.5


def test_a_rest_fills_it_to_its_capacity_and_no_further() -> None:
    limiter = RateLimiter(capacity=3, rate=2.0)
    limiter.take(0.0)
    assert limiter.tokens(1_000_000.0) == 3


def test_a_clock_that_is_stepped_back_refills_nothing_and_stops_nothing() -> None:
    limiter = RateLimiter(capacity=2, rate=1.0)
    assert [limiter.take(100.0), limiter.take(50.0)] == [0.0, 0.0]
    assert limiter.take(50.0) == 1.0
    assert limiter.take(51.0) == 0.0


def test_what_was_kept_of_it_is_cut_to_what_can_be() -> None:
    assert RateLimiter(5, 1.0, tokens=9e9, at=0.0).tokens(0.0) == 5
    assert RateLimiter(5, 1.0, tokens=-9e9, at=0.0).take(0.0) == 1.0


@given(st.lists(st.floats(0.0, 40.0), max_size=1500))
def test_no_window_of_five_minutes_ever_holds_more_than_280(steps: list[float]) -> None:
    limiter = RateLimiter(capacity=140, rate=140 / 300)
    now, taken = 0.0, []
    for step in steps:
        now += step / 20
        while limiter.take(now) == 0.0:
            taken.append(now)
    for first, moment in enumerate(taken):
        assert sum(1 for other in taken[first : first + 281] if other - moment <= 300.0) <= 280


@given(st.floats(0.0, 1e9), st.integers(0, 300))
def test_who_waits_as_told_gets_its_turn_within_about_two_seconds(start: float, takes: int) -> None:
    limiter = RateLimiter(capacity=140, rate=140 / 300)
    now = start
    for _ in range(takes):
        for _ in range(3):
            wait = limiter.take(now)
            assert wait <= 2.2
            now += wait
            if wait == 0.0:
                break
        else:
            raise AssertionError("not its turn after the wait that it was told")
