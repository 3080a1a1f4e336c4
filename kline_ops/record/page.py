"""What a page of klines from REST answers, and what it leaves open. Pure.

A kline of REST does not say that it is final. One that a later kline follows is; the newest one is
believed only when its close lies well back by the exchange's time, as that time may be wrong by
a minute.
"""

from __future__ import annotations

from kline_ops.market.candle import Candle
from kline_ops.market.interval import Interval
from kline_ops.market.span import Span

#: So long after its close (ms) a candle is final though the answer holds none that follows it.
_FINAL_MS = 90_000


def with_follower(interval: Interval, asked: Span, now_ms: int) -> Span:
    """What to ask for: the span, and the candle that shows that the span's last one is final.

    Behind a maintenance that may be any candle up to the one that forms now.
    """
    end = interval.after(asked.end)
    if now_ms < asked.end + _FINAL_MS:
        end = max(end, interval.after(interval.floor(now_ms)))
    return Span(asked.first, end)


def answered(
    interval: Interval, asked: Span, candles: list[Candle], now_ms: int
) -> tuple[Span, list[Candle]]:
    """The part of ``asked`` that an answer settles, and the candles in it that can be used.

    What lies behind the last candle of an answer has not been answered yet.
    """
    last = interval.floor(candles[-1].open_ms) if candles else asked.end
    end = interval.after(last) if asked.first <= last < asked.end else asked.end
    settled = Span(asked.first, end)
    good = [
        candle
        for candle in candles
        if settled.first <= candle.open_ms < settled.end
        and interval.is_open(candle.open_ms)
        and candle.problem() is None
        # One that goes on longer is of another interval: a cache that knows no parameters sends such.
        and candle.close_ms < interval.after(candle.open_ms)
        and (
            interval.after(candle.open_ms) <= candles[-1].open_ms
            or interval.after(candle.open_ms) + _FINAL_MS <= now_ms
        )
    ]
    return settled, good


def lacking(interval: Interval, settled: Span, candles: list[Candle]) -> list[Span]:
    """What of ``settled`` is not among the candles."""
    spans: list[Span] = []
    at = settled.first
    for open_ms in sorted(candle.open_ms for candle in candles):
        if open_ms > at:
            spans.append(Span(at, open_ms))
        at = max(at, interval.after(open_ms))
    if at < settled.end:
        spans.append(Span(at, settled.end))
    return spans
