"""By when a task turns again: known waits are no fault, however long."""

from __future__ import annotations

import math

from kline_ops.record.deadline import Deadline


def test_nothing_is_missed_before_the_first_wait() -> None:
    assert not Deadline().is_missed(1e9)


def test_a_wait_is_over_when_it_said() -> None:
    deadline = Deadline()
    deadline.set(100.0, 5.0)
    assert not deadline.is_missed(115.0)
    assert deadline.is_missed(115.1)
    deadline.set(200.0, 86_400.0)
    assert not deadline.is_missed(86_600.0)


def test_what_is_not_in_our_hands_has_no_end() -> None:
    deadline = Deadline()
    deadline.set(100.0, math.inf)
    assert not deadline.is_missed(1e9)
