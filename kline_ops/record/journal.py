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
from kline_ops.market.candle import Candle
from kline_ops.market.interval import Interval
from kline_ops.record import redo
from kline_ops.record.contents import (
    HEADER_LINE,
    Contents,
    check_header,
    check_rows,
    good_end,
    read_contents,
    row_open_ms,
)
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
        #: A write of that kind has begun and not been seen to succeed.
        self._append_unsure = self._merge_unsure = False
        self._folder_unsure = False
        #: What stands in the file after it had to be read anew while recording; for the recorder.
        self.reread: Contents | None = None
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
        try:
            self._forget()
        except OSError as error:
            raise self._failed("close", error) from None
        finally:
            self._lock.release()

    def _open(self) -> Contents:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._folder_unsure |= not self.path.exists()
        self._fd = self._disk.open(self.path, os.O_RDWR | os.O_CREAT)
        try:
            self._settle(keep_torn=True)
            if self._folder_unsure:
                self._disk.sync_folder(self.path.parent)
                self._folder_unsure = False
            return read_contents(self._disk, self._fd, self._size, self._last_ms, self.interval)
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            self._disk.close(fd)

    def _settle(self, *, keep_torn: bool) -> None:
        """Bring the file to a state that is known: a merge finished, the end whole."""
        disk, fd = self._disk, self._descriptor()
        check_header(disk, fd, disk.size(fd), str(self.path))
        if redo.apply(disk, self.path, fd) is redo.Outcome.STALE:
            self.repaired = (
                "a merge left by a crash was for another file",
                redo.stale_path(self.path),
            )
        size = disk.size(fd)
        end, last_ms = good_end(disk, fd, size)
        if last_ms is None:
            check_rows(disk, fd, size, str(self.path))
        if end < size:
            if keep_torn:
                self._save_torn(fd, end, size)
            disk.truncate(fd, end)
        if end < size or self._merge_unsure:
            disk.sync(fd)
        if end == 0:
            redo.write_all(disk, fd, HEADER_LINE, 0)
            end = len(HEADER_LINE)
            disk.sync(fd)
        self._size, self._last_ms = end, last_ms
        self._append_unsure = self._merge_unsure = False

    def _save_torn(self, fd: int, end: int, size: int) -> None:
        """Keep the torn bytes beside the file before they are cut off; never glue a row onto them."""
        disk = self._disk
        saved_to = self.path.with_name(self.path.name + ".torn")
        torn = disk.open(saved_to, os.O_RDWR | os.O_CREAT)
        try:
            redo.write_all(disk, torn, disk.read(fd, size - end, end) + b"\n", disk.size(torn))
            disk.sync(torn)
        finally:
            disk.close(torn)
        self.repaired = (f"{size - end} torn bytes after the last whole row", saved_to)

    def _make_sure(self) -> None:
        """Before a write: we are still the one writer, the file is there, and as we left it."""
        self._lock.renew(self._owner)
        if self._fd is not None and not self._is_there(self._fd):
            # Moved away or replaced by somebody: rows written to the old one would be lost to all.
            self._forget()
            self.reread = self._open()
            self.repaired = ("the file had been moved away; a new one was begun", self.path)
        elif self._fd is None:
            self.reread = self._open()
        elif self._append_unsure:
            # Cut back, so that the rows are written again: after a failed sync the system may call
            # pages clean that never reached the device.
            self._disk.truncate(self._fd, self._size)
            self._disk.sync(self._fd)
            self._append_unsure = False
        elif self._merge_unsure or self._disk.size(self._fd) != self._size:
            self._settle(keep_torn=not self._merge_unsure)

    def _is_there(self, fd: int) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(fd))
        except FileNotFoundError:
            return False

    def _append(self, batch: list[Candle]) -> None:
        if not batch:
            return
        fd = self._descriptor()
        data = b"".join(candle.row() for candle in batch)
        self._append_unsure = True
        # All rows of a batch in one call: after a crash there is one torn place at most.
        redo.write_all(self._disk, fd, data, self._size)
        if self._sync:
            self._disk.sync(fd)
        self._append_unsure = False
        self._size += len(data)
        self._last_ms = batch[-1].open_ms

    def _merge(self, late: list[Candle]) -> None:
        fd = self._descriptor()
        offset, tail = self._tail_from(late[0].open_ms)
        rows = _rows_by_open_ms(tail)
        for candle in late:
            rows.setdefault(candle.open_ms, candle.row())
        merged = b"".join(rows[open_ms] for open_ms in sorted(rows))
        if merged == tail:
            return
        self._merge_unsure = True
        redo.prepare(self._disk, self.path, fd, offset, merged)
        redo.apply(self._disk, self.path, fd)
        self._merge_unsure = False
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
            for row_ms, row in _rows_by_open_ms(data).items():
                if row_ms >= open_ms:
                    break
                skipped += len(row)
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


def _rows_by_open_ms(data: bytes) -> dict[int, bytes]:
    """The rows in order. A line that is none (only others write such) stays with the row before it."""
    rows: dict[int, bytes] = {}
    open_ms = 0
    for line in data.splitlines(keepends=True):
        open_ms = row_open_ms(line) or open_ms
        rows[open_ms] = rows.get(open_ms, b"") + line
    return rows
