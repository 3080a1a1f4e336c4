"""A watchdog for any program: over the state file of a heartbeat, or over a program's own pings.

What is found is judged by pure rules (``watch/staleness.py``), when somebody is told by another
(``watch/vigil.py``). This is the shell around them: it looks, in a thread or a task, and calls back.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Awaitable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kline_ops.clock import Clock, Reading, SystemClock, read
from kline_ops.errors import KlineOpsError
from kline_ops.kit.callbacks import Callbacks, OnAlert, OnTimeout
from kline_ops.kit.watched import Pings, Source, StateFile, WatchdogStats
from kline_ops.watch.staleness import Finding
from kline_ops.watch.vigil import Kind, Telling, Vigil

#: Seconds between two checks for pings, at the most.
_PING_CHECKS = 1.0
#: A check that comes so much later (s) than it should was held up with the rest of the machine.
_HELD_UP = 2.0


class WatchdogTimeoutError(KlineOpsError):
    """The watchdog of a ``with`` block was triggered within it."""


class Watchdog:
    """Notices that something has stopped, tells of it once, each hour again, and of its recovery.

    Two forms: over a program's own pings (the constructor), and over the state file of a heartbeat,
    of whichever program (:meth:`from_state_file`). Both run in a thread (:meth:`start`, ``with``), in a
    task (:meth:`astart`, ``async with``), or one check at a time (:meth:`check`).

    Callbacks may be plain or async. An async one is awaited: by the task, or in a loop of the thread.
    The next check waits for them. One that raises is logged, and harms nothing.

    Args:
        timeout: seconds without a ping that are good.
        on_timeout: called without arguments each time that an alarm begins.
        on_alert: called with a channel (``"watchdog"``), a text, and a context: ``name, event`` (alarm,
            changed, reminder, recovered, ended)``, level`` (CRITICAL; SUCCESS or INFO where it is
            over)``, word, reason, age, lasted`` (s) and what is watched.
        name: for logs and texts.
        raise_on_timeout: at the end of its ``with`` block, raise where it was triggered in it; an
            ``async with`` block is cancelled at once then.
        clock: the clocks to go by; those of this machine unless given.

    Raises:
        ValueError: a time that is not above zero.
        WatchdogTimeoutError: by a block, with ``raise_on_timeout``.

    >>> with Watchdog(timeout=30.0, name="worker") as dog:
    ...     dog.ping()                      # as often as it does some work
    ...     dog.is_triggered, dog.stats.pings_total
    (False, 1)
    """

    def __init__(
        self,
        timeout: float = 30.0,
        *,
        on_timeout: OnTimeout | None = None,
        on_alert: OnAlert | None = None,
        name: str = "watchdog",
        raise_on_timeout: bool = False,
        clock: Clock | None = None,
    ) -> None:
        _check_above_zero("timeout", timeout)
        self._clock: Clock = SystemClock() if clock is None else clock
        self._pings: Pings | None = Pings(timeout)
        self._source: Source = self._pings
        self._interval = min(_PING_CHECKS, timeout / 4)
        self.name = name
        self._callbacks = Callbacks(name, on_timeout, on_alert, self._source)
        self._raises = raise_on_timeout
        self._vigil = Vigil()
        self._lock = threading.Lock()
        self._checks = self._pings_total = self._timeouts = 0
        self._last_ping: float | None = None
        self._started: float | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None
        #: The task of an ``async with`` block, once that was cancelled by us.
        self._body: asyncio.Task[Any] | None = None
        self._cancelled = False
        self._timeouts_before = 0

    @classmethod
    def from_state_file(
        cls,
        state_file: str | Path,
        *,
        check_interval: float | None = None,
        max_age: float = 30.0,
        on_timeout: OnTimeout | None = None,
        on_alert: OnAlert | None = None,
        name: str | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """A watchdog over the state file of a heartbeat: JSON with a ``timestamp`` (ISO 8601).

        ``status: stopped`` is a clean end, and no alarm; ``status: stalled`` is one, however fresh. No
        file is an alarm once there was one. After a suspend of this machine, or where its clock was
        set, the writer has ``max_age`` to beat again.

        Args:
            state_file: where it is; it need not be there yet.
            check_interval: seconds from one check to the next; half of ``max_age`` unless given.
            max_age: seconds without a beat that are good. From a fault to its alarm it takes no longer
                than ``max_age + check_interval``.
            on_timeout: as for the class.
            on_alert: as for the class.
            name: for logs and texts; the file's name unless given.
            clock: as for the class.

        Raises:
            ValueError: a time that is not above zero.

        >>> import tempfile
        >>> from datetime import UTC, datetime
        >>> file = Path(tempfile.mkdtemp()) / "heartbeat.state.json"
        >>> dog = Watchdog.from_state_file(file, max_age=30.0)
        >>> print(dog.check())
        NOT_STARTED: there is no state file yet
        >>> now = datetime(2026, 1, 22, 14, 35, tzinfo=UTC)
        >>> _ = file.write_text('{"timestamp": "2026-01-22T14:35:00+00:00", "status": "running"}')
        >>> print(dog.check(now.timestamp() + 5))
        WELL
        >>> print(dog.check(now.timestamp() + 45))
        STALE: no heartbeat for 45 s
        """
        _check_above_zero("max_age", max_age)
        interval = max_age / 2 if check_interval is None else check_interval
        _check_above_zero("check_interval", interval)
        path = Path(state_file)
        dog = cls(
            max_age, on_timeout=on_timeout, on_alert=on_alert, name=name or path.name, clock=clock
        )
        dog._pings = None
        dog._source = dog._callbacks.source = StateFile(path, max_age)
        dog._interval = interval
        return dog

    # -- one check ---------------------------------------------------------------------------------

    def check(self, now: float | None = None) -> Finding:
        """Look once, and call nobody.

        ``now``: seconds since the epoch; the present moment unless given.
        """
        self._observe()
        reading = read(self._clock)
        if now is not None:  # as if that much time had passed, on all clocks
            ahead = now - reading.wall_ms / 1000.0
            reading = Reading(int(now * 1000), reading.monotonic + ahead, reading.asleep)
        return self._look(reading, 0.0)

    def _observe(self) -> None:
        self._checks += 1
        self._source.observe()

    def _look(self, now: Reading, held_up: float) -> Finding:
        with self._lock:
            return self._source.look(now, held_up)

    def _decide(self, finding: Finding, now: Reading) -> Telling | None:
        telling = self._vigil.hear(finding, now.monotonic + now.asleep)
        if telling is not None and telling.kind is Kind.ALARM:
            self._timeouts += 1
        return telling

    # -- pings -------------------------------------------------------------------------------------

    def ping(self) -> None:
        """All is well; callable from any thread. Of a state file it changes nothing."""
        with self._lock:
            self._pings_total += 1
            self._last_ping = self._clock.wall_ms() / 1000.0
            if self._pings is not None:
                self._pings.last = self._clock.monotonic()

    async def aping(self) -> None:
        """The same, for coroutines."""
        self.ping()

    def reset(self) -> None:
        """Forget an alarm, untold recovery included, and begin to count from now."""
        with self._lock:
            self._vigil = Vigil()
            self._source.begin(read(self._clock))

    @property
    def is_triggered(self) -> bool:
        """Is there an alarm that is not over?"""
        return self._vigil.is_on

    @property
    def is_running(self) -> bool:
        """Does it check by itself?"""
        return self._thread is not None or self._is_task

    @property
    def stats(self) -> WatchdogStats:
        """What it has seen so far."""
        return WatchdogStats(
            self._checks, self._pings_total, self._timeouts, self._last_ping, self._started
        )

    # -- in a thread -------------------------------------------------------------------------------

    def start(self) -> None:
        """Check from now on, in a thread that nothing waits for; once it runs, a second has no effect.

        Raises:
            RuntimeError: it runs as a task.
        """
        if self._is_task:
            raise RuntimeError(f"{self.name} runs as a task already")
        if self._thread is not None:
            return
        self._begin()
        # Of its own: a thread before may hang in a callback still, and must not go on after it.
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._stop,), name=self.name, daemon=True
        )
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Check no more; waits for a callback that runs, up to ``timeout`` seconds.

        Where it runs as a task, that ends soon: :meth:`astop` waits for it.
        """
        task, self._task = self._task, None
        if task is not None and task is not _current_task():
            with contextlib.suppress(RuntimeError):  # the loop has ended
                task.get_loop().call_soon_threadsafe(task.cancel)
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def shutdown(self) -> None:
        """The same as :meth:`stop`."""
        self.stop()

    def _run(self, stop: threading.Event) -> None:
        with asyncio.Runner() as runner:
            due = self._clock.monotonic()
            while not stop.is_set():
                with self._callbacks.harmless():
                    self._round(due, runner)
                due, wait = self._next(due)
                stop.wait(wait)

    def _round(self, due: float, runner: asyncio.Runner) -> None:
        late = self._lateness(due)
        self._observe()
        now = read(self._clock)
        telling = self._decide(self._look(now, late), now)
        for call in self._callbacks.of(telling):
            with self._callbacks.harmless():
                made = call()
                if inspect.isawaitable(made):
                    runner.run(_wait_for(made))

    # -- as a task ---------------------------------------------------------------------------------

    async def astart(self) -> None:
        """Check from now on, in a task of this loop; the file is read in a thread.

        Raises:
            RuntimeError: it runs in a thread.
        """
        if self._thread is not None:
            raise RuntimeError(f"{self.name} runs in a thread already")
        if not self._is_task:
            self._begin()
            self._task = asyncio.create_task(self._arun(), name=self.name)

    async def astop(self) -> None:
        """Check no more; a callback that is awaited is cancelled."""
        if self._thread is not None:
            await asyncio.to_thread(self.stop)
        task, self._task = self._task, None
        if task is None or task is asyncio.current_task():
            return
        task.cancel()
        await asyncio.wait({task})

    @property
    def _is_task(self) -> bool:
        # Its loop may have ended, and the task with it.
        return self._task is not None and not self._task.done()

    async def _arun(self) -> None:
        due = self._clock.monotonic()
        while self._task is asyncio.current_task():  # else a callback has stopped it
            with self._callbacks.harmless():
                await self._around(due)
            due, wait = self._next(due)
            await asyncio.sleep(wait)

    async def _around(self, due: float) -> None:
        late = self._lateness(due)
        await asyncio.to_thread(self._observe)
        now = read(self._clock)
        telling = self._decide(self._look(now, late), now)
        for call in self._callbacks.of(telling):
            with self._callbacks.harmless():
                made = call()
                if inspect.isawaitable(made):
                    await made
        if telling is not None and telling.kind is Kind.ALARM and self._body is not None:
            self._cancelled = self._body.cancel()
            self._body = None

    # -- both --------------------------------------------------------------------------------------

    def _begin(self) -> None:
        now = read(self._clock)
        self._started = now.wall_ms / 1000.0
        self._timeouts_before = self._timeouts
        self._source.begin(now)

    def _lateness(self, due: float) -> float:
        late = self._clock.monotonic() - due
        return late if late > max(_HELD_UP, self._source.max_age) else 0.0

    def _next(self, due: float) -> tuple[float, float]:
        """When the next check is due, and how long that is from now; never two in one interval."""
        now = self._clock.monotonic()
        due = due + self._interval if due + self._interval > now else now + self._interval
        return due, due - now

    # -- with --------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if kind is None and self._raises and self._timeouts > self._timeouts_before:
            raise self._timeout_error()

    async def __aenter__(self) -> Self:
        if self._raises:
            self._body = asyncio.current_task()
        await self.astart()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._body = None
        try:
            await self.astop()
        except asyncio.CancelledError:
            if not self._cancelled:
                raise
        if not self._cancelled:
            return
        self._cancelled = False
        task = asyncio.current_task()
        # Somebody else may have cancelled it as well: that goes on.
        others = task.uncancel() if task is not None else 0
        if others == 0 and (kind is None or issubclass(kind, asyncio.CancelledError)):
            raise self._timeout_error() from error

    def _timeout_error(self) -> WatchdogTimeoutError:
        return WatchdogTimeoutError(f"{self.name} was triggered")


def _current_task() -> asyncio.Task[Any] | None:
    with contextlib.suppress(RuntimeError):  # no loop runs here
        return asyncio.current_task()
    return None


async def _wait_for(made: Awaitable[object]) -> None:
    await made


def _check_above_zero(what: str, seconds: float) -> None:
    if not seconds > 0:
        raise ValueError(f"{what} must be above zero, and is {seconds}")
