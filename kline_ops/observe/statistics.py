"""How a session does, once a minute: one record for whoever reads logs rather than metrics. Pure.

Beside the fields that older recorders told (``HEARTBEAT: WebSocket Client Statistics``) it says what
counts: the state by its data, and the candles. Rates are of the time since the record before.
"""

from __future__ import annotations

import msgspec

from kline_ops.observe.snapshot import Queue, Snapshot


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """One record. Durations in seconds; None: not known, or there was none."""

    state: str
    reason: str
    candles_owed: int
    candles_on_disk: int
    candles_missing: int
    #: The open time of the newest candle on disk.
    last_candle: str | None
    connection_status: str
    websocket_state: str
    messages_processed_since_last: int
    messages_dropped_since_last: int
    messages_per_second: float
    total_messages_processed: int
    total_messages_dropped: int
    overall_rate_per_second: float
    #: Candles that wait for the disk, and what share of their room they take.
    queue_size: int
    queue_utilization_percent: float
    time_since_last_message_seconds: float | None
    last_ping_seconds_ago: float | None
    reconnect_attempts: int
    uptime_seconds: float
    heartbeat_interval_seconds: float
    #: The most that the loop was late since the record before.
    event_loop_lag_seconds: float
    resident_memory_bytes: int


#: The connections' states, the best one first.
_STATES = ("live", "draining", "open", "connecting")


def statistics(
    now: Snapshot, before: Snapshot | None, *, lag: float, resident_bytes: int
) -> Statistics:
    """The record; ``before``: what the last one was made of, None for the first."""
    rejected = sum(now.rejects.values())
    processed = now.messages - rejected
    since, dropped_since, seconds = processed, rejected, now.uptime
    if before is not None:
        dropped_since -= sum(before.rejects.values())
        since -= before.messages - sum(before.rejects.values())
        seconds -= before.uptime
    told, queue = now.told, now.queues.get("candles", Queue(now.waiting, 0, 0))
    connections = now.wire.connections
    return Statistics(
        state=now.word,
        reason=now.reason,
        candles_owed=told["owed"],
        candles_on_disk=told["on_disk"],
        candles_missing=now.missing,
        last_candle=now.state["last_candle_time"],
        connection_status="connected" if now.delivering else "disconnected",
        websocket_state=next((s for s in _STATES if connections.get(s)), "closed"),
        messages_processed_since_last=since,
        messages_dropped_since_last=dropped_since,
        messages_per_second=_rate(since, seconds),
        total_messages_processed=processed,
        total_messages_dropped=rejected,
        overall_rate_per_second=_rate(processed, now.uptime),
        queue_size=queue.size,
        queue_utilization_percent=round(100.0 * queue.size / max(1, queue.capacity), 1),
        time_since_last_message_seconds=_rounded(now.wire.heard_ago),
        last_ping_seconds_ago=_rounded(now.wire.pong_ago),
        reconnect_attempts=told["reconnects"],
        uptime_seconds=round(now.uptime, 1),
        heartbeat_interval_seconds=float(told["heartbeat_interval"]),
        event_loop_lag_seconds=round(lag, 4),
        resident_memory_bytes=resident_bytes,
    )


def in_one_line(told: Statistics, symbol: str, interval: str) -> str:
    """``HEARTBEAT: RECORDING BTCUSDT 1h, 24/24 candles, 1.9 messages/s …``."""
    heard = told.time_since_last_message_seconds
    last = "never" if heard is None else f"{heard:.1f} s ago"
    said = [
        f"HEARTBEAT: {told.state} {symbol} {interval}",
        f"{told.candles_on_disk}/{told.candles_owed} candles",
        *([f"{told.candles_missing} missing"] if told.candles_missing else []),
        f"last {told.last_candle or 'none'}",
        f"{told.messages_per_second:.1f} messages/s",
        *(
            [f"{told.messages_dropped_since_last} dropped"]
            if told.messages_dropped_since_last
            else []
        ),
        f"the last {last}",
        *([f"{told.queue_size} candles wait"] if told.queue_size else []),
        f"{told.reconnect_attempts} reconnects",
        f"up {told.uptime_seconds:.0f} s",
        f"loop lag {told.event_loop_lag_seconds * 1000:.1f} ms",
        f"{told.resident_memory_bytes / 1e6:.0f} MB",
    ]
    return ", ".join(said) + (f" ({told.reason})" if told.reason else "")


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 3) if seconds > 0.0 else 0.0


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
