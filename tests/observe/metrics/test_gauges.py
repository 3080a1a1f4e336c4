"""How a session stands, as numbers: of a snapshot, whatever it holds."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kline_ops.market.interval import parse
from kline_ops.market.stream import Stream
from kline_ops.observe.metrics import disk, gauges
from kline_ops.observe.metrics.catalogue import METRICS
from kline_ops.observe.metrics.disk import FreeSpace
from kline_ops.observe.metrics.exposition import Metrics
from kline_ops.observe.snapshot import Address, People, Queue, Snapshot, Wire
from kline_ops.resilience.allowance import Usage
from tests.observe.metrics.reading import Samples
from tests.support.machine import until
from tests.support.told_clock import ToldClock

NOW = 1_767_225_600_000
SNAPSHOT = Snapshot(
    now_ms=NOW,
    state={
        "heartbeat_sessions": 4,
        "metadata": {"endpoint": "ws://h/ws", "clock_skew_seconds": -0.25, "owed": 9, "on_disk": 5},
    },
    symbol="BTCUSDT",
    interval=parse("1m"),
    csv=Path("x.csv"),
    uptime=60.0,
    next_due_ms=NOW + 60_000,
    session="demo",
    word="STALLED",
    wall_ms=NOW + 500,
    missing=4,
    pursued=1,
    confirmed=3,
    disk_error="full",
    memory_limit=256.0,
    rejects={"not JSON": 2, "unasked event 'trade'": 3, "unasked event 'depth'": 4, "new": 1},
    wire=Wire(addresses=(Address("ws://h/ws", "half open", 7, 30),), retry_in=2.5),
    queues={"candles": Queue(2, 100, 1), "events": Queue(0, 10, 0)},
    people=People(Queue(6, 200, 5), ("hooks.example",), {"disk": True, "stream": False}),
    allowed=Usage(40, 4800, 3, 140, NOW + 60_000),
)


def shown(tmp_path: Path, snapshot: Snapshot = SNAPSHOT) -> Samples:
    stream = Stream("BTCUSDT", parse("1m"))
    metrics = Metrics("demo", stream, tmp_path, clock=ToldClock(NOW), now_ms=lambda: NOW)
    body, _ = metrics.render("", snapshot)
    metrics.close()
    return Samples(body.decode())


def test_whoever_is_told_of_trouble(tmp_path: Path) -> None:
    told = shown(tmp_path)
    assert told.by("incident_open", "topic") == {"disk": 1, "stream": 0}
    assert told.by("queue_size", "queue") == {"candles": 2, "events": 0, "alerts": 6}
    assert told.by("queue_capacity", "queue") == {"candles": 100, "events": 10, "alerts": 200}
    assert told.by("dropped_total", "queue") == {"candles": 1, "events": 0, "alerts": 5}
    assert told.sum("alerts_lost_total") == 5
    assert told.by("alert_failures_total", "host") == {"hooks.example": 0}
    assert set(told.by("alerts_total", "level")) == {"info", "success", "warning", "critical"}
    nobody = shown(tmp_path, replace(SNAPSHOT, people=None))
    assert nobody.sum("alerts_lost_total") == 0
    assert not nobody.has("incident_open")


def test_how_it_stands(tmp_path: Path) -> None:
    told = shown(tmp_path)
    assert told.by("session_state", "state")["STALLED"] == 1
    assert told.sum("candles_missing") - told.sum("candles_absent") == 1
    assert told.sum("sink_up", sink="csv") == 0
    assert told.sum("memory_limit_bytes") == 256 * 2**20
    assert told.sum("clock_skew_seconds") == -0.25
    assert told.sum("heartbeat_sessions_total") == 4
    assert told.sum("reconnect_delay_seconds") == 2.5
    assert told.sum("breaker_state", endpoint="ws://h/ws") == 2
    assert told.sum("breaker_failures") == 7
    assert told.sum("endpoint_failures_total") == 30
    assert told.sum("breaker_opened_total", endpoint="ws://h/ws") == 0
    assert told.sum("banned_until_timestamp_seconds") == NOW / 1000 + 60
    rejected = told.by("messages_rejected_total", "reason")
    assert {word: n for word, n in rejected.items() if n} == {
        "not_json": 2, "unasked_event": 7, "other": 1,
    }  # fmt: skip
    for unknown in ("last_message", "last_pong", "connection_live", "next_rotation",
                    "last_candle", "heartbeat", "last_recorded"):  # fmt: skip
        assert not told.has(f"{unknown}_timestamp_seconds"), unknown


def test_what_is_owed_is_not_0_while_nobody_knows_it(tmp_path: Path) -> None:
    told = shown(tmp_path, replace(SNAPSHOT, next_due_ms=None))
    for unknown in ("next_due_timestamp_seconds", "candles_owed", "candles_on_disk",
                    "candles_missing", "candles_pursued", "candles_absent"):  # fmt: skip
        assert not told.has(unknown), unknown


def test_the_labels_of_a_metric_are_those_of_the_catalogue() -> None:
    metrics = {metric.name: metric for metric in METRICS}
    for name, labels, number in gauges.told(SNAPSHOT):
        assert len(labels) == len(metrics[name].labels), name
        assert isinstance(number, int | float), name


def test_free_space_is_what_the_last_look_found(tmp_path: Path) -> None:
    clock = ToldClock(NOW)
    free = FreeSpace(tmp_path, clock)
    assert until(free.bytes) > 0
    clock.now_ms += 400_000
    assert free.bytes() is None  # too old; it is asked for now
    assert until(free.bytes) > 0
    free.close()


def test_a_disk_that_hangs_holds_up_nobody_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()
    monkeypatch.setattr(disk, "_free", lambda _folder: hangs.wait(30) and 7)
    free = FreeSpace(tmp_path, ToldClock(NOW))
    began = time.monotonic()
    assert [free.bytes() for _ in range(100)] == [None] * 100
    assert time.monotonic() - began < 5
    hangs.set()
    assert until(free.bytes) == 7
    free.close()


def test_a_folder_that_is_not_there_is_not_told(tmp_path: Path) -> None:
    free = FreeSpace(tmp_path / "away", ToldClock(NOW))
    until(lambda: free._asking is None or free._asking.done())
    assert free.bytes() is None
    free.close()
