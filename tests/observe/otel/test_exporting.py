"""A session whose metrics, logs and traces go to a receiver that takes them."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kline_ops import events
from kline_ops.observe.describe import describe
from tests.support.otlp import ENDPOINT, SECRET, Receiver, plain, receiver
from tests.support.trial import Trial, run_trial

pytestmark = pytest.mark.usefixtures("environment")


async def troubles(trial: Trial) -> None:
    """A planned restart, a hole that REST fills, and a drop."""
    while not trial.of(events.Live):
        await asyncio.sleep(0.1)
    trial.session.renew()
    while not trial.of(events.Replaced):
        await asyncio.sleep(0.1)
    trial.session.drop()
    await asyncio.sleep(5)


def numbers(metric: Any, **labels: str) -> list[float]:
    data = metric.sum if metric.HasField("sum") else metric.gauge
    return [
        point.as_double
        for point in data.data_points
        if labels.items() <= plain(point.attributes).items()
    ]


@pytest.mark.usefixtures("patience")
def test_what_arrives_is_what_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())
    with receiver() as told:
        monkeypatch.setenv(ENDPOINT, told.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "30")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer {SECRET}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "the recorder")
        trial = run_trial(tmp_path, 15, troubles, logger__statistics=5)
    assert trial.rows() == trial.truth()
    _, headers, _ = told.requests[0]
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert headers["content-encoding"] == "gzip"
    for resource in told.resources():
        assert resource["service.name"] == "the recorder"
        assert resource["deployment.environment.name"] == "test"
        assert resource["kline_ops.session"] == "trial"
    _compare_spans(told, trial)
    _compare_logs(told, trial)
    _compare_metrics(told, trial)
    begun = set(threading.enumerate()) - before
    assert not [thread.name for thread in begun if thread.name.lower().startswith("otel")]


def _compare_spans(told: Receiver, trial: Trial) -> None:
    connections = {plain(s.attributes)["kline_ops.connection"]: s for s in told.spans("connection")}
    assert set(connections) == {e.connection for e in trial.of(events.Connected)}
    ends = {number: plain(s.attributes)["kline_ops.end"] for number, s in connections.items()}
    for replaced in trial.of(events.Replaced):
        assert ends.pop(replaced.old) == f"replaced ({replaced.why})"
    for lost in trial.of(events.Disconnected):
        assert ends.pop(lost.connection) == lost.reason
    assert set(ends.values()) == {"the process ended"}
    (replacement,) = told.spans("replacement")
    (replaced,) = trial.of(events.Replaced)
    linked = {link.span_id for link in replacement.links}
    assert linked == {connections[n].span_id for n in (replaced.old, replaced.new)}
    assert len(told.spans("backfill")) == len(trial.of(events.HoleFound))


def _compare_logs(told: Receiver, trial: Trial) -> None:
    logs = [record for record in told.logs() if record.event_name]
    expected: Counter[str] = Counter()
    for event in trial.events:
        level, text = describe(event)
        if level >= logging.INFO and not isinstance(event, events.Recorded):
            expected[text] += 1
    said = Counter(r.body.string_value for r in logs if r.event_name != "kline_ops.statistics")
    assert said == expected
    statistics = [record for record in logs if record.event_name == "kline_ops.statistics"]
    assert len(statistics) >= 2
    assert plain(statistics[0].attributes)["kline_ops.state"] == "RECORDING"
    spans = {span.span_id: span for span in told.spans()}
    for record in logs:
        number = plain(record.attributes).get("kline_ops.connection")
        if number is None:
            continue
        span = spans[record.span_id]
        assert record.trace_id == span.trace_id
        if record.event_name != "kline_ops.replaced":
            assert plain(span.attributes)["kline_ops.connection"] == number


def _compare_metrics(told: Receiver, trial: Trial) -> None:
    metrics = told.metrics()
    recorded = sum(event.candles for event in trial.of(events.Recorded))
    assert sum(numbers(metrics["kline_ops_candles_recorded"])) == recorded
    assert numbers(metrics["kline_ops_candles_missing"]) == [0.0]
    assert numbers(metrics["kline_ops_rotations"]) == [1.0]
    lifetime = metrics["kline_ops_connection_lifetime_seconds"].histogram.data_points[0]
    assert lifetime.count == sum(lifetime.bucket_counts)
    assert metrics["kline_ops_rotations"].sum.is_monotonic


@pytest.mark.usefixtures("patience")
def test_a_signal_that_is_not_wanted_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with receiver() as told:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{told.url}/v1/logs")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc")
        run_trial(tmp_path, 5)
    assert {path for path, _, _ in told.requests} == {"/v1/logs"}
    assert "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=grpc: http/protobuf is spoken" in caplog.text


def test_without_the_extra_there_is_a_word_and_a_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in [name for name in sys.modules if name.startswith("kline_ops.observe.otel.pipes")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry._logs", None)
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    trial = run_trial(tmp_path, 5)
    assert trial.rows() == trial.truth()
    (said,) = [r.getMessage() for r in caplog.records if "OpenTelemetry" in r.getMessage()]
    assert "pip install 'kline-ops[otel]'" in said


def test_a_variable_that_is_no_good_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "zip")
    trial = run_trial(tmp_path, 5)
    assert trial.rows() == trial.truth()
    said = [r.getMessage() for r in caplog.records if "OpenTelemetry" in r.getMessage()]
    assert said


LOOK = """
import sys
from pathlib import Path
from tests.support.trial import run_trial
trial = run_trial(Path(sys.argv[1]), 3)
assert trial.rows() == trial.truth()
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_nothing_of_it_is_imported_where_it_is_not_wanted(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.split())
    assert not imported & {"opentelemetry", "google", "starlette", "uvicorn", "prometheus_client"}
