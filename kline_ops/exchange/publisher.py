"""Who gets which candle, and when.

Source: Binance spot API, "Kline/Candlestick Streams": one frame a second for 1s candles, every two
seconds for the others, and one with ``x: true`` when a candle has closed. A 1s frame always tells
of the second that has just ended. All sessions get the same values, rendered once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from kline_ops.clock import Clock
from kline_ops.exchange.altered import AlteredMarket
from kline_ops.exchange.bar import Bar
from kline_ops.exchange.session import ExchangeOptions, Session
from kline_ops.exchange.streams import Frame, KlineStream, kline_frame, parse_kline
from kline_ops.market.interval import SECOND_MS, Interval

#: After a pause of this process, seconds older than this are not told any more.
CATCH_UP_MS = 60_000


class Publisher:
    """Sends the frames that are due. It does not wait: its owner asks when, and calls then.

    Args:
        deliver: takes a session, a frame and the framed text.
        event_ms: the time that the frames bear.
    """

    def __init__(
        self,
        market: AlteredMarket,
        clock: Clock,
        options: ExchangeOptions,
        deliver: Callable[[Session, Frame, str], None],
        event_ms: Callable[[], int],
    ) -> None:
        self._market = market
        self._clock = clock
        self._options = options
        self._deliver = deliver
        self._event_ms = event_ms
        self._sessions: dict[str, dict[Session, None]] = {}
        self._streams: dict[str, KlineStream] = {}
        self._intervals: Counter[Interval] = Counter()
        #: All that was due up to this second (wall, milliseconds) has been sent.
        self._told_ms = self._now_ms()

    def follow(self, session: Session) -> None:
        """Take over the session's subscriptions as they are now."""
        wanted = session.subscriptions.streams.keys() if session.live else set()
        for name in [name for name, members in self._sessions.items() if session in members]:
            if name not in wanted:
                self._remove(name, session)
        for name in wanted:
            self._add(name, session)

    def pump(self) -> None:
        """Send everything that has come due."""
        now = self._now_ms()
        if now < self._told_ms - SECOND_MS:
            # The clock was set back: go on from there.
            self._told_ms = now
        self._told_ms = max(self._told_ms, _second(now - CATCH_UP_MS))
        while (due := self._due_after(self._told_ms)) is not None and due <= now:
            self._told_ms = due
            self._tell(due)
        self._told_ms = max(self._told_ms, _second(now))

    def seconds_to_next(self) -> float | None:
        """How long until something is due; None while nobody listens."""
        due = self._due_after(self._told_ms)
        if due is None:
            return None
        return max(0.0, (due + self._options.lag_ms - self._clock.wall_ms()) / 1000)

    def _now_ms(self) -> int:
        return self._clock.wall_ms() - self._options.lag_ms

    def _add(self, name: str, session: Session) -> None:
        if name not in self._streams:
            stream = parse_kline(name)
            if stream is None or stream.symbol not in self._market.symbols:
                return
            self._streams[name] = stream
            self._sessions[name] = {}
            self._intervals[stream.interval] += 1
        self._sessions[name][session] = None

    def _remove(self, name: str, session: Session) -> None:
        members = self._sessions[name]
        members.pop(session, None)
        if not members:
            interval = self._streams.pop(name).interval
            del self._sessions[name]
            self._intervals -= Counter([interval])

    def _due_after(self, ms: int) -> int | None:
        times = [interval.after(interval.floor(ms)) for interval in self._intervals]
        if any(interval.length_ms != SECOND_MS for interval in self._intervals):
            times.append(ms - ms % self._options.update_ms + self._options.update_ms)
        if times and (released := self._market.next_release(ms)) is not None:
            times.append(released)
        return min(times, default=None)

    def _tell(self, at_ms: int) -> None:
        for name, stream in list(self._streams.items()):
            for bar, closed in self._updates(stream, at_ms):
                self._send(name, stream, bar, closed=closed)

    def _send(self, name: str, stream: KlineStream, bar: Bar, *, closed: bool) -> None:
        event_ms = self._event_ms()
        frames: dict[bool, Frame] = {}
        texts: dict[tuple[bool, bool], str] = {}
        for session in list(self._sessions[name]):
            micro, combined = session.microseconds, session.subscriptions.combined
            if micro not in frames:
                frames[micro] = kline_frame(name, stream, bar, event_ms, closed=closed, micro=micro)
            if (micro, combined) not in texts:
                texts[micro, combined] = frames[micro].text(combined=combined)
            self._deliver(session, frames[micro], texts[micro, combined])

    def _updates(self, stream: KlineStream, at_ms: int) -> Iterator[tuple[Bar, bool]]:
        """The candles that this stream tells of at this second, and whether they have closed."""
        symbol, interval = stream
        for opened in self._market.held_back(symbol, interval, at_ms):
            if self._market.exists(symbol, interval, opened):
                yield self._market.bar(symbol, interval, opened), True
        opened = interval.floor(at_ms - 1)
        if not self._market.exists(symbol, interval, opened):
            return
        if interval.after(opened) == at_ms:
            if self._market.told_late(symbol, at_ms) is None:
                yield self._market.bar(symbol, interval, opened), True
        elif at_ms % self._options.update_ms == 0 and not self._market.is_quiet(symbol, at_ms - 1):
            yield self._market.bar(symbol, interval, opened, at_ms), False


def _second(ms: int) -> int:
    return ms - ms % SECOND_MS
