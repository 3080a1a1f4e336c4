"""The events of a growing log, from a time on: read once, and from then on only what is new.

What was rotated away (``events.jsonl.1`` and so on) is read first, as the digest does.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial, reduce
from operator import or_
from pathlib import Path

import msgspec

from kline_ops.errors import InputError
from kline_ops.events import Event
from kline_ops.market import timestamp
from kline_ops.market.halving import place_of
from kline_ops.watch.tail import rotated
from kline_ops.worker import Breath

#: Bytes that are read in one go: taking them in holds up other threads for a millisecond.
_BLOCK = 1 << 14
#: The most of a log that is read.
_MOST = 64 << 20
#: No event is longer; what is, is none of ours.
_LONGEST_LINE = 1 << 16
#: Bytes at the end of what was read by which it is known again.
_NOTED = 64
_BEGINNING = b'{"ts":"'
_SECONDS = len("2026-01-27T14:00:00")


_event: Callable[[bytes], Event] = msgspec.json.Decoder(reduce(or_, Event.__subclasses__())).decode


class EventFollower:
    """Tells the events of some kinds, oldest first. For one thread.

    Args:
        path: of the log; it need not be there.
        from_ms: what was told before is passed over, as far as the log is in order.
        kinds: the events that are wanted; others cost next to nothing.
    """

    def __init__(self, path: str, from_ms: int, kinds: Iterator[str]) -> None:
        self._path = path
        self._from = timestamp.to_text(max(0, from_ms))[:_SECONDS].encode()
        self._wanted = re.compile(
            rb'\{"ts":"([^"\n]*)","kind":"(?:' + "|".join(kinds).encode() + rb')".*\}$',
            re.MULTILINE,
        )
        self._inode = -1
        self._at = 0
        #: How what was read ended: a file may be emptied and begun anew, or have the place of another.
        self._tail = b""
        #: The log is another one than before: what was told of it holds no more.
        self.is_anew = False

    def new(self) -> Iterator[tuple[str, Event]]:
        """What came since the last time: when it was told, as text, and what.

        Raises:
            InputError: it can not be read.
        """
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            raise InputError(f"cannot read {self._path}: {error.strerror}") from None
        try:
            yield from self._new(fd)
        except OSError as error:
            raise InputError(f"cannot read {self._path}: {error.strerror}") from None
        finally:
            os.close(fd)

    def _new(self, fd: int) -> Iterator[tuple[str, Event]]:
        told = os.fstat(fd)
        if not stat.S_ISREG(told.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if told.st_ino != self._inode or not self._is_as_read(fd):
            self.is_anew = self._inode >= 0
            if self.is_anew:
                return  # whoever asks begins anew
            yield from self._rotated(told)
            self._inode, self._at = told.st_ino, self._begin(fd, told.st_size)
        yield from self._on(fd)
        self._tail = os.pread(fd, min(_NOTED, self._at), self._at - min(_NOTED, self._at))

    def _is_as_read(self, fd: int) -> bool:
        return os.pread(fd, len(self._tail), self._at - len(self._tail)) == self._tail

    def _rotated(self, log: os.stat_result) -> Iterator[tuple[str, Event]]:
        """What older files have of the time, the oldest first."""
        with ExitStack() as stack:
            files = [stack.enter_context(file) for file in rotated(Path(self._path))]
            for fd in (file.fileno() for file in reversed(files)):
                told = os.fstat(fd)
                if not os.path.samestat(told, log):  # rotated while we look
                    self._at = self._begin(fd, told.st_size)
                    yield from self._on(fd)

    def _on(self, fd: int) -> Iterator[tuple[str, Event]]:
        """All lines that have an end, from where reading stopped."""
        breathe = Breath()
        while block := os.pread(fd, _BLOCK, self._at):
            cut = block.rfind(b"\n") + 1
            if not cut:
                if len(block) < _BLOCK:
                    return  # a line on its way to the disk
                cut = len(block)
            self._at += cut
            for line in self._wanted.finditer(block, 0, cut):
                if (event := _decoded(line[0])) is not None:
                    yield line[1].decode(errors="replace"), event
                elif (after := line[0].rfind(_BEGINNING)) > 0:
                    # Half a line, of a process that lost its power; the next one went on from there.
                    for part in self._wanted.finditer(line[0], after):
                        if (event := _decoded(part[0])) is not None:
                            yield part[1].decode(errors="replace"), event
            breathe()

    def _begin(self, fd: int, size: int) -> int:
        read = partial(_read, fd)
        end = size - min(size, _LONGEST_LINE)
        end += read(end, size - end).rfind(b"\n") + 1
        place = place_of(read, end, self._from, before=len(_BEGINNING), longest=_LONGEST_LINE)
        # Torn lines in it, or a clock that was set back: all of it, as far as that goes.
        return max(0 if place is None else place, size - _MOST)


def _decoded(line: bytes) -> Event | None:
    try:
        return _event(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _read(fd: int, offset: int, length: int) -> bytes:
    return os.pread(fd, length, offset)
