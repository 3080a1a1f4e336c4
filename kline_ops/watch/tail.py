"""The end of a log file, and what is added to it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1 << 16
_POLL = 0.2


def last_lines(path: Path, count: int) -> list[str]:
    """The last ``count`` lines, the rotated file before it included. Raises OSError."""
    lines = _tail(path, count)
    older = path.with_name(path.name + ".1")
    if len(lines) < count and older.exists():
        lines = _tail(older, count - len(lines)) + lines
    return lines


def follow_lines(path: Path) -> Iterator[str]:
    """Each line as it is added, for ever; a rotated file is read to its end, then its successor."""
    at_end = os.SEEK_END
    while True:
        with path.open("rb") as file:
            file.seek(0, at_end)
            yield from _lines_until_replaced(file, path)
        at_end = os.SEEK_SET


def _lines_until_replaced(file: BinaryIO, path: Path) -> Iterator[str]:
    part = b""
    while True:
        # Asked before reading: what was written before the rotation is read after it.
        replaced = _was_replaced(path, file.fileno())
        while piece := file.readline():
            part += piece
            if part.endswith(b"\n"):
                yield part[:-1].decode("utf-8", "replace")
                part = b""
        if replaced:
            return
        time.sleep(_POLL)


def _tail(path: Path, count: int) -> list[str]:
    if count <= 0:
        return []
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        data = b""
        # One line more than asked for, so that the first one is whole.
        while end > 0 and data.count(b"\n") <= count:
            start = max(0, end - _BLOCK)
            file.seek(start)
            data = file.read(end - start) + data
            end = start
    lines = data.decode("utf-8", "replace").removesuffix("\n").split("\n")
    return lines[-count:] if data else []


def _was_replaced(path: Path, fd: int) -> bool:
    try:
        return not os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
