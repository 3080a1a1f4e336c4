"""Connections that bring the same, one taking over from the other: the shell around ``plan.py``.

It opens, closes and cuts off connections as the plan decides, and calls the plan again when time has
brought something about. What their messages mean is for whoever is given them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from kline_ops.clock import Clock
from kline_ops.events import Banned, ConnectDelayed, Event
from kline_ops.feed import happenings as rules
from kline_ops.feed.connection import Connection, Ending, Options
from kline_ops.feed.endpoints import LASTING
from kline_ops.feed.gate import Gate
from kline_ops.feed.happenings import Action, Happening
from kline_ops.feed.plan import Plan
from kline_ops.market import timestamp

#: Seconds for all connections to close at the end.
_CLOSE_TIMEOUT = 0.8

_log = logging.getLogger(__name__)


def _nothing(_number: int, _ending: Ending) -> None:
    """Nobody asks how connections end."""


@dataclass(frozen=True, slots=True)
class Ears:
    """Who is told of what; all of them are called on the event loop and return at once."""

    #: The number of the connection, and a message as the connection's options have it.
    on_frame: Callable[[int, Any], None]
    tell: Callable[[Event], None]
    #: The name of a stream whose market should be looked at; ``Witnessed`` answers.
    on_ask: Callable[[str], None]
    #: A connection is over; the plan is told after that.
    on_end: Callable[[int, Ending], None] = _nothing
    #: It has died of a fault (``Relay.fault``).
    on_broken: Callable[[], None] = lambda: None


def patience(options: Options, addresses: int, proof: float) -> Options:
    """Wait no longer for a handshake than for data (``proof``, s) where there are several addresses.

    While a host that swallows handshakes is waited for, another one may be good.
    """
    if addresses == 1:
        return options
    return replace(options, open_timeout=min(options.open_timeout, proof))


class Relay:
    """Run by :meth:`apply`; ``url_of`` makes of an endpoint the URL to connect to."""

    def __init__(
        self,
        plan: Plan,
        options: Options,
        ears: Ears,
        *,
        clock: Clock,
        now_ms: Callable[[float], int],
        url_of: Callable[[str], str],
        gate: Gate,
    ) -> None:
        self._plan = plan
        self._options = options
        self._ears = ears
        self._clock = clock
        #: (monotonic seconds) → the exchange's time in milliseconds.
        self._now_ms = now_ms
        self._url_of = url_of
        self._gate = gate
        self._connections: dict[int, Connection] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at = float("inf")
        self._begun = self._closed = False
        #: When a ping of ours was answered last (monotonic seconds), and how long (s) that took.
        self.pong: tuple[float, float] | None = None
        #: What broke it; None while it is whole.
        self.fault: Exception | None = None

    def connection(self, number: int) -> Connection | None:
        """The connection of this number, while it is open or being opened."""
        return self._connections.get(number)

    def apply(self, happening: Happening) -> None:
        """Tell the plan what happened, and carry out what it decides."""
        if self._closed:
            return
        self._begun = True
        now = self._clock.monotonic()
        try:
            actions = self._plan.advance(happening, now, self._now_ms(now))
            for action in actions:
                self._carry_out(action)
            # A message that changed nothing moves all deadlines back: the timer may ring in vain.
            if actions or not isinstance(happening, rules.Delivered) or now >= self._wake_at:
                self._set_timer(now)
        except Exception as error:  # noqa: BLE001 - the boundary of the rules: whoever told us goes on
            self._break(error)

    def cut(self) -> None:
        """Cut every connection off: what follows is what follows where the network fails."""
        for connection in self._connections.values():
            connection.abort()

    def stop(self) -> None:
        """Open nothing more; what is open goes on."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    @property
    def is_dead(self) -> bool:
        """It has broken, or nothing is under way any more that could bring anything about."""
        idle = not self._closed and not self._tasks and self._timer is None
        return self.fault is not None or (self._begun and idle)

    def abandon(self) -> set[int]:
        """Open nothing more, and give up what is being opened; answers the connections that go on."""
        self.stop()
        for number, task in self._tasks.items():
            connection = self._connections.get(number)
            if connection is None or not connection.is_open:
                task.cancel()
        return {number for number, each in self._connections.items() if each.is_open}

    async def close(self) -> None:
        """Close everything, within a bounded time."""
        self.stop()
        for number, task in self._tasks.items():
            connection = self._connections.get(number)
            if connection is None or not connection.close():
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=_CLOSE_TIMEOUT)
        await self.kill()

    async def kill(self) -> None:
        """Cut everything off without a closing handshake, and open nothing more."""
        self.stop()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._gate.close()

    def _carry_out(self, action: Action) -> None:
        match action:
            case rules.Open(number):
                task = asyncio.create_task(self._run(number), name=f"connection {number}")
                task.add_done_callback(self._look_at)
                self._tasks[number] = task
            case rules.Close(number):
                self._connections[number].close()
            case rules.Resubscribe(number, name):
                self._connections[number].subscribe_anew(name)
            case rules.Ask(name):
                # Not from within: the answer may come at once.
                asyncio.get_running_loop().call_soon(self._ears.on_ask, name)
            case rules.Tell(event):
                self._ears.tell(event)

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake_at = self._plan.wake_at()
        if self._wake_at != float("inf"):
            loop = asyncio.get_running_loop()
            delay = max(0.0, self._wake_at - now)
            self._timer = loop.call_later(delay, self.apply, rules.Tick())

    def _look_at(self, task: asyncio.Task[None]) -> None:
        """A connection's task is over: not by an error of its own, or nobody would follow it."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._break(error)

    def _break(self, error: Exception) -> None:
        """It can not be trusted any more: what is open goes on, until somebody looks after it."""
        _log.error("the machinery of a feed broke", exc_info=error)
        self.fault = error
        self.stop()
        self._ears.on_broken()

    async def _run(self, number: int) -> None:
        endpoint = self._plan.links[number].endpoint
        try:
            await self._gate.pass_(lambda wait: self._tell_delay(endpoint, wait))
            ending = await self._connect(number, endpoint)
        except Exception as error:  # noqa: BLE001 - the boundary of a connection's task: one more way to end
            _log.exception("connection %d failed", number, extra={"connection": number})
            ending = Ending(None, f"internal error: {error}")
        self._connections.pop(number, None)
        del self._tasks[number]
        lasting = ending.status in LASTING
        if ending.retry_after is not None:
            self._gate.refused(ending.retry_after)
            self._tell_ban(ending.retry_after, ending.reason)
        self._ears.on_end(number, ending)
        self.apply(rules.Ended(number, ending.code, ending.reason, lasting))

    async def _connect(self, number: int, endpoint: str) -> Ending:
        on_frame = self._ears.on_frame
        connection = Connection(
            self._url_of(endpoint),
            self._options,
            clock=self._clock,
            on_open=lambda: self.apply(rules.Opened(number)),
            on_frame=lambda frame: on_frame(number, frame),
            on_pong=self._note_pong,
            number=number,
        )
        self._connections[number] = connection
        return await connection.run()

    def _note_pong(self, latency: float) -> None:
        self.pong = self._clock.monotonic(), latency

    def _tell_ban(self, seconds: float, reason: str) -> None:
        now_ms = self._now_ms(self._clock.monotonic())
        until = timestamp.to_text(now_ms + round(seconds) * 1000)
        self._ears.tell(Banned(what="connect", until=until, reason=reason))

    def _tell_delay(self, endpoint: str, wait: float) -> None:
        self._ears.tell(ConnectDelayed(endpoint=endpoint, seconds=round(wait, 3)))
