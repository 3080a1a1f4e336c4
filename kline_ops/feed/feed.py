"""A set of connections that bring the same streams, one taking over from the other.

This is the shell: it runs connections, carries out what ``plan.py`` decides, and hands every usable
kline on. A draining connection still delivers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kline_ops.clock import Clock
from kline_ops.events import Bus, ShutdownNotice
from kline_ops.feed import plan as rules
from kline_ops.feed.connection import Connection, Options
from kline_ops.feed.endpoint import stream_url
from kline_ops.feed.plan import Action, Happening, Plan
from kline_ops.feed.rejects import Rejects
from kline_ops.market import messages
from kline_ops.market.messages import FrameRejected, Kline, Reply, ServerShutdown
from kline_ops.market.server_time import ServerTime
from kline_ops.market.stream import Stream
from kline_ops.resilience import Backoff

#: Seconds for all connections to close at the end.
_CLOSE_TIMEOUT = 0.8

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """How to connect, and how long to be patient."""

    ws_url: str
    connection: Options
    backoff: Backoff
    timing: rules.Timing


class Feed:
    """Delivers klines to ``on_kline`` until it is closed; never gives up."""

    def __init__(
        self,
        streams: Sequence[Stream],
        options: FeedOptions,
        *,
        bus: Bus,
        clock: Clock,
        server_time: ServerTime,
        on_kline: Callable[[Kline], None],
        draw: Callable[[], float],
    ) -> None:
        self._by_key = {(s.symbol, s.interval.code): s for s in streams}
        self._symbols = {s.symbol for s in streams}
        self._url = stream_url(options.ws_url, [s.name for s in streams])
        self._options = options
        self._bus = bus
        self._clock = clock
        self._server_time = server_time
        self._on_kline = on_kline
        self._plan = Plan(
            [s.name for s in streams],
            self._near_close,
            endpoint=options.ws_url,
            backoff=options.backoff,
            timing=options.timing,
            draw=draw,
        )
        self._connections: dict[int, Connection] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.rejects = Rejects()
        self.messages = 0
        self._heard_at: float | None = None

    def start(self) -> None:
        """Begin to connect."""
        self._apply(rules.Tick())

    def replace(self, why: str) -> None:
        """Let a successor take over from what is connected now; nothing is closed before."""
        self._apply(rules.Replace(why))

    def settled(self, before_ms: int) -> None:
        """Every candle that closes before this moment is on disk: draining ones may go."""
        self._apply(rules.Settled(before_ms))

    def live_since(self) -> float | None:
        """Since when (monotonic seconds) the connection in charge has been live, or None."""
        return max((x.live_at for x in self._plan.live() if x.live_at is not None), default=None)

    def silent_for(self) -> float | None:
        """Seconds since the last usable message; None before the first."""
        return None if self._heard_at is None else self._clock.monotonic() - self._heard_at

    async def close(self) -> None:
        """Close everything, within a bounded time."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for number, task in self._tasks.items():
            connection = self._connections.get(number)
            if connection is None or not connection.close():
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=_CLOSE_TIMEOUT)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _apply(self, happening: Happening) -> None:
        if self._closed:
            return
        now = self._clock.monotonic()
        try:
            for action in self._plan.advance(happening, now, self._server_time.now_ms(now)):
                self._carry_out(action)
        finally:
            self._set_timer(now)

    def _carry_out(self, action: Action) -> None:
        match action:
            case rules.Open(number):
                self._tasks[number] = asyncio.create_task(
                    self._run(number), name=f"connection {number}"
                )
            case rules.Close(number):
                self._connections[number].close()
            case rules.Tell(event):
                self._bus.emit(event)

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake_at = self._plan.wake_at()
        if wake_at != float("inf"):
            loop = asyncio.get_running_loop()
            delay = max(0.0, wake_at - now)
            self._timer = loop.call_later(delay, self._apply, rules.Tick())

    async def _run(self, number: int) -> None:
        connection = Connection(
            self._url,
            self._options.connection,
            on_open=lambda: self._apply(rules.Opened(number)),
            on_frame=lambda frame: self._take(number, frame),
        )
        self._connections[number] = connection
        try:
            ending = await connection.run()
            code, reason = ending.code, ending.reason
        except Exception as error:  # noqa: BLE001 - the boundary of a connection's task: one more way to end
            _log.exception("connection %d failed", number)
            code, reason = None, f"internal error: {error}"
        del self._connections[number]
        del self._tasks[number]
        self._apply(rules.Ended(number, code, reason))

    def _take(self, number: int, frame: bytes) -> None:
        self.messages += 1
        try:
            match messages.decode(frame):
                case Kline() as kline:
                    self._deliver(number, kline)
                case ServerShutdown():
                    self._bus.emit(ShutdownNotice(connection=number))
                    self._apply(rules.Replace(rules.SHUTDOWN, number))
                case Reply(_, error):
                    if error is not None:
                        raise FrameRejected(f"the exchange says: {error}")
        except FrameRejected as rejected:
            event = self.rejects.count(str(rejected), frame, self._clock.monotonic())
            if event is not None:
                self._bus.emit(event)

    def _deliver(self, number: int, kline: Kline) -> None:
        stream = self._by_key.get((kline.symbol, kline.interval))
        if stream is None:
            foreign = kline.symbol not in self._symbols
            raise FrameRejected("wrong symbol" if foreign else "wrong interval")
        messages.check(kline, stream.interval)
        self._on_kline(kline)
        self._heard_at = self._clock.monotonic()
        self._apply(rules.Delivered(number, stream.name))

    def _near_close(self, now_ms: int, near: float) -> int:
        """The close that both connections should see: the next one if near, else the last one."""
        closes = []
        for stream in self._by_key.values():
            coming = stream.interval.ceil(now_ms)
            is_near = coming - now_ms <= near * 1000
            closes.append(coming if is_near else stream.interval.floor(now_ms))
        return max(closes)
