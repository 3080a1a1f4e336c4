"""A set of connections that bring the same streams of klines, one taking over from the other.

It hands every usable kline on, whichever connection brought it: a draining one still delivers. The
connections themselves are run by ``relay.py``, as ``plan.py`` decides.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kline_ops.clock import Clock
from kline_ops.events import Bus, Event, HoleFound, Live, ShutdownNotice
from kline_ops.feed import happenings as rules
from kline_ops.feed.attempts import Attempts
from kline_ops.feed.connection import Options
from kline_ops.feed.endpoint import stream_url
from kline_ops.feed.endpoints import BreakerOptions, Endpoints
from kline_ops.feed.figures import FeedFigures
from kline_ops.feed.gate import Gate
from kline_ops.feed.leftovers import Leftovers
from kline_ops.feed.plan import SHUTDOWN, Plan, Timing
from kline_ops.feed.rejects import Rejects
from kline_ops.feed.relay import Ears, Relay, patience
from kline_ops.market import messages
from kline_ops.market.messages import FrameRejected, Kline, Reply, ServerShutdown
from kline_ops.market.server_time import ServerTime
from kline_ops.market.stream import Stream
from kline_ops.resilience import Backoff


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
        self._bus = bus
        self._clock = clock
        self._server_time = server_time
        self._on_kline = on_kline
        self._options = options
        self._draw = draw
        self._gate = gate or Gate(None)
        #: Called with the name of a stream whose market should be looked at; :meth:`witnessed` answers.
        self.on_suspect: Callable[[str], None] = lambda name: self.witnessed(name, None)
        #: Called once it is dead, if that can be known at once; see :meth:`revive`.
        self.on_dead: Callable[[], None] = lambda: None
        self._closed = False
        self._leftovers = Leftovers(bus, clock, options.timing.linger)
        self._make()
        self.rejects = Rejects()
        #: Frames, and updates of candles among them, since this process began.
        self.messages = self.klines = 0
        self._heard_at: float | None = None

    def _make(self, last_number: int = 0) -> None:
        """The machinery: the rules, and the shell that runs connections by them."""
        options = self._options
        endpoints = Endpoints(options.ws_urls, options.breaker, probe_back=options.probe_back)
        self._plan = Plan(
            self._names,
            self._near_close,
            attempts=Attempts(endpoints, options.backoff, self._draw),
            timing=options.timing,
            want=options.redundancy,
            last_number=last_number,
        )
        self._relay = Relay(
            self._plan,
            patience(options.connection, len(options.ws_urls), options.timing.proof),
            Ears(
                self._take,
                self._tell,
                self._ask,
                on_end=self._leftovers.ended,
                on_broken=self._broken,
            ),
            clock=self._clock,
            now_ms=self._server_time.now_ms,
            url_of=lambda endpoint: stream_url(endpoint, self._names),
            gate=self._gate,
        )

    def start(self) -> None:
        """Begin to connect."""
        self._relay.apply(rules.Tick())

    def replace(self, why: str) -> None:
        """Let a successor take over from what is connected now; nothing is closed before."""
        self._relay.apply(rules.Replace(why))

    def drop(self) -> None:
        """Cut every connection off: what follows is what follows where the network fails."""
        self._relay.cut()

    def settled(self, before_ms: int) -> None:
        """Every candle that closes before this moment is on disk: draining ones may go."""
        self._relay.apply(rules.Settled(before_ms))

    def missed(self, stream: Stream, open_ms: int) -> None:
        """REST had this traded candle, and no connection brought its close in time."""
        self._relay.apply(rules.Missed(stream.name, open_ms, stream.interval.after(open_ms)))

    def witnessed(self, name: str, traded: bool | None) -> None:  # noqa: FBT001 - an answer
        """Has the market of this stream traded since it was heard? None where nobody can tell."""
        self._relay.apply(rules.Witnessed(name, traded))

    @property
    def is_dead(self) -> bool:
        """Its machinery has died: nothing would be connected any more. No mere disconnect is that."""
        return self._relay.is_dead and not self._closed

    @property
    def fault(self) -> str:
        """What it died of, in one line."""
        error = self._relay.fault
        return "nothing is under way" if error is None else f"{type(error).__name__}: {error}"

    def revive(self) -> None:
        """Begin anew with fresh machinery. What is open delivers until a fresh connection does."""
        if self._closed:
            return
        fault, plan = self.fault, self._plan
        self._leftovers.take(self._relay, plan.links, fault)
        self._make(plan.last_number)
        self.start()

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

    def is_excused(self) -> bool:
        """Has REST called the market quiet within the stall time-out?"""
        at = self._plan.excused_at()
        return at is not None and self._clock.monotonic() - at < self._options.timing.stall

    def figures(self) -> FeedFigures:
        """How it stands, for whoever looks at it; cheap."""
        now, plan, pong = self._clock.monotonic(), self._plan, self._relay.pong
        links = (*plan.links.values(), *self._leftovers.links.values())
        return FeedFigures(
            connections=Counter(link.state.value for link in links),
            attempts=plan.last_number,
            retry_in=plan.retry_in(now),
            heard_ago=None if self._heard_at is None else now - self._heard_at,
            pong_ago=None if pong is None else now - pong[0],
            latency=None if pong is None else pong[1],
            addresses=plan.attempts.endpoints.figures(),
        )

    async def close(self) -> None:
        """Close everything, within a bounded time."""
        self._closed = True
        await asyncio.gather(self._relay.close(), self._leftovers.close())

    def _tell(self, event: Event) -> None:
        self._bus.emit(event)
        if isinstance(event, Live):
            self._leftovers.served()

    def _broken(self) -> None:
        self.on_dead()

    def _ask(self, name: str) -> None:
        self.on_suspect(name)

    def _take(self, number: int, frame: bytes) -> None:
        self.messages += 1
        try:
            match messages.decode(frame):
                case Kline() as kline:
                    self._deliver(number, kline)
                case ServerShutdown():
                    self._bus.emit(ShutdownNotice(connection=number))
                    self._relay.apply(rules.Replace(SHUTDOWN, number))
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
        self.klines += 1
        self._on_kline(kline)
        self._heard_at = self._clock.monotonic()
        if number in self._leftovers.links:
            return  # the rules do not know of it
        closed_ms = kline.candle.open_ms if kline.closed else None
        self._relay.apply(rules.Delivered(number, stream.name, closed_ms))

    def _near_close(self, now_ms: int, near: float) -> int:
        """The close that both connections should see: the next one if near, else the last one."""
        closes = []
        for stream in self._by_key.values():
            coming = stream.interval.ceil(now_ms)
            is_near = coming - now_ms <= near * 1000
            closes.append(coming if is_near else stream.interval.floor(now_ms))
        return max(closes)
