"""One recorder a file: an exclusive ``flock`` on ``….csv.lock``, and one on the candle file itself.

The first is a file of its own that names its holder and is there before the candle file is. It may be
removed, and a lock on a file without a name holds nobody off: hence the second, which goes with the
candles. Readers take no lock, so they are never blocked. The kernel frees both when their holder dies,
however it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from pathlib import Path

from kline_ops.errors import JournalError

#: The kernel lets go of the locks of a process that dies one after another: seconds, and tries.
_DYING, _DYING_TRIES = 0.02, 10


class FileLock:
    """Exclusive, and held until :meth:`release` or the end of the process."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(target.name + ".lock")
        self._fd: int | None = None
        #: To be held: also while its file was taken away and somebody else was quicker.
        self._wanted = False

    def acquire(self, owner: str) -> None:
        """Take the lock, or say who has it.

        Raises:
            JournalError: another process holds it, or the folder can not be written.
        """
        self._take()
        try:
            self._probe()
        except JournalError:
            self._drop()
            raise
        self._wanted = True
        self._sign(owner)

    def renew(self, owner: str) -> None:
        """Take the lock again if its file was removed or replaced: such a lock holds nobody off.

        Raises:
            JournalError: somebody else has it by now.
        """
        if not self._wanted or (self._fd is not None and _is_at(self._fd, self.path)):
            return
        self._drop()
        self._take()
        self._sign(owner)

    def hold(self, fd: int) -> None:
        """Lock the candle file that is open here; until it is closed.

        Raises:
            JournalError: another process records into it, though it lost its lock file.
        """
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._refused(b"") from None
        except OSError as error:
            raise self._failed(error) from None

    def release(self) -> None:
        """Let go; harmless where the lock is not held."""
        self._wanted = False
        self._drop()

    def _drop(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _probe(self) -> None:
        """Nobody may hold the candle file either. (The journal locks it for good once it is open.)"""
        try:
            # For writing: over NFS, an exclusive lock needs it.
            fd = os.open(self.target, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return  # there is none yet; or it can not be opened, which opening it will tell
        try:
            self._hold_soon(fd)
        finally:
            os.close(fd)

    def _hold_soon(self, fd: int) -> None:
        for _ in range(_DYING_TRIES):
            with contextlib.suppress(JournalError):
                self.hold(fd)
                return
            time.sleep(_DYING)
        self.hold(fd)

    def _take(self) -> None:
        while True:
            fd = self._open()
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                content = os.pread(fd, 4096, 0)
                os.close(fd)
                raise self._refused(content) from None
            except OSError as error:
                os.close(fd)
                raise self._failed(error) from None
            if _is_at(fd, self.path):
                break
            # Removed or replaced between the two calls: a lock on that file is no lock.
            os.close(fd)
        self._fd = fd

    def _sign(self, owner: str) -> None:
        if self._fd is None:
            return
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, json.dumps({"pid": os.getpid(), "session": owner}).encode(), 0)
        except OSError:
            return  # the disk is full: the lock holds all the same, only its holder has no name

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._failed(error) from None

    def _refused(self, content: bytes) -> JournalError:
        return JournalError(
            f"{self.target} is being recorded by {_holder(content)}",
            hint="stop that recorder first, or give this session another data_dir",
        )

    def _failed(self, error: OSError) -> JournalError:
        return JournalError(
            f"cannot lock {self.target}: {error.strerror}",
            transient=True,
            hint="check the permissions and free space of its folder",
        )


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
