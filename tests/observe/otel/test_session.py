"""OpenTelemetry of a session in tmux: asked for at `start`, through a restart, to the end."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.support.machine import Machine, until
from tests.support.otlp import Receiver, plain, receiver

CONFIG: dict[str, Any] = {
    "exchange": {"embedded": True},
    "binance": {"stream": {"symbol": "btcusdt", "timeframe": "1s"}},
}
KEY = "S3CR3T"


def said(told: Receiver, text: str) -> list[Any]:
    return [record for record in told.logs() if text in record.body.string_value]


@pytest.mark.long
def test_a_session_exports_through_a_restart_to_its_end(machine: Machine) -> None:
    with receiver() as told:
        machine.environ |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": told.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"api-key={KEY}",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_BLRP_SCHEDULE_DELAY": "200",
        }
        config = machine.folder / "demo.yml"
        config.write_text(yaml.safe_dump(CONFIG))
        assert machine.run("start", "demo", "--config", str(config)).returncode == 0
        until(lambda: said(told, "live after") and told.metrics(), 60)
        assert machine.run("restart", "demo").returncode == 0
        until(lambda: len(said(told, "live after")) >= 2, 60)
        assert machine.run("stop", "demo").returncode == 0
        until(lambda: said(told, "stopped: ") and len(told.spans("connection")) >= 2)
    assert {headers["api-key"] for _, headers, _ in told.requests} == {KEY}
    pids = {resource["process.pid"] for resource in told.resources()}
    assert len(pids) == 2
    assert len({resource["service.instance.id"] for resource in told.resources()}) == 2
    ends = {plain(span.attributes)["kline_ops.end"] for span in told.spans("connection")}
    assert "the process ended" in ends
    assert said(told, "made way for a fresh process")
    log = (machine.data("demo") / "session.log").read_text()
    assert KEY not in log
    assert {json.loads(line)["process"]["pid"] for line in log.splitlines()} >= pids
    (recorded,) = told.metrics()["kline_ops_candles_recorded"].sum.data_points[:1]
    assert plain(recorded.attributes)["session"] == "demo"
