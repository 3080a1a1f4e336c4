"""A WebSocket connection that is kept, for whoever reads a stream and must not miss its end.

It is the recorder's own machinery (``feed.plan``, ``feed.relay``, the budget of attempts that this
machine shares) with other messages in it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from kline_ops import events
from kline_ops.clock import Clock, SystemClock
from kline_ops.errors import VenueError
from kline_ops.events import Event
from kline_ops.feed.connection import Ending, Options
from kline_ops.feed.plan import Timing
from kline_ops.kit.websocket_calls import Callback, Lane, Question, end_task
from kline_ops.kit.websocket_intake import Intake, size_of
from kline_ops.kit.websocket_mailbox import Data, EndOfMail, Mailbox
from kline_ops.kit.websocket_rules import (
    ConnectionState,
    DisconnectReason,
    ReconnectStrategy,
    WebSocketStats,
    backoff_of,
)
from kline_ops.kit.websocket_run import Run, Ways
from kline_ops.kit.websocket_setup import Setup
from kline_ops.kit.websocket_troubles import Troubles
from kline_ops.resilience import TimeTrigger
from kline_ops.secret import shown_url

__all__ = [
    "ConnectionState",
    "DisconnectReason",
    "ReconnectStrategy",
    "WebSocketManager",
    "WebSocketStats",
]

#: Seconds for a successor's first message where an address may be skipped, and after which an open
#: connection counts as good where silence is no fault.
_PROOF = 10.0
#: Seconds without a connection that are told.
_DARK = 5.0
#: Seconds that both connections are listened to after the successor has delivered, with ``dedupe``.
_OVERLAP = 2.0
#: Seconds for callbacks at the end.
_LAST_CALLS = 1.0
_TRYING = {ConnectionState.CONNECTING, ConnectionState.RECONNECTING}


class WebSocketManager:
    """Keeps one WebSocket connection alive, whatever happens to it, and hands its messages on.

    >>> import asyncio
    >>> from kline_ops.clock import SystemClock
    >>> from kline_ops.exchange.embedded import embedded
    >>> async def main() -> None:
    ...     subscribe = ['{"method": "SUBSCRIBE", "params": ["btcusdt@kline_1m"], "id": 1}']
    ...     async with embedded(SystemClock()) as exchange:
    ...         async with WebSocketManager(exchange.ws_url, subscribe=subscribe) as manager:
    ...             async for message in manager:
    ...                 print(message, manager.state.name)
    ...                 break
    >>> asyncio.run(main())
    {"result":null,"id":1} CONNECTED

    A connection that ends, in whatever way (clean closes 1000 and 1001 included), is made anew: at once
    where it worked, else after a wait. Only messages over 10 s reset the waits; a handshake does not.
    It never gives up, and all programs of this machine that use kline-ops keep together under the 300
    attempts in 5 minutes that an exchange allows an address. A connection that answers pings and brings
    nothing for ``stall_timeout`` is replaced. So is one at each boundary of ``restart_every``, after
    23.5 h, when the machine has slept, and when the exchange announces ``serverShutdown``: its successor
    has delivered before it is closed, so that there is no moment without a connection.

    ``async with`` waits for the first connection, however long that takes; ``connect(timeout)`` raises
    after so many seconds.

    Messages go to ``on_message``, one after another, or to ``async for`` (text is ``str``, binary is
    ``bytes``). Up to ``queue_size`` of them wait; **then the oldest is dropped**, counted in ``stats``
    and told by ``on_alert`` once, until all were taken. While two connections overlap, the messages of
    the old one are handed on until the new one delivers, and then those of the new one: around that
    moment one may come twice, or be missed where the new server is ahead. With ``dedupe`` both are
    listened to for 2 s more and nothing comes twice or is missed.

    A coroutine function is awaited on the event loop; a plain function is called in a thread of its own,
    so that it may block (it reaches asyncio by ``loop.call_soon_threadsafe``; a message takes it 0.1 ms
    more). One that is slow, hangs or raises delays no reconnect; what it raises is logged. ``is_data``
    and ``dedupe`` are called on the loop for each message, and must be quick.

    Args:
        url: ``ws://`` or ``wss://``.
        on_message: called with each message, in order.
        on_connect: called after each handshake.
        on_disconnect: called with the :class:`DisconnectReason` of each connection that ended.
        on_alert: called with a channel (``"websocket"``), a text, and a context (``url, event, level``):
            once for each trouble, and once when it is over. That there is no connection is told after
            5 s (WARNING), the first one included, and after ``max_reconnect_attempts`` (CRITICAL).
        should_disconnect: asked once a second of a connection that has lasted for 10 s; where it says
            yes, a successor takes over.
        should_reconnect: asked before a lost connection is made anew: True or False (it is asked again
            after a second), or the seconds to wait. A failure, and no answer within 5 s, is a yes.
        ping_interval: seconds between two pings of ours.
        ping_timeout: seconds for a pong.
        connection_timeout: seconds for a handshake; at most 10 where there are ``failover_urls``.
        reconnect_strategy: how long to wait after an attempt that failed.
        reconnect_delay: seconds; the longest wait after the first failure.
        max_reconnect_delay: seconds; the longest wait after ``max_reconnect_attempts``.
        max_reconnect_attempts: so many in a row without data are told by ``on_alert``, once; attempts
            go on.
        auto_reconnect: False: the manager is over when its connection ends.
        stall_timeout: seconds without a message after which a connection is dead, pongs or not. None:
            silence is no fault, and 10 s open are as good as a message.
        queue_size: how many messages wait to be taken.
        failover_urls: other addresses that bring the same; the better one is gone back to.
        restart_every: ``4h``, ``30m``: a modulo of :class:`TimeTrigger`, by this machine's clock.
        margin: seconds before the boundary.
        subscribe: messages that are sent on each new connection, three a second at first and one a
            second from then on.
        is_data: whether a message proves that data flows: an acknowledgement is no data.
        dedupe: the key by which a message that comes twice is known (the last 10,000 are remembered).
        tls: for ``wss://``; the system's trust store otherwise.
        clock: for tests that do not wait.

    Raises:
        ValueError: an argument that can not be used.
    """

    def __init__(  # noqa: PLR0913 - by name, each of its own
        self,
        url: str,
        *,
        on_message: Callable[[Any], object] | None = None,
        on_connect: Callable[[], object] | None = None,
        on_disconnect: Callable[[DisconnectReason], object] | None = None,
        on_alert: Callable[[str, str, Mapping[str, Any]], object] | None = None,
        should_disconnect: Callable[[], object] | None = None,
        should_reconnect: Callable[[], object] | None = None,
        ping_interval: float = 20.0,
        ping_timeout: float = 10.0,
        connection_timeout: float = 30.0,
        reconnect_strategy: ReconnectStrategy = ReconnectStrategy.EXPONENTIAL_BACKOFF,
        reconnect_delay: float = 0.5,
        max_reconnect_delay: float = 30.0,
        max_reconnect_attempts: int = 20,
        auto_reconnect: bool = True,
        stall_timeout: float | None = 60.0,
        queue_size: int = 1000,
        failover_urls: Sequence[str] = (),
        restart_every: str | int | None = None,
        margin: float = 5.0,
        subscribe: Sequence[Data] = (),
        is_data: Callable[[Any], object] | None = None,
        dedupe: Callable[[Any], Hashable] | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Clock | None = None,
    ) -> None:
        if isinstance(subscribe, str | bytes):
            raise ValueError("subscribe is one message: give a list of them")
        if queue_size < 1:
            raise ValueError(f"queue_size is {queue_size}: 1 message or more")
        if reconnect_strategy is ReconnectStrategy.CALLBACK_CONTROLLED and not should_reconnect:
            raise ValueError("CALLBACK_CONTROLLED has no should_reconnect to ask")
        urls = (url, *failover_urls)
        if tls is None and any(each.startswith("wss:") for each in urls):
            tls = ssl.create_default_context()
        self._setup = Setup(
            urls,
            Options(connection_timeout, ping_interval, ping_timeout, tls, text=True),
            backoff_of(
                reconnect_strategy, reconnect_delay, max_reconnect_delay, max_reconnect_attempts
            ),
            Timing(
                stall=float("inf") if stall_timeout is None else stall_timeout,
                proof=_PROOF,
                linger=_OVERLAP if dedupe is not None else 0.0,
            ),
            None if restart_every is None else TimeTrigger(restart_every),
            margin,
            tuple(subscribe),
            auto_reconnect,
            overlap=dedupe is not None,
        )
        self._shown = shown_url(url)
        self._clock: Clock = clock or SystemClock()
        self._callbacks: list[Callback] = []
        self._on_message = self._callback(on_message, "on_message")
        self._on_connect = self._callback(on_connect, "on_connect")
        self._on_disconnect = self._callback(on_disconnect, "on_disconnect")
        self._troubles = Troubles(self._shown, self._callback(on_alert, "on_alert"))
        self._unwanted = self._question(should_disconnect, "should_disconnect")
        self._wanted = self._question(should_reconnect, "should_reconnect")
        self._stats = WebSocketStats()
        self._lane = Lane()
        troubles = self._troubles
        self._mailbox = Mailbox(queue_size, lambda: troubles.lost(queue_size), troubles.taken)
        self._intake = Intake(self._mailbox, self._stats, self._clock, is_data, dedupe)
        self._consumer: asyncio.Task[None] | None = None
        self._run: Run | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle = ConnectionState.DISCONNECTED
        self._changed = asyncio.Event()
        #: When it is told that there is no connection.
        self._dark: asyncio.TimerHandle | None = None

    # -- its life ---------------------------------------------------------------------------------

    async def connect(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - it is told
        """Begin, unless that is done, and wait for a connection; attempts go on after ``timeout`` s.

        Where it is dead or closed it begins anew: it can be the ``on_target_dead`` of a heartbeat.

        Raises:
            VenueError: there is none in time, or with ``auto_reconnect=False`` the attempt failed.
        """
        here, home = asyncio.get_running_loop(), self._loop
        if home is not None and home is not here and home.is_running():
            # A heartbeat in a thread calls: it goes on where it lives.
            there = asyncio.run_coroutine_threadsafe(self.connect(timeout), home)
            return await asyncio.wrap_future(there)
        if self._run is not None and self._run.is_dead:
            await self.kill()
        if self._run is None:
            self._begin()
        return await self.wait_connected(timeout)

    async def wait_connected(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - it is told
        """Wait until a connection is open, for at most so many seconds.

        Raises:
            VenueError: there is none in time, or nothing works on it.
        """
        try:
            async with asyncio.timeout(timeout):
                while not self.is_connected:
                    if self._run is None or self._run.is_dead:
                        raise VenueError(self._no_connection(), retryable=True)
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            told = f"{self._no_connection()} within {timeout:g} s"
            raise VenueError(told, retryable=True, hint="wait longer; attempts go on") from None

    async def close(self) -> None:
        """End it with a closing handshake, within about 4 s; what waits is still handed on meanwhile."""
        self._forget_dark()
        if self._run is not None:
            self._idle = ConnectionState.CLOSING
            await self._run.close()
            self._run = None
        self._idle = ConnectionState.CLOSED
        self._changed.set()
        self._mailbox.close()
        await end_task(self._consumer, _LAST_CALLS)
        self._consumer = None
        await asyncio.gather(self._lane.close(_LAST_CALLS), self._troubles.close(_LAST_CALLS))
        await self._stop_asking()
        for callback in self._callbacks:
            callback.close()

    async def kill(self) -> None:
        """Cut it off as a failing network would, and let nothing work on it: ``is_dead`` is True.

        For trying out who restarts it (:meth:`connect`). Iteration goes on then.
        """
        if self._run is not None:
            run, self._run = self._run, None
            self._idle = ConnectionState.DISCONNECTED
            self._forget_dark()
            await run.kill()
            await self._stop_asking()
            self._changed.set()

    def request_reconnect(self) -> None:
        """Let a successor take over now. May be called in any thread.

        Where nothing is connected, attempts are under way anyway.
        """
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._renew)

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- how it is --------------------------------------------------------------------------------

    @property
    def state(self) -> ConnectionState:
        """Where it stands. May be read in any thread."""
        run = self._run
        if run is None or self._idle is ConnectionState.CLOSING:
            return self._idle
        if run.is_connected:
            return ConnectionState.CONNECTED
        began = run.was_connected
        return ConnectionState.RECONNECTING if began else ConnectionState.CONNECTING

    @property
    def is_connected(self) -> bool:
        """Whether a connection is open that is not known to bring nothing."""
        return self.state is ConnectionState.CONNECTED

    @property
    def is_dead(self) -> bool:
        """For a :class:`Heartbeat`: nothing works on it any more. False before it has begun."""
        if self._loop is None:
            return False
        run = self._run
        return run is None or run.is_dead or self._loop.is_closed()

    @property
    def stats(self) -> WebSocketStats:
        """What has happened up to now: a copy."""
        return replace(self._stats, dropped=self._mailbox.dropped)

    # -- messages ---------------------------------------------------------------------------------

    async def send(self, message: Data) -> None:
        """Send a message through the connection in charge; text as ``str``, binary as ``bytes``.

        What every new connection has to be sent belongs into ``subscribe``.

        Raises:
            VenueError: nothing is connected, or it ended meanwhile.
            TypeError: neither text nor bytes.
        """
        if self._run is None or not await self._run.send(message):
            raise VenueError(self._no_connection(), retryable=True, hint="wait_connected() first")
        self._stats.messages_sent += 1
        self._stats.bytes_sent += size_of(message)

    def __aiter__(self) -> Self:
        """Iterate over messages; it ends with :meth:`close`, when all were taken.

        Raises:
            TypeError: there is an ``on_message``, which gets them.
        """
        if self._on_message is not None:
            raise TypeError("messages go to on_message: there is nothing to iterate over")
        return self

    async def __anext__(self) -> Data:
        try:
            return await self._mailbox.get()
        except EndOfMail:
            raise StopAsyncIteration from None

    async def _consume(self, on_message: Callback) -> None:
        while True:
            try:
                message = await self._mailbox.get()
            except EndOfMail:
                return
            await on_message(message)

    # -- what happens -----------------------------------------------------------------------------

    def _begin(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._mailbox.open()
        if self._on_message is not None and (self._consumer is None or self._consumer.done()):
            self._consumer = asyncio.create_task(self._consume(self._on_message), name="on_message")
        unwanted, wanted = self._unwanted, self._wanted
        ways = Ways(
            hear=self._hear,
            take=self._intake.take,
            leave=self._intake.leave,
            proves=self._intake.proves,
            ended=self._ended,
            is_unwanted=unwanted.ask if unwanted is not None else None,
            is_wanted=wanted.ask if wanted is not None else None,
            over=self._over,
            broken=self._broken,
        )
        self._run = Run(self._setup, ways, self._clock)
        self._run.start()
        self._tell_if_dark()

    def _tell_if_dark(self) -> None:
        """Where there is none some seconds from now on either, somebody should know."""
        if self._dark is None and self._run is not None:
            self._dark = asyncio.get_running_loop().call_later(_DARK, self._look_if_dark, self._run)

    def _forget_dark(self) -> None:
        if self._dark is not None:
            self._dark.cancel()
            self._dark = None

    def _look_if_dark(self, run: Run) -> None:
        self._dark = None
        if run is self._run and self.state in _TRYING and not run.is_held:
            self._troubles.dark(self._stats.last_detail or "no answer yet")

    def _renew(self) -> None:
        if self._run is not None:
            self._run.renew(DisconnectReason.USER_REQUESTED)

    def _hear(self, event: Event) -> None:
        if isinstance(event, events.Connected):
            self._stats.connects += 1
            self._stats.last_connect_ms = self._clock.wall_ms()
            self._changed.set()
            self._lane.call(self._on_connect)
        self._troubles.hear(event)

    def _ended(self, reason: DisconnectReason | None, ending: Ending) -> None:
        stats = self._stats
        code = "" if ending.code is None else f"{ending.code} "
        stats.last_detail = f"{code}{ending.reason}"
        self._changed.set()
        self._tell_if_dark()
        if reason is None:
            stats.failed_attempts += 1
            return
        if reason.is_proactive:
            stats.proactive_disconnects += 1
        else:
            stats.reactive_disconnects += 1
        stats.last_reason = reason
        stats.last_disconnect_ms = self._clock.wall_ms()
        self._lane.call(self._on_disconnect, reason)

    def _over(self) -> None:
        self._run = None
        self._forget_dark()
        self._idle = ConnectionState.DISCONNECTED
        self._mailbox.close()
        self._changed.set()

    def _broken(self) -> None:
        self._troubles.broken()
        self._changed.set()

    def _no_connection(self) -> str:
        detail = self._stats.last_detail
        return f"no connection to {self._shown}" + (f" ({detail})" if detail else "")

    def _callback(self, function: Callable[..., object] | None, name: str) -> Callback | None:
        if function is None:
            return None
        callback = Callback(function, name)
        self._callbacks.append(callback)
        return callback

    def _question(self, function: Callable[..., object] | None, name: str) -> Question | None:
        callback = self._callback(function, name)
        return None if callback is None else Question(callback)

    async def _stop_asking(self) -> None:
        for question in (self._unwanted, self._wanted):
            if question is not None:
                await question.close()
