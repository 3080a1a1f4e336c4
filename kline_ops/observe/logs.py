"""The log and the event log.

Records go through a queue to a thread of their own: a slow disk or terminal costs the recorder
nothing. ``session.log`` is rotated; ``events.jsonl`` is one JSON object a line. Both come back when they
were deleted or moved away, their folder included.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import queue
import time
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

import msgspec

from kline_ops.clock import Clock
from kline_ops.events import Event, Recorded
from kline_ops.market import timestamp
from kline_ops.observe.describe import describe
from kline_ops.worker import Worker

_LEVELS = {"prod": logging.INFO, "dev": logging.DEBUG, "trace": logging.DEBUG}
_MAX_BYTES, _KEPT = 10_000_000, 5
#: Records that may wait for a slow disk; what comes beyond is dropped, newest first.
_QUEUE = 10_000
#: Seconds that writing what waits may take at the end.
_CLOSE_TIMEOUT = 0.3

_log = logging.getLogger("kline_ops")


class _Line(logging.Formatter):
    """``2026-01-27T14:00:00Z INFO     message``, in UTC."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(message)s", "%Y-%m-%dT%H:%M:%SZ")


class _Forgiving(logging.handlers.QueueHandler):
    """Drops a record when the queue is full, instead of a traceback on the terminal."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Nothing: the queue is full because the disk or the terminal hangs."""


class _LogFile(logging.handlers.RotatingFileHandler):
    """Rotates, and does not go on writing into a file that nobody can see any more."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record into the file that stands at the path now."""
        stream = self.stream
        if stream is not None and not self._is_in_place(stream):
            self.stream = None
            with contextlib.suppress(OSError):  # a full disk: what it did not take is lost
                stream.close()
        super().emit(record)

    def _is_in_place(self, stream: TextIOWrapper) -> bool:
        try:
            return os.path.samestat(Path(self.baseFilename).stat(), os.fstat(stream.fileno()))
        except OSError:
            return False

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()


class Logging:
    """Switches the log on; :meth:`close` writes what waits and switches it off."""

    def __init__(self, path: Path | None, preset: str, console: TextIO) -> None:
        logging.raiseExceptions = False
        level = _LEVELS[preset]
        handlers: list[logging.Handler] = [logging.StreamHandler(console)]
        if path is not None:
            handlers.append(
                _LogFile(path, maxBytes=_MAX_BYTES, backupCount=_KEPT, encoding="utf-8", delay=True)
            )
        self._outlets = [_Outlet(handler) for handler in handlers]
        # At the root: what a library says must not go to the terminal past the queue.
        for outlet in self._outlets:
            logging.getLogger().addHandler(outlet.forward)
        _log.setLevel(level)
        logging.getLogger("websockets").setLevel(level if preset == "trace" else logging.ERROR)

    def close(self) -> None:
        """Write what waits, as far as the disk and the terminal take it within a moment."""
        for outlet in self._outlets:
            logging.getLogger().removeHandler(outlet.forward)
            outlet.close()


class _Outlet(logging.handlers.QueueListener):
    """One handler with a queue and a thread of its own: a terminal on hold stops no log file."""

    def __init__(self, handler: logging.Handler) -> None:
        handler.setFormatter(_Line())
        records: queue.Queue[logging.LogRecord] = queue.Queue(_QUEUE)
        super().__init__(records, handler)
        self._handler = handler
        self.forward = _Forgiving(records)
        self.start()

    def close(self) -> None:
        """Like ``stop``, but not for longer than a moment; the thread is a daemon."""
        thread = self._thread
        with contextlib.suppress(queue.Full):
            self.enqueue_sentinel()
        if thread is not None:
            thread.join(_CLOSE_TIMEOUT)
            if thread.is_alive():
                return
        with contextlib.suppress(OSError):  # a full disk: what it did not take is lost
            self._handler.close()


def log_event(event: Event) -> None:
    """Listener: an event as a line of the log."""
    level, text = describe(event)
    _log.log(level, "%s", text)


def event_line(event: Event, clock: Clock) -> bytes:
    """An event as a line of ``events.jsonl``."""
    line = {"ts": timestamp.to_text(clock.wall_ms()), **msgspec.to_builtins(event)}
    return msgspec.json.encode(line) + b"\n"


class EventLog:
    """Listener: appends events to ``events.jsonl``, in a worker thread."""

    def __init__(self, path: Path, clock: Clock, worker: Worker) -> None:
        self._path = path
        self._clock = clock
        self._worker = worker
        self._lost = 0

    def hear(self, event: Event) -> None:
        """Queue one line. Recorded candles are not repeated here: the candle file has them."""
        if isinstance(event, Recorded):
            return
        self._worker.submit(self._append, event_line(event, self._clock))

    def _append(self, line: bytes) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line)
        except OSError as error:
            if not self._lost:
                _log.warning("events can not be logged: %s: %s", self._path, error.strerror)
            self._lost += 1
        else:
            if self._lost:
                _log.info("events are logged again; %d were not", self._lost)
            self._lost = 0
