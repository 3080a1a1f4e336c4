"""Whether a market trades, by what the stream and REST say of its candles. Pure.

The number of trades of a candle only grows ("Kline/Candlestick Streams", field ``n``). A stream
that is silent while it grows at REST is dead; one whose market has not traded is quiet. REST may lag, or
answer from a cache: an answer that lacks what the stream has said already is no proof of quiet.
"""

from __future__ import annotations

from collections.abc import Iterable

from kline_ops.market.candle import Candle


class Witness:
    """Of one stream. Open times in milliseconds."""

    def __init__(self) -> None:
        #: The newest candle heard of, and how many trades it had then; None before the first.
        self.known: tuple[int, int] | None = None

    def hear(self, candle: Candle) -> None:
        """The stream said something of this candle."""
        told = (candle.open_ms, candle.trades)
        if self.known is None or told > self.known:
            self.known = told

    def judge(self, candles: Iterable[Candle]) -> bool | None:
        """REST has these, the candle that is known among them: has it traded since what is known?

        None where nothing was known before (the next look can tell), and where REST is behind it.
        """
        known, traded, behind = self.known, False, True
        for candle in candles:
            if known is not None and candle.open_ms >= known[0]:
                before = known[1] if candle.open_ms == known[0] else 0
                traded = traded or candle.trades > before
                behind = behind and (candle.open_ms, candle.trades) < known
            self.hear(candle)
        return traded if traded or not behind else None
