"""What is recorded: the klines of one symbol at one interval."""

from __future__ import annotations

from dataclasses import dataclass

from kline_ops.market.interval import Interval


@dataclass(frozen=True, slots=True)
class Stream:
    """``symbol`` in capitals, as in frames and REST."""

    symbol: str
    interval: Interval

    @property
    def name(self) -> str:
        """As in the URL: ``btcusdt@kline_1h``, ``btcusdt@kline_1d@+08:00``; always lower case."""
        return f"{self.symbol.lower()}@kline_{self.interval.name}"

    @property
    def file_name(self) -> str:
        """``candles_BTCUSDT_1h.csv``."""
        return f"candles_{self.symbol}_{self.interval.file_token}.csv"
