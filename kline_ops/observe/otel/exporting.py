"""What OpenTelemetry is given: events and log records, through a bounded queue and a thread of its own.

The recorder's loop does no more than put things into the queue: the SDK is imported, and called, by the
thread. A collector that is away or hangs costs no more than what finds no room.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kline_ops.clock import Clock
from kline_ops.events import Event, Recorded
from kline_ops.market.interval import Interval
from kline_ops.observe.json_lines import frozen, presentable
from kline_ops.observe.otel.wanted import Wanted

if TYPE_CHECKING:
    from kline_ops.observe.otel.records import Records
    from kline_ops.observe.otel.spans import Spans

#: Things that may wait for the thread; what comes beyond is dropped.
_QUEUE = 5000
#: Seconds that the loop may take to say how it stands.
_SAID_WITHIN = 5.0
#: Libraries that carry what is exported: what they say would be exported in its turn.
_CARRIERS = frozenset({"opentelemetry", "urllib3", "requests"})

_log = logging.getLogger("kline_ops.otel")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose telemetry it is."""

    session: str
    symbol: str
    interval: Interval
    version: str


class Exporting:
    """Exports what it is told until :meth:`close`; made on the event loop.

    Args:
        wanted: the signals, see ``wanted.py``.
        subject: whose they are.
        clock: for the times of events.
        text: the exposition of the metrics, as ``/metrics`` has it; called on the event loop.
    """

    def __init__(
        self, wanted: Wanted, subject: Subject, clock: Clock, text: Callable[[], bytes]
    ) -> None:
        self._wanted = wanted
        self._subject = subject
        self._clock = clock
        self._text = text
        self._loop = asyncio.get_running_loop()
        self._queue: queue.Queue[tuple[int, Event | logging.LogRecord] | None] = queue.Queue(_QUEUE)
        self._dropped = 0
        self._is_off = self._is_closed = False
        self._handler = _Handler(self._take)
        for problem in wanted.problems:
            _log.warning("OpenTelemetry: %s", problem)
        logging.getLogger().addHandler(self._handler)
        self._thread = threading.Thread(target=self._run, name="otel", daemon=True)
        self._thread.start()

    def hear(self, event: Event) -> None:
        """Listener. Recorded candles are no news: the metrics count them."""
        if not isinstance(event, Recorded):
            self._put((self._clock.wall_ms() * 1_000_000, event))

    def join(self, seconds: float) -> None:
        """End what is open, and wait so long at most for it to arrive; not on the event loop."""
        if self._is_closed:
            return
        self._is_closed = True
        logging.getLogger().removeHandler(self._handler)
        with contextlib.suppress(queue.Full):  # the thread stands still: it is not waited for
            self._queue.put(None, timeout=seconds)
            self._thread.join(seconds)

    def _take(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] not in _CARRIERS and not _is_event(record):
            self._put((round(record.created * 1e9), record))

    def _put(self, told: tuple[int, Event | logging.LogRecord]) -> None:
        if self._is_off:
            return
        try:
            self._queue.put_nowait(told)
        except queue.Full:
            self._dropped += 1

    # -- in the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._export()
        except ImportError as error:
            _log.warning(
                "OpenTelemetry is asked for and not installed (%s): pip install 'kline-ops[otel]'",
                error,
            )
        except Exception:  # noqa: BLE001 - a boundary: exporting may fail, recording may not
            _log.exception("OpenTelemetry: nothing is exported any more; recording goes on")
        finally:
            self._is_off = True
            logging.getLogger().removeHandler(self._handler)

    def _export(self) -> None:
        if not self._wanted.endpoints:
            return
        from kline_ops.observe.otel.pipes import Pipes  # noqa: PLC0415 - slow, and an extra
        from kline_ops.observe.otel.records import Records  # noqa: PLC0415 - as above
        from kline_ops.observe.otel.spans import Spans  # noqa: PLC0415 - as above
        from kline_ops.observe.otel.trouble import Trouble  # noqa: PLC0415 - as above

        subject, trouble = self._subject, Trouble(self._wanted.endpoints)
        try:
            pipes = Pipes(self._wanted, self._about(), self._say, trouble)
            spans = Spans(pipes.tracer, subject.interval)
            self._work(spans, None if pipes.logger is None else Records(pipes.logger))
            for thread in pipes.shutdown():
                thread.join()
        finally:
            trouble.close()

    def _about(self) -> Mapping[str, str]:
        subject = self._subject
        return {
            "session": subject.session,
            "symbol": subject.symbol,
            "interval": subject.interval.name,
            "version": subject.version,
        }

    def _work(self, spans: Spans, records: Records | None) -> None:
        while (told := self._queue.get()) is not None:
            at, thing = told
            if isinstance(thing, Event):
                event = presentable(thing)
                context = spans.hear(event, at)
                if records is not None:
                    records.event(event, at, context)
            elif records is not None:
                connection = getattr(thing, "connection", None)
                records.record(thing, at, None if connection is None else spans.of(connection))
            if self._dropped and self._queue.qsize() <= _QUEUE // 2:  # the flood is over
                dropped, self._dropped = self._dropped, 0
                _log.warning("OpenTelemetry: %d events and log lines found no room", dropped)
        spans.end(self._clock.wall_ms() * 1_000_000)

    def _say(self) -> str | None:
        """The metrics, as the loop tells them; None where it has no time."""
        said: concurrent.futures.Future[bytes] = concurrent.futures.Future()

        def say() -> None:
            try:
                said.set_result(self._text())
            except Exception as error:  # noqa: BLE001 - whoever waits for it has it
                said.set_exception(error)

        try:
            self._loop.call_soon_threadsafe(say)
            return said.result(_SAID_WITHIN).decode()
        except (RuntimeError, TimeoutError):  # the loop is closed, or stands still
            return None


class _Handler(logging.Handler):
    """Makes text of a record where it is said; the rest is done elsewhere."""

    def __init__(self, take: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        """Hand it on; a record that no text can be made of harms nobody who says it."""
        try:
            self._take(frozen(record))
        except Exception:  # noqa: BLE001 - a boundary: it runs within whoever logs, the loop included
            self.handleError(record)


def _is_event(record: logging.LogRecord) -> bool:
    """It is heard as an event already."""
    return isinstance(getattr(record, "event", None), Event)
