"""The log and the event log.

Records go through a queue to a thread of their own: a slow disk or terminal costs the recorder
nothing. ``session.log`` is rotated; ``events.jsonl`` is one JSON object a line.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import time
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


class Logging:
    """Switches the log on; :meth:`close` writes what waits and switches it off."""

    def __init__(self, path: Path | None, preset: str, console: TextIO) -> None:
        logging.raiseExceptions = False
        level = _LEVELS[preset]
        handlers: list[logging.Handler] = [logging.StreamHandler(console)]
        if path is not None:
            handlers.append(
                logging.handlers.RotatingFileHandler(
                    path, maxBytes=_MAX_BYTES, backupCount=_KEPT, encoding="utf-8", delay=True
                )
            )
        for handler in handlers:
            handler.setFormatter(_Line())
        records: queue.Queue[logging.LogRecord] = queue.Queue(_QUEUE)
        self._listener = logging.handlers.QueueListener(records, *handlers)
        self._handlers = handlers
        self._forward = _Forgiving(records)
        # At the root: what a library says must not go to the terminal past the queue.
        logging.getLogger().addHandler(self._forward)
        _log.setLevel(level)
        logging.getLogger("websockets").setLevel(level if preset == "trace" else logging.ERROR)
        self._listener.start()

    def close(self) -> None:
        """Write what waits."""
        logging.getLogger().removeHandler(self._forward)
        self._listener.stop()
        for handler in self._handlers:
            handler.close()


def log_event(event: Event) -> None:
    """Listener: an event as a line of the log."""
    level, text = describe(event)
    _log.log(level, "%s", text)


class EventLog:
    """Listener: appends events to ``events.jsonl``, in a worker thread."""

    def __init__(self, path: Path, clock: Clock, worker: Worker) -> None:
        self._path = path
        self._clock = clock
        self._worker = worker

    def hear(self, event: Event) -> None:
        """Queue one line. Recorded candles are not repeated here: the candle file has them."""
        if isinstance(event, Recorded):
            return
        fields = msgspec.to_builtins(event)
        line = {"ts": timestamp.to_text(self._clock.wall_ms()), **fields}
        self._worker.submit(self._append, msgspec.json.encode(line) + b"\n")

    def _append(self, line: bytes) -> None:
        try:
            with self._path.open("ab") as file:
                file.write(line)
        except OSError as error:
            _log.warning("an event was not logged: %s: %s", self._path, error.strerror)
