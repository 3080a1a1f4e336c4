"""The one place that reads the time.

A ``Clock`` is made in ``service.py`` (or by a command) and handed down; rules take ``now`` as
an argument. Durations and deadlines are seconds on the monotonic clock; moments that people or
the exchange name are milliseconds since the epoch, UTC.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time and monotonic time."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch by this machine's clock; it may be stepped or wrong."""

    def monotonic(self) -> float:
        """Seconds that never go backwards; only differences mean anything."""


class SystemClock:
    """The clocks of this machine."""

    def wall_ms(self) -> int:
        """The system's real-time clock."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """The system's monotonic clock; it stands still while the machine sleeps."""
        return time.monotonic()
