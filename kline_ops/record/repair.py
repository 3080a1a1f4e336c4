"""What is put right when a candle file is opened: no bytes are lost, and no crash leaves it half-done.

What is no row, and of two rows with one open time the later one, goes to ``FILE.torn``. The tail from
the first such line on is written anew, in order, by the redo log.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from kline_ops.market.candle import Columns, row_open_ms
from kline_ops.market.interval import Interval
from kline_ops.record import redo
from kline_ops.record.contents import good_end, header_line, split_lines, whole_lines
from kline_ops.record.disk import Disk
from kline_ops.record.scan import BlockReader, in_order

#: The first look for the place of a row; doubled until it is found.
_FIRST_LOOK = 1 << 16

#: What is put right, as one and as many.
_NO_ROW = ("line that is no row", "lines that are no rows")
_DOUBLED = ("doubled row", "doubled rows")
_DISORDERED = ("row out of order", "rows out of order")


def torn_path(path: Path) -> Path:
    """Where the bytes are kept that are taken out of a candle file."""
    return path.with_name(path.name + ".torn")


def save_torn(disk: Disk, path: Path, data: bytes) -> None:
    """Keep bytes beside the file before they are taken out. Raises OSError, and may be repeated."""
    torn = disk.open(torn_path(path), os.O_RDWR | os.O_CREAT)
    try:
        size = disk.size(torn)
        # A try before this one may have come so far: what is tried every second must not pile up.
        if size < len(data) or disk.read(torn, len(data), size - len(data)) != data:
            try:
                redo.write_all(disk, torn, data, size)
            except OSError:
                disk.truncate(torn, size)
                raise
        disk.sync(torn)
    finally:
        disk.close(torn)
    disk.sync_folder(path.parent)


def place_of(disk: Disk, fd: int, end: int, open_ms: int, columns: Columns) -> int:
    """Where the first row at or after this open time begins, in the rows before ``end``.

    The rows before ``end`` are whole and in order.
    """
    top, look = len(header_line(columns)), _FIRST_LOOK
    while True:
        start = max(top, end - look)
        data = disk.read(fd, end - start, start)
        if start > top:
            cut = data.index(b"\n") + 1
            start, data = start + cut, data[cut:]
        skipped = 0
        for line in split_lines(data):
            if (row_open_ms(line, columns) or 0) >= open_ms:
                break
            skipped += len(line)
        if skipped or start == top:
            return start + skipped
        look *= 2


def rows_by_open_ms(data: bytes, columns: Columns) -> dict[int, bytes]:
    """The rows in order. A line that is none stays with the row before it: opening takes it out."""
    rows: dict[int, bytes] = {}
    open_ms = 0
    for line in split_lines(data):
        open_ms = row_open_ms(line, columns) or open_ms
        rows[open_ms] = rows.get(open_ms, b"") + line
    return rows


class Repair:
    """The tail of a file as it has to be: :meth:`read` it, then :meth:`apply` it."""

    def __init__(
        self, disk: Disk, path: Path, fd: int, interval: Interval, columns: Columns
    ) -> None:
        self._disk, self._path, self._fd = disk, path, fd
        self._columns = columns
        self._blocks = BlockReader(interval, columns)
        self._at = 0
        self._kept: list[bytes] = []
        self._lost: list[bytes] = []
        self._found: Counter[tuple[str, str]] = Counter()

    def read(self, bad_at: int, end: int) -> str:
        """Read what stands from the first bad line on; says what is wrong there. Raises OSError."""
        self._at = bad_at
        earliest = self._take_out(end)
        if earliest is not None:
            self._at = place_of(self._disk, self._fd, bad_at, earliest, self._columns)
            self._sort(end)
        return ", ".join(f"{n} {what[n > 1]}" for what, n in sorted(self._found.items()))

    @property
    def saved_to(self) -> Path:
        """Where what is taken out is kept; the file itself where nothing is."""
        return torn_path(self._path) if self._lost else self._path

    def apply(self) -> None:
        """Put it in place. Raises OSError: the old tail stands then, or the redo file is whole."""
        if self._lost:
            save_torn(self._disk, self._path, b"".join(self._lost))
        redo.prepare(self._disk, self._path, self._fd, self._at, b"".join(self._kept))
        # A tail may be most of a file: it is in memory once.
        self._kept.clear()
        redo.apply(self._disk, self._path, self._fd)

    def _take_out(self, end: int) -> int | None:
        """Keep what is in order, block by block.

        Where there is disorder: the earliest open time that was not kept, from which on to sort.
        """
        left: list[int] = []
        disorder = False
        _, before_ms = good_end(self._disk, self._fd, self._at, self._columns)
        last_ms = -1 if before_ms is None else before_ms
        for _, block in whole_lines(self._disk, self._fd, self._at, end):
            lines = split_lines(block)
            runs = self._blocks.runs(block, lines)
            if runs is not None and in_order(runs, last_ms):
                self._kept.append(block)
                last_ms = runs[-1].last_ms
                continue
            for line in lines:
                open_ms = row_open_ms(line, self._columns)
                if open_ms is None:
                    self._lose(line, _NO_ROW)
                elif open_ms > last_ms:
                    self._kept.append(line)
                    last_ms = open_ms
                else:
                    self._lose(line, _DOUBLED)
                    left.append(open_ms)
                    disorder |= open_ms < last_ms
        return min(left) if disorder else None

    def _sort(self, end: int) -> None:
        """Keep every row, the first of its open time, in order."""
        self._lost.clear()
        self._found.clear()
        rows: dict[int, bytes] = {}
        last_ms = -1
        for _, block in whole_lines(self._disk, self._fd, self._at, end):
            for line in split_lines(block):
                open_ms = row_open_ms(line, self._columns)
                if open_ms is None:
                    self._lose(line, _NO_ROW)
                elif open_ms in rows:
                    self._lose(line, _DOUBLED)
                else:
                    rows[open_ms] = line
                    self._found[_DISORDERED] += open_ms < last_ms
                    last_ms = max(last_ms, open_ms)
        self._kept = [rows[open_ms] for open_ms in sorted(rows)]
        self._found = +self._found

    def _lose(self, line: bytes, why: tuple[str, str]) -> None:
        self._lost.append(line)
        self._found[why] += 1
