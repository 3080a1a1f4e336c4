"""Each event as a line: clocks, and planned restarts that do not take place."""

import logging

import pytest

from kline_ops import events
from kline_ops.observe.describe import describe


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            events.Suspended(seconds=90.004),
            "this machine was suspended for 90 s; catching up",
        ),
        (
            events.HeldUp(seconds=12.34),
            "this process stood still for 12.3 s",
        ),
        (
            events.ClockStepped(seconds=3600.0),
            "this machine's clock was set forward by 3600.0 s",
        ),
        (
            events.ClockStepped(seconds=-1.26),
            "this machine's clock was set back by 1.3 s",
        ),
        (
            events.ClockSkewed(seconds=5.0),
            "this machine's clock is 5.0 s ahead of the exchange's; candles are not affected",
        ),
        (
            events.ClockSkewed(seconds=-5.0),
            "this machine's clock is 5.0 s behind the exchange's; candles are not affected",
        ),
    ],
)
def test_what_happened_to_the_clocks_is_a_warning_in_plain_words(
    event: events.Event, text: str
) -> None:
    assert describe(event) == (logging.WARNING, text)


@pytest.mark.parametrize(
    ("seconds", "why"),
    [(3.21, "live for 3.2 s only"), (0.0, "live for 0.0 s only"), (None, "not connected")],
)
def test_a_planned_restart_is_skipped_for_a_reason(seconds: float | None, why: str) -> None:
    event = events.RestartSkipped(boundary="2026-01-27T16:00:00Z", seconds=seconds)
    text = f"planned restart at 2026-01-27T16:00:00Z skipped: {why}"
    assert describe(event) == (logging.INFO, text)
