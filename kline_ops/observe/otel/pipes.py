"""The SDK, set up: providers of our own, none of them the process's. Imported where it is wanted only.

What its variables say (headers, time-outs, compression, certificates, queues, the sampler, the resource)
its own code reads. Its threads are daemons; nothing is left to do at the exit of the process.
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry._logs import Logger
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NoOpTracer, Tracer

from kline_ops.observe.otel.numbers import Ticker
from kline_ops.observe.otel.trouble import Trouble
from kline_ops.observe.otel.wanted import Wanted

_NAME = "kline_ops"


class Pipes:
    """What spans, log records and metrics are given to.

    Args:
        wanted: the signals.
        about: what is true of all of it: ``session``, ``symbol``, ``interval``, ``version``.
        text: the exposition of the metrics; see ``numbers.Ticker``.
        trouble: told of each export.

    Raises:
        ValueError: a variable that the SDK can not use.
    """

    def __init__(
        self,
        wanted: Wanted,
        about: Mapping[str, str],
        text: Callable[[], str | None],
        trouble: Trouble,
    ) -> None:
        self._shutdowns: list[Callable[[], object]] = []
        resource, version = _resource(about), about["version"]
        #: Starts spans; of no effect where traces are not wanted.
        self.tracer: Tracer = NoOpTracer()
        #: None where logs are not wanted.
        self.logger: Logger | None = None
        if "traces" in wanted.endpoints:
            tracing = TracerProvider(resource=resource, shutdown_on_exit=False)
            tracing.add_span_processor(BatchSpanProcessor(_Spans(trouble)))
            self.tracer = tracing.get_tracer(_NAME, version)
            self._shutdowns.append(tracing.shutdown)
        if "logs" in wanted.endpoints:
            records = LoggerProvider(resource, shutdown_on_exit=False)
            records.add_log_record_processor(BatchLogRecordProcessor(_Records(trouble)))
            self.logger = records.get_logger(_NAME, version)
            self._shutdowns.append(records.shutdown)
        if "metrics" in wanted.endpoints:
            ticker = Ticker(
                text,
                _Numbers(trouble),
                resource,
                InstrumentationScope(_NAME, version),
                os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", ""),
            )
            self._shutdowns.append(ticker.shutdown)

    def shutdown(self) -> list[threading.Thread]:
        """Begin to export what is left; answers the threads that do so, which may be waited for."""
        ending = [
            threading.Thread(target=shutdown, name="otel end", daemon=True)
            for shutdown in self._shutdowns
        ]
        for thread in ending:
            thread.start()
        return ending


def _resource(about: Mapping[str, str]) -> Resource:
    """Who exports; what the user says of it goes before."""
    ours: dict[str, Any] = {
        "service.name": "kline-ops",
        "service.version": about["version"],
        "service.instance.id": f"{about['session']}@{platform.node()}/{os.getpid()}",
        "host.name": platform.node(),
        "process.pid": os.getpid(),
        **{f"kline_ops.{key}": about[key] for key in ("session", "symbol", "interval")},
    }
    return Resource.create({**ours, **OTELResourceDetector().detect().attributes})


class _Spans(OTLPSpanExporter):
    """Tells what came of each export."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__()
        self._trouble = trouble

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._trouble.noted("traces") as note:
            result = super().export(spans)
            note(result is SpanExportResult.SUCCESS)
        return result


class _Records(OTLPLogExporter):
    """Tells what came of each export."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__()
        self._trouble = trouble

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        with self._trouble.noted("logs") as note:
            result = super().export(batch)
            note(result is LogRecordExportResult.SUCCESS)
        return result


class _Numbers(OTLPMetricExporter):
    """Tells what came of each export."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__()
        self._trouble = trouble

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        with self._trouble.noted("metrics") as note:
            result = super().export(metrics_data, timeout_millis, **kwargs)
            note(result is MetricExportResult.SUCCESS)
        return result
