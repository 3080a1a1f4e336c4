"""Work that touches a disk, for an answer: in a thread of its own, waited for only so long.

A disk that hangs costs that answer, and no other: each kind of work has a desk, each desk one thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from kline_ops.worker import Worker

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds that whoever asks waits for the answer.
_PATIENCE = 10.0
#: So many may wait in line.
_MOST = 8


class BusyError(Exception):
    """The answer can not be had now; the text says why, in one line."""


class Desk:
    """One thread, begun when it is first needed; what is asked of it is done in order."""

    def __init__(self, name: str, *, patience: float = _PATIENCE, most: int = _MOST) -> None:
        self._name = name
        self._patience = patience
        self._most = most
        self._worker: Worker | None = None
        self._waiting = 0

    @property
    def is_busy(self) -> bool:
        """Is something asked of it that has not come back?"""
        return self._waiting > 0

    async def ask(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What it answers, or raises.

        Raises:
            BusyError: it has not come back in time, or too many wait already.
        """
        if self._waiting >= self._most:
            raise BusyError(f"too many ask at once ({self._name})")
        if self._worker is None:
            self._worker = Worker(self._name)
        loop = asyncio.get_running_loop()
        self._waiting += 1
        asked = loop.run_in_executor(self._worker, lambda: fn(*args, **kwargs))
        asked.add_done_callback(self._one_less)
        done, _ = await asyncio.wait({asked}, timeout=self._patience)
        if not done:
            raise BusyError(f"no answer within {self._patience:g} s ({self._name}): again later")
        return asked.result()

    def close(self) -> None:
        """Let the thread end; nothing waits for it."""
        if self._worker is not None:
            self._worker.shutdown(wait=False)

    def _one_less(self, asked: asyncio.Future[T]) -> None:
        self._waiting -= 1
        if not asked.cancelled():
            asked.exception()  # nobody may be there any more to take it
