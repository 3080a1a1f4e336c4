"""Blocks of lines to open times.

A line is a good row if it has as many columns as the header (without one: as the first row), a
time in the time column and numbers as open, high, low, close and volume. Whether the candle could
have been (high below low) is not asked here. Any other line is a bad row: torn, merged with the
next one, NULs, a second header. Blank lines are nothing.

Times are ISO 8601, or whole numbers since the epoch whose unit their length tells, row by row
(the exchange's dumps are in milliseconds up to 2024 and in microseconds from 2025):

======  ============
digits  unit
======  ============
10      seconds
13      milliseconds
16      microseconds
19      nanoseconds
======  ============

Two ways lead there. Line by line, every line is matched against the layout. A whole block at once
is many times quicker: whether a line is sound does not depend on its digits, and with every digit
made a zero, the thousands of lines of a block are a few dozen different ones. Its times are then
compared, as text, with those of equal steps; where they differ, half by half, down to single rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from kline_ops.errors import InputError
from kline_ops.market import timestamp
from kline_ops.market.interval import DAY_MS, SECOND_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Units a second, by the number of digits.
_UNITS = {10: 1, 13: 10**3, 16: 10**6, 19: 10**9}
#: Times beyond the year 2286 are no candles; the limit is that of the digits.
_END_MS = 10**13

_BOM = b"\xef\xbb\xbf"
#: Header names of the open time, most telling first (``open_time`` before ``date``).
_TIME_NAMES = ("opentime", "timestamp", "datetime", "time", "date")
_PRICE_NAMES = ("open", "high", "low", "close")
_NUMBER_NAMES = (*_PRICE_NAMES, "volume")
#: Open time, open, high, low, close, volume: what a file without a header begins with.
_LEAST_COLUMNS = 6
_NOT_LETTERS = re.compile(r"[^a-z0-9]")
_NUMBER = rb" *[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)? *"
_TIME = rb"([^,\x00\r]+)"
_ANYTHING = rb"[^,\x00]*"

_TO_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_ISO_SHAPE = b"0000-00-00T00:00:00Z"
_ISO_WIDTH = len(_ISO_SHAPE)
#: Shapes of sound lines that are remembered: as many as numbers have widths, or nearly so.
_SHAPES_KEPT = 4096
#: Below this many rows, looking for equal steps costs more than it saves.
_FEW = 16


@dataclass(frozen=True, slots=True)
class Rows:
    """Neighbouring good rows, in file order, and the line numbers of the others among them."""

    #: Open times; a ``range`` where they are evenly spaced and ascending.
    times: Sequence[int]
    #: The line number of each time.
    lines: Sequence[int]
    bad: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class _Layout:
    columns: int
    time: int
    row: re.Pattern[bytes]
    has_header: bool
    #: Sound lines with all digits zero, and what the time column is in them.
    shapes: dict[bytes, bytes] = field(default_factory=dict)

    def time_shape(self, shapes: set[bytes]) -> bytes | None:
        """What the time column is in all of these; None if a line is unsound or they differ."""
        for shape in shapes.difference(self.shapes):
            row = self.row.fullmatch(shape)
            if row is None:
                return None
            if len(self.shapes) >= _SHAPES_KEPT:
                return None
            self.shapes[shape] = row[1]
        times = {self.shapes[shape] for shape in shapes}
        return times.pop() if len(times) == 1 else None


class RowDecoder:
    """Reads the rows of one file (one member of an archive), block after block."""

    def __init__(self, name: str) -> None:
        #: For messages: the path, and the member where there are several.
        self._name = name
        self._layout: _Layout | None = None
        self._line = 1

    def decode(self, block: bytes) -> Iterator[Rows]:
        """The rows of the next block of whole lines.

        Raises:
            InputError: the first line is neither a header that names a time nor a candle row.
        """
        if self._layout is None:
            block = self._begin(block)
        if self._layout is None or not block:
            return
        lines = _lines(block)
        first = self._line
        self._line += len(lines)
        pieces = _whole_block(block, lines, self._layout)
        if pieces is None:
            yield _line_by_line(lines, first, self._layout)
            return
        for times in pieces:
            yield Rows(times, range(first, first + len(times)))
            first += len(times)

    def _begin(self, block: bytes) -> bytes:
        """Learns the layout from the first line that is not blank; what follows the header."""
        if self._line == 1:
            block = block.removeprefix(_BOM)
        while block:
            line, _, rest = block.partition(b"\n")
            if line.strip():
                self._layout = _layout_of(line, self._name)
                if not self._layout.has_header:
                    return block
            self._line += 1
            block = rest
            if self._layout is not None:
                break
        return block


def _lines(block: bytes) -> list[bytes]:
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _line_by_line(lines: list[bytes], first: int, layout: _Layout) -> Rows:
    times: list[int] = []
    good: list[int] = []
    bad: list[int] = []
    match = layout.row.fullmatch
    for number, line in enumerate(lines, first):
        row = match(line)
        ms = time_ms(row[1]) if row else None
        if ms is not None:
            times.append(ms)
            good.append(number)
        elif line and not line.isspace():
            bad.append(number)
    return Rows(times, good, bad)


def time_ms(text: bytes) -> int | None:
    """Milliseconds since the epoch of a time column's text; None if it is no time of a candle.

    What is finer than a millisecond is cut off, but never down to a whole second: it is off every
    grid, and stays so.
    """
    text = text.strip()
    if text.isdigit():
        if (unit := _UNITS.get(len(text))) is None:
            return None
        ms, finer = divmod(int(text) * 1000, unit)
    else:
        try:
            moment = datetime.fromisoformat(text.decode("ascii"))
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        ms, finer = divmod((moment - _EPOCH) // _MICROSECOND, 1000)
    if finer and ms % SECOND_MS == 0:
        ms += 1
    return ms if 0 <= ms < _END_MS else None


def _layout_of(line: bytes, name: str) -> _Layout:
    fields = line.rstrip(b"\r").split(b",")
    if len(fields) >= _LEAST_COLUMNS and time_ms(fields[0]) is not None:
        return _layout(len(fields), 0, range(1, _LEAST_COLUMNS), has_header=False)
    names = [_NOT_LETTERS.sub("", field.decode("ascii", "replace").lower()) for field in fields]
    if not set(_PRICE_NAMES) <= set(names):
        raise InputError(
            f"{name}: not a candle file (line 1 is neither a header nor a candle row)",
            hint="a CSV with the columns timestamp,open,high,low,close,volume",
        )
    for known in _TIME_NAMES:
        if known in names:
            numbers = [names.index(known) for known in _NUMBER_NAMES if known in names]
            return _layout(len(fields), names.index(known), numbers, has_header=True)
    raise InputError(
        f"{name}: no time column ({line.strip().decode('ascii', 'replace')[:80]})",
        hint="name the column of the open times timestamp or open_time",
    )


def _layout(columns: int, time: int, numbers: Sequence[int], *, has_header: bool) -> _Layout:
    parts = [_NUMBER if column in numbers else _ANYTHING for column in range(columns)]
    parts[time] = _TIME
    return _Layout(columns, time, re.compile(b",".join(parts) + rb"\r?"), has_header)


def _whole_block(block: bytes, lines: list[bytes], layout: _Layout) -> list[Sequence[int]] | None:
    """The open times of all lines, in pieces; None if the block must be read line by line."""
    if layout.time:
        return None
    shape = layout.time_shape(set(_lines(block.translate(_TO_ZEROS))))
    if shape is None:
        return None
    pieces: list[Sequence[int]] = []
    if shape == _ISO_SHAPE:
        texts = [line[:_ISO_WIDTH] for line in lines]
        return pieces if _split_texts(texts, pieces) else None
    values = _epochs(lines, len(shape)) if shape.isdigit() else None
    if values is None:
        return None
    _split_values(values, pieces)
    return pieces


def _epochs(lines: list[bytes], digits: int) -> list[int] | None:
    """Milliseconds, of times that all have this many digits; None where a unit is too fine."""
    if (unit := _UNITS.get(digits)) is None:
        return None
    values = [int(line[:digits]) for line in lines]
    if unit < SECOND_MS:
        return [value * SECOND_MS for value in values]
    finer = unit // SECOND_MS
    if any(value % finer for value in values):
        return None
    return [value // finer for value in values]


def _split_texts(texts: list[bytes], pieces: list[Sequence[int]]) -> bool:
    """Appends the times in pieces, as evenly spaced as they are; False if one is no time."""
    if len(texts) <= _FEW:
        times = [ms for text in texts if (ms := time_ms(text)) is not None]
        pieces.append(times)
        return len(times) == len(texts)
    start, second = time_ms(texts[0]), time_ms(texts[1])
    if start is None or second is None:
        return False
    even = _even(start, second, len(texts))
    # The last one first: it nearly always tells.
    if even and time_ms(texts[-1]) == even[-1] and texts == _texts(even):
        pieces.append(even)
        return True
    half = len(texts) // 2
    return _split_texts(texts[:half], pieces) and _split_texts(texts[half:], pieces)


def _split_values(values: list[int], pieces: list[Sequence[int]]) -> None:
    if len(values) <= _FEW:
        pieces.append(values)
        return
    even = _even(values[0], values[1], len(values))
    if even and values[-1] == even[-1] and values == list(even):
        pieces.append(even)
        return
    half = len(values) // 2
    _split_values(values[:half], pieces)
    _split_values(values[half:], pieces)


def _even(start: int, second: int, count: int) -> range | None:
    step = second - start
    return range(start, start + step * count, step) if step > 0 else None


def _texts(times: range) -> list[bytes]:
    """The time column of rows at these whole seconds."""
    step = times.step
    if DAY_MS % step or step % SECOND_MS:
        return [timestamp.to_text(ms).encode() for ms in times]
    in_day = _day_texts(times.start % step, step)
    texts: list[bytes] = []
    at = times.start
    while at < times.stop:
        day = at - at % DAY_MS
        date = timestamp.to_text(day)[:10].encode()
        part = in_day[(at - day) // step :][: (times.stop - at) // step]
        texts += [date + text for text in part]
        at += step * len(part)
    return texts


@lru_cache(maxsize=4)
def _day_texts(phase: int, step: int) -> list[bytes]:
    """``T00:00:00Z`` and on, at every ``step`` of a day from ``phase``; milliseconds."""
    return [timestamp.to_text(ms)[10:].encode() for ms in range(phase, DAY_MS, step)]
