"""Reading a candle file while a recorder may write into it. Opens read-only, touches nothing.

A merge of late candles rewrites the tail in place and keeps ``FILE.redo`` beside it meanwhile: what was
read around one is read again. Rows are found by their open time, as a merge moves them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

from kline_ops.errors import InputError
from kline_ops.market import timestamp
from kline_ops.market.candle import Candle, Columns, from_row, row_open_ms
from kline_ops.market.interval import Interval
from kline_ops.market.span import Span
from kline_ops.record.contents import Contents, check_header, good_end, header_line
from kline_ops.record.disk import Disk
from kline_ops.record.redo import redo_path
from kline_ops.record.scan import read_contents

T = TypeVar("T")

#: A merge takes milliseconds; a file that is rewritten for longer than this is not ours.
_TRIES, _BETWEEN = 40, 0.05
#: Where so many bytes are left to search, they are read through.
_NEAR = 4096
_BLOCK = 1 << 16
_LONGEST_ROW = 512


class RowReader:
    """One candle file of ours."""

    def __init__(self, path: Path, columns: Columns = "basic") -> None:
        self.path = path
        self.columns: Columns = columns
        self._disk = Disk()

    def contents(self, interval: Interval) -> Contents:
        """What stands in the file; a torn end is left out.

        Raises:
            InputError: it can not be read, or is being rewritten all the time.
            JournalError: it is no candle file of ours.
        """

        def read(fd: int, size: int) -> Contents:
            check_header(self._disk, fd, size, str(self.path), self.columns)
            end, _ = good_end(self._disk, fd, size, self.columns)
            contents = read_contents(self._disk, fd, end, interval, self.columns)
            if contents.bad_at is not None:
                raise ValueError(f"no row in its place at byte {contents.bad_at}")
            return contents

        return self._steadily(read)

    def between(self, span: Span) -> list[Candle]:
        """The rows that open in ``span``.

        Raises:
            InputError: as above, or a line there is no candle row.
        """
        return self._steadily(lambda fd, size: self._rows(fd, size, span))

    def _steadily(self, read: Callable[[int, int], T]) -> T:
        """Read again until nothing was written meanwhile."""
        redo = redo_path(self.path)
        for _ in range(_TRIES):
            with self._open() as file:
                fd = file.fileno()
                before = os.fstat(fd)
                merging = redo.exists()
                found = _tried(read, fd, before.st_size)
                if not merging and not redo.exists() and _same(before, os.fstat(fd)):
                    if isinstance(found, ValueError):
                        raise InputError(
                            f"{self.path}: {found}", hint="backfill, which puts it right"
                        )
                    return found
            time.sleep(_BETWEEN)
        raise InputError(
            f"{self.path} is being rewritten, or a merge into it was cut off",
            hint="again later; backfill it, or start its session, to end what was cut off",
        )

    def _open(self) -> IO[bytes]:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror}") from None

    def _rows(self, fd: int, size: int, span: Span) -> list[Candle]:
        found: list[Candle] = []
        offset, rest = self._near(fd, size, span.first), b""
        while offset < size and (block := self._disk.read(fd, min(_BLOCK, size - offset), offset)):
            offset += len(block)
            lines = (rest + block).splitlines(keepends=True)
            rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
            for line in lines:
                candle = _candle(line, self.columns, found)
                if candle.open_ms >= span.end:
                    return found
                if candle.open_ms >= span.first:
                    found.append(candle)
        return found

    def _near(self, fd: int, size: int, open_ms: int) -> int:
        """The start of a row at or before the place of this open time, and not far from it."""
        low, high = len(header_line(self.columns)), size
        while high - low > _NEAR:
            middle = (low + high) // 2
            data = self._disk.read(fd, 2 * _LONGEST_ROW, middle)
            start = data.find(b"\n") + 1
            row_ms = row_open_ms(data[start : data.find(b"\n", start) + 1], self.columns)
            if row_ms is not None and row_ms < open_ms:
                low = middle + start
            else:
                high = middle
        return low


def _tried(read: Callable[[int, int], T], fd: int, size: int) -> T | ValueError:
    try:
        return read(fd, size)
    except ValueError as error:
        return error


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)


def _candle(line: bytes, columns: Columns, before: list[Candle]) -> Candle:
    try:
        # One that can not be (high below low) is to be compared all the same: it differs.
        return from_row(line, columns, possible=False)
    except ValueError as error:
        place = f" after {timestamp.to_text(before[-1].open_ms)}" if before else ""
        raise ValueError(f"a line{place} is no candle row: {error}") from None
