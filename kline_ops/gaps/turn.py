"""One search of a file at a time, of those that leave something behind: cron may start the next."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kline_ops.errors import KlineOpsError

_WAIT_SECONDS = 60.0
_BETWEEN = 0.2


@contextmanager
def alone(path: str, wait: float = _WAIT_SECONDS) -> Iterator[None]:
    """Holds ``PATH.gaps.lock`` meanwhile; where nothing can be written, nobody needs to be alone.

    Raises:
        KlineOpsError: another one holds it for longer than ``wait`` (s).
    """
    try:
        fd = os.open(f"{path}.gaps.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:
        yield
        return
    try:
        deadline = time.monotonic() + wait
        while not _taken(fd):
            if time.monotonic() >= deadline:
                raise KlineOpsError(
                    f"another analyze-gaps is at work on {path}", hint="again when it has ended"
                )
            time.sleep(_BETWEEN)
        yield
    finally:
        os.close(fd)


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
