"""How much is free on a disk, asked in a thread: one that hangs holds up nobody who wants to know."""

from __future__ import annotations

import os
from concurrent.futures import Future
from pathlib import Path

from kline_ops.clock import Clock
from kline_ops.worker import Worker

#: What is older (s) than this is not told.
_FRESH = 300.0
#: Seconds between two questions.
_ASK_EVERY = 5.0


class FreeSpace:
    """Of the disk that holds ``folder``. Each question is answered with what the last one found."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        #: One for all questions: to begin a thread is to wait for it.
        self._worker = Worker("disk space")
        self._asked_at = clock.monotonic()
        self._asking: Future[int] | None = None
        self._known: tuple[float, int] | None = None
        self._ask()

    def bytes(self) -> int | None:
        """Bytes free for this user; None while that is not known, or only what it was long ago."""
        now = self._clock.monotonic()
        if self._asking is not None and self._asking.done():
            answered, self._asking = self._asking, None
            known = None if answered.exception() else (self._asked_at, answered.result())
            self._known = known
        told = self._known
        if self._asking is None and now - self._asked_at >= _ASK_EVERY:
            self._ask()
        return None if told is None or now - told[0] > _FRESH else told[1]

    def close(self) -> None:
        """Let the thread end; nothing waits for it."""
        self._worker.shutdown(wait=False)

    def _ask(self) -> None:
        self._asked_at = self._clock.monotonic()
        self._asking = self._worker.submit(_free, self._folder)


def _free(folder: Path) -> int:
    told = os.statvfs(folder)
    return told.f_bavail * told.f_frsize
