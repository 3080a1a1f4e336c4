"""Planned restarts: the connection is renewed at each boundary of a TimeTrigger, a margin before it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from kline_ops import events
from kline_ops.clock import Clock
from kline_ops.events import Bus
from kline_ops.market import timestamp
from kline_ops.resilience import TimeTrigger

#: The time is looked at this often (s) at the latest: the exchange's time may leap, after a suspend too.
_LONGEST_SLEEP = 10.0
#: Seconds between two looks whether the exchange has told its time at all.
_UNTIL_HEARD = 0.1


class Renewable(Protocol):
    """What is renewed: a feed."""

    def live_since(self) -> float | None:
        """Since when (monotonic seconds) it has delivered through the connection in charge."""

    def replace(self, why: str) -> None:
        """Let a successor take over; nothing is closed before."""


class TimeSource(Protocol):
    """Whose time the boundaries are of: the exchange's, as it is known here."""

    @property
    def heard(self) -> bool:
        """Whether it can be relied on yet."""

    def now_ms(self, monotonic: float) -> int:
        """Milliseconds since the epoch."""


class Rotation:
    """Run :meth:`run` as a task. Boundaries are the exchange's time; ``margin`` in seconds.

    A boundary sooner than ``shortest`` seconds after the connection became live is skipped, and told.
    """

    def __init__(
        self,
        trigger: TimeTrigger,
        margin: float,
        shortest: float,
        feed: Renewable,
        *,
        bus: Bus,
        clock: Clock,
        server_time: TimeSource,
    ) -> None:
        self._trigger = trigger
        self._margin = margin
        self._shortest = shortest
        self._feed = feed
        self._bus = bus
        self._clock = clock
        self._server_time = server_time

    async def run(self) -> None:
        """Renew the connection at each boundary, until cancelled."""
        while True:
            if not self._server_time.heard:
                # This machine's clock may be wrong; a boundary of its future would be remembered.
                await asyncio.sleep(_UNTIL_HEARD)
                continue
            now = self._clock.monotonic()
            now_ms = self._server_time.now_ms(now)
            boundary = self._trigger.poll(now_ms, self._margin)
            if boundary is not None:
                self._renew(boundary, boundary - now_ms, now)
            due_in = (self._trigger.next_due(now_ms, self._margin) - now_ms) / 1000.0
            await asyncio.sleep(min(max(due_in, 0.001), _LONGEST_SLEEP))

    def next_boundary_ms(self) -> int:
        """When the next restart is due, by the exchange's time."""
        return self._trigger.next_due(self._server_time.now_ms(self._clock.monotonic()))

    def _renew(self, boundary_ms: int, ahead_ms: int, now: float) -> None:
        since = self._feed.live_since()
        at = timestamp.to_text(boundary_ms)
        lived = None if since is None else round(now - since + ahead_ms / 1000.0, 3)
        if lived is None or lived < self._shortest:
            self._bus.emit(events.RestartSkipped(boundary=at, seconds=lived))
            return
        self._bus.emit(events.RestartPlanned(boundary=at))
        self._feed.replace(events.PLANNED)
