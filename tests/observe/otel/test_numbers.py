"""The text of /metrics as OTLP's data: the same numbers."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics.export import AggregationTemporality, Gauge, Histogram, Sum
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry, Counter, Enum, generate_latest
from prometheus_client import Gauge as Level
from prometheus_client import Histogram as Distribution

from kline_ops.observe.otel.numbers import _seconds, metrics_of

AT = 1_800_000_000_000_000_000


def exported() -> dict[str, Any]:
    registry = CollectorRegistry()
    Level("kline_ops_start_time_seconds", "Begin.", registry=registry).set(1_700_000_000)
    Level("kline_ops_memory_limit_bytes", "Limit.", registry=registry).set(5)
    told = Counter("kline_ops_stalls", "Stalls.", ["session"], registry=registry)
    told.labels('a "b"').inc(3)
    told.labels("c").inc(4)
    lag = Distribution(
        "kline_ops_lag_seconds", "Lag.", ["session"], buckets=(0.1, 1.0), registry=registry
    )
    for seconds in (0.05, 0.06, 0.5, 7.0):
        lag.labels("a").observe(seconds)
    Enum("kline_ops_state", "State.", states=["X", "Y"], registry=registry).state("Y")
    Counter("kline_ops_nothing", "Nobody counted.", ["x"], registry=registry)
    data = metrics_of(
        generate_latest(registry).decode(), Resource({}), InstrumentationScope("x", "1"), AT
    )
    (resource,) = data.resource_metrics
    (scope,) = resource.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


def test_every_kind_keeps_its_numbers() -> None:
    told = exported()
    assert set(told) == {
        "kline_ops_start_time_seconds", "kline_ops_memory_limit_bytes", "kline_ops_stalls",
        "kline_ops_lag_seconds", "kline_ops_state",
    }  # fmt: skip
    stalls = told["kline_ops_stalls"]
    assert isinstance(stalls.data, Sum)
    assert stalls.data.is_monotonic
    assert stalls.data.aggregation_temporality is AggregationTemporality.CUMULATIVE
    points = stalls.data.data_points
    assert {p.attributes["session"]: p.value for p in points} == {'a "b"': 3.0, "c": 4.0}
    assert {(p.start_time_unix_nano, p.time_unix_nano) for p in points} == {
        (1_700_000_000_000_000_000, AT)
    }
    limit = told["kline_ops_memory_limit_bytes"]
    assert isinstance(limit.data, Gauge)
    assert (limit.unit, limit.description, limit.data.data_points[0].value) == ("By", "Limit.", 5)


def test_a_histogram_keeps_its_buckets() -> None:
    lag = exported()["kline_ops_lag_seconds"]
    assert isinstance(lag.data, Histogram)
    assert lag.unit == "s"
    (point,) = lag.data.data_points
    assert list(point.explicit_bounds) == [0.1, 1.0]
    assert list(point.bucket_counts) == [2, 1, 1]
    assert (point.count, round(point.sum, 2)) == (4, 7.61)
    assert point.attributes == {"session": "a"}


def test_an_interval_that_is_none_is_a_minute() -> None:
    assert [_seconds(text) for text in ("500", "", "x", "-1", "0", "inf", "nan")] == [0.5] + [
        60.0
    ] * 6
