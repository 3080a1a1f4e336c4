"""A candle as the exchange sent it.

Prices and volumes are the exchange's own text from the socket to the disk: ``0.00000638`` stays so.
Nothing in the recorder does arithmetic on them.
"""

from __future__ import annotations

import re

import msgspec

from kline_ops.market import timestamp

HEADER = "timestamp,open,high,low,close,volume"

#: A plain decimal number that is not negative; no exponent, no NaN, no sign (Binance sends none).
_NUMBERS = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?,){4}[0-9]+(?:\.[0-9]+)?", re.ASCII)


class Candle(msgspec.Struct, frozen=True):
    """One candle. ``open_ms`` in milliseconds, UTC; all numbers as text."""

    open_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    trades: int = 0

    def row(self) -> bytes:
        """The line of the candle file, with its end of line."""
        time = timestamp.to_text(self.open_ms)
        return f"{time},{self.open},{self.high},{self.low},{self.close},{self.volume}\n".encode()

    def values(self) -> tuple[str, str, str, str, str]:
        """What must be equal for two sightings to agree."""
        return (self.open, self.high, self.low, self.close, self.volume)

    def problem(self) -> str | None:
        """Why this candle can not be (a price that is no number, high below low), or None."""
        if _NUMBERS.fullmatch(",".join(self.values())) is None:
            return "a number that is none, or below zero"
        low, high = float(self.low), float(self.high)
        if high < low:
            return "high below low"
        if not (low <= float(self.open) <= high and low <= float(self.close) <= high):
            return "open or close outside low and high"
        return None


def from_row(line: bytes) -> Candle:
    """The candle of a line written by :meth:`Candle.row`.

    Raises:
        ValueError: the line is torn or is no candle row.
    """
    if not line.endswith(b"\n"):
        raise ValueError("the line has no end")
    fields = line[:-1].decode("ascii").split(",")
    if len(fields) != HEADER.count(",") + 1:
        raise ValueError(f"{len(fields)} columns instead of {HEADER.count(',') + 1}")
    time, opened, high, low, close, volume = fields
    candle = Candle(timestamp.to_ms(time), opened, high, low, close, volume)
    if (reason := candle.problem()) is not None:
        raise ValueError(reason)
    return candle
