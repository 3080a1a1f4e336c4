"""What became of candles that were missing: fetched from REST, or told to be nowhere. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from kline_ops.gaps.history import Batch, History
from kline_ops.gaps.model import Gap, Run
from kline_ops.market.interval import Interval
from kline_ops.market.span import Span, joined, within, without


def confirmed_absent(history: History, gap: Gap, interval: Interval) -> tuple[Run, ...]:
    """The candles of a gap that the exchange told the recorder it has none of, in order."""
    absent: list[Span] = []
    for batch in history.confirmed.touching(gap.first_missing_ms, gap.last_missing_ms):
        left = spans_in([batch], gap, interval)
        for filled in history.filled.touching(batch.first_ms, batch.last_ms):
            whole = _span(filled, interval)
            if filled.at_ms >= batch.at_ms and filled.candles >= interval.slots(*whole):
                left = without(left, whole)
        absent += left
    return tuple(
        Run(span.first, interval.shift(span.end, -1), interval.slots(*span))
        for span in joined(absent)
    )


def rest_candles(history: History, first_ms: int, last_ms: int) -> int:
    """How many of the candles that open from ``first_ms`` to ``last_ms`` came from REST.

    Of a batch that reaches beyond, as many as lie within if it is spread evenly.
    """
    count, upto = 0, first_ms - 1
    for batch in history.filled.touching(first_ms, last_ms):
        # What a file that was begun anew got once more counts once.
        first, last = max(batch.first_ms, upto + 1), min(batch.last_ms, last_ms)
        upto = max(upto, last)
        if first <= last:
            step = (batch.last_ms - batch.first_ms) // max(1, batch.candles - 1)
            count += min(batch.candles, (last - first) // step + 1) if step else 1
    return count


def spans_in(batches: Iterable[Batch], gap: Gap, interval: Interval) -> list[Span]:
    """The candles of a gap that are in these batches, each once."""
    limits = Span(gap.first_missing_ms, interval.after(gap.last_missing_ms))
    return joined(within((_span(batch, interval) for batch in batches), limits))


def _span(batch: Batch, interval: Interval) -> Span:
    return Span(batch.first_ms, interval.after(batch.last_ms))
