"""A market that costs nothing: candles by arithmetic, and nothing is kept, so that it does not grow."""

from __future__ import annotations

from collections.abc import Mapping

from kline_ops.exchange.bar import Bar
from kline_ops.exchange.symbols import LISTED, Symbol
from kline_ops.market.interval import Interval

_DAY_MS = 86_400_000


class PlainMarket:
    """So many symbols, S000USDT and on; each candle's price tells its open time.

    The embedded exchange's own market keeps minutes that it has worked out: megabytes in an hour.
    """

    def __init__(self, symbols: int) -> None:
        like = LISTED["BTCUSDT"]
        listed = [
            Symbol(f"S{n:03}", "USDT", like.price_ticks, 2, 5, like.trades_per_day, 1)
            for n in range(symbols)
        ]
        self._symbols = {symbol.name: symbol for symbol in listed}

    @property
    def symbols(self) -> Mapping[str, Symbol]:
        return self._symbols

    def first_open(self, interval: Interval) -> int:
        return interval.ceil(0)

    def exists(self, symbol: str, interval: Interval, open_ms: int) -> bool:
        return symbol in self._symbols and open_ms >= 0

    def bar(self, symbol: str, interval: Interval, open_ms: int, end_ms: int | None = None) -> Bar:
        price = f"{1 + open_ms % _DAY_MS // 1000}.00000000"
        return Bar(
            open_ms=open_ms,
            close_ms=interval.after(open_ms) - 1,
            open=price,
            high=price,
            low=price,
            close=price,
            volume="1.00000000",
            quote_volume=price,
            trades=1,
            taker_volume="1.00000000",
            taker_quote_volume=price,
            first_trade_id=open_ms // 1000,
            last_trade_id=open_ms // 1000,
        )
