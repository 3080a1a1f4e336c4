"""The order of an end, and the time of each step: pure rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kline_ops.resilience.shutdown import SHUTDOWN, Phase, Step, Turn, in_order, share


def test_the_table_holds_these_steps_and_no_other() -> None:
    assert SHUTDOWN == {
        (Phase.RUNNING, Turn.CALLED): Phase.CALLED,
        (Phase.RUNNING, Turn.SIGNALLED): Phase.SIGNALLED,
        (Phase.CALLED, Turn.SIGNALLED): Phase.SIGNALLED,
        (Phase.SIGNALLED, Turn.SIGNALLED): Phase.FORCED,
        (Phase.CALLED, Turn.DONE): Phase.ENDED,
        (Phase.SIGNALLED, Turn.DONE): Phase.ENDED,
        (Phase.ENDED, Turn.SIGNALLED): Phase.FORCED,
    }


def test_the_lowest_first_and_of_the_same_as_they_came() -> None:
    steps = [Step(name, print, priority) for name, priority in [("c", 5), ("a", 1), ("d", 5)]]
    assert [step.name for step in in_order(steps)] == ["a", "c", "d"]


@pytest.mark.parametrize(
    ("timeout", "left", "steps", "seconds"),
    [(None, 30.0, 3, 10.0), (5.0, 30.0, 3, 5.0), (50.0, 30.0, 3, 30.0), (None, -1.0, 2, 0.0)],
)
def test_a_share_of_what_is_left(
    timeout: float | None, left: float, steps: int, seconds: float
) -> None:
    assert share(timeout, left, steps) == seconds


@given(
    st.lists(st.one_of(st.none(), st.floats(0.01, 50)), min_size=1, max_size=8),
    st.floats(0.1, 60),
)
def test_however_many_hang_all_are_begun_in_time(
    timeouts: list[float | None], total: float
) -> None:
    left = total
    for at, timeout in enumerate(timeouts):
        assert left > -1e-6
        left -= share(timeout, left, len(timeouts) - at)
    assert left > -1e-6
