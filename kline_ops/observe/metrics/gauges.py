"""How a session stands, as numbers of the catalogue: made of a snapshot where somebody asks. Pure.

Timestamps are seconds since the epoch: what happened here by this machine's clock, candles by the
exchange's. What is not known is left out: 0 would be a time, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kline_ops.observe.metrics import words
from kline_ops.observe.metrics.board import Told
from kline_ops.observe.metrics.meters import CSV
from kline_ops.observe.snapshot import Snapshot

#: What a recorder says of itself.
STATES = ("STARTING", "RECORDING", "CATCHING_UP", "STALLED", "STOPPED")
_CONNECTIONS = ("connecting", "open", "live", "draining")
_BREAKERS = {"closed": 0, "open": 1, "half open": 2}
_MB = 1 << 20


def told(snapshot: Snapshot) -> Iterator[Told]:
    """All of it."""
    yield from _session(snapshot)
    yield from _wire(snapshot)
    yield from _candles(snapshot)
    yield from _queues(snapshot)
    yield from _allowed(snapshot)


def _session(snapshot: Snapshot) -> Iterator[Told]:
    about = snapshot.told
    stream = (snapshot.symbol, snapshot.interval.name)
    yield "session_info", (*stream, str(about["endpoint"])), 1.0
    for state in STATES:
        yield "session_state", (state,), float(snapshot.word == state)
    yield "start_time_seconds", (), snapshot.started_ms / 1000
    yield "heartbeat_sessions", (), snapshot.state["heartbeat_sessions"]
    yield "memory_limit_bytes", (), (snapshot.memory_limit or 0.0) * _MB
    if snapshot.written_ms is not None:
        yield "heartbeat_timestamp_seconds", (), snapshot.written_ms / 1000
    if about["clock_skew_seconds"] is not None:
        yield "clock_skew_seconds", (), about["clock_skew_seconds"]


def _wire(snapshot: Snapshot) -> Iterator[Told]:
    wire, now = snapshot.wire, snapshot.wall_ms / 1000
    yield "connection_up", (), float(wire.is_up)
    for state in _CONNECTIONS:
        yield "connections", (state,), wire.connections.get(state, 0)
    yield "connection_attempts", (), wire.attempts
    yield "reconnect_delay_seconds", (), wire.retry_in
    for name, ago in (
        ("connection_live_timestamp_seconds", snapshot.live_for),
        ("last_message_timestamp_seconds", wire.heard_ago),
        ("last_pong_timestamp_seconds", wire.pong_ago),
    ):
        if ago is not None:
            yield name, (), now - ago
    if wire.latency is not None:
        yield "ping_latency_seconds", (), wire.latency
    if snapshot.next_restart_ms is not None:
        yield "next_rotation_timestamp_seconds", (), snapshot.next_restart_ms / 1000
    for address in wire.addresses:
        yield "breaker_state", (address.endpoint,), _BREAKERS[address.breaker]
        yield "breaker_failures", (address.endpoint,), address.failures
        yield "endpoint_failures", (address.endpoint,), address.failed
    yield "messages_received", (), snapshot.messages
    yield "klines_received", (snapshot.symbol, snapshot.interval.name), snapshot.klines
    rejected = Counter(dict.fromkeys(words.REJECTIONS, 0))
    for reason, count in snapshot.rejects.items():
        rejected[words.rejection(reason)] += count
    for word, count in rejected.items():
        yield "messages_rejected", (word,), count


def _candles(snapshot: Snapshot) -> Iterator[Told]:
    about, stream = snapshot.told, (snapshot.symbol, snapshot.interval.name)
    yield "sink_up", (CSV,), float(snapshot.disk_error is None)
    if snapshot.file_bytes:  # it is open
        yield "candle_file_bytes", stream, snapshot.file_bytes
    if snapshot.file_closed_ms is not None:
        yield "last_candle_timestamp_seconds", stream, snapshot.file_closed_ms / 1000
    if snapshot.next_due_ms is None:
        return  # the file is still to be read, or the first candle to come: nobody knows what is owed
    yield "next_due_timestamp_seconds", stream, snapshot.next_due_ms / 1000
    yield "candles_owed", stream, about["owed"]
    yield "candles_on_disk", stream, about["on_disk"]
    yield "candles_missing", stream, snapshot.missing
    yield "candles_pursued", stream, snapshot.pursued
    yield "candles_absent", stream, snapshot.confirmed


def _queues(snapshot: Snapshot) -> Iterator[Told]:
    queues, people = dict(snapshot.queues), snapshot.people
    if people is not None:
        queues["alerts"] = people.queue
        for topic, is_open in people.incidents.items():
            yield "incident_open", (topic,), float(is_open)
    yield "alerts_lost", (), 0 if people is None else people.queue.dropped
    for name, queue in queues.items():
        yield "queue_size", (name,), queue.size
        yield "queue_capacity", (name,), queue.capacity
        yield "dropped", (name,), queue.dropped


def _allowed(snapshot: Snapshot) -> Iterator[Told]:
    allowed = snapshot.allowed
    if allowed is None:
        return
    yield "rest_weight_used", (), allowed.weight
    yield "rest_weight_limit", (), allowed.weight_limit
    yield "connections_used", (), allowed.attempts
    yield "connections_limit", (), allowed.attempts_limit
    yield "banned_until_timestamp_seconds", (), allowed.banned_until_ms / 1000
