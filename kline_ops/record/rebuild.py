"""A candle file written anew, with candles between its rows, and then put in its place.

``FILE.import`` grows beside it and takes its name at the end: until then, whatever happens, the file is
the old one. One pass over the file and next to no memory, however many candles there are and wherever
they belong; a merge (``journal.py``) holds all that follows the first of them.
"""

from __future__ import annotations

import contextlib
import errno
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path

from kline_ops.errors import JournalError
from kline_ops.market.candle import Candle, Columns, row_open_ms
from kline_ops.market.interval import LATEST_MS
from kline_ops.record.contents import BLOCK, header_line, split_lines, whole_lines
from kline_ops.record.disk import Disk
from kline_ops.record.lock import FileLock
from kline_ops.record.redo import write_all


class Rebuild:
    """Write candles, then :meth:`finish`; :meth:`close` in any case. Without a candle, nothing happens.

    Args:
        path: a file that is whole and in order, and whose lock the caller holds.
    """

    def __init__(self, path: Path, columns: Columns, disk: Disk | None = None) -> None:
        # What a link leads to is replaced, not the link.
        self.path = path.resolve()
        self.aside = self.path.with_name(self.path.name + ".import")
        self._columns: Columns = columns
        self._disk = disk or Disk()
        self._old = self._new = -1
        self._rows: OldRows | None = None
        self._waiting: list[bytes] = []
        self._bytes = self._size = 0

    def write(self, candles: Iterable[Candle]) -> None:
        """The next candles, in ascending order; the file has none of them.

        Raises:
            JournalError: transient; the file is as it was.
        """
        try:
            rows = self._rows or self._begin()
            for candle in candles:
                for piece in rows.before(candle.open_ms):
                    self._put(piece)
                self._put(candle.row(self._columns))
        except OSError as error:
            raise self._failed(error) from None

    def finish(self) -> None:
        """Put the new file in the old one's place.

        Raises:
            JournalError: transient; the file is as it was, or it is the new one.
        """
        if self._rows is None:
            return
        try:
            for piece in self._rows.before(LATEST_MS):
                self._put(piece)
            self._flush()
            self._disk.sync(self._new)
            self._disk.rename(self.aside, self.path)
            self._disk.sync_folder(self.path.parent)
        except OSError as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Close both; what was not finished is removed."""
        for fd in (self._old, self._new):
            if fd >= 0:
                self._disk.close(fd)
        self._old = self._new = -1
        self.discard()

    def discard(self) -> None:
        """Remove what was not finished, now or by a process that died."""
        with contextlib.suppress(OSError):
            self.aside.unlink(missing_ok=True)

    def _begin(self) -> OldRows:
        disk = self._disk
        self._old = disk.open(self.path, os.O_RDONLY)
        self._new = disk.open(self.aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        # It is to be the candle file, and that is locked as well.
        FileLock(self.aside).hold(self._new)
        was = os.fstat(self._old)
        os.fchmod(self._new, was.st_mode & 0o777)
        with contextlib.suppress(PermissionError):  # a file of somebody else's stays theirs
            os.fchown(self._new, was.st_uid, was.st_gid)
        self._put(header_line(self._columns))
        self._rows = OldRows(disk, self._old, self._columns)
        return self._rows

    def _put(self, data: bytes) -> None:
        self._waiting.append(data)
        self._bytes += len(data)
        if self._bytes >= BLOCK:
            self._flush()

    def _flush(self) -> None:
        write_all(self._disk, self._new, b"".join(self._waiting), self._size)
        self._size += self._bytes
        self._waiting.clear()
        self._bytes = 0

    def _failed(self, error: OSError) -> JournalError:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        space = "free space on this disk: the file is written anew beside the old one"
        return JournalError(
            f"cannot write {self.aside}: {error.strerror or error}",
            transient=True,
            hint=space if full else "check the disk and the permissions",
        )


class OldRows:
    """The rows of a file, taken from the front; a block that nothing belongs into is not looked at."""

    def __init__(self, disk: Disk, fd: int, columns: Columns) -> None:
        self._columns: Columns = columns
        self._blocks = whole_lines(disk, fd, len(header_line(columns)), disk.size(fd))
        self._lines: list[bytes] = []
        self._opens: list[int] = []
        self._at = 0

    def before(self, open_ms: int) -> Iterator[bytes]:
        """All that is left and opens before this, in pieces."""
        while self._at < len(self._lines) or self._load():
            if not self._opens and self._open_ms(self._lines[-1]) < open_ms:
                end = len(self._lines)
            else:
                self._opens = self._opens or list(map(self._open_ms, self._lines))
                end = bisect_left(self._opens, open_ms, self._at)
            yield b"".join(self._lines[self._at : end])
            self._at = end
            if end < len(self._lines):
                return

    def _load(self) -> bool:
        _, block = next(self._blocks, (0, b""))
        self._lines, self._opens, self._at = split_lines(block), [], 0
        return bool(block)

    def _open_ms(self, line: bytes) -> int:
        return row_open_ms(line, self._columns) or 0
