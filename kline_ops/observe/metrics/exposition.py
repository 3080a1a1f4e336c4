"""The metrics of a session, as Prometheus reads them.

Names and meanings stand in ``catalogue.py``; what is counted, in ``meters.py``; how it stands, in
``gauges.py``. prometheus-client says which format is wanted, and tells of the process, on a registry of
our own.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder

from kline_ops.clock import Clock
from kline_ops.events import Event
from kline_ops.market.stream import Stream
from kline_ops.observe.metrics import gauges
from kline_ops.observe.metrics.board import Board, Told
from kline_ops.observe.metrics.disk import FreeSpace
from kline_ops.observe.metrics.meters import Meters
from kline_ops.observe.snapshot import Snapshot


class Metrics:
    """Counts what is heard; :meth:`render` tells it. Used on the event loop.

    Args:
        session: its name.
        stream: what it records.
        folder: where the candle file is: the free space of that disk is told.
        clock: what happened here is told by its wall time.
        now_ms: the exchange's time in milliseconds: what candles are told by.
    """

    def __init__(
        self,
        session: str,
        stream: Stream,
        folder: Path,
        *,
        clock: Clock,
        now_ms: Callable[[], int],
    ) -> None:
        self._stream = (stream.symbol, stream.interval.name)
        self._board = Board(session)
        self._meters = Meters(self._board, stream, clock, now_ms)
        self._free = FreeSpace(folder, clock)
        self._about = (version("kline-ops"), platform.python_version())
        self._clients = 0
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        PlatformCollector(registry=self._process)
        GCCollector(registry=self._process)

    def hear(self, event: Event) -> None:
        """Listener."""
        self._meters.hear(event)

    def render(self, accept: str, snapshot: Snapshot) -> tuple[bytes, str]:
        """The body, and its content type; OpenMetrics where ``accept`` asks for it."""
        for address in snapshot.wire.addresses:
            self._board.start("breaker_opened", address.endpoint)
        for host in () if snapshot.people is None else snapshot.people.hosts:
            self._board.start("alert_failures", host)
        told = (*gauges.told(snapshot), *self._others())
        encode, content_type = choose_encoder(accept)
        is_openmetrics = content_type.startswith("application/openmetrics-text")
        ours = "".join(self._board.lines(told, openmetrics=is_openmetrics))
        # An address may hold half a character. The library's part is the last: it ends as it must.
        return ours.encode(errors="replace") + encode(self._process), content_type

    def close(self) -> None:
        """Nobody asks any more."""
        self._free.close()

    def count_request(self, path: str, code: int) -> None:
        """A request was answered."""
        self._board.count("http_requests", path, str(code))

    def clients(self, n: int) -> None:
        """So many are told of events now."""
        self._clients = n

    def client_dropped(self) -> None:
        """One was too slow."""
        self._board.count("http_clients_dropped")

    def lag(self, seconds: float) -> None:
        """The loop turned so late. What is slow to be known is asked for now: a scrape has it."""
        self._free.bytes()
        self._board.observe("event_loop_lag_seconds", seconds)

    def _others(self) -> Iterator[Told]:
        yield "build_info", self._about, 1.0
        yield "http_clients", (), self._clients
        if (free := self._free.bytes()) is not None:
            yield "disk_free_bytes", (), free
        if self._meters.recorded_ms is not None:
            yield "last_recorded_timestamp_seconds", self._stream, self._meters.recorded_ms / 1000
