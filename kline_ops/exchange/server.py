"""The embedded exchange: a server on loopback that speaks Binance spot's protocol, faults included.

For tests, for the demo and for trials. Its candles are a pure function of seed, symbol, interval
and time, so the truth of any range is known; what a client did is on record; and everything that
goes wrong at a real exchange happens here when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable

from kline_ops.exchange.core import ExchangeCore, end_session
from kline_ops.exchange.faults import NO_HANDSHAKE, Fault, FaultKind
from kline_ops.exchange.records import dark_ms
from kline_ops.exchange.session import GOING_AWAY, Session
from kline_ops.exchange.streams import shutdown_frame
from kline_ops.market import interval as intervals
from kline_ops.market.candle import Candle
from kline_ops.market.interval import Interval


class ExchangeServer(ExchangeCore):
    """The exchange; arguments and life are those of :class:`ExchangeCore`.

    Methods that make something go wrong take effect at once and do not wait. Where they take
    ``sessions``, these are ids from :attr:`sessions`; none given means all.
    """

    # What is known

    def truth(
        self, symbol: str, interval: Interval | str, first_open_ms: int, last_open_ms: int
    ) -> list[Candle]:
        """The closed candles that open in ``[first, last]``, as a complete recording has them.

        Raises:
            KeyError: the symbol is not listed.
            ValueError: no such interval.
        """
        grid = intervals.parse(interval) if isinstance(interval, str) else interval
        opened = max(grid.ceil(first_open_ms), self.market.first_open(grid))
        candles = []
        while opened <= last_open_ms:
            candles.append(self.market.bar(symbol, grid, opened).candle())
            opened = grid.after(opened)
        return candles

    def dark_ms(self, since_ms: int, until_ms: int) -> int:
        """How many milliseconds of ``[since, until)`` had no open connection at all."""
        return dark_ms(self.sessions, since_ms, until_ms)

    # What goes wrong

    def apply(self, fault: Fault) -> None:
        """Let a fault happen, or begin."""
        actions: dict[FaultKind, Callable[[Fault], None]] = {
            FaultKind.CUT: self._cut,
            FaultKind.CLOSE: self._close,
            FaultKind.INJECT: self._inject,
            FaultKind.REFUSE_TCP: self._refuse_tcp,
        }
        actions.get(fault.kind, self._begin)(fault)

    def cut(self, *sessions: int) -> None:
        """End connections with a TCP reset, without a closing handshake."""
        self.apply(Fault(FaultKind.CUT, sessions=sessions))

    def close_all(self, code: int, *sessions: int) -> None:
        """Close connections with this code; 1006, which can not be sent, is a cut."""
        self.apply(Fault(FaultKind.CLOSE, code=code, sessions=sessions))

    def inject(self, text: str, *sessions: int) -> None:
        """Send this text as a frame, whatever it is, silence or not."""
        self.apply(Fault(FaultKind.INJECT, text=text, sessions=sessions))

    def silence(self, seconds: float, *sessions: int) -> None:
        """Send nothing for so long: no candles, answers or pings. The library's pongs still go.

        Without ``sessions``, those that open meanwhile are silent as well.
        """
        self.apply(Fault(FaultKind.SILENCE, seconds, sessions=sessions))

    def withhold(self, symbol: str, interval: Interval | str, open_ms: int) -> None:
        """Never send the closing frame (``x: true``) of this candle; REST has it all the same."""
        self.apply(Fault(FaultKind.WITHHOLD, candle=(symbol, str(interval), open_ms)))

    def refuse(self, seconds: float, *, tcp: bool = False) -> None:
        """Refuse handshakes for so long: with HTTP 503, or by not listening at all (``tcp``).

        Not listening refuses REST as well. Connections that are open stay open.
        """
        self.apply(Fault(FaultKind.REFUSE_TCP if tcp else FaultKind.REFUSE, seconds))

    def accept_then_close(self, seconds: float, code: int = NO_HANDSHAKE) -> None:
        """For so long, complete each handshake and close the connection at once with this code."""
        self.apply(Fault(FaultKind.ACCEPT_CLOSE, seconds, code=code))

    def rest_down(self, seconds: float) -> None:
        """Answer REST with HTTP 503 for so long."""
        self.apply(Fault(FaultKind.REST_DOWN, seconds))

    def heal(self) -> None:
        """End the faults that last. A port that is not listened on comes back in its own time."""
        self._faults.end()
        self._wake.set()

    def announce_shutdown(self, after: float | None = None, code: int = GOING_AWAY) -> None:
        """Send ``serverShutdown`` to all; with ``after``, close them so many seconds later."""
        frame = shutdown_frame(self._clock.wall_ms())
        told = list(self._live.values())
        for session in told:
            self._deliver(session, frame, frame.text(combined=session.subscriptions.combined))
        if after is not None:
            ids = tuple(session.record.id for session in told)
            close = Fault(FaultKind.CLOSE, code=code, sessions=ids)
            self._later(after, lambda: self.apply(close) if ids else None)

    def _hit(self, fault: Fault) -> list[Session]:
        return [session for id_, session in self._live.items() if fault.hits(id_)]

    def _begin(self, fault: Fault) -> None:
        self._faults.begin(fault, self._clock.monotonic())

    def _cut(self, fault: Fault) -> None:
        for session in self._hit(fault):
            session.cut()

    def _close(self, fault: Fault) -> None:
        for session in self._hit(fault):
            end_session(session, fault.code)

    def _inject(self, fault: Fault) -> None:
        for session in self._hit(fault):
            session.send(fault.text)

    def _refuse_tcp(self, fault: Fault) -> None:
        self._stop_listening()
        self._later(fault.seconds, self._listen_again)
