"""The rows of one UTC day of a candle file of ours, found by halving: it may hold years of seconds.

Rows are in order, begin with their open time, and are short. Where a line on the way does not begin with
a time, or what is found is not one day in order, the file is read through. A row that stands days away
from its place is not found: ``analyze-gaps`` tells of those.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from kline_ops.errors import InputError
from kline_ops.gaps.read import merging
from kline_ops.market.candle import HEADERS, Columns, row_open_ms
from kline_ops.market.halving import LONGEST_ROW, end_of_lines, place_of

T = TypeVar("T")

#: A merge takes milliseconds; a file that is rewritten for longer than this is not ours.
_TRIES, _BETWEEN = 40, 0.05
_BLOCK = 1 << 20


class DayFile:
    """An open candle file. Opens read-only, touches nothing.

    A recorder may append to it, and merge late candles into it, meanwhile: every answer is of one
    moment.

    Raises:
        InputError: it can not be read, or holds no candle row.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            head = self._read(0, LONGEST_ROW).partition(b"\n")[0]
        except OSError as error:  # of a directory, only reading fails
            raise InputError(f"cannot read {path}: {error.strerror}") from None
        self._columns: Columns = next(
            (columns for columns, header in HEADERS.items() if header.encode() == head), "basic"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        os.close(self._fd)

    def first_ms(self) -> int:
        """When the first row opens."""
        return self._steadily(self._first_ms)

    def rows(self, day: str, next_day: str, known: str = "") -> bytes:
        """The whole candle rows of a day, as they stand in the file.

        ``known`` is the SHA-256 that they had once: rows that have it still are not looked at singly.
        """
        return self._steadily(lambda size: self._rows(size, day.encode(), next_day.encode(), known))

    def times(self, rows: bytes) -> list[int]:
        """The open times of rows."""
        times = (row_open_ms(line, self._columns) for line in _lines(rows))
        return [ms for ms in times if ms is not None]

    def _steadily(self, read: Callable[[int], T]) -> T:
        """Read until nothing was written meanwhile, or that made no difference."""
        before: T | None = None
        for _ in range(_TRIES):
            if not merging(self._path):
                stamp = self._stamp()
                found = self._tried(read, stamp[0])
                if not merging(self._path) and (self._stamp() == stamp or found == before):
                    return found
                before = found
            time.sleep(_BETWEEN)
        raise InputError(
            f"{self._path}: late candles are being merged into it",
            hint="again later, or start its session, which ends a merge that was cut off",
        )

    def _stamp(self) -> tuple[int, int]:
        now = os.fstat(self._fd)
        return now.st_size, now.st_mtime_ns

    def _tried(self, read: Callable[[int], T], size: int) -> T:
        try:
            return read(size)
        except OSError as error:
            raise InputError(f"{self._path}: {error.strerror}") from None

    def _first_ms(self, size: int) -> int:
        for block in self._blocks(size):
            for line in _lines(block):
                if (open_ms := row_open_ms(line, self._columns)) is not None:
                    return open_ms
        raise InputError(f"{self._path}: no candle in it", hint="a file that has rows")

    def _rows(self, size: int, day: bytes, next_day: bytes, known: str) -> bytes:
        size = end_of_lines(self._read, size)
        start = place_of(self._read, size, day)
        end = None if start is None else place_of(self._read, size, next_day)
        if start is not None and end is not None and start <= end:
            data = self._read(start, end - start)
            if hashlib.sha256(data).hexdigest() == known:
                return data
            lines = _lines(data)
            if all(line.startswith(day) for line in lines) and lines == sorted(lines):
                return self._whole(lines)
        in_day = re.compile(b"^" + day + b"T[^\n]*\n", re.MULTILINE).findall
        return b"".join(self._whole(in_day(block)) for block in self._blocks(size))

    def _whole(self, lines: list[bytes]) -> bytes:
        return b"".join(line for line in lines if row_open_ms(line, self._columns) is not None)

    def _read(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def _blocks(self, size: int) -> Iterator[bytes]:
        """Whole lines, as many as fit into a block; a line without an end is no row."""
        offset, rest = 0, b""
        while offset < size and (data := self._read(offset, min(_BLOCK, size - offset))):
            offset += len(data)
            cut = data.rfind(b"\n") + 1
            if cut:
                yield rest + data[:cut]
                rest = b""
            rest = (rest + data[cut:])[-_BLOCK:]


def _lines(data: bytes) -> list[bytes]:
    """The lines with their ends. (``splitlines`` would end some at a carriage return as well.)"""
    return io.BytesIO(data).readlines()
