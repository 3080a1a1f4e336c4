"""Reading a candle file when it is opened: each line is verified, nearly all a block at a time.

Whether a line is a whole row does not depend on its digits: with every digit made a zero, the
thousands of lines of a block are a few dozen different ones, and each of those is asked once. Its
times are compared, as text, with what the calendar owes; where there are holes, they are looked up.
A block that is not sound, or whose interval does not divide a day, is read line by line.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from kline_ops.market import timestamp
from kline_ops.market.candle import Columns, row_open_ms
from kline_ops.market.interval import DAY_MS, LATEST_MS, SECOND_MS, Interval
from kline_ops.market.span import Span
from kline_ops.record.contents import Contents, header_line, split_lines, whole_lines
from kline_ops.record.disk import Disk

#: Below this many lines, a block is read line by line.
_FEW = 64
#: Rows whose times are compared at once: a hole costs the look-up of so many.
_CHUNK = 1024
#: Shapes of rows that are remembered: as many as numbers have widths, or nearly so.
_SHAPES_KEPT = 4096

_TO_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_TIME_SHAPE = b"0000-00-00T00:00:00Z,"
#: A row with zeros for digits is tried with the first day that there is in place of no day at all.
_FIRST_DAY = b"1970-01-01T00:00:00Z,"
_DATE, _CLOCK = slice(0, 10), slice(10, 20)


class Run(NamedTuple):
    """Rows that follow one another on the grid: the open times of the first and the last."""

    first_ms: int
    last_ms: int
    rows: int


def read_contents(
    disk: Disk, fd: int, size: int, interval: Interval, columns: Columns = "basic"
) -> Contents:
    """Verify and count all lines up to ``size`` (which is where the last whole row ends)."""
    tally, blocks = _Tally(interval), BlockReader(interval, columns)
    for at, block in whole_lines(disk, fd, len(header_line(columns)), size):
        lines = split_lines(block)
        runs = blocks.runs(block, lines)
        if runs is not None and tally.fits(runs):
            for run in runs:
                tally.take(run)
            continue
        place = at
        for line in lines:
            open_ms = row_open_ms(line, columns)
            if open_ms is None or not tally.fits(one := [Run(open_ms, open_ms, 1)]):
                return tally.contents(bad_at=place)
            tally.take(one[0])
            place += len(line)
    return tally.contents()


def in_order(runs: list[Run], last_ms: int) -> bool:
    """Are the runs in order, and all after this open time?"""
    for run in runs:
        if run.first_ms <= last_ms:
            return False
        last_ms = run.last_ms
    return True


class _Tally:
    """Counts what it is given, which has to be in order. A row off the grid fills no slot."""

    def __init__(self, interval: Interval) -> None:
        self._interval = interval
        self._rows = 0
        self._last_ms = -1
        self._first: int | None = None
        self._end: int | None = None
        self._holes: list[Span] = []

    def fits(self, runs: list[Run]) -> bool:
        """Are they in order, and after all that was taken?"""
        return in_order(runs, self._last_ms)

    def take(self, run: Run) -> None:
        self._rows += run.rows
        self._last_ms = run.last_ms
        if not self._interval.is_open(run.first_ms):
            return  # the exchange has such bars beside its grid; the candle of the slot is still owed
        first = run.first_ms
        end = self._interval.after(run.last_ms)
        if self._first is None or self._end is None:
            self._first = first
        elif first > self._end:
            self._holes.append(Span(self._end, first))
        self._end = end

    def contents(self, bad_at: int | None = None) -> Contents:
        last = None if self._end is None else self._interval.shift(self._end, -1)
        return Contents(self._rows, self._first, last, self._holes, bad_at)


class BlockReader:
    """Reads blocks of rows whose times are on the grid of an interval that divides a day."""

    def __init__(self, interval: Interval, columns: Columns) -> None:
        length = interval.length_ms
        self._step = length if length is not None and DAY_MS % length == 0 else None
        self._phase = -interval.zone_ms % (self._step or DAY_MS)
        self._columns = columns
        self._shapes: set[bytes] = set()
        self._days = _Days()

    def runs(self, block: bytes, lines: list[bytes]) -> list[Run] | None:
        """The block's rows, in file order; None where it has to be read line by line."""
        if self._step is None or len(lines) < _FEW or not self._sound(block):
            return None
        runs: list[Run] = []
        try:
            for at in range(0, len(lines), _CHUNK):
                runs += self._chunk(lines[at : at + _CHUNK], self._step)
        except (KeyError, ValueError):
            return None  # a time off the grid, or a day that no month has
        return runs

    def _sound(self, block: bytes) -> bool:
        for shape in set(split_lines(block.translate(_TO_ZEROS))).difference(self._shapes):
            tried = shape.replace(_TIME_SHAPE, _FIRST_DAY, 1)
            if not shape.startswith(_TIME_SHAPE) or row_open_ms(tried, self._columns) is None:
                return False
            if len(self._shapes) < _SHAPES_KEPT:
                self._shapes.add(shape)
        return True

    def _chunk(self, lines: list[bytes], step: int) -> list[Run]:
        days, clocks = self._days, _clocks(self._phase, step)
        first = days[lines[0][_DATE]] + clocks[lines[0][_CLOCK]]
        if all(map(bytes.startswith, lines, self._owed(first, len(lines), step))):
            return [Run(first, first + (len(lines) - 1) * step, len(lines))]
        opens = [days[line[_DATE]] + clocks[line[_CLOCK]] for line in lines]
        breaks = [i for i in range(1, len(opens)) if opens[i] - opens[i - 1] != step]
        edges = [0, *breaks, len(opens)]
        return [Run(opens[a], opens[b - 1], b - a) for a, b in pairwise(edges)]

    def _owed(self, first_ms: int, count: int, step: int) -> list[bytes]:
        """The texts of so many open times in a row."""
        texts: list[bytes] = []
        in_day = _clock_texts(self._phase, step)
        while count > 0:
            date = timestamp.to_text(first_ms)[_DATE].encode()
            index = first_ms % DAY_MS // step
            part = in_day[index : index + count]
            texts += [date + clock for clock in part]
            first_ms += step * len(part)
            count -= len(part)
        return texts


class _Days(dict[bytes, int]):
    """``2026-01-27`` to the milliseconds of its beginning."""

    def __missing__(self, date: bytes) -> int:
        ms = timestamp.to_ms(date.decode("ascii"))
        if not 0 <= ms < LATEST_MS:
            raise ValueError("out of all bounds")
        self[date] = ms
        return ms


@lru_cache(maxsize=4)
def _clocks(phase: int, step: int) -> dict[bytes, int]:
    """``T14:00:00Z`` to milliseconds, for each open time of a day."""
    clocks: dict[bytes, int] = {}
    for ms in range(phase, DAY_MS, step):
        seconds = ms // SECOND_MS
        text = b"T%02d:%02d:%02dZ" % (seconds // 3600, seconds // 60 % 60, seconds % 60)
        clocks[text] = ms
    return clocks


@lru_cache(maxsize=4)
def _clock_texts(phase: int, step: int) -> tuple[bytes, ...]:
    return tuple(_clocks(phase, step))
