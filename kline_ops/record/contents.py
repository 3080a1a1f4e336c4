"""What stands in a candle file: is it ours, where does its good part end, which lines has it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kline_ops.errors import JournalError
from kline_ops.market.candle import HEADERS, Columns, row_open_ms
from kline_ops.market.span import Span
from kline_ops.record.disk import Disk

#: Of a file with basic columns; see :func:`header_line`.
HEADER_LINE = HEADERS["basic"].encode() + b"\n"
BLOCK = 1 << 20
#: How far from the end the last whole row is looked for at first; a power loss may leave more NULs.
_FIRST_LOOK = 1 << 14


@dataclass(frozen=True, slots=True)
class Contents:
    """The rows of a file: how many, their first and last slot, and what is missing between them."""

    rows: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    holes: list[Span] = field(default_factory=list)
    #: Where the first line begins that is no whole row, a doubled one, or out of order; what comes
    #: after it was not counted. None in a file that is as it has to be.
    bad_at: int | None = None


def header_line(columns: Columns) -> bytes:
    """The first line of a candle file."""
    return HEADERS[columns].encode() + b"\n"


def columns_of(path: Path, otherwise: Columns = "basic") -> Columns:
    """Which columns a candle file has; ``otherwise`` where its first line does not tell."""
    try:
        with path.open("rb") as file:
            head = file.readline(max(map(len, HEADERS.values())) + 1)
    except OSError:
        return otherwise
    return next((columns for columns in HEADERS if head == header_line(columns)), otherwise)


def check_header(disk: Disk, fd: int, size: int, name: str, columns: Columns = "basic") -> None:
    """Is this a candle file of ours with these columns, or the torn beginning of one?

    Raises:
        JournalError: it is not; nothing was changed.
    """
    header = header_line(columns)
    head = disk.read(fd, max(map(len, HEADERS.values())) + 1, 0)
    torn = size < len(header) and header.startswith(head)
    # A power loss may leave the size of a new file, and NULs for its content.
    if head.startswith(header) or torn or not head[: len(header)].strip(b"\0"):
        return
    for other in HEADERS:
        if head.startswith(header_line(other)):
            raise JournalError(
                f"{name} has {other} columns, and record.columns is {columns}",
                hint=f"record.columns: {other}, another data_dir, or move this file away",
            )
    raise JournalError(
        f"{name} is not a candle file of kline-ops: line 1 is not {HEADERS[columns]!r}",
        hint="record into another data_dir, or move this file away",
    )


def check_rows(disk: Disk, fd: int, size: int, name: str, columns: Columns = "basic") -> None:
    """Where no line is a row of ours: are they rows of another kind, or what a crash left?

    Raises:
        JournalError: whole lines of another kind; they are not ours to move away.
    """
    top = len(header_line(columns))
    data = disk.read(fd, BLOCK, top) if size > top else b""
    if any(line.strip(b"\0\r\n ") for line in split_lines(data) if line.endswith(b"\n")):
        raise JournalError(
            f"{name} has our header and rows of another kind",
            hint="record into another data_dir, or move this file away",
        )


def good_end(disk: Disk, fd: int, size: int, columns: Columns = "basic") -> tuple[int, int | None]:
    """Where the last whole candle row (or the header) ends, and its open time.

    What follows is torn. A header that is torn itself ends at 0.
    """
    header = header_line(columns)
    if disk.read(fd, len(header), 0) != header:
        return 0, None
    look = _FIRST_LOOK
    while True:
        start = max(len(header), size - look)
        end = size
        lines = split_lines(disk.read(fd, size - start, start))
        # The first line of a look into the middle may be the end of one.
        for line in reversed(lines[1:] if start > len(header) else lines):
            if (open_ms := row_open_ms(line, columns)) is not None:
                return end, open_ms
            end -= len(line)
        if start == len(header):
            return start, None
        look *= 2


def split_lines(data: bytes) -> list[bytes]:
    """The lines with their ends. (``splitlines`` would end some at a carriage return as well.)"""
    return io.BytesIO(data).readlines()


def whole_lines(disk: Disk, fd: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The bytes of ``[start, end)`` in blocks of whole lines, each with its place in the file."""
    parts: list[bytes] = []
    at = start
    while start < end and (data := disk.read(fd, min(BLOCK, end - start), start)):
        start += len(data)
        cut = data.rfind(b"\n") + 1
        if cut:
            block = b"".join((*parts, data[:cut]))
            yield at, block
            at += len(block)
            parts = []
        parts.append(data[cut:])
