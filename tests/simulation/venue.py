"""A model of the exchange: candles by their number, connections that carry them, REST.

What it does in trouble is here; what the recorder makes of it is not.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable

from kline_ops.errors import VenueError
from kline_ops.feed.connection import Ending
from kline_ops.market.candle import Candle
from kline_ops.market.interval import Interval
from kline_ops.market.messages import Kline
from kline_ops.market.span import Span
from kline_ops.record.backfill import RefusalError
from tests.simulation.schedule import Kind, Trouble
from tests.simulation.world import World

SYMBOL = "BTCUSDT"
_PAGE = 1000
_OPEN_TIMEOUT = 30.0
_REST_TIMEOUT = 20.0
_MAX_AGE = 24 * 3600.0
_ATTEMPTS, _ATTEMPTS_SECONDS = 300, 300.0
_CONTROLS = 5
#: A ping and a pong of the connection itself may fall into the same second.
_PINGS = 2
#: What decides how a new connection is answered, and whether frames reach an open one.
_AT_THE_DOOR = (
    Kind.HANG,
    Kind.REFUSE,
    Kind.REFUSE_LASTING,
    Kind.LIMIT,
    Kind.ACCEPT_CLOSE,
    Kind.MAINTENANCE,
)


class Wire:
    """One connection, as the exchange sees it."""

    def __init__(
        self,
        address: int,
        on_open: Callable[[], None],
        on_kline: Callable[[Kline], None],
        on_shutdown: Callable[[], None],
        on_end: Callable[[Ending], None],
    ) -> None:
        self.address = address
        self.on_open = on_open
        self.on_kline = on_kline
        self.on_shutdown = on_shutdown
        self.on_end = on_end
        self.opened_at: float | None = None
        self.ended = False
        self.lag = 0.0
        #: Nothing comes any more, and nothing is answered.
        self.half_open = False
        #: Nothing of the stream comes: until it is subscribed anew, or (``stays``) ever.
        self.mute = self.stays = False
        self.controls: deque[float] = deque(maxlen=_CONTROLS + 1)
        self.held: Kline | None = None


class Venue:
    """The exchange, for one symbol and interval. ``begin_ms``: its time at the world's zero."""

    def __init__(
        self,
        world: World,
        interval: Interval,
        begin_ms: int,
        draw: random.Random,
        *,
        addresses: int,
        pace: float,
        complain: Callable[[str], None],
    ) -> None:
        self._world = world
        self.interval = interval
        self._length = interval.typical_ms
        self.begin_ms = begin_ms
        self._draw = draw
        self._addresses = addresses
        #: Updates of a candle before its close, evenly spread.
        self._updates = max(0, round(self._length / 1000 / pace) - 1)
        self._between = self._length / (self._updates + 1)
        self._complain = complain
        self.active: list[Trouble] = []
        self.wires: list[Wire] = []
        self.attempts: deque[float] = deque(maxlen=_ATTEMPTS + 1)
        self.attempts_total = 0
        self._absent: set[int] = set()
        self._quiet: set[int] = set()
        self._world.at(0.0, self._next_update, interval.floor(begin_ms), 1)

    # -- the market -------------------------------------------------------------------------------

    def now_ms(self) -> int:
        return self.begin_ms + int(self._world.now * 1000)

    def exists(self, open_ms: int) -> bool:
        return open_ms not in self._absent

    def is_quiet(self, open_ms: int) -> bool:
        return open_ms in self._quiet

    def final(self, open_ms: int) -> Candle:
        """The candle as it is closed."""
        traded = 0 if open_ms in self._quiet else self._updates + 1
        return Candle(open_ms, "1", "1", "1", "1", f"{open_ms // self._length}.{traded}1", traded)

    def forming(self, open_ms: int, at_ms: int) -> Candle:
        """The candle as it stands at a moment before its close."""
        traded = 0 if open_ms in self._quiet else int((at_ms - open_ms) / self._between)
        return Candle(open_ms, "1", "1", "1", "1", f"{open_ms // self._length}.{traded}", traded)

    def lay(self, schedule: Iterable[Trouble]) -> None:
        """What the market itself has in store; a candle of such a span is so as a whole."""
        for trouble in schedule:
            if trouble.kind in {Kind.MAINTENANCE, Kind.QUIET}:
                first = self.interval.ceil(self.begin_ms + int(trouble.at * 1000))
                end = self.interval.floor(self.begin_ms + int(trouble.end * 1000))
                span = range(first, end, self._length)
                (self._absent if trouble.kind is Kind.MAINTENANCE else self._quiet).update(span)

    def _next_update(self, open_ms: int, number: int) -> None:
        """Publish an update, or the close, at its moment; then wait for the next."""
        closes = number > self._updates
        at_ms = open_ms + (self._length if closes else int(number * self._between))
        time = (at_ms - self.begin_ms) / 1000.0 + 0.02
        if time >= self._world.now:
            self._world.at(time, self._publish, open_ms, number, at_ms)
        else:
            self._follow(open_ms, number)

    def _follow(self, open_ms: int, number: int) -> None:
        if number > self._updates:
            self._next_update(open_ms + self._length, 1)
        else:
            self._next_update(open_ms, number + 1)

    def _publish(self, open_ms: int, number: int, at_ms: int) -> None:
        closes = number > self._updates
        if open_ms not in self._absent and self._speaks(open_ms, closes=closes):
            candle = self.final(open_ms) if closes else self.forming(open_ms, at_ms)
            kline = Kline(SYMBOL, self.interval.code, at_ms + 10, closes, candle)
            for wire in tuple(self.wires):
                self._send(wire, kline)
        self._follow(open_ms, number)

    def _speaks(self, open_ms: int, *, closes: bool) -> bool:
        """A candle without trades has no updates; its close is told in some markets only."""
        if open_ms not in self._quiet:
            return True
        return closes and any(x.kind is Kind.QUIET and x.amount < 0.5 for x in self.active)

    # -- connections ------------------------------------------------------------------------------

    def connect(self, wire: Wire) -> None:
        """An attempt begins."""
        now = self._world.now
        self.attempts.append(now)
        self.attempts_total += 1
        if len(self.attempts) > _ATTEMPTS and now - self.attempts[0] < _ATTEMPTS_SECONDS:
            self._complain(f"more than {_ATTEMPTS} attempts in {_ATTEMPTS_SECONDS:.0f} s")
        self._world.after(self._draw.uniform(0.02, 0.4), self._answer, wire)

    def _answer(self, wire: Wire) -> None:
        trouble = self._trouble(_AT_THE_DOOR, wire.address)
        if trouble is None:
            self._open(wire)
            return
        match trouble.kind:
            case Kind.HANG:
                self._world.after(_OPEN_TIMEOUT, self._end, wire, Ending(None, "no handshake"))
            case Kind.REFUSE | Kind.MAINTENANCE:
                self._end(wire, Ending(None, "HTTP 503", 503))
            case Kind.REFUSE_LASTING:
                self._end(wire, Ending(None, "HTTP 403", 403))
            case Kind.LIMIT:
                left = trouble.end - self._world.now
                self._end(wire, Ending(None, "HTTP 429", 429, float(int(left) + 1)))
            case Kind.ACCEPT_CLOSE:
                self._open(wire)
                self._world.after(0.05, self._end, wire, Ending(1011, "accepted and closed"))

    def _open(self, wire: Wire) -> None:
        wire.opened_at = self._world.now
        wire.lag = self._draw.choice((0.0, 0.0, 0.0, 0.3, 1.0))
        wire.mute = wire.stays = self._trouble((Kind.ACK_ONLY,), wire.address) is not None
        self.wires.append(wire)
        self._world.at(wire.opened_at + _MAX_AGE, self._end, wire, Ending(1001, "24 hours"))
        wire.on_open()

    def _end(self, wire: Wire, ending: Ending) -> None:
        if wire.ended:
            return
        wire.ended = True
        if wire in self.wires:
            self.wires.remove(wire)
        wire.on_end(ending)

    def close(self, wire: Wire) -> None:
        """The other side begins the closing handshake: nothing more comes through."""
        wire.mute = wire.stays = True
        wait = 1.0 if wire.half_open else 0.05
        self._world.after(wait, self._end, wire, Ending(1000, "closed by us"))

    def forget(self) -> None:
        """The process at the other end has died, with all its connections."""
        for wire in self.wires:
            wire.ended = True
        self.wires.clear()

    def control(self, wire: Wire, *, subscribe: bool) -> None:
        """A control message has come."""
        now = self._world.now
        wire.controls.append(now)
        recent = sum(1 for at in wire.controls if now - at < 1.0)
        if recent + _PINGS > _CONTROLS:
            self._complain(f"{recent} control messages within a second on one connection")
        if subscribe and not wire.stays:
            wire.mute = False

    def _send(self, wire: Wire, kline: Kline) -> None:
        if wire.mute or wire.half_open:
            return
        lag, frames = wire.lag, [kline]
        if self.active or wire.held is not None:
            troubles = {t.kind: t for t in self.active if t.where in {-1, wire.address}}
            lag += troubles[Kind.LATE].amount if Kind.LATE in troubles else 0.0
            frames = self._frames(wire, kline, troubles)
        for frame in frames:
            if lag:
                self._world.after(lag, self._arrive, wire, frame)
            else:
                self._arrive(wire, frame)

    def _frames(self, wire: Wire, kline: Kline, troubles: dict[Kind, Trouble]) -> list[Kline]:
        """What is sent instead of one frame."""
        if Kind.SILENCE in troubles:
            return []
        loses = troubles.get(Kind.LOSE_CLOSES)
        if loses is not None and kline.closed and self._draw.random() < loses.amount:
            return []
        held, wire.held = wire.held, None
        if Kind.DISORDERED in troubles and held is None:
            wire.held = kline
            return []
        frames = [kline] if held is None else [kline, held]
        return frames * 2 if Kind.DOUBLED in troubles else frames

    def _arrive(self, wire: Wire, kline: Kline) -> None:
        if not wire.ended and not wire.mute:
            wire.on_kline(kline)

    # -- REST -------------------------------------------------------------------------------------

    def klines(self, span: Span, done: Callable[[object], None]) -> None:
        """The first thousand candles of the span that there are, or an error."""
        self._rest(lambda: self._page(span), done)

    def time(self, done: Callable[[object], None]) -> None:
        """The exchange's time."""
        self._rest(self.now_ms, done)

    def _rest(self, answer: Callable[[], object], done: Callable[[object], None]) -> None:
        latency = self._draw.uniform(0.02, 0.4)
        for trouble in self.active:
            if trouble.kind is Kind.REST_SLOW:
                latency += trouble.amount * self._draw.random() * 2
        if latency >= _REST_TIMEOUT:
            error = VenueError("no answer in time", retryable=True)
            self._world.after(_REST_TIMEOUT, done, error)
            return

        def arrive() -> None:
            refusal = self._refusal()
            value = refusal or answer()
            self._world.after(latency / 2, done, value)

        self._world.after(latency / 2, arrive)

    def _refusal(self) -> VenueError | None:
        kinds = (Kind.REST_DOWN, Kind.REST_LIMITED, Kind.REST_BANNED, Kind.MAINTENANCE)
        trouble = self._trouble(kinds)
        if trouble is None or (trouble.kind is Kind.MAINTENANCE and trouble.amount < 0.5):
            return None
        if trouble.kind in {Kind.REST_DOWN, Kind.MAINTENANCE}:
            return VenueError("HTTP 503", retryable=True)
        seconds = float(int(trouble.end - self._world.now) + 1)
        banned = trouble.kind is Kind.REST_BANNED
        return RefusalError("refused", seconds=seconds, banned=banned, retry_after=seconds)

    def _page(self, span: Span) -> list[Candle]:
        now_ms = self.now_ms()
        stale = self._trouble((Kind.REST_STALE,))
        lagging = self._trouble((Kind.REST_LAGGING,))
        seen_ms = now_ms - int(1000 * stale.amount) if stale else now_ms
        hidden_ms = now_ms - int(1000 * lagging.amount) if lagging else now_ms
        page: list[Candle] = []
        for open_ms in range(self.interval.ceil(span.first), span.end, self._length):
            close_ms = open_ms + self._length
            if open_ms > seen_ms or len(page) == _PAGE:
                break
            if open_ms in self._absent or hidden_ms < close_ms <= now_ms:
                continue
            closed = close_ms <= seen_ms
            page.append(self.final(open_ms) if closed else self.forming(open_ms, seen_ms))
        return page

    # -- troubles ---------------------------------------------------------------------------------

    def begin(self, trouble: Trouble) -> None:
        """It goes wrong from now on, or at once."""
        hit = [wire for wire in self.wires if trouble.where in {-1, wire.address}]
        for wire in hit:
            match trouble.kind:
                case Kind.CUT:
                    self._end(wire, Ending(1006, "cut"))
                case Kind.CLOSE | Kind.MAINTENANCE:
                    self._end(wire, Ending(self._draw.choice((1000, 1001, 1008, 1011)), "closed"))
                case Kind.SHUTDOWN:
                    wire.on_shutdown()
                    self._world.after(trouble.amount, self._end, wire, Ending(1001, "shutdown"))
                case Kind.HALF_OPEN:
                    wire.half_open = True
                    wait = self._draw.uniform(10, 25)
                    self._world.after(wait, self._end, wire, Ending(1006, "keepalive"))
                case Kind.DEAD_STREAM:
                    wire.mute, wire.stays = True, trouble.amount > 0.5
        if trouble.seconds:
            self.active.append(trouble)
            self._world.at(trouble.end, self.active.remove, trouble)

    def _trouble(self, kinds: tuple[Kind, ...], address: int | None = None) -> Trouble | None:
        for trouble in self.active:
            if trouble.kind in kinds and (address is None or trouble.where in {-1, address}):
                return trouble
        return None
