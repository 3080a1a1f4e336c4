"""The limits that the exchange holds its clients to. Pure: every rule takes ``now``.

Source: Binance spot API, "WebSocket Limits" (5 incoming messages a second, 300 connection attempts
in 5 minutes per IP) and "IP Limits" (request weight per minute, 429 with ``Retry-After``, then 418
and a ban that grows from 2 minutes to 3 days).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MINUTE_MS = 60_000
_FIRST_BAN_MS = 2 * MINUTE_MS
_LONGEST_BAN_MS = 3 * 24 * 60 * MINUTE_MS


class SlidingLimit:
    """At most ``count`` happenings within ``window`` (in the unit of ``now``)."""

    def __init__(self, count: int, window: float) -> None:
        self._count = count
        self._window = window
        self._times: deque[float] = deque()

    def admits(self, now: float) -> bool:
        """Count one more; False if it is one too many."""
        while self._times and self._times[0] <= now - self._window:
            self._times.popleft()
        self._times.append(now)
        return len(self._times) <= self._count


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is not answered: HTTP 429 or 418, and how long to stay away."""

    status: int
    retry_after_s: int
    #: The end of the ban in milliseconds; 0 where there is none.
    banned_until_ms: int = 0


class WeightLimit:
    """The request weight of one IP, by minutes of the exchange's clock.

    Args:
        per_minute: what a minute allows.
        patience: answers with 429 that a client may bring upon itself before it is banned.
    """

    def __init__(self, per_minute: int, patience: int) -> None:
        self.used = 0
        self._per_minute = per_minute
        self._patience = patience
        self._minute = -1
        self._refused = 0
        self._banned_until_ms = 0
        self._next_ban_ms = _FIRST_BAN_MS

    def charge(self, weight: int, now_ms: int) -> Refusal | None:
        """Take a request in; None if it is to be answered."""
        if now_ms < self._banned_until_ms:
            return self._banned(now_ms)
        if now_ms // MINUTE_MS != self._minute:
            self._minute, self.used, self._refused = now_ms // MINUTE_MS, 0, 0
        self.used += weight
        if self.used <= self._per_minute:
            return None
        self._refused += 1
        if self._refused > self._patience:
            self._banned_until_ms = now_ms + self._next_ban_ms
            self._next_ban_ms = min(2 * self._next_ban_ms, _LONGEST_BAN_MS)
            return self._banned(now_ms)
        return Refusal(429, _seconds((self._minute + 1) * MINUTE_MS - now_ms))

    def _banned(self, now_ms: int) -> Refusal:
        return Refusal(418, _seconds(self._banned_until_ms - now_ms), self._banned_until_ms)


def _seconds(ms: int) -> int:
    """Whole seconds, rounded up: who waits for them is not early."""
    return max(1, -(-ms // 1000))
