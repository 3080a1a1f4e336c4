"""Attempts to connect: what they came to, when the next may be made, and where it goes. Pure.

Only data that lasted for a while is a success: a handshake is none, and neither are a few frames.
Times are seconds on the monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable

from kline_ops import events
from kline_ops.events import Event
from kline_ops.feed.endpoints import Endpoints
from kline_ops.feed.link import Link
from kline_ops.feed.states import EFFORT, Effort, Outcome
from kline_ops.resilience import Backoff

#: Data for this long is a connection that works; less than this is a flap.
LASTING = 10.0


class Attempts:
    """Those of one feed, whatever their address."""

    def __init__(self, endpoints: Endpoints, backoff: Backoff, draw: Callable[[], float]) -> None:
        self.endpoints = endpoints
        self._backoff = backoff
        self._draw = draw
        self.effort = Effort.STEADY
        #: In a row.
        self.failures = 0
        self.retry_at = 0.0

    def note_lasting(self, link: Link, now: float) -> list[Event]:
        """Has this connection brought data for a while? That is counted once."""
        if link.lasted or link.live_at is None or now < link.live_at + LASTING:
            return []
        link.lasted = True
        self.effort = EFFORT[self.effort, Outcome.LASTED]
        self.failures = 0
        return self.endpoints.lasted(link.endpoint, now)

    def failed(self, link: Link, reason: str, now: float, *, lasting: bool = False) -> list[Event]:
        """An attempt brought no data, or not for long; ``lasting``: its host refuses for good."""
        if link.failed:
            return []
        link.failed = True
        told = self.endpoints.failed(link.endpoint, now, reason, lasting=lasting)
        if link.probe:
            # Beside those that serve: it says something of its address, and nothing of the effort.
            return told
        exhausted = self.endpoints.all_open(now)
        self.effort = EFFORT[self.effort, Outcome.EXHAUSTED if exhausted else Outcome.FAILED]
        self.failures += 1
        self.retry_at = now + self._backoff.wait(self.failures, self._draw)
        if self.failures == self._backoff.max_attempts:
            told.append(events.AttemptsExhausted(attempts=self.failures, reason=reason))
        return told

    def ended(self, link: Link, reason: str, now: float, *, lasting: bool) -> list[Event]:
        """A connection ended by itself."""
        told = self.note_lasting(link, now)
        if link.probe or not link.lasted:
            return told + self.failed(link, reason, now, lasting=lasting)
        # It worked: the next attempt may be at once, unless others are failing already.
        if self.effort is Effort.STEADY:
            self.retry_at = now
        return told
