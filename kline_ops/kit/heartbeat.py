"""Tells that a program lives, in a file that others look at, and has replaced what died within it.

The rule is pure (``resilience/heartbeat.py``); this is its shell, for a thread or an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

from kline_ops.clock import Clock, SystemClock
from kline_ops.kit.beats import Answer, Beats, Boundary, Tasks, Threads
from kline_ops.market import timestamp
from kline_ops.resilience.heartbeat import STOPPED, TargetCare, is_alive
from kline_ops.watch.files import Json, read_json, write_json
from kline_ops.watch.process import started_at
from kline_ops.watch.state_writer import StateWriter
from kline_ops.worker import Worker

#: Seconds that the disk has for the state before, and for the last one.
_FIRST_WORDS, _LAST_WORDS = 1.0, 1.0
#: What a state tells, and what it says of it where ``metadata`` does not.
_FIELDS: Mapping[str, object] = {
    "websocket_reconnects": 0,
    "candles_received": 0,
    "last_candle_time": None,
    "status": "running",
    "error": None,
}


@runtime_checkable
class HeartbeatTarget(Protocol):
    """What a heartbeat looks after: anything that can say whether it is dead.

    >>> class Stream:
    ...     is_dead = False
    >>> isinstance(Stream(), HeartbeatTarget)
    True
    """

    @property
    def is_dead(self) -> bool:
        """True where it will do nothing more by itself; a stream that connects anew is not dead."""


class Heartbeat:
    """Beats every ``interval`` seconds, at once for the first time, until it is stopped.

    A beat replaces the state file, atomically and fsynced: ``timestamp`` (UTC), ``heartbeat_sessions``,
    ``websocket_reconnects``, ``candles_received``, ``last_candle_time``, ``status`` (``running``, at
    the end ``stopped``), ``error``, ``metadata``. It is written in a thread of its own, so that a disk
    that hangs holds up nobody; a state that waits is passed over for the next one. Then ``on_beat`` is
    called, and the target is looked at. One that is dead is told of (``on_alert``) and replaced
    (``on_target_dead``), one replacement at a time, beside the beats; it is tried again at each beat
    until the target lives. ``heartbeat_sessions`` counts the programs that have written this file one
    after another, and the replacements.

    With :meth:`start` (or ``with``) it is a thread; callbacks are called there, those of a dead target
    and all ``async`` ones in threads of their own. With :meth:`astart` (or ``async with``) it is a task;
    callbacks are called on the event loop, where a plain function has to return at once. Callbacks that
    raise are told in the log and harm nothing.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "state.json"
    >>> with Heartbeat(file, interval=5.0, metadata={"venue": "binance", "candles_received": 3}):
    ...     pass                                  # your program
    >>> state = Heartbeat.read_state(file)
    >>> state["status"], state["candles_received"], state["metadata"]["venue"]
    ('stopped', 3, 'binance')
    >>> Heartbeat.is_alive(file, 30.0)            # it ended, cleanly
    False

    Args:
        state_file: None: no file, the callbacks alone.
        interval: seconds between two beats.
        target: looked at after each beat; may be set to another one at any time.
        on_target_dead: begins it anew, and returns, or raises, when that is done.
        on_alert: given ``"heartbeat"``, a text, and what else is known, once for each death.
        on_beat: called after each beat.
        on_missed_beat: given the reason for each state that did not get to the disk.
        metadata: what the file tells besides; a function is asked at each beat. What bears the name of
            one of the fields above takes its place.
        clock: the system's, unless told otherwise.

    Raises:
        ValueError: an interval that is no positive number.
    """

    def __init__(  # noqa: PLR0913 - by name, all but the first
        self,
        state_file: str | Path | None = None,
        *,
        interval: float = 10.0,
        target: HeartbeatTarget | None = None,
        on_target_dead: Callable[[], Answer] | None = None,
        on_alert: Callable[[str, str, Mapping[str, Any]], Answer] | None = None,
        on_beat: Callable[[], Answer] | None = None,
        on_missed_beat: Callable[[Exception], Answer] | None = None,
        metadata: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not 0.0 < interval < float("inf"):
            raise ValueError(f"{interval!r} is no interval in seconds")
        self.state_file = None if state_file is None else Path(state_file)
        self.interval = interval
        self.target = target
        #: What ``heartbeat_sessions`` says; 0 before the first beat.
        self.sessions = 0
        self._on_target_dead = on_target_dead
        self._on_alert = on_alert
        self._on_beat = on_beat
        self._on_missed_beat = on_missed_beat
        self._metadata = metadata
        self._clock = clock or SystemClock()
        self._care = TargetCare()
        self._beats: Beats | None = None
        self._worker: Worker | None = None
        self._file: StateWriter | None = None
        self._told: Mapping[str, Any] = {}
        self._boundary = Boundary()

    @staticmethod
    def read_state(state_file: str | Path) -> dict[str, Any] | None:
        """What a state file says, whoever wrote it; None where there is none, or it is torn."""
        return read_json(Path(state_file))

    @staticmethod
    def is_alive(state_file: str | Path, max_age: float = 30.0) -> bool:
        """Does who writes this file live? Not if its state is older (s), or its last word.

        A timestamp in the future (by more than a second) shows that a clock was set, and no life.
        """
        return is_alive(read_json(Path(state_file)), SystemClock().wall_ms(), max_age)

    def start(self) -> None:
        """Beat in a thread from now on.

        Raises:
            RuntimeError: it beats already.
        """
        self._check_idle()
        threads = Threads(self._first, self._beat, self.interval)
        self._begin(threads)
        threads.start()

    def stop(self) -> None:
        """Beat no more, and write the last state; takes two seconds at the most.

        Where it beats in a task, that ends soon: :meth:`astop` waits for it.
        """
        if isinstance(self._beats, Tasks):
            self._beats.cancel()
        elif isinstance(self._beats, Threads):
            self._beats.stop()
            if (worker := self._end()) is not None:
                worker.join(_LAST_WORDS)

    async def astart(self) -> None:
        """Beat in a task of this event loop from now on; returns after the first beat.

        Raises:
            RuntimeError: it beats already.
        """
        self._check_idle()
        tasks = Tasks(self._beat, self.interval)
        self._begin(tasks)
        tasks.task = asyncio.create_task(self._run(tasks), name="heartbeat")
        try:
            await tasks.begun.wait()
        except BaseException:
            tasks.task.cancel()
            raise

    async def astop(self) -> None:
        """Beat no more, and write the last state; takes two seconds at the most."""
        tasks, worker = self._beats, self._worker
        if isinstance(tasks, Threads):
            await asyncio.to_thread(self.stop)
        if not isinstance(tasks, Tasks) or tasks.task is None:
            return
        tasks.task.cancel()
        await asyncio.wait({tasks.task}, timeout=_LAST_WORDS)
        if worker is not None:
            await asyncio.get_running_loop().run_in_executor(None, worker.join, _LAST_WORDS)

    async def run(self) -> None:
        """Beat until cancelled, as a task of yours.

        Raises:
            RuntimeError: it beats already.
        """
        self._check_idle()
        tasks = Tasks(self._beat, self.interval)
        self._begin(tasks)
        await self._run(tasks)

    def beat(self) -> None:
        """Beat now, and look at the target, rather than at the end of the interval; from any thread."""
        if self._beats is not None:
            self._beats.wake()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await self.astart()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.astop()

    # -- the beats --------------------------------------------------------------------------------

    def _begin(self, beats: Beats) -> None:
        self._beats = beats
        if self.state_file is not None:
            self._worker = Worker("heartbeat file")
            self._file = StateWriter(
                partial(write_json, self.state_file), self._worker, self._missed
            )

    def _check_idle(self) -> None:
        if self._beats is not None:
            raise RuntimeError("this heartbeat beats already")

    async def _run(self, tasks: Tasks) -> None:
        try:
            before = None
            if self._worker is not None and self.state_file is not None:
                reading = asyncio.wrap_future(self._worker.submit(read_json, self.state_file))
                await asyncio.wait({reading}, timeout=_FIRST_WORDS)
                before = reading.result() if reading.done() else None
            self._go_on_from(before)
            await tasks.beat_on()
        finally:
            tasks.end()
            self._end()

    def _first(self) -> None:
        """In its thread, before the first beat."""
        before = None
        if self._worker is not None and self.state_file is not None:
            reading = self._worker.submit(read_json, self.state_file)
            with contextlib.suppress(TimeoutError):
                before = reading.result(_FIRST_WORDS)
        self._go_on_from(before)

    def _go_on_from(self, before: Json | None) -> None:
        """Count on from the state before."""
        told = (before or {}).get("heartbeat_sessions")
        self.sessions = max(self.sessions, told if type(told) is int else 0) + 1

    def _end(self) -> Worker | None:
        """Hand out the last state; answers the worker that has it."""
        worker, file = self._worker, self._file
        self._beats = self._worker = self._file = None
        if file is not None and worker is not None:
            file.write(self._state(status=STOPPED))
            worker.shutdown(wait=False)
        return worker

    def _beat(self) -> None:
        """One beat: the file, the callback, the target."""
        beats, file = self._beats, self._file
        if beats is None:
            return  # stopped meanwhile
        if file is not None:
            with self._boundary("state"):
                file.write(self._state())
        if self._on_beat is not None:
            beats.call("on_beat", self._on_beat)
        if self.target is not None:
            with self._boundary("target"):
                self._look_at(self.target, beats)

    def _look_at(self, target: HeartbeatTarget, beats: Beats) -> None:
        duty = self._care.look(is_dead=bool(target.is_dead))
        if duty.tell and self._on_alert is not None:
            told = {"target": type(target).__name__, "sessions": self.sessions}
            text = f"{told['target']} is dead; replacing it"
            beats.aside("on_alert", partial(self._on_alert, "heartbeat", text, told))
        if duty.replace:
            replace = self._on_target_dead or (lambda: None)
            try:
                beats.aside("on_target_dead", replace, self._replaced)
            except RuntimeError:  # no more threads for this process: at the next beat, then
                self._replaced(done=False)
                raise

    def _replaced(self, done: bool) -> None:  # noqa: FBT001 - an answer
        if done and self._on_target_dead is not None:
            self.sessions += 1
        self._care.replaced()

    def _missed(self, error: Exception) -> None:
        beats = self._beats
        if self._on_missed_beat is not None and beats is not None:
            beats.tell("on_missed_beat", partial(self._on_missed_beat, error))

    def _state(self, **changes: object) -> Json:
        with self._boundary("metadata"):
            told = self._metadata
            self._told = dict(told() if callable(told) else told or {})
        rest = dict(self._told)
        fields = {name: rest.pop(name, usual) for name, usual in _FIELDS.items()} | changes
        about = {"pid": os.getpid(), "pid_started": started_at(), "hostname": socket.gethostname()}
        return {
            "timestamp": timestamp.to_text(self._clock.wall_ms()),
            "heartbeat_sessions": self.sessions,
            **fields,
            "metadata": about | {"heartbeat_interval": self.interval} | rest,
        }
