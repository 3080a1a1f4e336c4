"""A set of connections that bring the same streams, one taking over from the other.

This is the shell: it runs connections, carries out what ``plan.py`` decides, and hands every usable
kline on. A draining connection still delivers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from kline_ops.clock import Clock
from kline_ops.events import Banned, Bus, ConnectDelayed, Event, HoleFound, ShutdownNotice
from kline_ops.feed import happenings as rules
from kline_ops.feed.attempts import Attempts
from kline_ops.feed.connection import Connection, Ending, Options
from kline_ops.feed.endpoint import stream_url
from kline_ops.feed.endpoints import LASTING, BreakerOptions, Endpoints
from kline_ops.feed.gate import Gate
from kline_ops.feed.happenings import Action, Happening
from kline_ops.feed.plan import SHUTDOWN, Plan, Timing
from kline_ops.feed.rejects import Rejects
from kline_ops.market import messages, timestamp
from kline_ops.market.messages import FrameRejected, Kline, Reply, ServerShutdown
from kline_ops.market.server_time import ServerTime
from kline_ops.market.stream import Stream
from kline_ops.resilience import Backoff

#: Seconds for all connections to close at the end.
_CLOSE_TIMEOUT = 0.8

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """Where and how to connect, and how long to be patient."""

    #: In the order of preference.
    ws_urls: Sequence[str]
    connection: Options
    backoff: Backoff
    timing: Timing
    breaker: BreakerOptions = field(default_factory=BreakerOptions)
    #: How many connections are live at a time.
    redundancy: int = 1
    #: Seconds between two tries of a better address.
    probe_back: float = 600.0


class Feed:
    """Delivers klines to ``on_kline`` until it is closed; never gives up."""

    def __init__(  # noqa: PLR0913 - wired in one place, by name
        self,
        streams: Sequence[Stream],
        options: FeedOptions,
        *,
        bus: Bus,
        clock: Clock,
        server_time: ServerTime,
        on_kline: Callable[[Kline], None],
        draw: Callable[[], float],
        gate: Gate | None = None,
    ) -> None:
        self._by_key = {(s.symbol, s.interval.code): s for s in streams}
        self._symbols = {s.symbol for s in streams}
        self._names = [s.name for s in streams]
        self._options = options
        self._connecting = options.connection
        if len(options.ws_urls) > 1:
            # While a host that swallows handshakes is waited for, another one may be good.
            patience = min(options.connection.open_timeout, options.timing.proof)
            self._connecting = replace(options.connection, open_timeout=patience)
        self._bus = bus
        self._clock = clock
        self._server_time = server_time
        self._on_kline = on_kline
        self._plan = Plan(
            self._names,
            self._near_close,
            attempts=Attempts(
                Endpoints(options.ws_urls, options.breaker, probe_back=options.probe_back),
                options.backoff,
                draw,
            ),
            timing=options.timing,
            want=options.redundancy,
        )
        self._gate = gate or Gate(None)
        #: Called with the name of a stream whose market should be looked at; :meth:`witnessed` answers.
        self.on_suspect: Callable[[str], None] = lambda name: self.witnessed(name, None)
        self._connections: dict[int, Connection] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at = float("inf")
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

    def drop(self) -> None:
        """Cut every connection off: what follows is what follows where the network fails."""
        for connection in self._connections.values():
            connection.abort()

    def settled(self, before_ms: int) -> None:
        """Every candle that closes before this moment is on disk: draining ones may go."""
        self._apply(rules.Settled(before_ms))

    def missed(self, stream: Stream, open_ms: int) -> None:
        """REST had this traded candle, and no connection brought its close in time."""
        self._apply(rules.Missed(stream.name, open_ms, stream.interval.after(open_ms)))

    def witnessed(self, name: str, traded: bool | None) -> None:  # noqa: FBT001 - an answer
        """Has the market of this stream traded since it was heard? None where nobody can tell."""
        self._apply(rules.Witnessed(name, traded))

    def hear(self, event: Event) -> None:
        """Listener: where a hole is found, the frames that could not be used are told."""
        if isinstance(event, HoleFound):
            for rejected in self.rejects.untold(self._clock.monotonic()):
                self._bus.emit(rejected)

    def live_since(self) -> float | None:
        """Since when (monotonic seconds) the connection in charge has been live, or None."""
        return max((x.live_at for x in self._plan.live() if x.live_at is not None), default=None)

    def silent_for(self) -> float | None:
        """Seconds since the last usable message, or since REST called the market quiet; None before."""
        if self._heard_at is None:
            return None
        return self._clock.monotonic() - max(self._heard_at, self._plan.excused_at() or 0.0)

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
        self._gate.close()

    def _apply(self, happening: Happening) -> None:
        if self._closed:
            return
        now = self._clock.monotonic()
        try:
            for action in self._plan.advance(happening, now, self._server_time.now_ms(now)):
                self._carry_out(action)
        finally:
            # A message that changed nothing moves all deadlines back: the timer may ring in vain.
            if not isinstance(happening, rules.Delivered) or now >= self._wake_at:
                self._set_timer(now)

    def _carry_out(self, action: Action) -> None:
        match action:
            case rules.Open(number):
                self._tasks[number] = asyncio.create_task(
                    self._run(number), name=f"connection {number}"
                )
            case rules.Close(number):
                self._connections[number].close()
            case rules.Resubscribe(number, name):
                self._connections[number].subscribe_anew(name)
            case rules.Ask(name):
                # Not from within: the answer may come at once.
                asyncio.get_running_loop().call_soon(self.on_suspect, name)
            case rules.Tell(event):
                self._bus.emit(event)

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake_at = self._plan.wake_at()
        if self._wake_at != float("inf"):
            loop = asyncio.get_running_loop()
            delay = max(0.0, self._wake_at - now)
            self._timer = loop.call_later(delay, self._apply, rules.Tick())

    async def _run(self, number: int) -> None:
        endpoint = self._plan.links[number].endpoint
        try:
            await self._gate.pass_(lambda wait: self._tell_delay(endpoint, wait))
            ending = await self._connect(number, endpoint)
        except Exception as error:  # noqa: BLE001 - the boundary of a connection's task: one more way to end
            _log.exception("connection %d failed", number)
            ending = Ending(None, f"internal error: {error}")
        self._connections.pop(number, None)
        del self._tasks[number]
        lasting = ending.status in LASTING
        if ending.retry_after is not None:
            self._gate.refused(ending.retry_after)
            self._tell_ban(ending.retry_after, ending.reason)
        self._apply(rules.Ended(number, ending.code, ending.reason, lasting))

    async def _connect(self, number: int, endpoint: str) -> Ending:
        connection = Connection(
            stream_url(endpoint, self._names),
            self._connecting,
            clock=self._clock,
            on_open=lambda: self._apply(rules.Opened(number)),
            on_frame=lambda frame: self._take(number, frame),
        )
        self._connections[number] = connection
        return await connection.run()

    def _tell_ban(self, seconds: float, reason: str) -> None:
        now_ms = self._server_time.now_ms(self._clock.monotonic())
        until = timestamp.to_text(now_ms + round(seconds) * 1000)
        self._bus.emit(Banned(what="connect", until=until, reason=reason))

    def _tell_delay(self, endpoint: str, wait: float) -> None:
        self._bus.emit(ConnectDelayed(endpoint=endpoint, seconds=round(wait, 3)))

    def _take(self, number: int, frame: bytes) -> None:
        self.messages += 1
        try:
            match messages.decode(frame):
                case Kline() as kline:
                    self._deliver(number, kline)
                case ServerShutdown():
                    self._bus.emit(ShutdownNotice(connection=number))
                    self._apply(rules.Replace(SHUTDOWN, number))
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
        closed_ms = kline.candle.open_ms if kline.closed else None
        self._apply(rules.Delivered(number, stream.name, closed_ms))

    def _near_close(self, now_ms: int, near: float) -> int:
        """The close that both connections should see: the next one if near, else the last one."""
        closes = []
        for stream in self._by_key.values():
            coming = stream.interval.ceil(now_ms)
            is_near = coming - now_ms <= near * 1000
            closes.append(coming if is_near else stream.interval.floor(now_ms))
        return max(closes)
