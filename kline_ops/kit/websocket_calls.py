"""Functions of the user's, called beside everything else.

One that is slow, hangs or fails holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from kline_ops.kit.faults import is_fault
from kline_ops.worker import Worker

#: Seconds between two tracebacks of the same function.
_QUIET = 60.0
#: How many calls may wait for a function that takes its time.
_WAITING = 100
#: Seconds that a cancelled call has to end.
_STUBBORN = 0.5

_log = logging.getLogger(__name__)


class Callback:
    """A coroutine function is awaited on the event loop; a plain one runs in a thread of its own."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
        )
        self.name = name
        self._worker: Worker | None = None
        self._quiet_until = float("-inf")
        self._failures = 0

    async def __call__(self, *given: object) -> object:
        """What it answers; None where it fails, which is logged."""
        try:
            if self._is_async:
                return await self._function(*given)
            loop = asyncio.get_running_loop()
            answer, error = await loop.run_in_executor(self._thread(), self._attempt, given)
            if error is not None:
                raise error
            return await answer if inspect.isawaitable(answer) else answer
        except BaseException as error:
            if not is_fault(error):
                raise
            self._tell(error)
            return None

    def close(self) -> None:
        """Call it no more; one that hangs in its thread is left there."""
        if self._worker is not None:
            self._worker.shutdown(wait=False)
            self._worker = None

    def _thread(self) -> Worker:
        if self._worker is None:
            self._worker = Worker(self.name)
        return self._worker

    def _attempt(self, given: tuple[object, ...]) -> tuple[object, Exception | None]:
        # As a value: a StopIteration can not be set on a future.
        try:
            return self._function(*given), None
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for it
            return None, error

    def _tell(self, error: BaseException) -> None:
        self._failures += 1
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET
            _log.error("%s failed (%d times)", self.name, self._failures, exc_info=error)


class Lane:
    """Calls one after another, in order; where too many wait, the oldest are left out, and logged."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callback, tuple[object, ...]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._left_out = 0

    def call(self, callback: Callback | None, *given: object) -> None:
        """Let it be called; does not wait. None is called by nobody."""
        if callback is None:
            return
        self._waiting.append((callback, given))
        if len(self._waiting) > _WAITING:
            self._waiting.popleft()
            self._left_out += 1
            if self._left_out == 1:
                _log.warning("%s takes too long: calls of it are left out", callback.name)
        if self._task is None or self._task.done():
            self._left_out = 0
            self._task = asyncio.create_task(self._run(), name=callback.name)

    async def close(self, seconds: float) -> None:
        """Give what waits so long to be done."""
        await end_task(self._task, seconds)
        self._task = None

    async def _run(self) -> None:
        while self._waiting:
            callback, given = self._waiting.popleft()
            await callback(*given)


class Question:
    """A function that is asked again and again; one call at a time."""

    def __init__(self, callback: Callback, patience: float = 5.0) -> None:
        self._callback = callback
        self._patience = patience
        self._pending: asyncio.Task[object] | None = None
        self._told = False

    async def ask(self) -> object:
        """The answer; None where there is none within ``patience`` seconds, or it fails."""
        if self._pending is None:
            self._pending = asyncio.create_task(self._answer(), name=self._callback.name)
        pending = self._pending
        done, _ = await asyncio.wait({pending}, timeout=self._patience)
        if done:
            self._told = False
            if self._pending is pending:
                self._pending = None
            return pending.result()
        if not self._told:
            self._told = True
            _log.warning("%s does not answer", self._callback.name)
        return None

    async def close(self) -> None:
        """Ask no more."""
        await end_task(self._pending, 0.0)
        self._pending = None

    async def _answer(self) -> object:
        return await self._callback()


async def end_task(task: asyncio.Task[Any] | None, seconds: float) -> None:
    """Wait so long for a task, then cancel it; from within itself it is left alone."""
    if task is None or task is asyncio.current_task():
        return
    await asyncio.wait({task}, timeout=seconds)
    task.cancel()
    # Not for ever: code of the user's may swallow the cancellation.
    await asyncio.wait({task}, timeout=_STUBBORN)
