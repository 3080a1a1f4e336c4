"""Who beats, and calls back: a thread, or a task of an event loop. For ``heartbeat.py``."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from kline_ops.kit.faults import is_fault

#: Seconds for a beat that is under way to end.
_LAST_BEAT = 1.0

_log = logging.getLogger(__name__)

#: A callback may be a plain function or an ``async`` one.
Answer = Awaitable[object] | object
Callback = Callable[[], Answer]


class Boundary:
    """Between the beats and what others made: a fault is told once, until it works again."""

    def __init__(self) -> None:
        self._failing: set[str] = set()

    @contextlib.contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Let nothing through but the end of the process or of the task."""
        try:
            yield
        except BaseException as error:
            if not is_fault(error):
                raise
            if what not in self._failing:
                _log.exception("a heartbeat goes on without its %s", what)
            self._failing.add(what)
        else:
            self._failing.discard(what)


class Beats(Protocol):
    """Beats, and calls back."""

    def wake(self) -> None:
        """Beat now; from any thread."""

    def call(self, what: str, callback: Callback) -> None:
        """Call it here and now; what it is to be awaited for goes on beside, one at a time."""

    def aside(
        self, what: str, callback: Callback, then: Callable[[bool], None] | None = None
    ) -> None:
        """Call it beside the beats; ``then``: whether it came to its end without an error."""

    def tell(self, what: str, callback: Callback) -> None:
        """Call it, from any thread."""


class Threads:
    """Beats in a thread."""

    def __init__(
        self, first: Callable[[], None], beat: Callable[[], None], interval: float
    ) -> None:
        self._first = first
        self._beat = beat
        self._interval = interval
        self._boundary = Boundary()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._busy: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more; returns when the last beat is over, within a second."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not threading.current_thread():
            self._thread.join(_LAST_BEAT)

    def wake(self) -> None:
        """Beat now; from any thread."""
        self._wake.set()

    def call(self, what: str, callback: Callback) -> None:
        """In the thread of the beats; an ``async`` one in a thread of its own, one at a time."""
        if what in self._busy:
            return
        with self._boundary(what):
            answer = callback()
            if inspect.isawaitable(answer):
                self._busy.add(what)
                self.aside(what, lambda: answer, lambda _done: self._busy.discard(what))

    def aside(
        self, what: str, callback: Callback, then: Callable[[bool], None] | None = None
    ) -> None:
        """In a thread of its own."""
        threading.Thread(
            target=self._do, args=(what, callback, then), name=what, daemon=True
        ).start()

    def tell(self, what: str, callback: Callback) -> None:
        """In a thread of its own."""
        self.aside(what, callback)

    def _do(self, what: str, callback: Callback, then: Callable[[bool], None] | None) -> None:
        done = False
        with self._boundary(what):
            answer = callback()
            if inspect.isawaitable(answer):
                asyncio.run(_awaited(answer))
            done = True
        if then is not None:
            then(done)

    def _run(self) -> None:
        self._first()
        self._beat()
        while not self._stopping.is_set():
            self._wake.wait(self._interval)
            self._wake.clear()
            if not self._stopping.is_set():
                self._beat()


class Tasks:
    """Beats in a task of the event loop that runs now."""

    def __init__(self, beat: Callable[[], None], interval: float) -> None:
        self._beat = beat
        self._interval = interval
        self._boundary = Boundary()
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._beside: dict[asyncio.Task[bool], str] = {}
        #: There was a first beat, or there will be none.
        self.begun = asyncio.Event()
        #: The task that beats, where it is not the caller's own.
        self.task: asyncio.Task[None] | None = None

    async def beat_on(self) -> None:
        """Beat until cancelled."""
        while True:
            self._wake.clear()
            self._beat()
            self.begun.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._wake.wait()

    def cancel(self) -> None:
        """Beat no more, soon; from any thread."""
        if self.task is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self.task.cancel)

    def end(self) -> None:
        """Cancel what goes on beside."""
        self.begun.set()
        for task in self._beside:
            task.cancel()

    def wake(self) -> None:
        """Beat now; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._wake.set)

    def call(self, what: str, callback: Callback) -> None:
        """On the loop; an ``async`` one as a task, one at a time."""
        if what in self._beside.values():
            return
        with self._boundary(what):
            answer = callback()
            if inspect.isawaitable(answer):
                self.aside(what, lambda: answer)

    def aside(
        self, what: str, callback: Callback, then: Callable[[bool], None] | None = None
    ) -> None:
        """As a task."""
        task = self._loop.create_task(self._do(what, callback), name=what)
        self._beside[task] = what
        task.add_done_callback(self._beside.pop)
        if then is not None:
            task.add_done_callback(lambda task: then(not task.cancelled() and task.result()))

    def tell(self, what: str, callback: Callback) -> None:
        """On the loop, soon."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self.call, what, callback)

    async def _do(self, what: str, callback: Callback) -> bool:
        done = False
        with self._boundary(what):
            answer = callback()
            if inspect.isawaitable(answer):
                await answer
            done = True
        return done  # noqa: RET504 - where an error was caught, it is not


async def _awaited(answer: Awaitable[object]) -> None:
    await answer
