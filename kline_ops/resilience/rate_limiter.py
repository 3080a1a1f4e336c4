"""How often something may be done: a token bucket. Pure.

A bucket of ``capacity`` tokens, refilled at ``rate`` a second, lets at most ``capacity + rate * window``
through within any window: choose the two so that this stays below what is allowed.
"""

from __future__ import annotations

#: A wait is no shorter (s): rounding must not make anybody try again at the same moment.
_SHORTEST_WAIT = 0.001


class RateLimiter:
    """Full at first. ``now`` is in seconds, of whatever clock; a step back of it refills nothing.

    >>> limiter = RateLimiter(capacity=2, rate=1.0)
    >>> [limiter.take(now) for now in (0.0, 0.0, 0.0, 1.0)]
    [0.0, 0.0, 1.0, 0.0]

    Args:
        capacity: how many may happen at once after a rest.
        rate: how many a second may happen in the long run.
        tokens: what is left at ``at``, where a bucket goes on from what was kept of it.
        at: the moment of ``tokens``.
    """

    def __init__(
        self,
        capacity: float,
        rate: float,
        *,
        tokens: float | None = None,
        at: float | None = None,
    ) -> None:
        self._capacity = capacity
        self._rate = rate
        self._tokens = capacity if tokens is None else min(max(tokens, 0.0), capacity)
        self._at = at

    def tokens(self, now: float) -> float:
        """What is left at ``now``."""
        if self._at is not None and now > self._at:
            self._tokens = min(self._tokens + (now - self._at) * self._rate, self._capacity)
        self._at = now
        return self._tokens

    def take(self, now: float, amount: float = 1.0) -> float:
        """0.0: it may be done, and is counted. Else the seconds until it may; nothing is counted."""
        left = self.tokens(now)
        if left < amount:
            return max((amount - left) / self._rate, _SHORTEST_WAIT)
        self._tokens = left - amount
        return 0.0
