"""What a candle file owes within a window of time, and what of it is missing. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kline_ops.market.interval import Interval
from kline_ops.market.span import Span, within
from kline_ops.record.contents import Contents


@dataclass(frozen=True, slots=True)
class Window:
    """Times in milliseconds, UTC; None leaves an end to the file, or to the exchange's time."""

    from_ms: int | None = None
    until_ms: int | None = None
    #: Owed from then on in any case (``record.since``), unless ``from_ms`` says another start.
    since_ms: int | None = None


def closed_end(interval: Interval, now_ms: int, grace_ms: int) -> int:
    """Where the candles end that were closed ``grace`` ago by the exchange's time."""
    return interval.floor(now_ms - grace_ms)


def owed(contents: Contents, interval: Interval, window: Window, end_ms: int) -> Span | None:
    """The candles that are owed up to ``end_ms``; None where nothing says from when on.

    An empty span (``first >= end``) owes nothing.
    """
    if window.from_ms is not None:
        first = interval.ceil(window.from_ms)
    else:
        known = [contents.first_ms, window.since_ms]
        starts = [interval.ceil(start) for start in known if start is not None]
        if not starts:
            return None
        first = min(starts)
    if window.until_ms is not None:
        end_ms = min(end_ms, interval.floor(window.until_ms))
    return Span(first, end_ms)


def missing(contents: Contents, interval: Interval, owed: Span) -> list[Span]:
    """What of the owed candles is not in the file, oldest first: its head, its holes, its tail."""
    if contents.first_ms is None or contents.last_ms is None:
        spans = [owed]
    else:
        head = Span(owed.first, interval.floor(contents.first_ms))
        tail = Span(interval.after(interval.floor(contents.last_ms)), owed.end)
        spans = [head, *contents.holes, tail]
    return within([span for span in spans if span.first < span.end], owed)
