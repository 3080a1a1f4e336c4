"""The only writer of a candle file.

At all times the file is a header and whole rows, strictly increasing and unique by open time; a crash
at any byte is repaired on the next open. Rows are written and synced before they count. What comes
late is merged into the tail by a redo log (``redo.py``). After a failed write the file is cut back to
what was good before anything else is written.

The calls block: the recorder makes them in a worker thread.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from kline_ops.errors import JournalError
from kline_ops.market import timestamp
from kline_ops.market.candle import Candle
from kline_ops.market.interval import Interval
from kline_ops.record import redo
from kline_ops.record.contents import HEADER_LINE, Contents, good_end, read_contents
from kline_ops.record.disk import Disk
from kline_ops.record.lock import FileLock

#: The first look for the place of a late candle; doubled until it is found.
_FIRST_LOOK = 1 << 16


class Journal:
    """Appends and merges candles; one open journal a file, on this machine."""

    def __init__(
        self,
        path: Path,
        interval: Interval,
        *,
        owner: str,
        sync: bool = True,
        disk: Disk | None = None,
    ) -> None:
        self.path = path
        self.interval = interval
        self._owner = owner
        self._sync = sync
        self._disk = disk or Disk()
        self._lock = FileLock(path)
        self._fd: int | None = None
        self._size = 0
        self._last_ms: int | None = None
        self._unsure = False
        #: What was repaired on open, as (what, where the torn bytes were kept); for one event.
        self.repaired: tuple[str, Path] | None = None

    def lock(self) -> None:
        """Become the file's only recorder.

        Raises:
            JournalError: another recorder has it; it is named. Nothing was touched.
        """
        self._lock.acquire(self._owner)

    def open(self) -> Contents:
        """Open or create the file under the lock, repair its end, and read what stands in it.

        Raises:
            JournalError: the file is not ours, or can not be opened.
        """
        try:
            return self._open()
        except OSError as error:
            raise self._failed("open", error) from None

    def write(self, candles: Iterable[Candle]) -> None:
        """Write candles so that the file stays in order; they are on disk when this returns.

        Candles that the file has already (by open time) are passed over, so that a batch that failed
        half-way can be given again.

        Raises:
            JournalError: transient; nothing of the batch counts as written. Give it again later.
        """
        batch = sorted({candle.open_ms: candle for candle in candles}.values(), key=_open_ms)
        try:
            self._make_sure()
            last = self._last_ms
            late = [c for c in batch if last is not None and c.open_ms <= last]
            if late:
                self._merge(late)
            self._append(batch[len(late) :])
        except OSError as error:
            raise self._failed("write", error) from None

    def close(self) -> None:
        """Close the file, then let go of the lock. Everything written is on disk already."""
        if self._fd is not None:
            self._disk.close(self._fd)
            self._fd = None
        self._lock.release()

    def _open(self) -> Contents:
        disk, is_new = self._disk, not self.path.exists()
        self._fd = fd = disk.open(self.path, os.O_RDWR | os.O_CREAT)
        redo.apply(disk, self.path, fd)
        size = disk.size(fd)
        end = good_end(disk, fd, size, str(self.path))
        if end < size:
            self._save_torn(fd, end, size)
        if end == 0:
            redo.write_all(disk, fd, HEADER_LINE, 0)
            end = len(HEADER_LINE)
            disk.sync(fd)
        if is_new:
            disk.sync_folder(self.path.parent)
        self._size = end
        contents = read_contents(disk, fd, end, self.interval)
        self._last_ms = contents.last_ms
        return contents

    def _save_torn(self, fd: int, end: int, size: int) -> None:
        """Keep the torn bytes beside the file, then cut them off; never glue a row onto them."""
        disk = self._disk
        saved_to = self.path.with_name(self.path.name + ".torn")
        torn = disk.open(saved_to, os.O_RDWR | os.O_CREAT)
        try:
            redo.write_all(disk, torn, disk.read(fd, size - end, end) + b"\n", disk.size(torn))
            disk.sync(torn)
        finally:
            disk.close(torn)
        disk.truncate(fd, end)
        disk.sync(fd)
        self.repaired = (f"{size - end} torn bytes after the last whole row", saved_to)

    def _make_sure(self) -> None:
        """Before a write: the file is still there, and a failed write has left nothing behind."""
        if self._fd is None:
            self._open()
        fd = self._descriptor()
        try:
            there = os.path.samestat(self.path.stat(), os.fstat(fd))
        except FileNotFoundError:
            there = False
        if not there:
            # Moved away or replaced by somebody: rows written to the old one would be lost to all.
            self._disk.close(fd)
            self._fd = None
            self._open()
            self.repaired = ("the file had been moved away; a new one was begun", self.path)
        elif self._unsure:
            if not redo.apply(self._disk, self.path, fd):
                self._disk.truncate(fd, self._size)
            self._disk.sync(fd)
            self._size = self._disk.size(fd)
        self._unsure = False

    def _append(self, batch: list[Candle]) -> None:
        if not batch:
            return
        fd = self._descriptor()
        data = b"".join(candle.row() for candle in batch)
        self._unsure = True
        # All rows of a batch in one call: after a crash there is one torn place at most.
        redo.write_all(self._disk, fd, data, self._size)
        if self._sync:
            self._disk.sync(fd)
        self._unsure = False
        self._size += len(data)
        self._last_ms = batch[-1].open_ms

    def _merge(self, late: list[Candle]) -> None:
        fd = self._descriptor()
        offset, tail = self._tail_from(late[0].open_ms)
        rows = {_row_open_ms(line): line for line in tail.splitlines(keepends=True)}
        for candle in late:
            rows.setdefault(candle.open_ms, candle.row())
        merged = b"".join(rows[open_ms] for open_ms in sorted(rows))
        if merged == tail:
            return
        self._unsure = True
        redo.prepare(self._disk, self.path, offset, merged)
        redo.apply(self._disk, self.path, fd)
        self._unsure = False
        self._size = offset + len(merged)

    def _tail_from(self, open_ms: int) -> tuple[int, bytes]:
        """The place of the first row at or after this open time, and all bytes from there."""
        fd, look = self._descriptor(), _FIRST_LOOK
        while True:
            start = max(len(HEADER_LINE), self._size - look)
            data = self._disk.read(fd, self._size - start, start)
            if start > len(HEADER_LINE):
                cut = data.index(b"\n") + 1
                start, data = start + cut, data[cut:]
            at_top = start == len(HEADER_LINE)
            skipped = 0
            for line in data.splitlines(keepends=True):
                if _row_open_ms(line) >= open_ms:
                    break
                skipped += len(line)
            if skipped or at_top:
                return start + skipped, data[skipped:]
            look *= 2

    def _descriptor(self) -> int:
        if self._fd is None:
            raise OSError(errno.EBADF, "the candle file is not open")
        return self._fd

    def _failed(self, what: str, error: OSError) -> JournalError:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        return JournalError(
            f"cannot {what} {self.path}: {error.strerror or error}",
            transient=True,
            hint="free space on this disk" if full else "check the disk and the permissions",
        )


def _open_ms(candle: Candle) -> int:
    return candle.open_ms


def _row_open_ms(line: bytes) -> int:
    return timestamp.to_ms(line.split(b",", 1)[0].decode("ascii"))
