"""The invented market: candles as a pure function of seed, symbol, interval and time.

Source: Binance spot API, "Kline/Candlestick data" and "Kline/Candlestick Streams". Any range is
put together from whole days, hours, minutes and seconds of :mod:`kline_ops.exchange.walk`, so
sixty 1m candles are exactly the 1h candle, and a forming candle is the same range cut short.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from kline_ops.exchange import symbols as listing
from kline_ops.exchange import walk
from kline_ops.exchange.bar import Bar
from kline_ops.exchange.symbols import Symbol
from kline_ops.exchange.walk import Node
from kline_ops.market.interval import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Interval

#: 2017-01-01 00:00 UTC: nothing traded before.
LISTED_MS = 1_483_228_800_000

#: Days kept, and nodes whose children are kept. A client pages through neighbours.
_DAYS_KEPT = 4096
_SPLITS_KEPT = 512


class Market:
    """Candles invented from a seed.

    Args:
        seed: the same seed is the same market, on every machine and in every process.
        extra: symbols to list besides those of :data:`kline_ops.exchange.symbols.LISTED`.
    """

    def __init__(self, seed: int = 1, extra: Iterable[Symbol] = ()) -> None:
        self.seed = seed
        self._symbols = {**listing.LISTED, **{symbol.name: symbol for symbol in extra}}
        # Per market, so that a market that is dropped takes its nodes along.
        self._day = lru_cache(_DAYS_KEPT)(self._make_day)
        self._hours = lru_cache(_SPLITS_KEPT)(self._make_hours)
        self._minutes = lru_cache(_SPLITS_KEPT)(self._make_minutes)
        self._seconds = lru_cache(_SPLITS_KEPT)(self._make_seconds)

    @property
    def symbols(self) -> Mapping[str, Symbol]:
        """What is listed, by name."""
        return self._symbols

    def first_open(self, interval: Interval) -> int:
        """The open time of the first candle there is, in milliseconds."""
        return interval.floor(LISTED_MS)

    def exists(self, symbol: str, interval: Interval, open_ms: int) -> bool:
        """Whether there is a candle that opens then."""
        return symbol in self._symbols and open_ms >= self.first_open(interval)

    def bar(self, symbol: str, interval: Interval, open_ms: int, end_ms: int | None = None) -> Bar:
        """The candle that opens at ``open_ms``; with ``end_ms`` as it stood at that moment.

        ``end_ms`` counts in whole seconds. A candle that has just opened has no trades yet and
        stands at the price before it.

        Raises:
            KeyError: the symbol is not listed.
        """
        listed = self._symbols[symbol]
        after = interval.after(open_ms)
        end = after if end_ms is None else min(after, end_ms - end_ms % SECOND_MS)
        start = max(open_ms, LISTED_MS)
        node = walk.join(self._nodes(symbol, start, end))
        if node is None:
            price = self._second(symbol, start).open
            node = Node(price, price, price, price, 0, 0, 0, 0, 0, 0)
        return _bar(listed, node, open_ms, after - 1)

    def _nodes(self, symbol: str, start_ms: int, end_ms: int) -> Iterator[Node]:
        at = start_ms
        while at < end_ms:
            for length, node_at in (
                (DAY_MS, self._whole_day),
                (HOUR_MS, self._hour),
                (MINUTE_MS, self._minute),
                (SECOND_MS, self._second),
            ):
                if at % length == 0 and at + length <= end_ms:
                    yield node_at(symbol, at)
                    at += length
                    break

    def _whole_day(self, symbol: str, at: int) -> Node:
        return self._day(symbol, at // DAY_MS)

    def _hour(self, symbol: str, at: int) -> Node:
        return self._hours(symbol, at // DAY_MS)[at // HOUR_MS % 24]

    def _minute(self, symbol: str, at: int) -> Node:
        return self._minutes(symbol, at // HOUR_MS)[at // MINUTE_MS % 60]

    def _second(self, symbol: str, at: int) -> Node:
        return self._seconds(symbol, at // MINUTE_MS)[at // SECOND_MS % 60]

    def _make_day(self, symbol: str, day: int) -> Node:
        return walk.day_node(self.seed, self._symbols[symbol], day)

    def _make_hours(self, symbol: str, day: int) -> tuple[Node, ...]:
        return walk.split(self._day(symbol, day), 24, f"{self.seed}/{symbol}/hours/{day}")

    def _make_minutes(self, symbol: str, hour: int) -> tuple[Node, ...]:
        parent = self._hour(symbol, hour * HOUR_MS)
        return walk.split(parent, 60, f"{self.seed}/{symbol}/minutes/{hour}")

    def _make_seconds(self, symbol: str, minute: int) -> tuple[Node, ...]:
        parent = self._minute(symbol, minute * MINUTE_MS)
        return walk.split(parent, 60, f"{self.seed}/{symbol}/seconds/{minute}")


def _bar(symbol: Symbol, node: Node, open_ms: int, close_ms: int) -> Bar:
    opened, high, low, closed = (listing.text(price * symbol.tick) for price in node[:4])
    return Bar(
        open_ms=open_ms,
        close_ms=close_ms,
        open=opened,
        high=high,
        low=low,
        close=closed,
        volume=listing.text(node.volume * symbol.lot),
        quote_volume=listing.text(node.quote),
        trades=node.trades,
        taker_volume=listing.text(node.taker * symbol.lot),
        taker_quote_volume=listing.text(node.taker_quote),
        first_trade_id=node.first_id if node.trades else -1,
        last_trade_id=node.first_id + node.trades - 1 if node.trades else -1,
    )
