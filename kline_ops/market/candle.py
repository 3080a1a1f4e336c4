"""A candle as the exchange sent it.

Prices and volumes are the exchange's own text from the socket to the disk: ``0.00000638`` stays so.
Nothing in the recorder does arithmetic on them.

A row has one of two sets of columns. ``basic`` is the candle itself. ``full`` adds all that both the
stream and REST say of it (Binance spot API, "Kline/Candlestick Streams": T, q, n, V, Q;
"Kline/Candlestick data": columns 7 to 11); trade ids are on the stream alone, so no row has them.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from kline_ops.market import timestamp
from kline_ops.market.interval import LATEST_MS

Columns = Literal["basic", "full"]

HEADER = "timestamp,open,high,low,close,volume"
HEADERS: dict[Columns, str] = {
    "basic": HEADER,
    "full": HEADER + ",close_time,quote_volume,trades,taker_buy_volume,taker_buy_quote_volume",
}

#: A plain decimal number that is not negative; no exponent, no NaN, no sign (Binance sends none).
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_is_number = re.compile(_NUMBER).fullmatch
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{3})?Z"
_BASIC = r"([^,\r\n]+)" + rf",({_NUMBER})" * 5
_ROWS: dict[Columns, re.Pattern[bytes]] = {
    "basic": re.compile(f"{_BASIC}\n".encode()),
    "full": re.compile(
        f"{_BASIC},({_TIME}),({_NUMBER}),([0-9]+),({_NUMBER}),({_NUMBER})\n".encode()
    ),
}


class Candle(msgspec.Struct, frozen=True):
    """One candle. Times in milliseconds, UTC; prices and volumes as text.

    What only a full row has may be unknown: empty, and a close time of 0.
    """

    open_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    trades: int = 0
    #: The last millisecond that belongs to it, as the exchange says.
    close_ms: int = 0
    quote_volume: str = ""
    taker_volume: str = ""
    taker_quote_volume: str = ""

    def row(self, columns: Columns = "basic") -> bytes:
        """The line of the candle file, with its end of line."""
        time = timestamp.to_text(self.open_ms)
        row = f"{time},{self.open},{self.high},{self.low},{self.close},{self.volume}"
        if columns == "full":
            row += f",{timestamp.to_text(self.close_ms)},{self.quote_volume},{self.trades}"
            row += f",{self.taker_volume},{self.taker_quote_volume}"
        return f"{row}\n".encode()

    def values(self) -> tuple[str, str, str, str, str]:
        """What must be equal for two sightings to agree."""
        return (self.open, self.high, self.low, self.close, self.volume)

    def problem(self) -> str | None:
        """Why this candle can not be (a price that is no number, high below low), or None."""
        if not all(map(_is_number, self.values())):
            return "a number that is none, or below zero"
        low, high = float(self.low), float(self.high)
        if high < low:
            return "high below low"
        if not (low <= float(self.open) <= high and low <= float(self.close) <= high):
            return "open or close outside low and high"
        return self._problem_of_the_rest()

    def _problem_of_the_rest(self) -> str | None:
        rest = (self.quote_volume, self.taker_volume, self.taker_quote_volume)
        if not self.close_ms and not any(rest):
            return None
        if not all(map(_is_number, rest)) or self.trades < 0:
            return "a number that is none, or below zero"
        if not 0 < self.close_ms < LATEST_MS:
            return "close time out of all bounds"
        return None


def row_open_ms(line: bytes, columns: Columns = "basic") -> int | None:
    """The open time of a line that is a whole candle row by its form; None of any other.

    Whether the candle could have been (high below low) is not asked: it is when one is taken in.
    """
    match = _ROWS[columns].fullmatch(line)
    open_ms = None if match is None else _open_ms(match[1])
    return open_ms if open_ms is not None and 0 <= open_ms < LATEST_MS else None


def from_row(line: bytes, columns: Columns = "basic", *, possible: bool = True) -> Candle:
    """The candle of a line written by :meth:`Candle.row`; ``possible``: it must be one that could be.

    Raises:
        ValueError: the line is torn or is no candle row.
    """
    match = _ROWS[columns].fullmatch(line)
    open_ms = None if match is None else _open_ms(match[1])
    if match is None or open_ms is None:
        raise ValueError(f"no whole row of {HEADERS[columns].count(',') + 1} columns")
    opened, high, low, close, volume, *rest = (text.decode("ascii") for text in match.groups()[1:])
    candle = Candle(open_ms, opened, high, low, close, volume)
    if rest:
        close_time, quote, trades, taker, taker_quote = rest
        candle = msgspec.structs.replace(
            candle,
            close_ms=timestamp.to_ms(close_time),
            quote_volume=quote,
            trades=int(trades),
            taker_volume=taker,
            taker_quote_volume=taker_quote,
        )
    if possible and (reason := candle.problem()) is not None:
        raise ValueError(reason)
    return candle


def _open_ms(text: bytes) -> int | None:
    try:
        return timestamp.to_ms(text.decode("ascii"))
    except ValueError:
        return None
