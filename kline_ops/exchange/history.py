"""Recorded candles in the past of an invented market, as they are: what the file lacks exists nowhere.

From the first to the last candle of a file, REST serves what stands in it, for the symbol and interval
that its name tells; before and after it, and for all else, the market is the invented one. A bar beside
its interval's grid is not served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from kline_ops.errors import InputError
from kline_ops.exchange.bar import Bar, MarketData
from kline_ops.exchange.replay import Row, read_rows
from kline_ops.exchange.symbols import Symbol
from kline_ops.market import interval as intervals
from kline_ops.market import timestamp
from kline_ops.market.interval import Interval
from kline_ops.market.stream import symbol_of

#: Digits of a whole time, and how many of its units are a millisecond.
_UNITS = {13: 1, 16: 1_000}


class _Record(NamedTuple):
    """All files of a symbol and an interval."""

    rows: dict[int, Row]
    first_ms: int
    last_ms: int


class HistoryMarket:
    """An invented market with a recorded past.

    Args:
        market: the invented one.
        paths: files such as ``BTCUSDT-1h-2018.csv.gz``; see ``replay.py`` for what may be in them.

    Raises:
        InputError: a file can not be read, its name tells no symbol and interval, or the symbol is not
            listed.
    """

    def __init__(self, market: MarketData, paths: Iterable[Path]) -> None:
        self._market = market
        rows: dict[tuple[str, Interval], dict[int, Row]] = {}
        for path in paths:
            symbol, interval = symbol_of(path.name), intervals.from_file_name(path.name)
            if symbol is None or interval is None:
                raise InputError(
                    f"{path}: its name tells no symbol and interval", hint="BTCUSDT-1h-2018.csv.gz"
                )
            if symbol not in market.symbols:
                raise InputError(f"{path}: {symbol} is not listed here")
            found = rows.setdefault((symbol, interval), {})
            found.update((_open_ms(text, path), row) for text, row in read_rows(path))
        self._records = {key: _Record(found, min(found), max(found)) for key, found in rows.items()}

    @property
    def symbols(self) -> Mapping[str, Symbol]:
        """What is listed, by name."""
        return self._market.symbols

    def first_open(self, interval: Interval) -> int:
        """The open time of the first candle there is, in milliseconds."""
        return self._market.first_open(interval)

    def exists(self, symbol: str, interval: Interval, open_ms: int) -> bool:
        """Whether there is a candle that opens then."""
        record = self._record(symbol, interval, open_ms)
        if record is not None:
            return open_ms in record.rows
        return self._market.exists(symbol, interval, open_ms)

    def bar(self, symbol: str, interval: Interval, open_ms: int, end_ms: int | None = None) -> Bar:
        """The candle that opens at ``open_ms``; with ``end_ms`` as it stood at that moment.

        Raises:
            KeyError: the symbol is not listed.
        """
        record = self._record(symbol, interval, open_ms)
        row = None if record is None else record.rows.get(open_ms)
        if row is None:
            return self._market.bar(symbol, interval, open_ms, end_ms)
        number = interval.slots(interval.ceil(0), open_ms) * 1_000_000
        ids = (number, number + row.trades - 1) if row.trades else (-1, -1)
        return Bar(open_ms, interval.after(open_ms) - 1, *row, *ids)

    def _record(self, symbol: str, interval: Interval, open_ms: int) -> _Record | None:
        record = self._records.get((symbol, interval))
        return record if record and record.first_ms <= open_ms <= record.last_ms else None


def _open_ms(text: str, path: Path) -> int:
    try:
        if text.isdigit():
            return int(text) // _UNITS[len(text)]
        return timestamp.to_ms(text)
    except (KeyError, ValueError):
        raise InputError(f"{path}: {text!r} is no open time") from None
