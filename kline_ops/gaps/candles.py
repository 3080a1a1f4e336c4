"""Rows of candle files, whoever wrote them, to candles. Pure.

Numbers keep their digits. What is no plain decimal (``6.38e-06``, `` 1.0 ``, ``+1``: they went through
a float, or a spreadsheet) is written as one, with the same value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from kline_ops.errors import InputError
from kline_ops.gaps.files import Row
from kline_ops.gaps.layout import Layout
from kline_ops.gaps.times import time_ms
from kline_ops.market.candle import Candle, Columns

#: No price or volume is longer; with such numbers a row stays one that our readers take.
_LONGEST = 40
_is_plain = re.compile(r"[0-9]+(?:\.[0-9]+)?").fullmatch

#: What only a full row has, and its names in headers: of our own files, the exchange's dumps, and the
#: client libraries' data frames; small letters and digits alone, as in ``Layout.names``.
_CLOSE_TIME = ("closetime", "klineclosetime")
_TRADES = ("trades", "count", "numberoftrades", "numtrades", "tradecount", "tradescount")
_REST = {
    "quote_volume": ("quotevolume", "quoteassetvolume", "quoteav", "volumequote"),
    "taker_buy_volume": (
        "takerbuyvolume", "takerbuybaseassetvolume", "takerbuybasevolume", "takerbasevolume",
        "tbbaseav",
    ),
    "taker_buy_quote_volume": (
        "takerbuyquotevolume", "takerbuyquoteassetvolume", "takerquotevolume", "tbquoteav",
    ),
}  # fmt: skip


class Converter:
    """For the rows of one file (one member of an archive).

    Args:
        layout: what its columns are.
        columns: what a candle has to have.
        name: for messages.

    Raises:
        InputError: a column is not there.
    """

    def __init__(self, layout: Layout, columns: Columns, name: str) -> None:
        self.layout = layout
        self._is_full = columns == "full"
        self._numbers = list(layout.values)
        lacking = [] if len(layout.values) > 4 else ["volume"]
        if self._is_full:
            places = {told: _place(layout, names) for told, names in _REST.items()}
            places["close_time"] = self._close = _place(layout, _CLOSE_TIME)
            places["trades"] = self._trades = _place(layout, _TRADES)
            lacking += [told for told, place in places.items() if place < 0]
            self._numbers += [places[told] for told in _REST]
        if lacking:
            raise InputError(
                f"{name}: no {', '.join(lacking)} in it",
                hint="record.columns: basic, or a file that has them"
                if lacking != ["volume"]
                else "a file with the columns timestamp,open,high,low,close,volume",
            )

    def candle(self, row: Row) -> Candle:
        """The candle of a row.

        Raises:
            ValueError: such a candle can not be.
        """
        texts = [row.fields[place].decode("latin-1") for place in self._numbers]
        made = self._made(row, texts)
        # Nearly all numbers are plain, and looked at here once; the others are once more.
        if max(map(len, texts)) > _LONGEST or made.problem() is not None:
            made = self._made(row, [plain(text) for text in texts])
            if (reason := made.problem()) is not None:
                raise ValueError(reason)
        return made

    def _made(self, row: Row, texts: list[str]) -> Candle:
        opened, high, low, close, volume, *rest = texts
        candle = Candle(row.open_ms, opened, high, low, close, volume)
        if not self._is_full:
            return candle
        close_ms = time_ms(row.fields[self._close])
        if not close_ms:
            raise ValueError("a close time that is none")
        quote_volume, taker_volume, taker_quote_volume = rest
        return msgspec.structs.replace(
            candle,
            trades=_whole(row.fields[self._trades].decode("latin-1")),
            close_ms=close_ms,
            quote_volume=quote_volume,
            taker_volume=taker_volume,
            taker_quote_volume=taker_quote_volume,
        )


def plain(text: str) -> str:
    """A number as a plain decimal; digit for digit where it is one.

    Raises:
        ValueError: it is no number, or longer than any price or volume.
    """
    text = text.strip()
    if not _is_plain(text):
        number = _number(text)
        # Before it is written out: the number of a few letters may have millions of digits.
        if abs(number.adjusted()) > _LONGEST:
            raise ValueError(f"a number of more than {_LONGEST} digits")
        text = format(number or abs(number), "f")
    if len(text) > _LONGEST:
        raise ValueError(f"a number of more than {_LONGEST} digits")
    return text


def _whole(text: str) -> int:
    if text.isdecimal():
        return int(text)
    number = Decimal(plain(text))
    if number % 1:
        raise ValueError("a count that is no whole number")
    return int(number)


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except ArithmeticError:
        number = Decimal("nan")
    if not number.is_finite():
        raise ValueError("a number that is none, or below zero")
    return number


def _place(layout: Layout, names: Sequence[str]) -> int:
    return next((layout.names.index(name) for name in names if name in layout.names), -1)
