"""Which column of a candle file is what: by its header, or by its first row.

A row is good if it has as many columns as the header (without one: as the first row), a time in the
time column and numbers as open, high, low, close and volume. Whether the candle could have been (high
below low) is another question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kline_ops.errors import InputError
from kline_ops.gaps.times import time_ms

_BOM = b"\xef\xbb\xbf"
#: Header names of the open time, most telling first (``open_time`` before ``date``).
_TIME_NAMES = (
    "opentime", "timestamp", "datetime", "time", "unix", "ts", "starttime", "start", "date", "t"
)  # fmt: skip
_VALUE_NAMES = (
    ("open", "o"),
    ("high", "h"),
    ("low", "l"),
    ("close", "c"),
    ("volume", "vol", "v", "basevolume"),
)
#: Open time, open, high, low, close, volume: what a file without a header begins with.
_LEAST_COLUMNS = 6
#: Lines before the header that are let pass (a comment, the address of a site).
_LEADING = 20
_NOT_LETTERS = re.compile(r"[^a-z0-9]")
_NUMBER = rb" *[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)? *"
_TIME = rb"([^,\x00\r]+)"
_ANYTHING = rb"[^,\x00]*"


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of one file."""

    columns: int
    time: int
    #: Where open, high, low, close and volume are; a file may lack the volume.
    values: tuple[int, ...]
    #: What a good row is, but for its time. Group 1 is the time, 2 to 6 the values.
    row: re.Pattern[bytes]
    has_header: bool
    #: The names in the header; the exchange's own where there is none.
    names: tuple[str, ...]


#: The columns of the exchange's dumps and of its REST answers (Binance spot API, "Kline/Candlestick
#: data"), as they are called in its newer dumps.
DUMP_NAMES = (
    "opentime", "open", "high", "low", "close", "volume", "closetime", "quotevolume", "count",
    "takerbuyvolume", "takerbuyquotevolume", "ignore",
)  # fmt: skip


def delimiter(line: bytes) -> bytes:
    """What stands between the columns, by the first line of a file."""
    return next((mark for mark in (b",", b";", b"\t") if mark in line), b",")


def find_layout(lines: Sequence[bytes], name: str) -> tuple[int, Layout]:
    """The layout, and the index of the line that told it: the header, or the first row.

    Raises:
        InputError: none of the first lines is a header that names a time, or a candle row.
    """
    first = next((line for line in lines if line.strip()), b"")
    for index, line in enumerate(lines[:_LEADING]):
        fields = line.removeprefix(_BOM).rstrip(b"\r").split(b",")
        layout = _of_row(fields) or _of_header(fields, name)
        if layout is not None:
            return index, layout
    shown = first.strip()[:40].decode("ascii", "backslashreplace")
    raise InputError(
        f"{name}: not a candle file (line 1 is neither a header nor a candle row: {shown})",
        hint="a CSV with the columns timestamp,open,high,low,close,volume",
    )


def _of_row(fields: list[bytes]) -> Layout | None:
    for time in (0, 1):  # some exports number their rows first
        if len(fields) < _LEAST_COLUMNS + time or (time and not fields[0].strip().isdigit()):
            return None
        if time_ms(fields[time]) is not None:
            names = ("", *DUMP_NAMES)[1 - time :][: len(fields)]
            layout = _layout(len(fields), time, range(time + 1, time + 6), names, header=False)
            return layout if layout.row.fullmatch(b",".join(fields)) else None
    return None


def _of_header(fields: list[bytes], name: str) -> Layout | None:
    names = [_NOT_LETTERS.sub("", field.decode("ascii", "replace").lower()) for field in fields]
    values = [_index(names, known) for known in _VALUE_NAMES]
    prices = [column for column in values[:4] if column is not None]
    if len(prices) < 4:
        return None
    time = _index(names, _TIME_NAMES)
    if time is None:
        told = b",".join(fields).strip().decode("ascii", "replace")[:80]
        raise InputError(
            f"{name}: no time column ({told})",
            hint="name the column of the open times timestamp or open_time",
        )
    volume = values[4]
    if volume is None:  # "Volume BTC", "volume_base"
        starts = (column for column, text in enumerate(names) if text.startswith("vol"))
        volume = next(starts, None)
    columns = prices if volume is None else [*prices, volume]
    return _layout(len(fields), time, columns, names, header=True)


def _index(names: Sequence[str], known: Sequence[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _layout(
    columns: int, time: int, values: Sequence[int], names: Sequence[str], *, header: bool
) -> Layout:
    parts = [_ANYTHING] * columns
    for place, column in enumerate(values):
        parts[column] = b"(?P<%s>%s)" % (b"ohlcv"[place : place + 1], _NUMBER)
    parts[time] = _TIME.replace(b"(", b"(?P<time>", 1)
    pattern = re.compile(b",".join(parts) + rb"\r?")
    return Layout(columns, time, tuple(values), pattern, header, tuple(names))
