"""Small JSON files that are whole at every moment."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

Json = dict[str, Any]

#: No file of ours is larger (bytes); what is, is not read to its end.
_MOST = 16 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT}


def write_json(path: Path, value: Json) -> None:
    """Replace a file: write beside it, sync, rename, sync the folder. Raises OSError."""
    _replace(path, f"{json.dumps(value, indent=1)}\n")


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_with_room(path: Path, value: Json, room: int) -> None:
    """The same, with so many bytes to spare: on a full disk it is written over in its place.

    Raises:
        OSError: it can not be written; or the disk is full, and what is there is too small.
    """
    text = json.dumps(value)
    try:
        _replace(path, f"{text}{' ' * room}\n")
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _write_over(path, text.encode(), error)


def _write_over(path: Path, text: bytes, full: OSError) -> None:
    if not path.is_file() or len(text) > path.stat().st_size:
        raise full
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.write(text.ljust(size))
        file.flush()
        os.fsync(file.fileno())


def section(value: Json | None, key: str) -> Json:
    """The object under a key; empty where there is none."""
    inner = (value or {}).get(key)
    return inner if isinstance(inner, dict) else {}


def read_json(path: Path) -> Json | None:
    """The object in a file; None where there is none, or it is torn."""
    try:
        value = json.loads(read_small(path)[0])
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_small(path: Path, most: int = _MOST) -> tuple[bytes, os.stat_result]:
    """What is in a file, up to so many bytes, and what the file is.

    Raises:
        OSError: it can not be read, or is no regular file: a FIFO would be waited at for ever.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        told = os.fstat(handle)
        if not stat.S_ISREG(told.st_mode):
            if stat.S_ISDIR(told.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            raise OSError(errno.EINVAL, "it is no regular file")
        with open(handle, "rb", closefd=False) as file:
            return file.read(most), told
    finally:
        os.close(handle)
