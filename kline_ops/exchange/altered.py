"""What has become of the candles: some exist nowhere, some had no trades, some were amended.

These are facts about the market, not about a connection: the streams, REST and the truth follow
them alike. Exchanges that share one :class:`AlteredMarket` share them; else each has its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from kline_ops.exchange import symbols as listing
from kline_ops.exchange.bar import Bar, MarketData
from kline_ops.exchange.symbols import Symbol
from kline_ops.market import interval as intervals
from kline_ops.market.interval import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Interval

_PIECES = tuple(
    (length, intervals.parse(name))
    for length, name in ((DAY_MS, "1d"), (HOUR_MS, "1h"), (MINUTE_MS, "1m"), (SECOND_MS, "1s"))
)
_ZERO = listing.text(0)


class _Span(NamedTuple):
    """``[start, end)`` in milliseconds; of all symbols where none is named."""

    start: int
    end: int
    symbol: str = ""
    closes: bool = True

    def holds(self, symbol: str, ms: int) -> bool:
        return self.start <= ms < self.end and self.symbol in {"", symbol}


class AlteredMarket:
    """A market in which some things went otherwise.

    Args:
        market: where the candles come from. A candle with a quiet time in it is put together from
            its days, hours, minutes and seconds: exact where the market's intervals add up.
    """

    def __init__(self, market: MarketData) -> None:
        self._market = market
        self._missing: list[_Span] = []
        self._quiet: list[_Span] = []
        self._amended: set[tuple[str, str, int]] = set()
        #: The same candles as REST serves them.
        self.rest = _Amended(self)

    # What becomes of it

    def remove(self, start_ms: int, end_ms: int, symbol: str = "") -> None:
        """Candles that open in ``[start, end)`` exist nowhere."""
        self._missing.append(_Span(start_ms, end_ms, symbol))

    def hush(self, start_ms: int, end_ms: int, symbol: str = "", *, closes: bool = True) -> None:
        """No trades in ``[start, end)``, in whole seconds; see :meth:`told_late`."""
        start, end = (-(-ms // SECOND_MS) * SECOND_MS for ms in (start_ms, end_ms))
        self._quiet.append(_Span(start, end, symbol, closes))

    def amend(self, symbol: str, interval: Interval, open_ms: int) -> None:
        """REST serves other values of this candle, once it has closed."""
        self._amended.add((symbol, interval.name, open_ms))

    def settle(self, now_ms: int) -> None:
        """Nothing new happens from now on. What has happened stays: candles are history."""
        second = -(-now_ms // SECOND_MS) * SECOND_MS
        self._missing = [s._replace(end=min(s.end, now_ms)) for s in self._missing]
        self._quiet = [s._replace(end=min(s.end, second)) for s in self._quiet]

    # What is known of it

    @property
    def symbols(self) -> Mapping[str, Symbol]:
        """What is listed, by name."""
        return self._market.symbols

    def first_open(self, interval: Interval) -> int:
        """The open time of the first candle there is, in milliseconds."""
        return self._market.first_open(interval)

    def exists(self, symbol: str, interval: Interval, open_ms: int) -> bool:
        """Whether there is a candle that opens then."""
        return self._market.exists(symbol, interval, open_ms) and not any(
            span.holds(symbol, open_ms) for span in self._missing
        )

    def bar(self, symbol: str, interval: Interval, open_ms: int, end_ms: int | None = None) -> Bar:
        """The candle that opens at ``open_ms``; with ``end_ms`` as it stood at that moment.

        Raises:
            KeyError: the symbol is not listed.
        """
        after = interval.after(open_ms)
        end = after if end_ms is None else min(after, end_ms - end_ms % SECOND_MS)
        quiet = [s for s in self._quiet if s.symbol in {"", symbol} and s.start < s.end]
        if not any(span.start < max(end, open_ms + 1) and span.end > open_ms for span in quiet):
            return self._market.bar(symbol, interval, open_ms, end_ms)
        pieces = [
            bar
            for start, stop in _lively(quiet, open_ms, end)
            for bar in self._pieces(symbol, start, stop)
            if bar.trades
        ]
        if not pieces:
            return _flat(open_ms, after, self._price_before(symbol, quiet, open_ms))
        return _joined(pieces, open_ms, after)

    def is_quiet(self, symbol: str, ms: int) -> bool:
        """Whether nothing trades at this moment."""
        return any(span.holds(symbol, ms) for span in self._quiet)

    def told_late(self, symbol: str, at_ms: int) -> int | None:
        """When a closing frame that is due at ``at_ms`` leaves, where that is later: a second
        after the quiet time, when the next trade has been.
        """
        for span in self._quiet:
            if not span.closes and span.holds(symbol, at_ms - 1):
                return span.end + SECOND_MS
        return None

    def held_back(self, symbol: str, interval: Interval, at_ms: int) -> Iterator[int]:
        """Open times of the candles whose closing frame is told late, and leaves at ``at_ms``."""
        for span in self._quiet:
            if span.closes or span.end + SECOND_MS != at_ms or span.symbol not in {"", symbol}:
                continue
            opened = interval.floor(span.start)
            while (after := interval.after(opened)) <= span.end:
                if after > span.start:
                    yield opened
                opened = after

    def next_release(self, after_ms: int) -> int | None:
        """When the next closing frames that were held back leave."""
        ends = (s.end + SECOND_MS for s in self._quiet if not s.closes)
        return min((end for end in ends if end > after_ms), default=None)

    def is_amended(self, symbol: str, interval: Interval, open_ms: int) -> bool:
        """Whether REST has other values of it than the streams."""
        return (symbol, interval.name, open_ms) in self._amended

    def _pieces(self, symbol: str, start_ms: int, end_ms: int) -> Iterator[Bar]:
        at = start_ms
        while at < end_ms:
            for length, interval in _PIECES:
                if at % length == 0 and at + length <= end_ms:
                    yield self._market.bar(symbol, interval, at)
                    at += length
                    break

    def _price_before(self, symbol: str, quiet: Sequence[_Span], ms: int) -> str:
        while (span := next((s for s in quiet if s.start <= ms < s.end), None)) is not None:
            ms = span.start - 1
        second = intervals.parse("1s")
        return self._market.bar(symbol, second, second.floor(ms)).close


class _Amended:
    """The candles as REST serves them: :class:`kline_ops.exchange.bar.MarketData` as well."""

    def __init__(self, market: AlteredMarket) -> None:
        self._market = market

    @property
    def symbols(self) -> Mapping[str, Symbol]:
        return self._market.symbols

    def first_open(self, interval: Interval) -> int:
        return self._market.first_open(interval)

    def exists(self, symbol: str, interval: Interval, open_ms: int) -> bool:
        return self._market.exists(symbol, interval, open_ms)

    def bar(self, symbol: str, interval: Interval, open_ms: int, end_ms: int | None = None) -> Bar:
        bar = self._market.bar(symbol, interval, open_ms, end_ms)
        closed = end_ms is None or end_ms >= interval.after(open_ms)
        if not (closed and self._market.is_amended(symbol, interval, open_ms)):
            return bar
        # One trade more, at the last price: still a candle that can be.
        lot = Decimal(self.symbols[symbol].lot).scaleb(-listing.DECIMALS)
        return bar._replace(
            volume=_text(Decimal(bar.volume) + lot),
            quote_volume=_text(Decimal(bar.quote_volume) + lot * Decimal(bar.close)),
            trades=bar.trades + 1,
            first_trade_id=max(0, bar.first_trade_id),
            last_trade_id=bar.last_trade_id + 1,
        )


def _lively(quiet: Sequence[_Span], start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """The parts of ``[start, end)`` that are not quiet."""
    at = start_ms
    for span in sorted(quiet):
        if span.start > at:
            yield at, min(span.start, end_ms)
        at = max(at, span.end)
        if at >= end_ms:
            return
    yield at, end_ms


def _flat(open_ms: int, after_ms: int, price: str) -> Bar:
    return Bar(
        open_ms, after_ms - 1, price, price, price, price, _ZERO, _ZERO, 0, _ZERO, _ZERO, -1, -1
    )


def _joined(pieces: Sequence[Bar], open_ms: int, after_ms: int) -> Bar:
    return Bar(
        open_ms=open_ms,
        close_ms=after_ms - 1,
        open=pieces[0].open,
        high=max((bar.high for bar in pieces), key=Decimal),
        low=min((bar.low for bar in pieces), key=Decimal),
        close=pieces[-1].close,
        volume=_sum(bar.volume for bar in pieces),
        quote_volume=_sum(bar.quote_volume for bar in pieces),
        trades=sum(bar.trades for bar in pieces),
        taker_volume=_sum(bar.taker_volume for bar in pieces),
        taker_quote_volume=_sum(bar.taker_quote_volume for bar in pieces),
        first_trade_id=pieces[0].first_trade_id,
        last_trade_id=pieces[-1].last_trade_id,
    )


def _sum(amounts: Iterator[str]) -> str:
    return _text(sum(map(Decimal, amounts), Decimal(0)))


def _text(amount: Decimal) -> str:
    return f"{amount:.{listing.DECIMALS}f}"
