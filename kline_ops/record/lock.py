"""One recorder a file: an exclusive ``flock`` on ``….csv.lock``.

The lock is a file of its own, so that readers of the candle file are never blocked. The kernel frees
it when its holder dies, however it dies; the file itself stays and names the last holder.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from kline_ops.errors import JournalError


class FileLock:
    """Exclusive, and held until :meth:`release` or the end of the process."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(target.name + ".lock")
        self._fd: int | None = None
        #: Held, or to be held again as soon as that can be done.
        self._wanted = False

    def acquire(self, owner: str) -> None:
        """Take the lock, or say who has it.

        Raises:
            JournalError: another process holds it, or the folder can not be written.
        """
        while True:
            fd = self._open()
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _holder(os.pread(fd, 4096, 0))
                os.close(fd)
                raise JournalError(
                    f"{self.target} is being recorded by {holder}",
                    hint="stop that recorder first, or give this session another data_dir",
                ) from None
            except OSError as error:
                os.close(fd)
                raise self._failed(error) from None
            if _is_at(fd, self.path):
                break
            # Removed or replaced between the two calls: a lock on that file is no lock.
            os.close(fd)
        self._fd, self._wanted = fd, True
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps({"pid": os.getpid(), "session": owner}).encode(), 0)
        except OSError:
            return  # the disk is full: the lock holds all the same, only its holder has no name

    def renew(self, owner: str) -> None:
        """Take the lock again if its file was removed or replaced: such a lock holds nobody off.

        Raises:
            JournalError: somebody else has it by now.
        """
        if self._wanted and (self._fd is None or not _is_at(self._fd, self.path)):
            self._let_go()
            self.acquire(owner)

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> JournalError:
        return JournalError(
            f"cannot lock {self.target}: {error.strerror}",
            transient=True,
            hint="check the permissions and free space of its folder",
        )

    def release(self) -> None:
        """Let go; harmless where the lock is not held."""
        self._wanted = False
        self._let_go()

    def _let_go(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _holder(content: bytes) -> str:
    try:
        told = json.loads(content)
        return f"pid {int(told['pid'])} (session {told['session']})"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
