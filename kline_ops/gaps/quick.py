"""A whole block of rows at once, for blocks as plain as nearly all are. Right, or not at all.

Whether a line is sound does not depend on its digits: with every digit made a zero, the thousands of
lines of a block are a few dozen different shapes, and each of those is asked once. The times are then
compared, as text, with those of equal steps; where they differ, half by half, down to single rows.
Numbers of one shape are in order where their texts are, so highs are compared with lows unparsed.

Where the values are not asked for, there is a quicker way: with every digit taken out, all lines of a
block are the same. It takes ``5.`` and ``.`` for numbers, which the first way does not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from operator import ge, itemgetter
from typing import NamedTuple

from kline_ops.gaps.layout import Layout
from kline_ops.gaps.times import UNITS, time_ms
from kline_ops.market import timestamp
from kline_ops.market.interval import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

_DIGITS = b"0123456789"
_TO_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_ISO_SHAPE = b"0000-00-00T00:00:00Z"
_ISO_WIDTH = len(_ISO_SHAPE)
_ISO = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_VALUES = "ohlcv"
#: Shapes of sound lines that are remembered: as many as numbers have widths, or nearly so.
_SHAPES_KEPT = 4096
#: Below this many rows, looking for equal steps costs more than it saves.
_FEW = 16


class _Shape(NamedTuple):
    """What all lines of a shape have in common."""

    time: bytes
    #: Whether high and low are of one shape: then their texts are in the order of their values.
    comparable: bool
    #: How a volume of zero stands in such a line, with what is around it; empty without a volume.
    no_volume: bytes


#: Pieces of open times, line numbers, lines, bad, impossible, without volume: as ``Rows`` takes them.
Found = tuple[
    list[Sequence[int]], Sequence[int], Sequence[bytes], Sequence[int], Sequence[int], Sequence[int]
]


class QuickReader:
    """For files whose time is the first column, and highs and lows are in the middle."""

    def __init__(self, layout: Layout, *, values: bool) -> None:
        self._layout = layout
        self._values = values
        self._shapes: dict[bytes, _Shape] = {}
        inner = range(1, layout.columns - 1)
        self._fits = layout.time == 0 and all(column in inner for column in layout.values[1:3])

    def read(self, block: bytes, texts: list[bytes], first: int) -> Found | None:
        """The rows of a block; None if it has to be read line by line."""
        if not self._fits:
            return None
        lines = range(first, first + len(texts))
        if not self._values and (even := self._lean(block, texts)) is not None:
            return [even], lines, texts, (), (), ()
        shapes = block.translate(_TO_ZEROS).split(b"\n")
        if not shapes[-1]:
            shapes.pop()
        kinds = self._kinds(set(shapes))
        if not kinds or len({kind.time for kind in kinds}) > 1:
            return None
        pieces = _times(texts, kinds[0].time)
        if pieces is None:
            return None
        if not self._values:
            return pieces, lines, texts, (), (), ()
        comparable = all(kind.comparable for kind in kinds)
        impossible = self._impossible(block, len(texts), first, comparable=comparable)
        quiet = self._quiet(block, texts, {kind.no_volume for kind in kinds}, pieces)
        return pieces, lines, texts, (), impossible, quiet

    def _lean(self, block: bytes, texts: list[bytes]) -> range | None:
        """The times of a block whose lines differ in their digits only, and follow one another."""
        row = self._layout.row.fullmatch(texts[0])
        if row is None or not block.endswith(b"\n"):
            return None
        # Without its point, a number that is not there at all would look like one.
        if not all(b"." in row[value] for value in _VALUES[: len(self._layout.values)]):
            return None
        bare = texts[0].translate(None, _DIGITS) + b"\n"
        if block.translate(None, _DIGITS) != bare * len(texts):
            return None
        return _even_lines(texts) if _ISO.fullmatch(row["time"]) else None

    def _kinds(self, shapes: set[bytes]) -> list[_Shape]:
        """What is known of these; nothing if one of them is no sound line."""
        known = self._shapes
        for line in shapes.difference(known):
            row = self._layout.row.fullmatch(line)
            if row is None or len(known) >= _SHAPES_KEPT:
                return []
            comparable = row["h"] == row["l"] and row["h"].replace(b".", b"0").isdigit()
            no_volume = b""
            if len(self._layout.values) > 4:
                start, end = row.span("v")
                no_volume = line[max(0, start - 1) : end + 1]
                if end >= len(line):
                    no_volume += b"\n"
            known[line] = _Shape(row["time"], comparable, no_volume)
        return [known[line] for line in shapes]

    def _impossible(
        self, block: bytes, count: int, first: int, *, comparable: bool
    ) -> Sequence[int]:
        """Line numbers of rows whose high is below their low."""
        # The last column of a row and the first of the next are one field here.
        fields, step = block.split(b","), self._layout.columns - 1
        high, low = self._layout.values[1:3]
        highs, lows = fields[high::step], fields[low::step]
        if not comparable:
            numbers = zip(map(float, highs), map(float, lows), strict=True)
            return [first + at for at, (up, down) in enumerate(numbers) if up < down]
        if all(map(ge, highs, lows)):
            return ()
        return [first + at for at in range(count) if highs[at] < lows[at]]

    def _quiet(
        self, block: bytes, texts: list[bytes], signs: set[bytes], pieces: list[Sequence[int]]
    ) -> Sequence[int]:
        """Open times of rows without any volume."""
        if not block.endswith(b"\n"):
            block += b"\n"
        if not any(sign in block for sign in signs if sign):
            return ()
        times = [ms for piece in pieces for ms in piece]
        volume = self._layout.values[4]
        return [
            ms
            for ms, line in zip(times, texts, strict=True)
            if float(line.split(b",", volume + 1)[volume]) == 0.0
        ]


def _times(texts: list[bytes], shape: bytes) -> list[Sequence[int]] | None:
    """The open times of lines whose time column has this shape, in pieces."""
    pieces: list[Sequence[int]] = []
    if shape == _ISO_SHAPE:
        return pieces if _split_lines(texts, pieces) else None
    values = _epochs(texts, len(shape)) if shape.isdigit() else None
    if values is None:
        return None
    _split_values(values, pieces)
    return pieces


def _even_lines(lines: list[bytes]) -> range | None:
    """The open times of lines that begin with such in equal steps."""
    if len(lines) < 2:
        return None
    start, second, last = (time_ms(lines[at][:_ISO_WIDTH]) for at in (0, 1, -1))
    if start is None or second is None or last is None:
        return None
    even = _even(start, second, len(lines))
    # The last one first: it nearly always tells.
    if even is None or even[-1] != last or even[0] % SECOND_MS or even.step % SECOND_MS:
        return None
    return even if _begin_with(lines, even) else None


def _begin_with(lines: list[bytes], times: range) -> bool:
    """Whether the lines begin with these times, which are whole seconds, and a comma."""
    step = times.step
    unit = DAY_MS if step >= MINUTE_MS else HOUR_MS
    if unit % step:
        texts = [timestamp.to_text(ms).encode() + b"," for ms in times]
        return all(map(bytes.startswith, lines, texts))
    # Lines in order, of which the first and the last begin with the same date, all begin with it.
    if sorted(lines) != lines:
        return False
    width, endings = _endings(times.start % step, step, unit)
    ending_of = itemgetter(slice(width, _ISO_WIDTH + 1))
    done, at = 0, times.start
    while done < len(lines):
        since = at - at % unit
        first = (at - since) // step
        part = lines[done : done + len(endings) - first]
        head = timestamp.to_text(since)[:width].encode()
        if not (part[0].startswith(head) and part[-1].startswith(head)):
            return False
        if list(map(ending_of, part)) != endings[first : first + len(part)]:
            return False
        done += len(part)
        at += step * len(part)
    return True


def _epochs(texts: list[bytes], digits: int) -> list[int] | None:
    """Milliseconds, of times that all have this many digits; None where a unit is too fine."""
    if (unit := UNITS.get(digits)) is None:
        return None
    values = [int(line[:digits]) for line in texts]
    if unit < SECOND_MS:
        return [value * SECOND_MS for value in values]
    finer = unit // SECOND_MS
    if any(value % finer for value in values):
        return None
    return [value // finer for value in values]


def _split_lines(lines: list[bytes], pieces: list[Sequence[int]]) -> bool:
    """Appends the times in pieces, as evenly spaced as they are; False if one is no time."""
    if len(lines) <= _FEW:
        times = [ms for line in lines if (ms := time_ms(line[:_ISO_WIDTH])) is not None]
        pieces.append(times)
        return len(times) == len(lines)
    if (even := _even_lines(lines)) is not None:
        pieces.append(even)
        return True
    half = len(lines) // 2
    return _split_lines(lines[:half], pieces) and _split_lines(lines[half:], pieces)


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


@lru_cache(maxsize=4)
def _endings(phase: int, step: int, unit: int) -> tuple[int, list[bytes]]:
    """``T14:00:00Z,`` at every ``step`` of a day from ``phase`` (ms), or ``:00:07Z,`` of an hour.

    Before them, how much of a time stands before such an ending.
    """
    width = 10 if unit == DAY_MS else 13
    times = range(phase, unit, step)
    return width, [timestamp.to_text(ms)[width:].encode() + b"," for ms in times]
