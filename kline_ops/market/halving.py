"""Where a time stands in a file whose lines are in order of time, found by halving. Pure.

It may hold years of seconds: a few dozen small reads tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: Reads so many bytes from a place on; fewer where the file ends.
Read = Callable[[int, int], bytes]

#: No candle row is longer (bytes).
LONGEST_ROW = 512
_begins_with_a_date = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T").match


def place_of(
    read: Read, size: int, time: bytes, *, before: int = 0, longest: int = LONGEST_ROW
) -> int | None:
    """Where the first line begins that is not before this time; None if that can not be told.

    Args:
        read: the bytes of the file.
        size: where its last whole line ends.
        time: the beginning of a time as text: ``2026-01-27`` or ``2026-01-27T14:00:00``.
        before: so many bytes stand before the time in each line.
        longest: bytes of the longest line there can be.
    """
    low, high = 0, size
    width = before + len(time)
    while low < high:
        start, line = _line_around(read, (low + high) // 2, low, longest)
        if not line.endswith(b"\n"):
            return None
        if not _begins_with_a_date(line, before):
            if start:
                return None
            low = len(line)  # the header is before every date
        elif line[before:width] < time:
            low = start + len(line)
        else:
            high = start
    return low


def end_of_lines(read: Read, size: int, longest: int = LONGEST_ROW) -> int:
    """Where the last line ends that has an end: one may be on its way to the disk."""
    look = max(0, size - longest)
    end = read(look, size - look).rfind(b"\n") + 1
    return look + end if end else size


def _line_around(read: Read, at: int, low: int, longest: int) -> tuple[int, bytes]:
    """Where the line begins that this byte is in, and the line; empty if it is too long.

    A line begins at ``low``.
    """
    look = max(low, at - longest)
    data = read(look, at - look + longest)
    start = data.rfind(b"\n", 0, at - look) + 1
    if not start and look > low:
        return look, b""
    end = data.find(b"\n", start) + 1
    return look + start, data[start:end] if end else b""
