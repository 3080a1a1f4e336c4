"""When a process has grown so much that a fresh one should take over."""

from __future__ import annotations

from kline_ops.watch.memory import MIN_UPTIME, MemoryLimit, resident_megabytes


def test_over_the_limit_a_fresh_process_is_asked_for_once_an_hour() -> None:
    limit = MemoryLimit(100.0)
    assert not limit.is_over(100.0, MIN_UPTIME)
    assert limit.is_over(100.1, MIN_UPTIME)
    assert not limit.is_over(200.0, MIN_UPTIME * 2 - 1)
    assert limit.is_over(200.0, MIN_UPTIME * 2)


def test_a_process_that_begins_over_the_limit_is_let_be() -> None:
    """A fresh one would be over it just as soon."""
    assert not MemoryLimit(1.0).is_over(50.0, MIN_UPTIME - 1)


def test_no_limit_is_never_reached() -> None:
    assert not MemoryLimit(None).is_over(1e9, 1e9)


def test_what_this_process_holds_is_known() -> None:
    assert 5.0 < resident_megabytes() < 4000.0
