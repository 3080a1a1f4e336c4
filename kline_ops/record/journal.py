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
from kline_ops.market.candle import Candle, Columns
from kline_ops.market.interval import Interval
from kline_ops.record import redo
from kline_ops.record.contents import (
    Contents,
    check_header,
    check_rows,
    good_end,
    header_line,
)
from kline_ops.record.disk import Disk
from kline_ops.record.lock import FileLock
from kline_ops.record.repair import Repair, place_of, rows_by_open_ms, save_torn, torn_path
from kline_ops.record.scan import read_contents


class Journal:
    """Appends and merges candles; one open journal a file, on this machine.

    ``columns`` is what a row has (see ``market/candle.py``); a file keeps the ones it began with.
    """

    def __init__(
        self,
        path: Path,
        interval: Interval,
        *,
        owner: str,
        sync: bool = True,
        disk: Disk | None = None,
        columns: Columns = "basic",
    ) -> None:
        self.path = path
        self.interval = interval
        self.columns: Columns = columns
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
        #: What was put right, as (what, where bytes that were taken out are kept); for one event.
        self.repaired: tuple[str, Path] | None = None

    @property
    def size(self) -> int:
        """Bytes of the candle file that are good, as of the last write."""
        return self._size

    @property
    def last_ms(self) -> int | None:
        """Open time of the newest candle in the file; None while it has none."""
        return self._last_ms

    def lock(self) -> None:
        """Become the file's only recorder.

        Raises:
            JournalError: another recorder has it; it is named. Nothing was touched.
        """
        self._lock.acquire(self._owner)

    def look(self) -> None:
        """Is the file one that could be opened? Asked while it is somebody else's still.

        Raises:
            JournalError: it has other columns, or is none of ours.
        """
        try:
            fd = self._disk.open(self.path, os.O_RDONLY)
        except OSError:
            return  # opening it will tell
        try:
            check_header(self._disk, fd, self._disk.size(fd), str(self.path), self.columns)
        finally:
            self._disk.close(fd)

    def open(self) -> Contents:
        """Open or create the file under the lock, verify each line, and put right what is not whole.

        What is no row, and of two rows with one open time the later, goes to ``FILE.torn``.

        Raises:
            JournalError: the file is not ours, has other columns, or can not be opened.
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

    def check(self) -> None:
        """Between writes: is this still the one writer, and the file as it was left? Cheap.

        What is found is put right as before a write: a lock file or a candle file that was removed is
        there again, ``reread`` and ``repaired`` say so.

        Raises:
            JournalError: it can not be put right now; try again later.
        """
        try:
            self._make_sure()
        except OSError as error:
            raise self._failed("check", error) from None

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
            self._lock.hold(self._fd)
            self._settle(keep_torn=True)
            if self._folder_unsure:
                self._disk.sync_folder(self.path.parent)
                self._folder_unsure = False
            contents = self._read_contents(self._fd)
            if contents.bad_at is not None:
                self._repair(self._fd, contents.bad_at)
                contents = self._read_contents(self._fd)
            return contents
        except BaseException:
            self._forget()
            raise

    def _read_contents(self, fd: int) -> Contents:
        return read_contents(self._disk, fd, self._size, self.interval, self.columns)

    def _repair(self, fd: int, bad_at: int) -> None:
        repair = Repair(self._disk, self.path, fd, self.interval, self.columns)
        found = repair.read(bad_at, self._size)
        # Told before it is done: where it is cut short, the redo file finishes it.
        self._tell(found, repair.saved_to)
        repair.apply()
        self._size, self._last_ms = good_end(self._disk, fd, self._disk.size(fd), self.columns)

    def _tell(self, what: str, saved_to: Path) -> None:
        """One event tells all that was put right at once; what is tried again is told once."""
        before = self.repaired[0] if self.repaired is not None else ""
        if what not in before:
            self.repaired = (f"{before}; {what}" if before else what, saved_to)

    def _forget(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            self._disk.close(fd)

    def _settle(self, *, keep_torn: bool) -> None:
        """Bring the file to a state that is known: a merge finished, the end whole."""
        disk, fd = self._disk, self._descriptor()
        check_header(disk, fd, disk.size(fd), str(self.path), self.columns)
        if redo.apply(disk, self.path, fd) is redo.Outcome.STALE:
            self._tell("a merge left by a crash was for another file", redo.stale_path(self.path))
        size = disk.size(fd)
        end, last_ms = good_end(disk, fd, size, self.columns)
        if last_ms is None:
            check_rows(disk, fd, size, str(self.path), self.columns)
        if end < size:
            if keep_torn:
                # Kept before it is cut off; a row is never glued onto it.
                save_torn(disk, self.path, disk.read(fd, size - end, end) + b"\n")
                self._tell(
                    f"{size - end} torn bytes after the last whole row", torn_path(self.path)
                )
            disk.truncate(fd, end)
        if end < size or self._merge_unsure:
            disk.sync(fd)
        if end == 0:
            redo.write_all(disk, fd, header_line(self.columns), 0)
            end = len(header_line(self.columns))
            disk.sync(fd)
        self._size, self._last_ms = end, last_ms
        self._append_unsure = self._merge_unsure = False

    def _make_sure(self) -> None:
        """Before a write: we are still the one writer, the file is there, and as we left it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock.renew(self._owner)
        if self._fd is not None and not self._is_there(self._fd):
            # Moved away or replaced by somebody: rows written to the old one would be lost to all.
            # Told first: where it can not be opened at once, the next look finds none open.
            self._tell("the file had been moved away; a new one was begun", self.path)
            self._forget()
            self.reread = self._open()
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
        data = b"".join(candle.row(self.columns) for candle in batch)
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
        offset = place_of(self._disk, fd, self._size, late[0].open_ms, self.columns)
        tail = self._disk.read(fd, self._size - offset, offset)
        rows = rows_by_open_ms(tail, self.columns)
        for candle in late:
            rows.setdefault(candle.open_ms, candle.row(self.columns))
        merged = b"".join(rows[open_ms] for open_ms in sorted(rows))
        if merged == tail:
            return
        self._merge_unsure = True
        redo.prepare(self._disk, self.path, fd, offset, merged)
        redo.apply(self._disk, self.path, fd)
        self._merge_unsure = False
        self._size = offset + len(merged)

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
