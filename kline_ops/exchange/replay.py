"""A recorded price path: the rows of a file, served as successive candles of any interval.

The rule, for whoever reads a recording of it: candle number n of an interval (counted from the
interval's first open time after the epoch; months by month) shows row n modulo the number of
rows, in the file's own text. A forming candle shows only texts of its row: the open in the first
quarter of its time, then also the low, then also the high, then the close. Intervals do not add
up to one another here, and every listed symbol shows the same rows.

Files: ``timestamp,open,high,low,close,volume`` with a header, or rows of Binance's public dump
(open time in milliseconds or microseconds, no header), each of them plain, ``.gz`` or ``.zip``. The
times say nothing but the order: rows are taken as they stand.
"""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple, TextIO

from kline_ops.errors import InputError
from kline_ops.exchange import symbols as listing
from kline_ops.exchange.bar import Bar
from kline_ops.exchange.market import LISTED_MS
from kline_ops.exchange.symbols import Symbol
from kline_ops.market.candle import HEADER, HEADERS, Candle
from kline_ops.market.interval import Interval

#: Columns of Binance's public dump: time, five numbers, close time, quote volume, trades, taker
#: base, taker quote, unused.
_DUMP_COLUMNS = 12
#: Our own files with full columns have the same ones, but for the last.
_FULL_COLUMNS = HEADERS["full"].count(",") + 1
#: Ids of a replayed candle start at its number times this.
_IDS_PER_CANDLE = 1_000_000


class Row(NamedTuple):
    """What a recording has of a candle, but its time; as text."""

    open: str
    high: str
    low: str
    close: str
    volume: str
    quote: str
    trades: int
    taker: str
    taker_quote: str


class ReplayMarket:
    """Candles that follow a file.

    Args:
        path: the recording, see the head of this file.
        extra: symbols to list besides those of :data:`kline_ops.exchange.symbols.LISTED`.

    Raises:
        InputError: the file can not be read, is empty, or a row is no candle.
    """

    def __init__(self, path: Path, extra: Iterable[Symbol] = ()) -> None:
        self._symbols = {**listing.LISTED, **{symbol.name: symbol for symbol in extra}}
        self._rows = [row for _, row in read_rows(path)]

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

        Raises:
            KeyError: the symbol is not listed.
        """
        if symbol not in self._symbols:
            raise KeyError(symbol)
        after = interval.after(open_ms)
        number = interval.slots(interval.ceil(0), open_ms)
        row = self._rows[number % len(self._rows)]
        quarter = 4
        if end_ms is not None and end_ms < after:
            quarter = max(0, 4 * (end_ms - open_ms) // (after - open_ms))
            row = _forming(row, quarter)
        first_id = number * _IDS_PER_CANDLE if row.trades else -1
        return Bar(
            open_ms,
            after - 1,
            *row,
            first_id,
            first_id + row.trades - 1 if row.trades else -1,
        )


def _forming(row: Row, quarter: int) -> Row:
    """The row as it stood after so many whole quarters (0 to 3) of its time."""
    seen = (row.open, row.low, row.high, row.close)[: quarter + 1]
    high = row.high if quarter >= 2 else row.open
    low = row.low if quarter >= 1 else row.open
    part = {
        name: _plain(Decimal(getattr(row, name)) * quarter / 4)
        for name in ("volume", "quote", "taker", "taker_quote")
    }
    return row._replace(
        high=high, low=low, close=seen[-1], trades=row.trades * quarter // 4, **part
    )


def _plain(number: Decimal) -> str:
    return f"{number:.{listing.DECIMALS}f}"


def read_rows(path: Path) -> list[tuple[str, Row]]:
    """The rows of a recording in their order, each with the text of its time.

    Raises:
        InputError: the file can not be read, is empty, or a row is no candle.
    """
    try:
        with _open(path) as file:
            rows = [
                (fields[0], _row(fields, f"{path}, line {number}"))
                for number, fields in enumerate(csv.reader(file), start=1)
                if fields and not (number == 1 and _is_header(fields))
            ]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: can not be read: {error}") from None
    if not rows:
        raise InputError(f"{path}: no candle in it")
    return rows


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as member:
            yield io.TextIOWrapper(member, "ascii", newline="")
    else:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="ascii", newline="") as file:
            yield file


def _is_header(fields: list[str]) -> bool:
    return not fields[0][:1].isdigit()


def _row(fields: list[str], where: str) -> Row:
    if len(fields) not in {HEADER.count(",") + 1, _FULL_COLUMNS, _DUMP_COLUMNS}:
        raise InputError(f"{where}: {len(fields)} columns", hint=f"columns {HEADER}")
    opened, high, low, closed, volume = fields[1:6]
    reason = Candle(0, opened, high, low, closed, volume).problem()
    if reason is not None:
        raise InputError(f"{where}: {reason}")
    try:
        quote, trades, taker, taker_quote = _rest(fields)
    except (ValueError, InvalidOperation) as error:
        raise InputError(f"{where}: a number that is none: {error}") from None
    return Row(opened, high, low, closed, volume, quote, trades, taker, taker_quote)


def _rest(fields: list[str]) -> tuple[str, int, str, str]:
    """Quote volume, trades, taker volume, taker quote volume."""
    if len(fields) >= _FULL_COLUMNS:
        for text in (fields[7], fields[9], fields[10]):
            Decimal(text)
        return fields[7], int(fields[8]), fields[9], fields[10]
    # Basic columns do not say these: half of a candle's volume is as good a guess as any.
    volume = Decimal(fields[5])
    quote = volume * Decimal(fields[4])
    return _plain(quote), 1 if volume else 0, _plain(volume / 2), _plain(quote / 2)
