"""Disks that fail on purpose: one call errs, the process dies at a call, the power goes."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kline_ops.record.disk import Disk

T = TypeVar("T")


def remove_folder(folder: Path) -> None:
    """``rm -rf``, also of what a thread of the recorder writes into it at this very moment."""
    while folder.exists():
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)


class Crash(BaseException):
    """The process dies here; nothing of it runs any more."""


class CountingDisk(Disk):
    """Counts its calls and knows what is open; the parent of all faulty ones."""

    def __init__(self) -> None:
        self.calls = 0
        self.names: list[str] = []
        self.opened: dict[int, Path] = {}

    def step(self, name: str, call: Callable[[], T]) -> T:
        """Every call comes through here."""
        self.calls += 1
        self.names.append(name)
        return call()

    def close_all(self) -> None:
        """What the kernel does at the end of a process."""
        for fd in self.opened:
            os.close(fd)
        self.opened.clear()

    def open(self, path: Path, flags: int) -> int:
        fd = self.step("open", lambda: super(CountingDisk, self).open(path, flags))
        self.opened[fd] = path
        return fd

    def close(self, fd: int) -> None:
        self.step("close", lambda: self._close(fd))

    def _close(self, fd: int) -> None:
        if self.opened.pop(fd, None) is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        super().close(fd)

    def write(self, fd: int, data: bytes, offset: int) -> int:
        return self.step("write", lambda: self.put(fd, data, offset))

    def put(self, fd: int, data: bytes, offset: int) -> int:
        """The write itself."""
        return super().write(fd, data, offset)

    def read(self, fd: int, size: int, offset: int) -> bytes:
        return self.step("read", lambda: super(CountingDisk, self).read(fd, size, offset))

    def size(self, fd: int) -> int:
        return self.step("size", lambda: super(CountingDisk, self).size(fd))

    def truncate(self, fd: int, size: int) -> None:
        self.step("truncate", lambda: super(CountingDisk, self).truncate(fd, size))

    def sync(self, fd: int) -> None:
        # No power is lost for real, so nothing waits for the device; PowerDisk keeps account.
        self.step("sync", lambda: None)

    def unlink(self, path: Path) -> None:
        self.step("unlink", lambda: super(CountingDisk, self).unlink(path))

    def rename(self, path: Path, target: Path) -> None:
        self.step("rename", lambda: super(CountingDisk, self).rename(path, target))

    def sync_folder(self, folder: Path) -> None:
        self.step("sync_folder", folder.stat)


class CrashingDisk(CountingDisk):
    """The process dies at the ``at``-th call; a write gets ``keep`` bytes there before that."""

    def __init__(self, at: int, keep: int = 0) -> None:
        super().__init__()
        self.at = at
        self._keep = keep
        self._cut = False

    def step(self, name: str, call: Callable[[], T]) -> T:
        if self.calls + 1 == self.at and name == "write" and self._keep:
            self._cut = True
            super().step(name, call)
        if self.calls + 1 >= self.at:
            self.calls += 1
            raise Crash
        return super().step(name, call)

    def put(self, fd: int, data: bytes, offset: int) -> int:
        return super().put(fd, data[: self._keep] if self._cut else data, offset)


class FailingDisk(CountingDisk):
    """The ``at``-th call and ``times - 1`` after it err; a write may leave ``keep`` bytes first.

    ``after``: the call has its effect before it errs (a close or an unlink that reports EIO).
    """

    def __init__(self) -> None:
        super().__init__()
        self._at = self._until = 0
        self._code = 0
        self._keep = 0
        self._after = False

    def fail(
        self, at: int, code: int = errno.EIO, *, times: int = 1, keep: int = 0, after: bool = False
    ) -> None:
        """Arm it: calls are counted from here on, from 1."""
        self._at, self._until = self.calls + at, self.calls + at + times
        self._code, self._keep, self._after = code, keep, after

    def heal(self) -> None:
        """No more faults."""
        self._at = self._until = 0

    def step(self, name: str, call: Callable[[], T]) -> T:
        number = self.calls + 1
        if not self._at <= number < self._until:
            return super().step(name, call)
        if self._after or name == "close" or (name == "write" and self._keep):
            super().step(name, call)  # Linux frees a descriptor even where close reports an error
        else:
            self.calls += 1
        raise OSError(self._code, os.strerror(self._code))

    def put(self, fd: int, data: bytes, offset: int) -> int:
        cut = self._at <= self.calls < self._until and self._keep and not self._after
        return super().put(fd, data[: self._keep] if cut else data, offset)


class ShortDisk(CountingDisk):
    """Each write takes so many bytes at most, as the system is free to do."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def put(self, fd: int, data: bytes, offset: int) -> int:
        return super().put(fd, data[: self._most], offset)


class PowerDisk(CrashingDisk):
    """Nothing lasts that was not synced: :meth:`power_cut` brings back what was durable."""

    def __init__(self, folder: Path, at: int) -> None:
        super().__init__(at)
        self._folder = folder
        #: Durable content by inode, and durable names.
        self._content = {path.stat().st_ino: path.read_bytes() for path in folder.iterdir()}
        self._names = {path.name: path.stat().st_ino for path in folder.iterdir()}

    def sync(self, fd: int) -> None:
        super().sync(fd)
        self._content[os.fstat(fd).st_ino] = self.opened[fd].read_bytes()

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        self._names = {path.name: path.stat().st_ino for path in folder.iterdir()}

    def power_cut(self) -> None:
        """Leave the folder as a machine finds it that lost its power now."""
        self.close_all()
        for path in self._folder.iterdir():
            path.unlink()
        for name, inode in self._names.items():
            (self._folder / name).write_bytes(self._content.get(inode, b""))
