"""How soon a crashed recorder is started again. Pure.

A budget by time window: up to ``BUDGET`` crashes within ``WINDOW`` are answered within seconds; more
than that, slowly, and for ever. Counting without a window would end the recording after a few crashes
in a year.
"""

from __future__ import annotations

from collections import deque

WINDOW = 600.0
BUDGET = 5
SLOW = 30.0
#: A run that lasted for this long was a good one: a crash after it is the first.
HEALTHY = 60.0
_FIRST = 0.5


class CrashBudget:
    """Times are monotonic seconds."""

    def __init__(self) -> None:
        self._crashes: deque[float] = deque()
        self._spent = False

    def delay(self, now: float, lasted: float) -> float:
        """Take in a crash after so many seconds; answers how many to wait before the next start."""
        if lasted >= HEALTHY:
            self._crashes.clear()
            self._spent = False
        self._crashes.append(now)
        while now - self._crashes[0] > WINDOW:
            self._crashes.popleft()
        count = len(self._crashes)
        return SLOW if count > BUDGET else _FIRST * 2.0 ** (count - 1)

    def escalates(self) -> int:
        """How many crashes there were, once when the budget is spent; 0 otherwise, until a good run."""
        if self._spent or len(self._crashes) <= BUDGET:
            return 0
        self._spent = True
        return len(self._crashes)
