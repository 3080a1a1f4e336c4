"""The lines of a log, from its end backwards through the rotated files, and those that are added to it.

It works while somebody writes, rotates, deletes or empties the log. Lines come without their line feed;
bytes that are no UTF-8 come as U+FFFD.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

_BLOCK = 1 << 16
#: Seconds between two looks at a log that is followed.
_POLL = 0.2


class Tail:
    """A log as it stands now: :meth:`backwards`, then :meth:`follow` from where that began.

    No line comes twice or is left out between the two. To be used as a context manager.

    Args:
        path: of the log; it need not be there.
        whole: leave a last line without its line feed to :meth:`follow`.

    Raises:
        OSError: it is there and can not be read.
    """

    def __init__(self, path: Path, *, whole: bool = False) -> None:
        self._path = path
        self._file = _open(path)
        self._end = 0
        #: Where there is no log: the last file there was, of which nothing more will come.
        self._read = _youngest(path) if self._file is None else None
        if self._file is not None:
            self._end = self._file.seek(0, os.SEEK_END)
            if whole:
                self._end = _after_last_line(self._file, self._end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def backwards(self) -> Iterator[str]:
        """The lines, the last one first; reads no more than it is asked for. Raises OSError."""
        return chain.from_iterable(self.files())

    def files(self) -> Iterator[Iterator[str]]:
        """The same, file by file; each is to be taken in before the next one. Raises OSError."""
        read: list[os.stat_result] = []
        if self._file is not None:
            read.append(os.fstat(self._file.fileno()))
            yield _backwards(self._file, self._end)
        for older in rotated(self._path):
            with older:
                told = os.fstat(older.fileno())
                # Rotated meanwhile, one that was read already stands under the next name.
                if not any(os.path.samestat(told, known) for known in read):
                    read.append(told)
                    yield _backwards(older, older.seek(0, os.SEEK_END))

    def follow(self) -> Iterator[str]:
        """Each line as it is added, for ever; a log that is not there is waited for. Raises OSError.

        A rotated file is read to its end, then those that came after it.
        """
        file, self._file = self._file, None
        start, read = self._end, self._read
        while True:
            while file is None:
                time.sleep(_POLL)
                file = _successor(self._path, read)
            with file:
                file.seek(start)
                yield from _lines_until_replaced(file, self._path)
                read = os.fstat(file.fileno())
            file = _successor(self._path, read)
            start = 0


def _open(path: Path) -> BinaryIO | None:
    try:
        # A FIFO would be waited at for ever.
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(0, "is no regular file", str(path))
    return file


def rotated(path: Path) -> Iterator[BinaryIO]:
    """The rotated files, the youngest (``session.log.1``) first; the caller closes them.

    While one is renamed its place is empty for a moment: a missing number does not end the row.
    """
    ends = (
        older.name.removeprefix(f"{path.name}.") for older in path.parent.glob(f"{path.name}.*")
    )
    for number in sorted(int(end) for end in ends if end.isdecimal()):
        file = _open(path.with_name(f"{path.name}.{number}"))
        if file is not None:
            yield file


def _youngest(path: Path) -> os.stat_result | None:
    for file in rotated(path):
        with file:
            return os.fstat(file.fileno())
    return None


def _successor(path: Path, read: os.stat_result | None) -> BinaryIO | None:
    """The file that came after the one that was read to its end, opened; None while there is none.

    Where nothing was read it is the oldest one.
    """
    # The log first: what is rotated while we look stands further down then, and is known.
    log = after = _open(path)
    opened = [log]
    for older in rotated(path):
        opened.append(older)
        told = os.fstat(older.fileno())
        if read is not None and os.path.samestat(told, read):
            break
        after = log if log is not None and _is_open_as(log, told) else older
    else:
        if read is not None:
            after = log  # what was read is deleted: nobody knows what came after it
    for file in opened:
        if file is not None and file is not after:
            file.close()
    return after


def _is_open_as(file: BinaryIO, told: os.stat_result) -> bool:
    return os.path.samestat(os.fstat(file.fileno()), told)


def _after_last_line(file: BinaryIO, end: int) -> int:
    """Where the line begins that has no line feed yet."""
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _backwards(file: BinaryIO, end: int) -> Iterator[str]:
    if end == 0:
        return
    file.seek(end - 1)
    if file.read(1) == b"\n":
        end -= 1
    pieces: list[bytes] = []  # of the line whose beginning has not been reached, the last one first
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        first, *others = file.read(end - start).split(b"\n")
        end = start
        if others:
            pieces.append(others.pop())
            yield _text(b"".join(reversed(pieces)))
            yield from map(_text, reversed(others))
            pieces.clear()
        pieces.append(first)
    yield _text(b"".join(reversed(pieces)))


def _lines_until_replaced(file: BinaryIO, path: Path) -> Iterator[str]:
    part = b""
    while True:
        # Asked before reading: what was written before the rotation is read after it.
        replaced = _was_replaced(path, file.fileno())
        if os.fstat(file.fileno()).st_size < file.tell():
            file.seek(0)  # emptied, and begun anew
            part = b""
        while piece := file.readline():
            part += piece
            if part.endswith(b"\n"):
                yield _text(part[:-1])
                part = b""
        if replaced:
            if part:
                yield _text(part)
            return
        time.sleep(_POLL)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")


def _was_replaced(path: Path, fd: int) -> bool:
    try:
        return not os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
