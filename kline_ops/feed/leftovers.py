"""What is left of a feed that died: its open connections go on to deliver until others do.

Nothing decides on them any more. Once a fresh connection is live they have ``linger`` seconds, for
the closes that are on their way, and are closed then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from kline_ops.clock import Clock
from kline_ops.events import Bus, Disconnected
from kline_ops.feed.connection import ABNORMAL, Ending
from kline_ops.feed.link import Link
from kline_ops.feed.relay import Relay


class Leftovers:
    """:meth:`take` one relay after another; :meth:`served` when a fresh connection delivers."""

    def __init__(self, bus: Bus, clock: Clock, linger: float) -> None:
        self._bus = bus
        self._clock = clock
        self._linger = linger
        #: The connections, as the rules that have died saw them.
        self.links: dict[int, Link] = {}
        self._relay: Relay | None = None
        #: The numbers of its connections.
        self._numbers: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def take(self, relay: Relay, links: Mapping[int, Link], reason: str) -> None:
        """What is open of this relay goes on; the rest is told to have ended."""
        has_served = self._timer is not None
        self._keep_waiting()
        going_on = relay.abandon()
        for number, link in list(links.items()):
            if number in going_on:
                self.links[number] = link
            elif link.opened_at is not None:
                self._tell(link, Ending(ABNORMAL, reason))
        if has_served or not self._numbers & self.links.keys():
            self._retire()
        if self._relay is None:
            self._relay, self._numbers = relay, going_on
        else:
            # One that died before it had served is not worth another socket.
            self._let_go(relay, going_on)

    def served(self) -> None:
        """A fresh connection delivers."""
        if self._relay is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._linger, self._retire)

    def ended(self, number: int, ending: Ending) -> None:
        """A connection is over: ours, or one that is none of ours."""
        link = self.links.pop(number, None)
        if link is not None:
            self._tell(link, ending)

    async def close(self) -> None:
        """Close everything, within a bounded time."""
        self._keep_waiting()
        self._retire()
        if self._closing:
            await asyncio.wait(self._closing)

    def _retire(self) -> None:
        relay, self._relay, self._timer = self._relay, None, None
        if relay is not None:
            self._let_go(relay, self._numbers)

    def _let_go(self, relay: Relay, numbers: set[int]) -> None:
        task = asyncio.create_task(self._close(relay, numbers), name="leftovers")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, relay: Relay, numbers: set[int]) -> None:
        await relay.close()
        for number in numbers:
            # A peer that does not answer a close is cut off, and no task is left to tell of it.
            self.ended(number, Ending(ABNORMAL, "did not close in time"))

    def _keep_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self, link: Link, ending: Ending) -> None:
        since = link.opened_at
        self._bus.emit(
            Disconnected(
                connection=link.number,
                endpoint=link.endpoint,
                code=ending.code,
                reason=ending.reason,
                seconds=None if since is None else round(self._clock.monotonic() - since, 3),
            )
        )
