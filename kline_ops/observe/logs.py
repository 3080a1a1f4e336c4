"""The log and the event log.

Records go through a queue to a thread of their own: a slow disk or terminal costs the recorder
nothing. ``session.log`` (rotated) and ``events.jsonl`` are one JSON object a line. Both come back when
they were deleted or moved away, their folder included. No outlet tells a password or a token.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import queue
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import msgspec

from kline_ops.clock import Clock
from kline_ops.events import Event, Recorded, without_secrets
from kline_ops.log_file import LogFile
from kline_ops.market import timestamp
from kline_ops.observe.describe import describe
from kline_ops.observe.json_lines import OURS, JsonFormatter, below, encode, frozen, moment
from kline_ops.observe.lines import as_text
from kline_ops.observe.statistics import Statistics, in_one_line
from kline_ops.plain import visible
from kline_ops.secret import redacted
from kline_ops.worker import Worker

_LEVELS = {"prod": logging.INFO, "dev": logging.DEBUG, "trace": logging.DEBUG}
#: Records that may wait for a slow disk; what comes beyond is dropped, newest first.
_QUEUE = 10_000
#: Seconds that writing what waits may take at the end.
_CLOSE_TIMEOUT = 0.3

_log = logging.getLogger(OURS)


class TextFormatter(logging.Formatter):
    """``2026-01-27T14:00:00Z INFO     message``, in UTC; what is below it (a traceback) in more lines.

    ``origin``: name the logger and the line that said it.
    """

    origin = False

    def format(self, record: logging.LogRecord) -> str:
        """The record as a person reads it."""
        message = record.getMessage()
        if self.origin:
            message = f"{record.name}:{record.lineno} {message}"
        text = as_text(moment(record), record.levelname, message)
        return "\n".join([text, *map(visible, below(record).splitlines())])


def _is_news(record: logging.LogRecord) -> bool:
    return not isinstance(getattr(record, "event", None), Statistics)


class _NoSecrets(logging.Filter):
    """The last net: addresses in a record, whoever made it, lose their passwords and tokens."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record (each outlet has its own) and let it pass."""
        record.msg = redacted(str(record.msg))
        if record.exc_text:
            record.exc_text = redacted(record.exc_text)
        if record.stack_info:
            record.stack_info = redacted(record.stack_info)
        return True


class _Forgiving(logging.handlers.QueueHandler):
    """Drops a record when the queue is full, instead of a traceback on the terminal."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Make text of what may change until it is written."""
        return frozen(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Nothing: the queue is full because the disk or the terminal hangs."""


def text_handler(stream: TextIO) -> logging.Handler:
    """The plain console: a line of text a record."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter())
    return handler


class Logging:
    """Switches the log on; :meth:`close` writes what waits and switches it off.

    Args:
        path: of the log file; None: no file.
        preset: ``prod`` tells from INFO on; ``dev`` from DEBUG on; ``trace`` also what the WebSocket
            library says, and on the console which line of which logger says it.
        console: what people see; :func:`text_handler`, or one with its own formatter. The record of
            each minute is told there by ``dev`` and ``trace`` only: it would drive out what matters.
        about: what is true of all records of the file (session, symbol, interval).
    """

    def __init__(
        self,
        path: Path | None,
        preset: str,
        console: logging.Handler,
        about: Mapping[str, str] | None = None,
    ) -> None:
        logging.raiseExceptions = False
        level = _LEVELS[preset]
        if isinstance(console.formatter, TextFormatter):
            console.formatter.origin = preset == "trace"
        if preset == "prod":
            console.addFilter(_is_news)
        handlers = [console]
        if path is not None:
            file = LogFile(path)
            file.setFormatter(JsonFormatter(about))
            handlers.append(file)
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
        handler.addFilter(_NoSecrets())
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
    """Listener: an event as a line of the log; the event goes along, for the file."""
    level, text = describe(event)
    _log.log(level, "%s", text, extra={"event": event})


def log_statistics(told: Statistics, symbol: str, interval: str) -> None:
    """The record of each minute; its fields go along, for the file."""
    _log.info("%s", in_one_line(told, symbol, interval), extra={"event": told})


def event_line(event: Event, clock: Clock) -> bytes:
    """An event as a line of ``events.jsonl``."""
    fields = msgspec.to_builtins(without_secrets(event))
    return encode({"ts": timestamp.to_text(clock.wall_ms()), **fields}) + b"\n"


class EventLog:
    """Listener: appends events to ``events.jsonl``, in a worker thread."""

    def __init__(self, path: Path, clock: Clock, worker: Worker) -> None:
        self._path = path
        self._clock = clock
        self._worker = worker
        self._lost = 0
        #: Lines that were queued, that are written or lost, and that found no room in the queue.
        self._queued = self._done = self._dropped = 0
        #: How many lines may wait, and how many found no room since this process began.
        self.most = _QUEUE
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Lines that are not written yet."""
        return self._queued - self._done

    def hear(self, event: Event) -> None:
        """Queue one line. Recorded candles are not repeated here: the candle file has them."""
        if isinstance(event, Recorded):
            return
        if self.waiting >= self.most:
            self.dropped += 1
            self._dropped += 1  # the disk hangs, perhaps for days
            return
        self._queued += 1
        self._worker.submit(self._append, event_line(event, self._clock))

    def _append(self, line: bytes) -> None:
        self._done += 1
        self._write(line)
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            _log.warning("%d events were not logged: the disk hung", dropped)

    def _write(self, line: bytes) -> None:
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
