"""A disk that fails as a control file says, while the rest of the recorder is as it always is."""

from __future__ import annotations

import enum
import errno
import os
import time
from pathlib import Path

from kline_ops.record.disk import Disk

#: Seconds that a slow sync takes.
SLOW = 0.7
#: A full disk takes so many bytes of a write before it errs: a part of a row.
_LAST_BYTES = 20


class DiskFault(enum.StrEnum):
    """What the candle file's disk does."""

    NONE = ""
    #: A part of the row is written, then there is no space.
    FULL = "ENOSPC"
    #: Writes go well, and the sync says that they did not.
    BROKEN = "EIO"
    #: Nothing can be changed any more.
    READ_ONLY = "EROFS"
    #: Each write takes one byte less than half of what it is given.
    SHORT = "short"
    #: Each sync takes :data:`SLOW` seconds.
    SLOW = "slow"


class DiskControl:
    """The file through which a drill tells the recorder's process what its disk does."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def tell(self, fault: DiskFault) -> None:
        """From the next file call on. Raises OSError."""
        beside = self._path.with_name(self._path.name + ".tmp")
        beside.write_text(fault.value, encoding="ascii")
        beside.replace(self._path)

    def told(self) -> DiskFault:
        """What was told last; nothing goes wrong before."""
        try:
            return DiskFault(self._path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return DiskFault.NONE


class DrillDisk(Disk):
    """The system's calls, but for what the control file says."""

    def __init__(self, control: DiskControl) -> None:
        self._control = control

    def open(self, path: Path, flags: int) -> int:
        """A file descriptor."""
        if flags & (os.O_WRONLY | os.O_RDWR):
            self._err({DiskFault.READ_ONLY: errno.EROFS})
        return super().open(path, flags)

    def write(self, fd: int, data: bytes, offset: int) -> int:
        """Write at a place; answers how many bytes got there."""
        told = self._control.told()
        if told is DiskFault.SHORT:
            return super().write(fd, data[: max(1, len(data) // 2 - 1)], offset)
        if told is DiskFault.FULL:
            super().write(fd, data[:_LAST_BYTES], offset)
        self._err({DiskFault.FULL: errno.ENOSPC, DiskFault.READ_ONLY: errno.EROFS})
        return super().write(fd, data, offset)

    def truncate(self, fd: int, size: int) -> None:
        """Cut the file to this size."""
        self._err({DiskFault.READ_ONLY: errno.EROFS})
        super().truncate(fd, size)

    def sync(self, fd: int) -> None:
        """The data is on the device when this returns."""
        if self._control.told() is DiskFault.SLOW:
            time.sleep(SLOW)
        self._err({DiskFault.BROKEN: errno.EIO, DiskFault.READ_ONLY: errno.EROFS})
        super().sync(fd)

    def _err(self, codes: dict[DiskFault, int]) -> None:
        code = codes.get(self._control.told())
        if code is not None:
            raise OSError(code, os.strerror(code))
