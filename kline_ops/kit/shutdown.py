"""Ends a program in order, within a bounded time, and at once when it is asked for a second time.

The rule is pure (``resilience/shutdown.py``); this is its shell, for threads and for an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, Self

from kline_ops.kit.run_down import arun_down, run_down
from kline_ops.resilience.shutdown import ENDING, SHUTDOWN, Phase, Step, Turn

#: The same signal within so many seconds is the same wish: some send it to a process and to its group.
_SAME = 0.1

_log = logging.getLogger(__name__)


def ending_signals(signals: Iterable[signal.Signals] = ENDING) -> tuple[signal.Signals, ...]:
    """Those to listen to: who was started by ``nohup`` is to outlive its terminal."""
    return tuple(
        number
        for number in signals
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    )


class GracefulShutdown:
    """Calls what is registered, the lowest ``priority`` first, when the program is to end.

    All callbacks have ``timeout`` seconds together. Each is waited for until its share of what is left
    is over (or its own ``timeout``), then the next one begins beside it: one that hangs or raises does
    not keep another from being called. What is not done when the time of all is over is told in the
    log, and not waited for. A second signal ends the process at once, by
    ``os._exit(force_exit_code)``. It ends nothing by itself: :meth:`wait` returns when all is done, and
    so should your ``main``.

    A callback may be ``async``. In a program with an event loop (``async with``, :meth:`atrigger`, or
    :meth:`install` while the loop runs) it is a task of that loop; a plain function is called while the
    loop stands still, so that it may do what is the loop's own (``asyncio.Event.set``), and in a thread,
    so that it can be left behind where it hangs. What takes long belongs into an ``async`` callback
    then. Without a loop, each callback has a thread of its own.

    >>> with GracefulShutdown(timeout=10.0) as shutdown:
    ...     shutdown.register("close the file", lambda: print("closed"), priority=20)
    ...     shutdown.register("take nothing in", lambda: print("shut"), priority=10)
    ...     shutdown.trigger()                    # or a signal; then: shutdown.wait()
    shut
    closed
    >>> shutdown.is_shutting_down
    True

    Args:
        timeout: seconds for all callbacks together.
        signals: what asks for the end; SIGHUP is left alone where it is ignored (``nohup``).
        force_exit_code: of the process, where a second signal ends it.

    Raises:
        ValueError: a timeout that is no positive number.
    """

    def __init__(
        self,
        timeout: float = 30.0,
        *,
        signals: Iterable[signal.Signals] = ENDING,
        force_exit_code: int = 1,
    ) -> None:
        if not 0.0 < timeout < float("inf"):
            raise ValueError(f"{timeout!r} is no timeout in seconds")
        self._timeout = timeout
        self._signals = tuple(signals)
        self._force_exit_code = force_exit_code
        self._steps: dict[str, Step] = {}
        self._phase = Phase.RUNNING
        # A signal may come while this very thread holds it.
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._first: tuple[int, float] | None = None

    # -- what is to be done -----------------------------------------------------------------------

    def register(
        self,
        name: str,
        callback: Callable[[], object],
        priority: int = 100,
        timeout: float | None = None,
    ) -> None:
        """Have this called at the end; ``timeout``: seconds of its own, after which it is cancelled.

        Raises:
            ValueError: there is one of this name.
            RuntimeError: the end has begun.
        """
        with self._lock:
            if self._phase is not Phase.RUNNING:
                raise RuntimeError(f"{name} comes too late: the shutdown has begun")
            if name in self._steps:
                raise ValueError(f"there is a callback {name!r} already")
            self._steps[name] = Step(name, callback, priority, timeout)

    def unregister(self, name: str) -> bool:
        """Do not call this after all; False where there is none of this name."""
        with self._lock:
            return self._steps.pop(name, None) is not None

    # -- when -------------------------------------------------------------------------------------

    @property
    def is_shutting_down(self) -> bool:
        """The end has begun, or is over."""
        return self._phase is not Phase.RUNNING

    def install(self) -> None:
        """Listen to the signals, in the main thread; an event loop that runs does what follows.

        Raises:
            RuntimeError: this is not the main thread.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("signals can be listened to in the main thread only")
        self._note_loop()
        for number in ending_signals(self._signals):
            if number not in self._before:
                self._before[number] = signal.signal(number, self._signalled)

    def uninstall(self) -> None:
        """Leave the signals to who listened to them before."""
        for number, before in self._before.items():
            # Who came after us keeps it; what was not set from Python can not be set back.
            if signal.getsignal(number) == self._signalled:
                signal.signal(number, signal.SIG_DFL if before is None else before)
        self._before.clear()

    def trigger(self) -> None:
        """End now; returns when all is done, or its time is over.

        Within an event loop that runs it returns at once, and the loop does the rest.
        """
        if self._note_loop() is not None:
            if self._turn(Turn.CALLED):
                self._begin_task()
        elif self._turn(Turn.CALLED):
            self._run_down()
        else:
            self.wait()

    async def atrigger(self) -> None:
        """The same, awaited."""
        self._note_loop()
        if self._turn(Turn.CALLED):
            await self._arun_down()
        else:
            await self.await_shutdown()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all is done, or its time is over; False after ``timeout`` seconds without that."""
        return self._over.wait(timeout)

    async def await_shutdown(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - as wait()
        """The same, awaited."""
        loop = self._note_loop() or asyncio.get_running_loop()
        over = loop.create_future()
        with self._lock:
            self._waiting.append((loop, over))
        if self._over.is_set():
            self._tell_over()
        await asyncio.wait({over}, timeout=timeout)
        with self._lock, contextlib.suppress(ValueError):
            self._waiting.remove((loop, over))
        return over.done()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.trigger()
        finally:
            self.uninstall()

    async def __aenter__(self) -> Self:
        self.install()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.atrigger()
        finally:
            self.uninstall()

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = (number, now)
        elif self._first[0] == number and now - self._first[1] < _SAME:
            return
        # Where a loop runs in this thread, it is the program's, whoever has begun it since.
        self._note_loop()
        before = self._phase
        self._turn(Turn.SIGNALLED)
        if self._phase is Phase.FORCED:
            os._exit(self._force_exit_code)
        if before is not Phase.RUNNING:
            return
        loop = self._loop
        try:
            if loop is None or not loop.is_running():
                raise RuntimeError
            loop.call_soon_threadsafe(self._begin_task)
        except RuntimeError:  # there is no loop, or none any more
            # No daemon: whoever leaves main now is held up until all is done.
            threading.Thread(target=self._run_down, name="shutdown").start()

    def _turn(self, turn: Turn) -> bool:
        """Take the step that the table has; False where it has none."""
        with self._lock:
            after = SHUTDOWN.get((self._phase, turn))
            self._phase = after or self._phase
        return after is not None

    def _note_loop(self) -> asyncio.AbstractEventLoop | None:
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()
            return self._loop
        return None

    def _run_down(self) -> None:
        self._end(run_down(self._steps.values(), self._timeout))

    def _begin_task(self) -> None:
        self._task = asyncio.ensure_future(self._arun_down())

    async def _arun_down(self) -> None:
        left = list(self._steps)
        try:
            left = await arun_down(self._steps.values(), self._timeout)
        finally:
            self._end(left)  # the loop may end before we do

    def _end(self, left: list[str]) -> None:
        if left:
            _log.error("not done within %g s, and left: %s", self._timeout, ", ".join(left))
        self._turn(Turn.DONE)
        self._over.set()
        self._tell_over()

    def _tell_over(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for loop, over in waiting:
            with contextlib.suppress(RuntimeError):  # that loop has ended
                loop.call_soon_threadsafe(_resolve, over)


def _resolve(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)
