"""A candle with everything that the exchange tells about it, and what a market is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from kline_ops.exchange.symbols import Symbol
from kline_ops.market.candle import Candle
from kline_ops.market.interval import Interval


class Bar(NamedTuple):
    """One candle, forming or closed. Times in milliseconds, amounts as the exchange prints them."""

    open_ms: int
    #: The last millisecond that belongs to it.
    close_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trades: int
    taker_volume: str
    taker_quote_volume: str
    #: -1 where there was no trade, as the exchange writes it.
    first_trade_id: int
    last_trade_id: int

    def candle(self) -> Candle:
        """What a recorder keeps of it."""
        return Candle(
            self.open_ms,
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.trades,
            self.close_ms,
            self.quote_volume,
            self.taker_volume,
            self.taker_quote_volume,
        )


class MarketData(Protocol):
    """Where the candles come from: a pure function of symbol, interval and time."""

    @property
    def symbols(self) -> Mapping[str, Symbol]:
        """What is listed, by name."""

    def first_open(self, interval: Interval) -> int:
        """The open time of the first candle there is, in milliseconds."""

    def exists(self, symbol: str, interval: Interval, open_ms: int) -> bool:
        """Whether there is a candle that opens then."""

    def bar(self, symbol: str, interval: Interval, open_ms: int, end_ms: int | None = None) -> Bar:
        """The candle that opens at ``open_ms``; with ``end_ms`` as it stood at that moment.

        Raises:
            KeyError: the symbol is not listed.
        """
