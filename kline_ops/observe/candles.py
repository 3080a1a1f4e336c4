"""The last candles of a candle file, read as it stands: what is shown is what is on disk.

Read from the end, or from a time on backwards: a file of years costs no more than one of a day.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from kline_ops.errors import InputError
from kline_ops.market import timestamp
from kline_ops.market.candle import HEADERS, Candle, Columns, from_row
from kline_ops.market.halving import end_of_lines, place_of

#: Bytes of a row, about, and of the longest there can be.
_USUAL, _ROW = 96, 256
#: A merge takes milliseconds; a file that is rewritten for longer than this is not ours.
_TRIES, _BETWEEN = 20, 0.05
#: ``2026-01-27T14:00:00``: of a time as text, so much is in every one.
_SECONDS = 19


def last_candles(path: Path, count: int, before_ms: int | None = None) -> list[Candle]:
    """Up to ``count`` candles, oldest first. Lines that are no whole rows are left out.

    ``before_ms``: the last ones that open before this time, in milliseconds since the epoch.

    Raises:
        OSError: it can not be read.
        InputError: its rows are in no order, so that this time can not be found.
    """
    return _opened(path, lambda file: file.last(count, before_ms))


def _opened(path: Path, read: Callable[[_File], list[Candle]]) -> list[Candle]:
    # A FIFO would be waited at for ever.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        return read(_File(path, fd))
    finally:
        os.close(fd)


def settled_candles(path: Path, count: int, before_ms: int | None = None) -> list[Candle]:
    """The same, but never of a moment at which late candles are merged into the file.

    Raises:
        OSError, InputError: as :func:`last_candles`; or it is no candle file of ours, or is being
            merged into all the time.
    """

    def read(file: _File) -> list[Candle]:
        if not file.is_ours:
            raise InputError(f"{path} is no candle file", hint="kline-ops analyze-gaps says more")
        return file.last(count, before_ms)

    redo = path.with_name(f"{path.name}.redo")
    for _ in range(_TRIES):
        if not redo.exists():
            stamp = _stamp(path)
            candles = _opened(path, read)
            if not redo.exists() and (_stamp(path) == stamp or _in_order(candles)):
                return candles
        time.sleep(_BETWEEN)
    raise InputError(f"late candles are being merged into {path}", hint="again later")


class _File:
    """An open candle file."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd
        head = self._read(0, _ROW).partition(b"\n")[0] + b"\n"
        self._columns: Columns = "full" if head.rstrip() == HEADERS["full"].encode() else "basic"
        #: It begins as one of ours does, as far as it has begun.
        self.is_ours = HEADERS["full"].startswith(head[:-1].decode("ascii", "replace"))
        #: Where the rows begin.
        self._top = len(head) if not head[:1].isdigit() else 0

    def last(self, count: int, before_ms: int | None) -> list[Candle]:
        # An empty file, or half a header, ends before its rows begin.
        end = max(self._top, os.fstat(self._fd).st_size)
        if before_ms is not None:
            end = max(self._top, self._place(end_of_lines(self._read, end), before_ms))
        length = count * _USUAL
        while True:
            start = max(self._top, end - length)
            lines = self._read(start, end - start).splitlines(keepends=True)
            # The first line of a look into the middle may be the end of one.
            lines = lines[1:] if start > self._top else lines
            if len(lines) >= count or start == self._top or length >= count * _ROW:
                break
            length = count * _ROW
        candles = _candles(lines[-count:], self._columns)
        return [c for c in candles if before_ms is None or c.open_ms < before_ms]

    def _place(self, size: int, before_ms: int) -> int:
        """Where the first row begins that does not open before this time."""
        # A whole second on: rows of the same second may open before it.
        text = timestamp.to_text(before_ms + 999)[:_SECONDS].encode()
        place = place_of(self._read, size, text)
        if place is None:
            raise InputError(
                f"{self._path}: its rows are in no order", hint="kline-ops analyze-gaps says more"
            )
        return place

    def _read(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)


def _stamp(path: Path) -> tuple[int, int, int]:
    told = path.stat()
    return told.st_ino, told.st_size, told.st_mtime_ns


def _in_order(candles: list[Candle]) -> bool:
    """A merge that was met half-way shows rows twice, or in another order."""
    times = [candle.open_ms for candle in candles]
    return times == sorted(set(times))


def _candles(lines: list[bytes], columns: Columns) -> list[Candle]:
    candles: list[Candle] = []
    for line in lines:
        try:
            candles.append(from_row(line, columns, possible=False))
        except ValueError:
            continue  # torn, or in the middle of a merge: the next look finds it whole
    return candles
