"""What stands in a candle file: read when the journal opens it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kline_ops.errors import JournalError
from kline_ops.market.candle import HEADER, from_row
from kline_ops.market.interval import Interval
from kline_ops.record.disk import Disk
from kline_ops.record.span import Span

HEADER_LINE = HEADER.encode() + b"\n"
_BLOCK = 1 << 20
#: How far from the end the last whole row is looked for at first; a power loss may leave more NULs.
_FIRST_LOOK = 1 << 14


@dataclass(frozen=True, slots=True)
class Contents:
    """The rows of a file: how many, from where to where, and what is missing between them."""

    rows: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    holes: list[Span] = field(default_factory=list)


def check_header(disk: Disk, fd: int, size: int, name: str) -> None:
    """Is this a candle file of ours, or the torn beginning of one?

    Raises:
        JournalError: it is not; nothing was changed.
    """
    head = disk.read(fd, len(HEADER_LINE), 0)
    torn = size < len(HEADER_LINE) and HEADER_LINE.startswith(head)
    # A power loss may leave the size of a new file, and NULs for its content.
    if head != HEADER_LINE and not torn and head.strip(b"\0"):
        raise JournalError(
            f"{name} is not a candle file of kline-ops: line 1 is not {HEADER!r}",
            hint="record into another data_dir, or move this file away",
        )


def check_rows(disk: Disk, fd: int, size: int, name: str) -> None:
    """Where no line is a row of ours: are they rows of another kind, or what a crash left?

    Raises:
        JournalError: whole lines of another kind; they are not ours to move away.
    """
    data = disk.read(fd, _BLOCK, len(HEADER_LINE)) if size > len(HEADER_LINE) else b""
    if any(line.strip(b"\0\r\n ") for line in data.splitlines(keepends=True) if b"\n" in line):
        raise JournalError(
            f"{name} has our header and rows of another kind",
            hint="record into another data_dir, or move this file away",
        )


def good_end(disk: Disk, fd: int, size: int) -> tuple[int, int | None]:
    """Where the last whole candle row (or the header) ends, and its open time.

    What follows is torn. A header that is torn itself ends at 0.
    """
    if disk.read(fd, len(HEADER_LINE), 0) != HEADER_LINE:
        return 0, None
    look = _FIRST_LOOK
    while True:
        start = max(len(HEADER_LINE), size - look)
        end = size
        lines = disk.read(fd, size - start, start).splitlines(keepends=True)
        # The first line of a look into the middle may be the end of one.
        for line in reversed(lines[1:] if start > len(HEADER_LINE) else lines):
            if (open_ms := row_open_ms(line)) is not None:
                return end, open_ms
            end -= len(line)
        if start == len(HEADER_LINE):
            return start, None
        look *= 2


def read_contents(
    disk: Disk, fd: int, size: int, last_ms: int | None, interval: Interval
) -> Contents:
    """Count the rows; look for holes only where the count says that there are some.

    Rows are strictly increasing (the journal writes no others), so a count that equals the number of
    slots from the first to the last row proves that there is no hole, at the speed of counting lines.
    """
    if last_ms is None:
        return Contents()
    rows = _count_lines(disk, fd, size) - 1
    first_ms = row_open_ms(disk.read(fd, 4096, len(HEADER_LINE)).split(b"\n", 1)[0] + b"\n")
    if first_ms is not None:
        owed = interval.slots(interval.floor(first_ms), interval.after(interval.floor(last_ms)))
        if rows == owed:
            return Contents(rows, first_ms, last_ms)
    first, holes = _find_holes(disk, fd, size, interval)
    return Contents(rows, first, last_ms, holes)


def row_open_ms(line: bytes) -> int | None:
    """The open time of a line that is a whole candle row; None of any other."""
    try:
        return from_row(line).open_ms
    except ValueError:
        return None


def _count_lines(disk: Disk, fd: int, size: int) -> int:
    lines = offset = 0
    while offset < size:
        block = disk.read(fd, _BLOCK, offset)
        if not block:
            break
        lines += block.count(b"\n")
        offset += len(block)
    return lines


def _find_holes(
    disk: Disk, fd: int, size: int, interval: Interval
) -> tuple[int | None, list[Span]]:
    """The first row's open time, and what is missing between rows. Lines that are none are passed."""
    holes: list[Span] = []
    first: int | None = None
    expected: int | None = None
    offset, rest = len(HEADER_LINE), b""
    while offset < size and (block := disk.read(fd, _BLOCK, offset)):
        offset += len(block)
        block = rest + block
        cut = block.rfind(b"\n") + 1
        block, rest = block[:cut], block[cut:]
        for open_ms, after_ms in _runs(block, interval):
            first = open_ms if first is None else first
            if expected is not None and open_ms > expected:
                holes.append(Span(expected, open_ms))
            expected = after_ms if expected is None else max(expected, after_ms)
    return first, holes


def _runs(block: bytes, interval: Interval) -> Iterator[tuple[int, int]]:
    """What whole lines cover, as ``(first, end)``: in one piece where their count says so."""
    lines = block.count(b"\n")
    first = row_open_ms(block[: block.find(b"\n") + 1])
    last = row_open_ms(block[block.rfind(b"\n", 0, -1) + 1 :])
    if first is not None and last is not None:
        first, after_ms = interval.floor(first), interval.after(interval.floor(last))
        if interval.slots(first, after_ms) == lines:
            yield first, after_ms
            return
    for line in block.splitlines(keepends=True):
        if (open_ms := row_open_ms(line)) is not None:
            open_ms = interval.floor(open_ms)
            yield open_ms, interval.after(open_ms)
