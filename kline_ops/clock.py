"""The one place that reads the time.

A ``Clock`` is made in ``service.py`` (or by a command) and handed down; rules take ``now`` as
an argument. Durations and deadlines are seconds on the monotonic clock; moments that people or
the exchange name are milliseconds since the epoch, UTC.
"""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

#: Clocks that are read within so many seconds belong together.
_TOGETHER = 0.05


class Clock(Protocol):
    """Wall time, monotonic time, and what the latter has missed."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch by this machine's clock; it may be stepped or wrong."""

    def monotonic(self) -> float:
        """Seconds that never go backwards; only differences mean anything."""

    def asleep(self) -> float:
        """Seconds that this machine has been suspended since boot; only differences mean anything."""


class Reading(NamedTuple):
    """All clocks at one moment."""

    wall_ms: int
    monotonic: float
    asleep: float


def read(clock: Clock) -> Reading:
    """Read all clocks; read them again where the process was held up between two of them."""
    while True:
        before = clock.monotonic() + clock.asleep()
        reading = Reading(clock.wall_ms(), clock.monotonic(), clock.asleep())
        if abs(reading.monotonic + reading.asleep - before) < _TOGETHER:
            return reading


class SystemClock:
    """The clocks of this machine."""

    def wall_ms(self) -> int:
        """The system's real-time clock."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """The system's monotonic clock; it stands still while the machine sleeps."""
        return time.monotonic()

    def asleep(self) -> float:
        """What the clock that counts suspends (Linux) is ahead; 0.0 where there is no such clock."""
        boottime = getattr(time, "CLOCK_BOOTTIME", None)
        return 0.0 if boottime is None else time.clock_gettime(boottime) - time.monotonic()
