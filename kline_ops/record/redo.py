"""Replacing the tail of the candle file so that a crash leaves either the old or the new one.

``FILE.redo`` holds the new tail whole, before the candle file is touched:

1. write FILE.redo (place, length, checksums, bytes), sync it and its folder;
2. write the bytes at their place in FILE, cut FILE there, sync it;
3. remove FILE.redo, sync the folder.

A crash before the end of 1 leaves a redo file whose checksum fails: it is thrown away, FILE is the
old one. A crash after it leaves a whole one: 2 and 3 are done again. It holds the checksum of what
stands before its place: where FILE is another one by now, it is put aside as FILE.redo.stale. A reader
that finds FILE.redo reads again a little later.
"""

from __future__ import annotations

import enum
import json
import os
import zlib
from pathlib import Path

from kline_ops.record.disk import Disk

#: So many bytes before the new tail tell whether the file is the one it was made for.
_IDENTITY = 4096
_LONGEST_HEAD = 4096


class Outcome(enum.Enum):
    """What became of a redo file."""

    NOTHING = "there was none, or a torn one"
    APPLIED = "the new tail is in its place"
    STALE = "it was for another file, and is put aside"


def redo_path(path: Path) -> Path:
    """Where the redo file of a candle file lies."""
    return path.with_name(path.name + ".redo")


def stale_path(path: Path) -> Path:
    """Where a redo file is put that is not for this candle file."""
    return path.with_name(path.name + ".redo.stale")


def prepare(disk: Disk, path: Path, fd: int, offset: int, tail: bytes) -> None:
    """Step 1. Raises OSError; the candle file is untouched then."""
    head = {
        "offset": offset,
        "length": len(tail),
        "crc": zlib.crc32(tail),
        "before": _checksum_before(disk, fd, offset),
    }
    first = json.dumps(head).encode() + b"\n"
    redo = disk.open(redo_path(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        write_all(disk, redo, first, 0)
        write_all(disk, redo, tail, len(first))
        disk.sync(redo)
    finally:
        disk.close(redo)
    disk.sync_folder(path.parent)


def apply(disk: Disk, path: Path, fd: int) -> Outcome:
    """Steps 2 and 3, if there is a whole redo file for this file. Raises OSError; may be repeated."""
    redo = redo_path(path)
    if not redo.exists():
        return Outcome.NOTHING
    found = _load(disk, redo)
    if found is not None:
        offset, before, tail = found
        fits = 0 <= offset <= disk.size(fd) and before == _checksum_before(disk, fd, offset)
        if not fits:
            disk.rename(redo, stale_path(path))
            disk.sync_folder(path.parent)
            return Outcome.STALE
        write_all(disk, fd, tail, offset)
        disk.truncate(fd, offset + len(tail))
        disk.sync(fd)
    disk.unlink(redo)
    disk.sync_folder(path.parent)
    return Outcome.APPLIED if found is not None else Outcome.NOTHING


def write_all(disk: Disk, fd: int, data: bytes, offset: int) -> None:
    """Write everything, or raise OSError: a short write is a full disk."""
    written = disk.write(fd, data, offset)
    while written < len(data):
        more = disk.write(fd, data[written:], offset + written)
        if more <= 0:
            raise OSError("short write")
        written += more


def _checksum_before(disk: Disk, fd: int, offset: int) -> int:
    start = max(0, offset - _IDENTITY)
    return zlib.crc32(disk.read(fd, offset - start, start))


def _load(disk: Disk, redo: Path) -> tuple[int, int, bytes] | None:
    fd = disk.open(redo, os.O_RDONLY)
    try:
        head = disk.read(fd, _LONGEST_HEAD, 0).partition(b"\n")[0]
        tail = disk.read(fd, disk.size(fd), len(head) + 1)
    finally:
        disk.close(fd)
    try:
        told = json.loads(head)
        whole = told["length"] == len(tail) and told["crc"] == zlib.crc32(tail)
        return (int(told["offset"]), int(told["before"]), tail) if whole else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
