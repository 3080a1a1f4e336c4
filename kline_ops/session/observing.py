"""What one can look at, of one session: wires HTTP, metrics and OpenTelemetry to it.

Beside the recording: it hears events, and answers whoever asks. A process that makes way lets go of its
port before its lock. The web stack is imported where ``http.port`` is set, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from kline_ops.events import Event
from kline_ops.market.messages import Kline
from kline_ops.observe.otel.wanted import Wanted, wanted
from kline_ops.observe.snapshot import Snapshot
from kline_ops.session.parts import Common
from kline_ops.session.statistics import tell_statistics
from kline_ops.worker import Worker

if TYPE_CHECKING:
    from kline_ops.observe.metrics.exposition import Metrics
    from kline_ops.observe.otel.exporting import Exporting
    from kline_ops.session.serving import Serving

#: Seconds that the end may take, whoever is connected.
_CLOSE_WITHIN = 1.0

_log = logging.getLogger(__name__)


class Observing:
    """Of one session: :meth:`run` once the files are this process's, :meth:`close` at the end.

    Args:
        common: what all parts share.
        snapshot: how the session stands now; cheap.
        in_charge: are the files this process's to write?

    Whatever fails in it is told once, and harms no recording.
    """

    def __init__(
        self, common: Common, snapshot: Callable[[], Snapshot], in_charge: Callable[[], bool]
    ) -> None:
        self._common = common
        self._snapshot = snapshot
        self._in_charge = in_charge
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: set[str] = set()
        self._listeners: list[tuple[str, Callable[[Event], None]]] = []
        self._serving: Serving | None = None
        #: Given each update of a candle; None where nobody wants them.
        self.on_kline: Callable[[Kline], None] | None = None
        self._metrics: Metrics | None = None
        self._exporting: Exporting | None = None
        if common.settings.config.http.port is not None:
            self._guarded("http", self._open_up)
        if (otel := wanted(os.environ)) is not None:
            self._guarded("OpenTelemetry", partial(self._export, otel))

    def hear(self, event: Event) -> None:
        """Listener."""
        for name, hear in self._listeners:
            self._guarded(name, partial(hear, event))

    async def run(self) -> None:
        """Begin all of it; goes on until :meth:`close`, even where this is cancelled before."""
        if self._serving is not None:
            self._begin("http", self._serving.run())
        every = self._common.settings.config.logger.statistics
        if every is not None:
            self._begin("statistics", tell_statistics(self._snapshot, every, self._lag))
        await asyncio.Event().wait()

    def let_go(self) -> None:
        """Of the port: another process takes over."""
        if self._serving is not None:
            self._guarded("http", self._serving.let_go)

    async def close(self) -> None:
        """End all of it, within a moment."""
        for task in self._tasks:
            task.cancel()
        self.on_kline = None
        if self._serving is not None:
            self._begin("http", self._serving.close())
        if self._exporting is not None:
            self._begin("OpenTelemetry", self._flush(self._exporting))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_WITHIN)
        if self._metrics is not None:
            self._guarded("metrics", self._metrics.close)

    # -- the parts --------------------------------------------------------------------------------

    def _open_up(self) -> None:
        from kline_ops.session.serving import Serving  # noqa: PLC0415 - where it is wanted

        metrics = self._new_metrics()
        serving = Serving(self._common, self._snapshot, self._in_charge, metrics)
        self._serving = serving
        self._listeners.append(("http", serving.hear))
        self.on_kline = lambda kline: self._guarded("http", partial(serving.deliver, kline))

    def _lag(self, seconds: float) -> None:
        """Where HTTP is on, that measures it oftener."""
        if self._metrics is not None and self._serving is None:
            self._metrics.lag(seconds)

    def _new_metrics(self) -> Metrics:
        """The same for HTTP and for OpenTelemetry."""
        from kline_ops.observe.metrics.exposition import Metrics  # noqa: PLC0415 - where it is wanted

        if self._metrics is None:
            common, settings = self._common, self._common.settings
            self._metrics = Metrics(
                settings.name,
                settings.stream,
                settings.csv.parent,
                clock=common.clock,
                now_ms=lambda: common.server_time.now_ms(common.clock.monotonic()),
            )
            self._listeners.append(("metrics", self._metrics.hear))
        return self._metrics

    def _export(self, otel: Wanted) -> None:
        from kline_ops.observe.otel.exporting import Exporting, Subject  # noqa: PLC0415 - as above

        settings, metrics = self._common.settings, self._new_metrics()
        stream = settings.stream
        self._exporting = Exporting(
            otel,
            Subject(settings.name, stream.symbol, stream.interval, version("kline-ops")),
            self._common.clock,
            lambda: metrics.render("", self._snapshot())[0],
        )
        self._listeners.append(("OpenTelemetry", self._exporting.hear))

    @staticmethod
    async def _flush(exporting: Exporting) -> None:
        """What is left goes out, within a moment; a thread waits for it."""
        worker = Worker("otel end")
        joining = asyncio.get_running_loop().run_in_executor(worker, exporting.join, _CLOSE_WITHIN)
        worker.shutdown(wait=False)
        await joining

    # -- the boundary -----------------------------------------------------------------------------

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(self._guard(name, work), name=name))

    async def _guard(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:  # noqa: BLE001 - a boundary: looking on may fail, recording may not
            self._tell(name)

    def _guarded(self, name: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:  # noqa: BLE001 - as above
            self._tell(name)

    def _tell(self, name: str) -> None:
        """Once of each part; called while it is being handled."""
        if name in self._failed:
            return
        self._failed.add(name)
        error = sys.exception()
        if isinstance(error, ImportError):
            # Nothing of ours to look into: the installation lacks something.
            told = (
                "%s: %s; recording goes on without it. Try: pip install --force-reinstall kline-ops"
            )
            _log.warning(told, name, error)
        else:
            _log.exception("%s fails; recording goes on", name)
