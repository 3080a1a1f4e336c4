"""The table of metrics: by Prometheus' conventions, with an answer to all that older recorders had."""

from __future__ import annotations

import re
from pathlib import Path

from kline_ops.observe.metrics.catalogue import METRICS, PROCESS, WATCHDOG, Kind

README = Path(__file__).parents[3] / "README.md"

#: What other recorders of this market export, or say that they do.
OLDER = frozenset(
    """
websocket_connected nats_connected service_uptime_seconds memory_usage_bytes cpu_usage_percent
websocket_messages_processed_total websocket_messages_dropped_total
websocket_reconnect_attempts_total nats_messages_published_total
socket_client_messages_processed_total socket_client_messages_dropped_total
socket_client_queue_size socket_client_queue_utilization_percent socket_client_websocket_connected
socket_client_nats_connected socket_client_reconnect_attempts_total socket_client_uptime_seconds
socket_client_messages_per_second socket_client_time_since_last_message_seconds
last_ping_seconds_ago
k2_binance_connection_status k2_binance_messages_received_total k2_binance_message_errors_total
k2_binance_reconnects_total k2_binance_connection_errors_total k2_binance_errors_total
k2_binance_last_message_timestamp_seconds k2_binance_reconnect_delay_seconds
k2_binance_connection_lifetime_seconds k2_binance_last_pong_timestamp_seconds
k2_binance_connection_rotations_total k2_binance_pong_timeouts_total
k2_process_memory_rss_bytes k2_process_memory_vms_bytes k2_memory_leak_detection_score
k2_circuit_breaker_state k2_circuit_breaker_failures_total
k2_circuit_breaker_consecutive_failures k2_circuit_breaker_rejections_total
k2_circuit_breaker_opened_total
""".split()  # noqa: SIM905 - a list of names reads best so
)


def answers() -> dict[str, tuple[str, ...]]:
    """By our metrics' full names, those of other recorders that they answer."""
    ours = {metric.full_name: metric.answers for metric in (*METRICS, *WATCHDOG)}
    return {name: told for name, told in (ours | PROCESS).items() if told}


def test_whatever_older_recorders_tell_has_an_answer() -> None:
    answered = [older for told in answers().values() for older in told]
    assert sorted(answered) == sorted(OLDER)


def test_the_readme_says_what_answers_what() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (`.*`) \|$", README.read_text(encoding="utf-8"), re.MULTILINE
    )
    told = {name: tuple(re.findall(r"`(\w+)`", cell)) for name, cell in rows}
    ours = answers()
    assert {name: told.get(name) for name in ours} == ours


def test_names_follow_the_conventions() -> None:
    names = [metric.full_name for metric in (*METRICS, *WATCHDOG)]
    assert len(set(names)) == len(names)
    for metric in (*METRICS, *WATCHDOG):
        name = metric.full_name
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name), name
        assert metric.help.endswith("."), name
        assert "\n" not in metric.help
        assert "\\" not in metric.help
        assert name.endswith("_total") == (metric.kind is Kind.COUNTER), name
        assert not re.search(r"(minutes|hours|millis|_ms|percent|_mb)\b", name), name
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM), name
        assert list(metric.buckets) == sorted(metric.buckets), name
        assert "session" not in metric.labels
        assert "le" not in metric.labels
        if metric.kind is Kind.HISTOGRAM or "timestamp" in name:
            assert "_seconds" in name, name
