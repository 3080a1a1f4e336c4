"""The embedded exchange: a server on loopback that speaks Binance spot's protocol, faults included.

For tests, for the demo and for trials. Its candles are a pure function of seed, symbol, interval
and time, so the truth of any range is known; what a client did is on record; and everything that
goes wrong at a real exchange happens here when it is asked for.
"""

from __future__ import annotations

from kline_ops.exchange.bar import MarketData
from kline_ops.exchange.faults import NO_HANDSHAKE, UNTIL_HEALED, Fault, FaultKind
from kline_ops.exchange.records import dark_ms
from kline_ops.exchange.session import GOING_AWAY
from kline_ops.exchange.troubles import TroubledExchange
from kline_ops.market import interval as intervals
from kline_ops.market.candle import Candle
from kline_ops.market.interval import Interval


class ExchangeServer(TroubledExchange):
    """The exchange; arguments and life are those of
    :class:`~kline_ops.exchange.core.ExchangeCore`.

    Methods that make something go wrong take effect at once and do not wait. Where they take
    ``sessions``, these are ids from :attr:`sessions`; none given means all, those included that
    open meanwhile. :meth:`heal` ends what lasts. Times are seconds.
    """

    # What is known

    def truth(
        self, symbol: str, interval: Interval | str, first_open_ms: int, last_open_ms: int
    ) -> list[Candle]:
        """The closed candles that open in ``[first, last]``, as a complete recording has them.

        Without those that maintenance left out. Where REST amends a candle, this is what the
        streams told; :meth:`rest_truth` is what REST tells.

        Raises:
            KeyError: the symbol is not listed.
            ValueError: no such interval.
        """
        return _closed(self._altered, symbol, interval, first_open_ms, last_open_ms)

    def rest_truth(
        self, symbol: str, interval: Interval | str, first_open_ms: int, last_open_ms: int
    ) -> list[Candle]:
        """As :meth:`truth`, with amended candles as REST has them."""
        return _closed(self._altered.rest, symbol, interval, first_open_ms, last_open_ms)

    def dark_ms(self, since_ms: int, until_ms: int) -> int:
        """How many milliseconds of ``[since, until)`` had no open connection at all."""
        return dark_ms(self.sessions, since_ms, until_ms)

    # Connections

    def cut(self, *sessions: int) -> None:
        """End connections with a TCP reset, without a closing handshake."""
        self.apply(Fault(FaultKind.CUT, sessions=sessions))

    def close_all(self, code: int, *sessions: int) -> None:
        """Close connections with this code; 1006, which can not be sent, is a cut."""
        self.apply(Fault(FaultKind.CLOSE, code=code, sessions=sessions))

    def announce_shutdown(
        self, after: float | None = None, code: int = GOING_AWAY, *sessions: int
    ) -> None:
        """Send ``serverShutdown``; with ``after``, close those told so many seconds later."""
        seconds = UNTIL_HEALED if after is None else after
        self.apply(Fault(FaultKind.SHUTDOWN, seconds, code, sessions=sessions))

    def refuse(
        self,
        seconds: float,
        *,
        tcp: bool = False,
        status: int = 503,
        retry_after: float | None = None,
    ) -> None:
        """Refuse handshakes: with an HTTP status, or by not listening at all (``tcp``).

        Not listening refuses REST as well. Connections that are open stay open. A 429 always has
        its ``Retry-After``: what is left, unless told otherwise.
        """
        kind = FaultKind.REFUSE_TCP if tcp else FaultKind.REFUSE
        self.apply(Fault(kind, seconds, status=status, retry_after=retry_after))

    def accept_then_close(self, seconds: float, code: int = NO_HANDSHAKE) -> None:
        """Complete each handshake and close the connection at once with this code."""
        self.apply(Fault(FaultKind.ACCEPT_CLOSE, seconds, code=code))

    def hang(self, seconds: float) -> None:
        """Let TCP connect, and leave handshakes unanswered until it is over."""
        self.apply(Fault(FaultKind.HANG, seconds))

    def silence(self, seconds: float, *sessions: int) -> None:
        """Send nothing: no candles, answers or pings. The library's pongs still go."""
        self.apply(Fault(FaultKind.SILENCE, seconds, sessions=sessions))

    def half_open(self, seconds: float, *sessions: int) -> None:
        """Keep TCP up; read nothing, answer no ping, send nothing."""
        self.apply(Fault(FaultKind.HALF_OPEN, seconds, sessions=sessions))

    # Data frames

    def ack_only(self, *sessions: int, seconds: float = UNTIL_HEALED) -> None:
        """Answer SUBSCRIBE and pings, and send no data: to these sessions for so long, or to all
        that open within that time, to their end.
        """
        self.apply(Fault(FaultKind.ACK_ONLY, seconds, sessions=sessions))

    def dead_stream(
        self,
        stream: str = "",
        *sessions: int,
        stays: bool = False,
        seconds: float = UNTIL_HEALED,
    ) -> None:
        """Send no frames of this stream (each session's first) on the connections there are,
        until they subscribe to it anew; where it ``stays`` dead, not even then.
        """
        self.apply(
            Fault(FaultKind.DEAD_STREAM, seconds, stream=stream, sessions=sessions, stays=stays)
        )

    def withhold(self, symbol: str, interval: Interval | str, open_ms: int, *sessions: int) -> None:
        """Never send the closing frame (``x: true``) of this candle; REST has it all the same."""
        candle = (symbol, str(interval), open_ms)
        self.apply(Fault(FaultKind.WITHHOLD, candle=candle, sessions=sessions))

    def late(self, delay: float, seconds: float, *sessions: int) -> None:
        """Delay every frame, in order."""
        self.apply(Fault(FaultKind.LATE, seconds, delay=delay, sessions=sessions))

    def doubled(self, seconds: float, *sessions: int) -> None:
        """Send every data frame twice."""
        self.apply(Fault(FaultKind.DOUBLED, seconds, sessions=sessions))

    def disordered(self, seconds: float, *sessions: int) -> None:
        """Let neighbouring data frames change places."""
        self.apply(Fault(FaultKind.DISORDERED, seconds, sessions=sessions))

    def truncated(self, seconds: float, *sessions: int) -> None:
        """Cut every data frame in half."""
        self.apply(Fault(FaultKind.TRUNCATED, seconds, sessions=sessions))

    def inject(self, text: str, *sessions: int) -> None:
        """Send this text as a frame, whatever it is, silence or not."""
        self.apply(Fault(FaultKind.INJECT, text=text, sessions=sessions))

    def garbage(self, *sessions: int) -> None:
        """Send all of :data:`kline_ops.exchange.strange.GARBAGE`."""
        self.apply(Fault(FaultKind.GARBAGE, sessions=sessions))

    def foreign(self, *sessions: int) -> None:
        """Send closed candles of another symbol and of another interval on each stream."""
        self.apply(Fault(FaultKind.FOREIGN, sessions=sessions))

    def impossible(self, *sessions: int) -> None:
        """Send closed candles that can not be on each stream: high below low, off the grid, …"""
        self.apply(Fault(FaultKind.IMPOSSIBLE, sessions=sessions))

    # REST

    def rest_down(
        self, seconds: float, status: int = 503, retry_after: float | None = None
    ) -> None:
        """Answer REST with this HTTP status."""
        self.apply(Fault(FaultKind.REST_DOWN, seconds, status=status, retry_after=retry_after))

    def rest_limited(self, seconds: float, retry_after: float | None = None) -> None:
        """Answer REST with 429; ``Retry-After`` is what is left, unless told otherwise."""
        self.apply(Fault(FaultKind.REST_LIMITED, seconds, retry_after=retry_after))

    def rest_banned(self, seconds: float, retry_after: float | None = None) -> None:
        """Answer REST with 418; ``Retry-After`` is what is left, unless told otherwise."""
        self.apply(Fault(FaultKind.REST_BANNED, seconds, retry_after=retry_after))

    def rest_slow(self, delay: float, seconds: float) -> None:
        """Answer what REST is asked after a delay; a long one is a hanging server."""
        self.apply(Fault(FaultKind.REST_SLOW, seconds, delay=delay))

    def rest_lagging(self, delay: float, seconds: float) -> None:
        """Let REST leave out each candle until ``delay`` after its close; the forming one is there."""
        self.apply(Fault(FaultKind.REST_LAGGING, seconds, delay=delay))

    def rest_stale(self, delay: float, seconds: float) -> None:
        """Let REST show candles as they were ``delay`` ago: one just closed is still forming."""
        self.apply(Fault(FaultKind.REST_STALE, seconds, delay=delay))

    # The market, and its time

    def amend(self, symbol: str, interval: Interval | str, open_ms: int) -> None:
        """Let REST serve other values of this candle than the stream, once it has closed."""
        self.apply(Fault(FaultKind.AMEND, candle=(symbol, str(interval), open_ms)))

    def skew(self, offset: float, seconds: float) -> None:
        """Step the time that event times and ``/time`` tell; candles stay what they are."""
        self.apply(Fault(FaultKind.SKEW, seconds, offset=offset))

    def maintenance(self, start_ms: int, end_ms: int, symbol: str = "") -> None:
        """Candles that open in ``[start, end)`` exist nowhere; :meth:`heal` ends it at its time."""
        self.apply(Fault(FaultKind.MAINTENANCE, symbol=symbol, span=(start_ms, end_ms)))

    def quiet(self, start_ms: int, end_ms: int, symbol: str = "", *, closes: bool = True) -> None:
        """No trades in ``[start, end)``: forming candles are not told of, closed ones are flat.

        Without ``closes``, closing frames wait for the next trade. REST has the candles at once.
        """
        span = (start_ms, end_ms)
        self.apply(Fault(FaultKind.QUIET, symbol=symbol, span=span, closes=closes))


def _closed(
    market: MarketData, symbol: str, interval: Interval | str, first_open_ms: int, last_open_ms: int
) -> list[Candle]:
    grid = intervals.parse(interval) if isinstance(interval, str) else interval
    opened = max(grid.ceil(first_open_ms), market.first_open(grid))
    candles = []
    while opened <= last_open_ms:
        if market.exists(symbol, grid, opened):
            candles.append(market.bar(symbol, grid, opened).candle())
        opened = grid.after(opened)
    return candles
