"""Which candles a growing file has, from a time on: read once, and from then on only what is new.

For who looks every few seconds at a file of months. Late candles are merged into the tail of a file, and
all that follows moves: the end of each piece that was read is remembered, and what is no more where it
was is read again. Reading lets other threads go on between two pieces.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from dataclasses import dataclass
from functools import partial

from kline_ops.errors import InputError
from kline_ops.gaps.coverage import Ledger
from kline_ops.gaps.read import BLOCK, merging
from kline_ops.gaps.rows import RowDecoder
from kline_ops.market import timestamp
from kline_ops.market.halving import LONGEST_ROW, end_of_lines, place_of
from kline_ops.worker import Breath

#: A merge takes milliseconds; a file that is rewritten for longer than this is not ours.
_TRIES, _BETWEEN = 20, 0.05
#: Bytes at the end of each piece by which it is known again.
_NOTED = 64
#: Where the rows are in no order, so much of the end of a file is read.
_MOST = 256 << 20
#: In so many bytes there is a header, and a row.
_HEAD = 4096
_SECONDS = len("2026-01-27T14:00:00")


@dataclass(frozen=True, slots=True)
class _Piece:
    """What was read in one go: where it began and ended, how it ended, and its first open time."""

    begin: int
    end: int
    tail: bytes
    first_ms: int | None


class RowFollower:
    """Keeps a ledger up to date with a candle file. For one thread."""

    def __init__(self, path: str, ledger: Ledger) -> None:
        self._path = path
        self._ledger = ledger
        self._inode = -1
        self._stamp = (0, 0)
        self._decoder = RowDecoder(path, values=False)
        self._begin = 0
        self._pieces: list[_Piece] = []
        #: When the first row of the file opens; None while it has none.
        self.first_ms: int | None = None

    def update(self) -> None:
        """Read what is new.

        Raises:
            InputError: it can not be read, is no candle file, or is being rewritten all the time.
        """
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            self._forget()  # nothing was recorded yet, or somebody took it away
            return
        except OSError as error:
            raise InputError(f"cannot read {self._path}: {error.strerror}") from None
        try:
            self._steadily(fd)
        except OSError as error:
            raise InputError(f"cannot read {self._path}: {error.strerror}") from None
        finally:
            os.close(fd)

    def _steadily(self, fd: int) -> None:
        told = os.fstat(fd)
        if not stat.S_ISREG(told.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if told.st_ino != self._inode:
            self._forget()
            self._inode = told.st_ino
        for _ in range(_TRIES):
            if not merging(self._path):
                told = os.fstat(fd)
                stamp = told.st_size, told.st_mtime_ns
                if stamp == self._stamp:
                    return
                self._stamp = (0, 0)
                self._read_new(fd, told.st_size)
                now = os.fstat(fd)
                written = (now.st_size, now.st_mtime_ns) != stamp
                if not merging(self._path) and not (written and self._drop_moved(fd)):
                    self._stamp = stamp
                    return
            time.sleep(_BETWEEN)
        raise InputError(f"late candles are being merged into {self._path}", hint="again later")

    def _forget(self) -> None:
        self._inode, self._stamp, self.first_ms = -1, (0, 0), None
        self._decoder = RowDecoder(self._path, values=False)
        self._pieces.clear()
        self._ledger.has_no_rows_from(self._ledger.first_ms)

    def _read_new(self, fd: int, size: int) -> None:
        read = partial(_read, fd)
        if self._pieces and not _is_as_read(fd, self._pieces[-1]):
            self._drop_moved(fd)
        size = end_of_lines(read, size)
        if not self._pieces and not self._find_begin(fd, size):
            return
        at = self._pieces[-1].end if self._pieces else self._begin
        breathe = Breath()
        while at < size and (block := read(at, min(BLOCK, size - at))):
            cut = block.rfind(b"\n") + 1
            if not cut:
                cut = len(block)  # longer than any row: read as what it is, a bad one
            block = block[:cut]
            at += cut
            self._take(block, at)
            breathe()

    def _take(self, block: bytes, end: int) -> None:
        begin, first = end - len(block), None
        if self._pieces and end - self._pieces[-1].begin < BLOCK:
            # A row at a time: one piece, and not one each.
            last = self._pieces.pop()
            begin, first = last.begin, last.first_ms
        for rows in self._decoder.decode(block):
            for piece in filter(None, rows.pieces):
                low = piece[0] if isinstance(piece, range) else min(piece)
                first = low if first is None else min(first, low)
                self._ledger.has_rows(piece)
        self._pieces.append(_Piece(begin, end, block[-_NOTED:], first))

    def _find_begin(self, fd: int, size: int) -> bool:
        """Learn the columns, and where the rows begin that are asked for; False: there is none yet."""
        read = partial(_read, fd)
        self._decoder, self.first_ms = RowDecoder(self._path, values=False), None
        head = read(0, _HEAD)
        if b"\n" in head or len(head) < _HEAD:
            head = head[: head.rfind(b"\n", 0, size) + 1]
        firsts = [
            ms for rows in self._decoder.decode(head) for piece in rows.pieces for ms in piece
        ]
        if not firsts:
            return False
        self.first_ms = firsts[0]
        text = timestamp.to_text(self._ledger.first_ms)[:_SECONDS].encode()
        place = place_of(read, size, text)
        if place is None:
            place = max(0, size - _MOST)
        top = head.find(b"\n") + 1 if not head[:1].isdigit() else 0
        # To the beginning of a line, where it is none.
        place = place and place - 1 + read(place - 1, LONGEST_ROW).find(b"\n") + 1
        self._begin = max(top, place)
        return True

    def _drop_moved(self, fd: int) -> bool:
        """Forget what is no more where it was, and all that follows it; False: all of it is."""
        found = (at for at, piece in enumerate(self._pieces) if not _is_as_read(fd, piece))
        if (moved := next(found, None)) is None:
            return False
        times = [piece.first_ms for piece in self._pieces[moved:] if piece.first_ms is not None]
        del self._pieces[moved:]
        if times:
            self._ledger.has_no_rows_from(min(times))
        return True


def _read(fd: int, offset: int, length: int) -> bytes:
    return os.pread(fd, length, offset)


def _is_as_read(fd: int, piece: _Piece) -> bool:
    return os.pread(fd, len(piece.tail), piece.end - len(piece.tail)) == piece.tail
