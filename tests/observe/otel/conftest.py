"""What all tests of an exporting session share."""

from __future__ import annotations

import logging

import pytest
from opentelemetry.exporter.otlp.proto.http import _log_exporter


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports at once, and the level that a session would have."""
    for name in ("OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY"):
        monkeypatch.setenv(name, "50")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    log = logging.getLogger("kline_ops")
    monkeypatch.setattr(log, "level", logging.INFO)
    log.manager._clear_cache()  # type: ignore[attr-defined]
    # It hides what is said twice within 20 s, by another test too.
    monkeypatch.setattr(_log_exporter._logger, "filters", [])


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy may take longer than a session would wait."""
    monkeypatch.setattr("kline_ops.session.observing._CLOSE_WITHIN", 60.0)
