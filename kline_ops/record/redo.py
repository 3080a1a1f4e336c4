"""Replacing the tail of the candle file so that a crash leaves either the old or the new one.

``FILE.redo`` holds the new tail whole, before the candle file is touched:

1. write FILE.redo (place, length, checksum, bytes), sync it and its folder;
2. write the bytes at their place in FILE, cut FILE there, sync it;
3. remove FILE.redo, sync the folder.

A crash before the end of 1 leaves a redo file whose checksum fails: it is thrown away, FILE is the
old one. A crash after it leaves a whole one: 2 and 3 are done again. A reader that finds FILE.redo
reads again a little later.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

from kline_ops.record.disk import Disk


def redo_path(path: Path) -> Path:
    """Where the redo file of a candle file lies."""
    return path.with_name(path.name + ".redo")


def prepare(disk: Disk, path: Path, offset: int, tail: bytes) -> None:
    """Step 1. Raises OSError; the candle file is untouched then."""
    head = json.dumps({"offset": offset, "length": len(tail), "crc": zlib.crc32(tail)})
    data = head.encode() + b"\n" + tail
    fd = disk.open(redo_path(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        write_all(disk, fd, data, 0)
        disk.sync(fd)
    finally:
        disk.close(fd)
    disk.sync_folder(path.parent)


def apply(disk: Disk, path: Path, fd: int) -> bool:
    """Steps 2 and 3, if there is a whole redo file; True if so. Raises OSError; may be repeated."""
    redo = redo_path(path)
    if not redo.exists():
        return False
    found = _load(disk, redo)
    if found is not None and not 0 <= found[0] <= disk.size(fd):
        found = None  # of another file
    if found is not None:
        offset, tail = found
        write_all(disk, fd, tail, offset)
        disk.truncate(fd, offset + len(tail))
        disk.sync(fd)
    disk.unlink(redo)
    disk.sync_folder(path.parent)
    return found is not None


def write_all(disk: Disk, fd: int, data: bytes, offset: int) -> None:
    """Write everything, or raise OSError: a short write is a full disk."""
    written = disk.write(fd, data, offset)
    while written < len(data):
        more = disk.write(fd, data[written:], offset + written)
        if more <= 0:
            raise OSError("short write")
        written += more


def _load(disk: Disk, redo: Path) -> tuple[int, bytes] | None:
    fd = disk.open(redo, os.O_RDONLY)
    try:
        data = disk.read(fd, disk.size(fd), 0)
    finally:
        disk.close(fd)
    head, _, tail = data.partition(b"\n")
    try:
        told = json.loads(head)
        whole = told["length"] == len(tail) and told["crc"] == zlib.crc32(tail)
        return (int(told["offset"]), tail) if whole else None
    except (ValueError, KeyError, TypeError):
        return None
