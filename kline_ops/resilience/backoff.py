"""How long to wait before the next attempt.

Full jitter: the wait is a uniform draw between zero and a cap. The cap doubles from ``delay`` up to
a plateau of eight times ``delay`` and stays there until ``max_attempts`` have failed; from then on it
is ``max_delay``. It never gives up.

Why a plateau instead of doubling up to ``max_delay`` at once: an outage of 20 s should be over within
about 2 s of its end, and doubling would by then wait up to 16 s. Why not a lower one: a server that
accepts and closes at once must see no more than one attempt a second (the exchange bans an address
after 300 attempts in 5 minutes). With the default of 0.5 s the waits average 2 s on the plateau.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_PLATEAU = 8


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits in seconds. ``delay`` and ``max_delay`` as in ``websocket.reconnect`` of the config."""

    delay: float = 0.5
    max_delay: float = 30.0
    max_attempts: int = 20

    def cap(self, failures: int) -> float:
        """The longest wait after this many failures in a row (1 is the first)."""
        if failures >= self.max_attempts:
            return self.max_delay
        doublings = min(failures - 1, 16)
        return min(self.delay * 2.0**doublings, self.delay * _PLATEAU, self.max_delay)

    def wait(self, failures: int, draw: Callable[[], float]) -> float:
        """The wait in seconds; ``draw`` gives a number in [0, 1). No failure, no wait."""
        if failures <= 0:
            return 0.0
        return draw() * self.cap(failures)
