"""The metrics of ``/metrics`` for OTLP: the same names, numbers and buckets, read from their text.

A counter loses its ``_total``, which Prometheus adds again where it takes OTLP in ("OpenTelemetry
compatibility": Prometheus and OpenMetrics). All are cumulative since the process began.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

_UNITS = {"seconds": "s", "bytes": "By"}
#: Seconds between two exports (``OTEL_METRIC_EXPORT_INTERVAL``, in milliseconds).
_INTERVAL = 60.0

_log = logging.getLogger("kline_ops.otel")

Key = tuple[tuple[str, str], ...]


def metrics_of(text: str, resource: Resource, scope: InstrumentationScope, at: int) -> MetricsData:
    """A text exposition as OTLP's data; ``at``: nanoseconds since the epoch."""
    families = {family.name: family for family in text_string_to_metric_families(text)}
    began = _began(families, at)
    metrics = [
        Metric(family.name, family.documentation, _unit(family.name), data)
        for family in families.values()
        if (data := _data(family, began, at)) is not None
    ]
    told = ScopeMetrics(scope, metrics, "")
    return MetricsData([ResourceMetrics(resource, [told], "")])


def _began(families: Mapping[str, Family], at: int) -> int:
    """When the counters began."""
    for name in ("kline_ops_start_time_seconds", "process_start_time_seconds"):
        for sample in families[name].samples if name in families else ():
            return min(at, round(sample.value * 1e9))
    return at


def _unit(name: str) -> str:
    return _UNITS.get(name.rpartition("_")[2], "1" if name.startswith("kline_ops_") else "")


def _data(family: Family, began: int, at: int) -> Sum | Gauge | Histogram | None:
    if family.name.endswith("_created"):
        return None  # when a series began: OTLP tells it with each
    if family.type == "histogram":
        points = list(_histogram(family, began, at))
        return Histogram(points, AggregationTemporality.CUMULATIVE) if points else None
    if family.type not in {"counter", "gauge"}:
        return None
    numbers = [
        NumberDataPoint(dict(sample.labels), began, at, sample.value) for sample in family.samples
    ]
    if not numbers:
        return None
    if family.type == "counter":
        return Sum(numbers, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    return Gauge(numbers)


def _histogram(family: Family, began: int, at: int) -> Iterator[HistogramDataPoint]:
    series: dict[Key, dict[str, Any]] = defaultdict(lambda: {"buckets": []})
    for sample in family.samples:
        labels = dict(sample.labels)
        bound = labels.pop("le", None)
        one = series[tuple(sorted(labels.items()))]
        if bound is not None:
            one["buckets"].append((float(bound), int(sample.value)))
        else:
            one[sample.name.rpartition("_")[2]] = sample.value
    for key, one in series.items():
        buckets = sorted(one["buckets"])
        up_to = [0, *(count for _, count in buckets)]
        yield HistogramDataPoint(
            dict(key),
            began,
            at,
            count=int(one.get("count", up_to[-1])),
            sum=one.get("sum", 0.0),
            bucket_counts=[now - before for before, now in pairwise(up_to)],
            explicit_bounds=[bound for bound, _ in buckets if not math.isinf(bound)],
            # Nobody keeps these.
            min=None,  # type: ignore[arg-type]
            max=None,  # type: ignore[arg-type]
        )


class Ticker:
    """Exports the metrics at intervals, in a thread of its own, and once more at the end.

    Args:
        text: the exposition; None where it can not be had now. May take a while.
        exporter: takes the data; shut down at the end.
        interval: as the variable has it (milliseconds); what is no number counts as a minute.
    """

    def __init__(
        self,
        text: Callable[[], str | None],
        exporter: MetricExporter,
        resource: Resource,
        scope: InstrumentationScope,
        interval: str,
    ) -> None:
        self._text = text
        self._exporter = exporter
        self._resource = resource
        self._scope = scope
        self._seconds = _seconds(interval)
        self._ending = threading.Event()
        self._has_failed = False
        self._thread = threading.Thread(target=self._run, name="otel metrics", daemon=True)
        self._thread.start()

    def shutdown(self) -> None:
        """Export once more; returns when that is done."""
        self._ending.set()
        self._thread.join()
        self._exporter.shutdown()

    def _run(self) -> None:
        while True:
            is_ending = self._ending.wait(self._seconds)
            try:
                self._tick()
            except Exception:  # noqa: BLE001 - a boundary: exporting may fail, recording may not
                if not self._has_failed:
                    _log.exception("OpenTelemetry: metrics can not be exported")
                self._has_failed = True
            if is_ending:
                return

    def _tick(self) -> None:
        text = self._text()
        if text is not None:
            data = metrics_of(text, self._resource, self._scope, time.time_ns())
            self._exporter.export(data)


def _seconds(milliseconds: str) -> float:
    try:
        seconds = float(milliseconds) / 1000.0
    except ValueError:
        return _INTERVAL
    return seconds if 0.0 < seconds < math.inf else _INTERVAL
