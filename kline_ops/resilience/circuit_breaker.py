"""Whether something that fails again and again may be tried.

CLOSED lets everything through. After ``failures`` in a row it is OPEN: to be left alone. When
``cooldown`` seconds have passed it is HALF_OPEN and lets one probe through; ``successes`` of those
close it, one failure opens it again. What counts as a success is the caller's to say: for an
exchange it is data that lasted, never a handshake. ``kit/breaker.py`` puts it around calls.
"""

from __future__ import annotations

import enum


class BreakerState(enum.Enum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"


class BreakerTurn(enum.Enum):
    """What can happen to a breaker."""

    TRIPPED = "one failure too many"
    COOLED = "the cool-down is over"
    FAILED = "the probe failed"
    PROVED = "enough successes"


#: The whole machine; what is not here changes nothing.
BREAKER = {
    (BreakerState.CLOSED, BreakerTurn.TRIPPED): BreakerState.OPEN,
    (BreakerState.OPEN, BreakerTurn.COOLED): BreakerState.HALF_OPEN,
    (BreakerState.HALF_OPEN, BreakerTurn.FAILED): BreakerState.OPEN,
    (BreakerState.HALF_OPEN, BreakerTurn.PROVED): BreakerState.CLOSED,
    # Tried all the same, as nothing else was left, and it worked.
    (BreakerState.OPEN, BreakerTurn.PROVED): BreakerState.CLOSED,
}


class Breaker:
    """One breaker. ``now`` is in seconds on a monotonic clock; ``cooldown`` in seconds.

    >>> breaker = Breaker(failures=2, cooldown=60.0)
    >>> breaker.failed(0.0), breaker.failed(1.0)
    (False, True)
    >>> breaker.allows(30.0), breaker.allows(61.0)
    (False, True)
    >>> breaker.began(61.0)
    >>> breaker.allows(61.5)                      # one probe at a time
    False
    >>> breaker.succeeded(75.0), breaker.state
    (True, <BreakerState.CLOSED: 'closed'>)
    """

    def __init__(self, failures: int = 5, cooldown: float = 60.0, successes: int = 1) -> None:
        self._threshold = failures
        self._cooldown = cooldown
        self._needed = successes
        self.state = BreakerState.CLOSED
        #: Failures in a row.
        self.failures = 0
        #: When it failed last; None if it never did.
        self.failed_at: float | None = None
        self._successes = 0
        self._probe_at: float | None = None

    def allows(self, now: float) -> bool:
        """Whether a try may begin now."""
        if self.state is BreakerState.OPEN and now >= (self.failed_at or 0.0) + self._cooldown:
            self._turn(BreakerTurn.COOLED)
        if self.state is BreakerState.HALF_OPEN:
            # A probe that nobody reports on must not bar the way for ever.
            return self._probe_at is None or now >= self._probe_at + self._cooldown
        return self.state is BreakerState.CLOSED

    def remaining(self, now: float) -> float:
        """Seconds until a try may begin, 0.0 if it may now; sooner, where a probe reports before."""
        if self.allows(now):
            return 0.0
        since = self._probe_at if self.state is BreakerState.HALF_OPEN else self.failed_at
        return max(0.0, (since or 0.0) + self._cooldown - now)

    def began(self, now: float) -> None:
        """A try begins, allowed or not."""
        self.allows(now)
        self._probe_at = now

    def failed(self, now: float) -> bool:
        """A try came to nothing. True if that opened the breaker."""
        self.failures += 1
        self.failed_at = now
        self._probe_at = None
        self._successes = 0
        if self.state is BreakerState.CLOSED:
            return self.failures >= self._threshold and self._turn(BreakerTurn.TRIPPED)
        return self._turn(BreakerTurn.FAILED)

    def abandoned(self) -> None:
        """A try ended without an answer to the question: the next one may be the probe."""
        self._probe_at = None

    def succeeded(self, now: float) -> bool:
        """A try came to what it was for. True if that closed the breaker."""
        self.allows(now)
        self.failures = 0
        self._probe_at = None
        self._successes += 1
        return self._successes >= self._needed and self._turn(BreakerTurn.PROVED)

    def _turn(self, turn: BreakerTurn) -> bool:
        after = BREAKER.get((self.state, turn))
        if after is None:
            return False
        self.state = after
        self._successes = 0
        return True
