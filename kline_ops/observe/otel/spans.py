"""Events as spans: the life of a connection, a replacement, a hole in the candles.

Run by one thread, in the order of the events. Times are of the recorder's wall clock, in nanoseconds:
a span may be made known after it began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    set_span_in_context,
)

from kline_ops import events
from kline_ops.events import Event
from kline_ops.market import timestamp
from kline_ops.market.interval import Interval

Attributes = Mapping[str, str | int | float]

#: Holes that are followed at a time; one that is too many ends with what is known of it.
_MOST = 500
_SECOND = 1_000_000_000
#: A connection's events that are marks on its span.
_MARKS = (
    events.Live,
    events.Stalled,
    events.CloseMissed,
    events.StreamSilent,
    events.ShutdownNotice,
)


@dataclass(slots=True)
class _Open:
    """A span that has not ended."""

    span: Span
    began: int


@dataclass(slots=True)
class _Hole:
    """Candles that are missing; open times in milliseconds."""

    span: Span
    first: int
    last: int
    open: int
    counts: dict[str, int] = field(default_factory=dict)


class Spans:
    """Makes them of what it hears."""

    def __init__(self, tracer: Tracer, interval: Interval) -> None:
        self._tracer = tracer
        self._interval = interval
        self._connections: dict[int, _Open] = {}
        self._holes: list[_Hole] = []

    def hear(self, event: Event, at: int) -> Context | None:  # noqa: C901 - a table
        """Take in an event; answers the span that it belongs to, if any."""
        match event:
            case events.Connected():
                return _within(self._connect(event.connection, event.endpoint, event.seconds, at))
            case events.Disconnected():
                return _within(self._disconnected(event, at))
            case events.Replaced():
                return _within(self._replaced(event, at))
            case events.HoleFound():
                return _within(self._found(event, at))
            case events.HoleFilled():
                return self._settled(event, event.source, at)
            case events.HoleConfirmed():
                return self._settled(event, "confirmed", at)
            case events.BackfillFailed():
                for hole in self._holes:
                    hole.span.add_event("backfill_failed", {"reason": event.reason}, at)
                return _within(self._holes[-1].span) if self._holes else None
        connection = getattr(event, "connection", None)
        if connection is None or (open_ := self._connections.get(connection)) is None:
            return None
        if isinstance(event, _MARKS):
            open_.span.add_event(event.kind, _attributes(event), at)
        return _within(open_.span)

    def of(self, connection: int) -> Context | None:
        """The span of this connection, while it is open."""
        open_ = self._connections.get(connection)
        return None if open_ is None else _within(open_.span)

    def end(self, at: int) -> None:
        """End what is open: the process ends."""
        for open_ in self._connections.values():
            open_.span.set_attribute("kline_ops.end", "the process ended")
            open_.span.end(at)
        for hole in self._holes:
            self._close(hole, at)
        self._connections.clear()
        self._holes.clear()

    # -- connections ------------------------------------------------------------------------------

    def _connect(self, number: int, endpoint: str, seconds: float, at: int) -> Span:
        began = at - round(seconds * _SECOND)
        span = self._tracer.start_span(
            "connection",
            Context(),
            SpanKind.CLIENT,
            {"kline_ops.connection": number, **_address(endpoint)},
            start_time=began,
        )
        if seconds:
            span.add_event("connected", {"seconds": seconds}, at)
        self._connections[number] = _Open(span, began)
        return span

    def _disconnected(self, event: events.Disconnected, at: int) -> Span:
        open_ = self._connections.pop(event.connection, None)
        if open_ is None:  # there was no handshake
            self._connect(event.connection, event.endpoint, 0.0, at)
            open_ = self._connections.pop(event.connection)
        span = open_.span
        if event.code is not None:
            span.set_attribute("kline_ops.close_code", event.code)
        span.set_attribute("kline_ops.end", event.reason)
        span.set_status(Status(StatusCode.ERROR, event.reason))
        span.end(at)
        return span

    def _replaced(self, event: events.Replaced, at: int) -> Span:
        old, new = self._connections.pop(event.old, None), self._connections.get(event.new)
        overlap = round(event.overlap * _SECOND)
        span = self._tracer.start_span(
            "replacement",
            Context(),
            SpanKind.INTERNAL,
            _attributes(event),
            links=[Link(each.span.get_span_context()) for each in (old, new) if each is not None],
            start_time=at - overlap if new is None else min(new.began, at - overlap),
        )
        span.end(at)
        if old is not None:
            old.span.set_attribute("kline_ops.end", f"replaced ({event.why})")
            old.span.set_attribute("kline_ops.successor", event.new)
            old.span.end(at)
        return span

    # -- holes ------------------------------------------------------------------------------------

    def _found(self, event: events.HoleFound, at: int) -> Span:
        span = self._tracer.start_span(
            "backfill", Context(), SpanKind.CLIENT, _attributes(event), start_time=at
        )
        if len(self._holes) >= _MOST:
            self._close(self._holes.pop(0), at)
        first, last = timestamp.to_ms(event.first), timestamp.to_ms(event.last)
        self._holes.append(_Hole(span, first, last, event.candles))
        return span

    def _settled(
        self, event: events.HoleFilled | events.HoleConfirmed, how: str, at: int
    ) -> Context | None:
        """Part of some holes, or all of them, is no longer missing."""
        first, last = timestamp.to_ms(event.first), timestamp.to_ms(event.last)
        told: Span | None = None
        for hole in list(self._holes):
            begin, end = max(first, hole.first), min(last, hole.last)
            if begin > end:
                continue
            count = min(hole.open, self._interval.slots(begin, self._interval.after(end)))
            hole.open -= count
            hole.counts[how] = hole.counts.get(how, 0) + count
            hole.span.add_event(event.kind, _attributes(event), at)
            told = told or hole.span
            if not hole.open:
                self._holes.remove(hole)
                self._close(hole, at)
        return None if told is None else _within(told)

    @staticmethod
    def _close(hole: _Hole, at: int) -> None:
        for how, count in hole.counts.items():
            hole.span.set_attribute(f"kline_ops.candles_{how}", count)
        if hole.open:
            hole.span.set_attribute("kline_ops.candles_missing", hole.open)
            hole.span.set_status(Status(StatusCode.ERROR, f"{hole.open} candle(s) still missing"))
        hole.span.end(at)


def _within(span: Span) -> Context:
    return set_span_in_context(span, Context())


def _attributes(event: Event) -> Attributes:
    return {
        f"kline_ops.{name}": value
        for name in event.__struct_fields__
        if isinstance(value := getattr(event, name), str | int | float)
    }


def _address(endpoint: str) -> Attributes:
    """``server.address`` and ``server.port`` ("Server attributes", semantic conventions)."""
    told: dict[str, str | int] = {"kline_ops.endpoint": endpoint}
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        return told
    if parts.hostname:
        told["server.address"] = parts.hostname
        told["server.port"] = port or (443 if parts.scheme == "wss" else 80)
    return told
