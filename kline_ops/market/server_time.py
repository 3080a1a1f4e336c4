"""The exchange's time, from what it says, so that a wrong local clock invents no hole.

Every event time and every server time is a lower bound of the exchange's time at the moment that
it reached us. The estimate is the best (largest) bound seen lately, carried forward by the monotonic
clock. Being a lower bound it is late by the fastest delivery seen, and never early.
"""

from __future__ import annotations

#: Bounds older than two windows are forgotten, so that clock drift can not add up, and a machine
#: whose monotonic clock stood still (suspend) is right again with the next event.
WINDOW_SECONDS = 300.0


class ServerTime:
    """Estimates the exchange's time; starts from the local wall clock until the exchange speaks."""

    def __init__(self, wall_ms: int, monotonic: float) -> None:
        self._local = wall_ms - monotonic * 1000.0
        self._current: float | None = None
        self._previous: float | None = None
        self._window_end = monotonic + WINDOW_SECONDS

    @property
    def heard(self) -> bool:
        """True once the exchange itself has told a time."""
        return self._current is not None or self._previous is not None

    def observe(self, exchange_ms: int, monotonic: float) -> None:
        """Take in an event time or server time that arrived at ``monotonic``."""
        if monotonic >= self._window_end:
            stale = monotonic >= self._window_end + WINDOW_SECONDS
            self._previous = None if stale else self._current
            self._current = None
            self._window_end = monotonic + WINDOW_SECONDS
        bound = exchange_ms - monotonic * 1000.0
        if self._current is None or bound > self._current:
            self._current = bound

    def now_ms(self, monotonic: float) -> int:
        """The exchange's time in milliseconds at ``monotonic``."""
        known = [bound for bound in (self._current, self._previous) if bound is not None]
        return int((max(known) if known else self._local) + monotonic * 1000.0)
