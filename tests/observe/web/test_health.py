"""Three answers that do not follow from one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kline_ops.market import interval
from kline_ops.observe.snapshot import Snapshot
from kline_ops.observe.web.health import alive, complete, ready


def snapshot(owed: int = 10, on_disk: int = 10, **changes: Any) -> Snapshot:
    usual: dict[str, Any] = {"session": "btc", "word": "RECORDING", "delivering": True}
    return Snapshot(
        now_ms=0,
        state={"metadata": {"owed": owed, "on_disk": on_disk}},
        symbol="BTCUSDT",
        interval=interval.parse("1m"),
        csv=Path("x.csv"),
        uptime=12.3456,
        **usual | changes,
    )


def test_alive() -> None:
    assert alive(snapshot(delivering=False, is_stopping=True)) == (
        200,
        {"status": "ok", "session": "btc", "uptime_seconds": 12.346},
    )


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({}, 200, ""),
        ({"word": "CATCHING_UP", "reason": "asking REST", "missing": 3}, 200, "asking REST"),
        ({"delivering": False, "word": "STARTING", "reason": "waiting"}, 503, "waiting"),
        ({"delivering": False}, 503, "no connection delivers"),
        # The stream is back, and what it left out is not: ``status`` says the same.
        ({"word": "STALLED", "reason": "2 candles are overdue"}, 503, "2 candles are overdue"),
        ({"delivering": False, "disk_error": "full", "reason": "x"}, 503, "full"),
        ({"is_stopping": True}, 503, "stopping"),
        ({"is_stopping": True, "delivering": False, "reason": "x"}, 503, "stopping"),
    ],
)
def test_ready(changes: dict[str, Any], code: int, reason: str) -> None:
    told = ready(snapshot(**changes))
    assert (told[0], told[1]["reason"]) == (code, reason)
    assert told[1]["status"] == ("ready" if code == 200 else "not ready")
    assert told[1]["state"] == changes.get("word", "RECORDING")


@pytest.mark.parametrize(
    ("changes", "code", "missing"),
    [
        ({}, 200, 0),
        ({"missing": 2, "pursued": 2}, 503, 2),
        # What the exchange itself has none of does not count against it.
        ({"missing": 2, "confirmed": 2}, 200, 0),
        ({"missing": 3, "confirmed": 2, "pursued": 1}, 503, 1),
        # The last candle has just closed: it is owed, and not due yet.
        ({"owed": 11}, 200, 0),
        ({"owed": 0, "on_disk": 0}, 503, 0),
        ({"missing": 1, "waiting": 1, "disk_error": "No space left on device"}, 503, 1),
        # It was complete until now; that a stream is silent is another question.
        ({"delivering": False}, 200, 0),
    ],
)
def test_complete(changes: dict[str, Any], code: int, missing: int) -> None:
    told_code, told = complete(snapshot(**changes))
    assert (told_code, told["missing"]) == (code, missing)
    assert told["status"] == ("complete" if code == 200 else "incomplete")
    assert code == 200 or told["reason"]
