"""The record of each minute: made of two looks at a session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kline_ops.market import interval as intervals
from kline_ops.observe.snapshot import Queue, Snapshot, Wire
from kline_ops.observe.statistics import Statistics, in_one_line, statistics
from tests.support.trial import run_trial

AT = "2026-01-27T14:00:00Z"


def look(**changes: Any) -> Snapshot:
    told = {"owed": 24, "on_disk": 24, "reconnects": 2, "heartbeat_interval": 5}
    snapshot = Snapshot(
        now_ms=0,
        state={"last_candle_time": AT, "metadata": told},
        symbol="BTCUSDT",
        interval=intervals.parse("1h"),
        csv=Path("candles.csv"),
        uptime=100.0,
        word="RECORDING",
        delivering=True,
        messages=205,
        rejects={"not JSON": 3, "wrong symbol": 2},
        wire=Wire(
            connections={"live": 1, "connecting": 1}, heard_ago=0.25, pong_ago=3.5, latency=0.02
        ),
        queues={"candles": Queue(5, 200, 0)},
    )
    return replace(snapshot, **changes)


def told(now: Snapshot, before: Snapshot | None = None) -> Statistics:
    return statistics(now, before, lag=0.0123, resident_bytes=41_500_000)


def test_the_first_record_is_of_all_the_time() -> None:
    record = told(look())
    assert record == Statistics(
        state="RECORDING",
        reason="",
        candles_owed=24,
        candles_on_disk=24,
        candles_missing=0,
        last_candle=AT,
        connection_status="connected",
        websocket_state="live",
        messages_processed_since_last=200,
        messages_dropped_since_last=5,
        messages_per_second=2.0,
        total_messages_processed=200,
        total_messages_dropped=5,
        overall_rate_per_second=2.0,
        queue_size=5,
        queue_utilization_percent=2.5,
        time_since_last_message_seconds=0.25,
        last_ping_seconds_ago=3.5,
        reconnect_attempts=2,
        uptime_seconds=100.0,
        heartbeat_interval_seconds=5.0,
        event_loop_lag_seconds=0.0123,
        resident_memory_bytes=41_500_000,
    )


def test_a_rate_is_of_the_time_since_the_last_record() -> None:
    now = look(uptime=160.0, messages=805, rejects={"not JSON": 5})
    record = told(now, look())
    assert record.messages_processed_since_last == 600
    assert record.messages_per_second == 10.0
    assert record.messages_dropped_since_last == 0
    assert (record.total_messages_processed, record.overall_rate_per_second) == (800, 5.0)


def test_a_session_that_has_just_begun_divides_by_nothing() -> None:
    record = told(
        look(uptime=0.0, messages=0, rejects={}, queues={}, wire=Wire(), delivering=False)
    )
    assert (record.messages_per_second, record.overall_rate_per_second) == (0.0, 0.0)
    assert (record.connection_status, record.websocket_state) == ("disconnected", "closed")
    assert record.queue_utilization_percent == 0.0
    assert record.time_since_last_message_seconds is None


def test_a_person_reads_it_in_one_line() -> None:
    assert in_one_line(told(look(rejects={}, queues={}, messages=200)), "BTCUSDT", "1h") == (
        f"HEARTBEAT: RECORDING BTCUSDT 1h, 24/24 candles, last {AT}, 2.0 messages/s, the last 0.2 s"
        " ago, 2 reconnects, up 100 s, loop lag 12.3 ms, 42 MB"
    )
    worse = look(word="STALLED", reason="silent for 60 s", missing=3, wire=Wire())
    line = in_one_line(told(worse), "BTCUSDT", "1h")
    assert line.startswith("HEARTBEAT: STALLED BTCUSDT 1h, 24/24 candles, 3 missing, ")
    assert "5 dropped, the last never, 5 candles wait" in line
    assert line.endswith("(silent for 60 s)")


@pytest.mark.parametrize(("changes", "records"), [({}, 1), ({"logger__statistics": None}, 0)])
def test_a_session_tells_it_each_minute_unless_that_is_not_wanted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, Any], records: int
) -> None:
    with caplog.at_level("INFO", "kline_ops"):
        run_trial(tmp_path, 65, **changes)
    said = [r.getMessage() for r in caplog.records if r.getMessage().startswith("HEARTBEAT: ")]
    assert len(said) == records
    for line in said:
        assert line.startswith("HEARTBEAT: RECORDING BTCUSDT 1s, ")
