"""By when a task will have turned again, as it says itself. Pure.

Before each wait a task says how long that may take at the most; where the moment passes, it hangs. So a
wait that is known (a ban of days, the next close of a weekly candle) is never taken for a fault.
"""

from __future__ import annotations

import math

#: Seconds that a busy machine may be late.
_SLACK = 10.0


class Deadline:
    """Times are monotonic seconds; nothing is missed before the first wait."""

    def __init__(self) -> None:
        self._at = math.inf

    def set(self, now: float, seconds: float) -> None:
        """It turns again within so many seconds; ``math.inf``: when it does is not in our hands."""
        self._at = now + seconds + _SLACK

    def is_missed(self, now: float) -> bool:
        """Did it not turn when it said it would?"""
        return now > self._at
