"""What stands in a candle file: read when the journal opens it."""

from __future__ import annotations

from dataclasses import dataclass, field

from kline_ops.errors import JournalError
from kline_ops.market import timestamp
from kline_ops.market.candle import HEADER, from_row
from kline_ops.market.interval import Interval
from kline_ops.record.disk import Disk
from kline_ops.record.sequence import Span

HEADER_LINE = HEADER.encode() + b"\n"
_BLOCK = 1 << 20
#: More than this at the end that is no candle row is not a torn write; it is another kind of file.
_MAX_TORN = 1 << 16


@dataclass(frozen=True, slots=True)
class Contents:
    """The rows of a file: how many, from where to where, and what is missing between them."""

    rows: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    holes: list[Span] = field(default_factory=list)


def good_end(disk: Disk, fd: int, size: int, name: str) -> int:
    """Where the last whole candle row (or the header) ends; what follows is torn.

    Raises:
        JournalError: the file is not one of ours; nothing was changed.
    """
    head = disk.read(fd, len(HEADER_LINE), 0)
    if head != HEADER_LINE:
        if size < len(HEADER_LINE) and HEADER_LINE.startswith(head):
            return 0
        raise JournalError(
            f"{name} is not a candle file of kline-ops: line 1 is not {HEADER!r}",
            hint="record into another data_dir, or move this file away",
        )
    start = max(len(HEADER_LINE), size - _MAX_TORN)
    lines = disk.read(fd, size - start, start).splitlines(keepends=True)
    end = size
    for line in reversed(lines):
        if _is_row(line):
            return end
        end -= len(line)
    if start > len(HEADER_LINE):
        raise JournalError(
            f"{name} has no candle row in its last {_MAX_TORN} bytes",
            hint="look at its end; move the file away to start a new one",
        )
    return len(HEADER_LINE)


def read_contents(disk: Disk, fd: int, size: int, interval: Interval) -> Contents:
    """Count the rows; look for holes only where the count says that there are some.

    Rows are strictly increasing (the journal writes no others), so a count that equals the number of
    slots from the first to the last row proves that there is no hole, at the speed of counting lines.
    """
    rows = _count_lines(disk, fd, size) - 1
    if rows <= 0:
        return Contents()
    first = _open_time(disk.read(fd, 256, len(HEADER_LINE)).split(b"\n", 1)[0])
    tail = disk.read(fd, 512, max(len(HEADER_LINE), size - 512))
    last = _open_time(tail.rstrip(b"\n").rsplit(b"\n", 1)[-1])
    if rows == interval.slots(interval.floor(first), interval.after(interval.floor(last))):
        return Contents(rows, first, last)
    return Contents(rows, first, last, _find_holes(disk, fd, size, interval))


def _is_row(line: bytes) -> bool:
    try:
        from_row(line)
    except (ValueError, UnicodeDecodeError):
        return False
    return True


def _open_time(line: bytes) -> int:
    return timestamp.to_ms(line.split(b",", 1)[0].decode("ascii", "replace"))


def _count_lines(disk: Disk, fd: int, size: int) -> int:
    lines = offset = 0
    while offset < size:
        block = disk.read(fd, _BLOCK, offset)
        if not block:
            break
        lines += block.count(b"\n")
        offset += len(block)
    return lines


def _find_holes(disk: Disk, fd: int, size: int, interval: Interval) -> list[Span]:
    holes: list[Span] = []
    expected: int | None = None
    offset, rest = len(HEADER_LINE), b""
    while offset < size:
        block = disk.read(fd, _BLOCK, offset)
        if not block:
            break
        offset += len(block)
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            try:
                open_ms = interval.floor(_open_time(line))
            except ValueError:
                continue
            if expected is not None and open_ms > expected:
                holes.append(Span(expected, open_ms))
            if expected is None or open_ms >= expected:
                expected = interval.after(open_ms)
    return holes
