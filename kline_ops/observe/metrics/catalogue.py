"""Every metric there is: one table. Pure.

Names, units and types follow Prometheus' conventions ("Metric and label naming", "Writing exporters"):
base units, ``_total`` for counters, timestamps rather than ages, counters rather than rates. Each has
the label ``session``; those of a stream ``symbol`` and ``interval`` as well. Labels are bounded: no
connection numbers, no free text.
"""

from __future__ import annotations

from kline_ops.observe.metrics.metric import (
    STREAM,
    Kind,
    Metric,
    counter,
    gauge,
    histogram,
    states,
)

__all__ = ["METRICS", "PROCESS", "WATCHDOG", "Kind", "Metric"]

#: Upper bounds, in seconds: from the close of a candle to the disk; how long a connection lives; what
#: takes a handshake, a first message, a close of a candle; what takes a turn of the loop.
# fmt: off
_DELAYS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 600.0, 3600.0,
)
# fmt: on
_LIFETIMES = (1.0, 10.0, 60.0, 600.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 86_400.0)
_WHILES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_MOMENTS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

METRICS = (
    # -- the session
    gauge("build_info", "Always 1; what runs.", "version", "python"),
    gauge("session_info", "Always 1; what is recorded.", *STREAM, "endpoint"),
    states(
        "session_state",
        "How the session stands, by its data: RECORDING, CATCHING_UP, STALLED and the like.",
    ),
    gauge(
        "start_time_seconds",
        "When this recorder process began, in seconds since the epoch.",
        answers=("service_uptime_seconds", "socket_client_uptime_seconds"),
    ),
    counter("heartbeat_sessions", "Recorder processes, and what was begun anew within them."),
    gauge("heartbeat_timestamp_seconds", "When the state file was written last."),
    # -- connections
    gauge(
        "connection_up",
        "1 while at least one connection delivers data; a handshake is none.",
        answers=(
            "websocket_connected",
            "socket_client_websocket_connected",
            "k2_binance_connection_status",
        ),
    ),
    gauge("connections", "Connections by their state: connecting, open, live, draining.", "state"),
    counter("connection_attempts", "Attempts to connect that were begun."),
    counter(
        "connection_errors",
        "Connections that ended, or could not be made, by what it was.",
        "error",
        answers=("k2_binance_connection_errors_total", "k2_binance_errors_total"),
    ),
    counter(
        "reconnects",
        "Connections that took over, by reason; lost: after a time without any.",
        "reason",
        answers=(
            "websocket_reconnect_attempts_total",
            "socket_client_reconnect_attempts_total",
            "k2_binance_reconnects_total",
        ),
    ),
    counter(
        "rotations",
        "Planned restarts of the connection.",
        answers=("k2_binance_connection_rotations_total",),
    ),
    counter("rotations_skipped", "Planned restarts that came too soon after the last connect."),
    gauge("next_rotation_timestamp_seconds", "When the next planned restart is."),
    gauge(
        "reconnect_delay_seconds",
        "How long the next attempt waits; 0 while nothing has to.",
        answers=("k2_binance_reconnect_delay_seconds",),
    ),
    gauge("connection_live_timestamp_seconds", "Since when the connection in charge delivers."),
    histogram(
        "connection_lifetime_seconds",
        "From the first data of a connection to its end.",
        _LIFETIMES,
        answers=("k2_binance_connection_lifetime_seconds",),
    ),
    histogram("connect_duration_seconds", "From an attempt's begin to the first data.", _WHILES),
    histogram("replacement_overlap_seconds", "For how long two connections delivered.", _WHILES),
    gauge(
        "last_pong_timestamp_seconds",
        "When the exchange answered a ping of ours last.",
        answers=("k2_binance_last_pong_timestamp_seconds", "last_ping_seconds_ago"),
    ),
    gauge("ping_latency_seconds", "From our last ping to its pong."),
    counter(
        "pong_timeouts",
        "Connections that ended for want of a pong.",
        answers=("k2_binance_pong_timeouts_total",),
    ),
    counter("stalls", "Connections that were open and brought nothing."),
    counter("streams_silent", "Streams that brought nothing though their market trades.", *STREAM),
    counter("closes_missed", "Closes that no stream told in time; REST had them.", *STREAM),
    counter("shutdown_notices", "Notices of the exchange that a server goes away."),
    counter(
        "endpoint_changes",
        "Changes to another address of the exchange: a breaker steers, it turns nothing away.",
        answers=("k2_circuit_breaker_rejections_total",),
    ),
    counter(
        "endpoint_failures",
        "Attempts that brought no data, or not for long.",
        "endpoint",
        answers=("k2_circuit_breaker_failures_total",),
    ),
    counter("connects_delayed", "Attempts that the budget of connections held back."),
    gauge(
        "breaker_state",
        "Circuit breaker of an address: 0 closed, 1 open, 2 half open.",
        "endpoint",
        answers=("k2_circuit_breaker_state",),
    ),
    gauge(
        "breaker_failures",
        "Attempts in a row that brought no data.",
        "endpoint",
        answers=("k2_circuit_breaker_consecutive_failures",),
    ),
    counter(
        "breaker_opened",
        "Times that a circuit breaker opened.",
        "endpoint",
        answers=("k2_circuit_breaker_opened_total",),
    ),
    # -- messages
    counter(
        "messages_received",
        "Frames from the exchange.",
        answers=("websocket_messages_processed_total",),
    ),
    counter(
        "klines_received",
        "Updates of candles, closed or not.",
        *STREAM,
        answers=(
            "socket_client_messages_processed_total",
            "socket_client_messages_per_second",
            "k2_binance_messages_received_total",
        ),
    ),
    counter(
        "messages_rejected",
        "Frames that could not be used, by reason.",
        "reason",
        answers=("k2_binance_message_errors_total",),
    ),
    gauge(
        "last_message_timestamp_seconds",
        "When the last usable message came.",
        answers=(
            "k2_binance_last_message_timestamp_seconds",
            "socket_client_time_since_last_message_seconds",
        ),
    ),
    # -- candles
    gauge("candles_owed", "Candles that have closed since the first one of the file.", *STREAM),
    gauge("candles_on_disk", "Those of them that are on disk.", *STREAM),
    gauge("candles_missing", "Those of them that are due and not on disk.", *STREAM),
    gauge("candles_pursued", "Missing ones that are being asked for.", *STREAM),
    gauge("candles_absent", "Missing ones that the exchange itself has none of.", *STREAM),
    counter("candles_recorded", "Candles put on disk, fsynced, by source.", *STREAM, "source"),
    counter("candles_lost_on_wire", "Candles that a hole was found for.", *STREAM),
    counter("candles_confirmed_absent", "Candles that the exchange itself has none of.", *STREAM),
    counter("candle_conflicts", "Candles seen twice that differ; the first one stays.", *STREAM),
    gauge("last_candle_timestamp_seconds", "Close time of the newest candle on disk.", *STREAM),
    gauge("last_recorded_timestamp_seconds", "When a candle was put on disk last.", *STREAM),
    gauge("next_due_timestamp_seconds", "When the next candle closes.", *STREAM),
    histogram(
        "candle_close_delay_seconds",
        "From the close of a candle to the disk, by the exchange's time.",
        _DELAYS,
        *STREAM,
        "source",
    ),
    # -- what waits, and where it goes
    gauge(
        "queue_size",
        "What waits: candles for the disk, events for the event log, messages for people.",
        "queue",
        answers=("socket_client_queue_size",),
    ),
    gauge(
        "queue_capacity",
        "How much may wait; beyond it something is dropped, or left to REST.",
        "queue",
        answers=("socket_client_queue_utilization_percent",),
    ),
    counter(
        "dropped",
        "What found no room in a queue; a candle is left to REST then.",
        "queue",
        answers=("websocket_messages_dropped_total", "socket_client_messages_dropped_total"),
    ),
    gauge(
        "sink_up",
        "1 while whatever takes candles takes them: the candle file, later a bus.",
        "sink",
        answers=("nats_connected", "socket_client_nats_connected"),
    ),
    counter(
        "published",
        "Candles handed over to a sink for good.",
        "sink",
        answers=("nats_messages_published_total",),
    ),
    # -- people
    counter("alerts", "Messages to people, by level.", "level"),
    counter("alert_failures", "Notices that an alert channel fails, or loses messages.", "host"),
    counter("alerts_lost", "Messages to people that could not be delivered."),
    gauge("incident_open", "1 while something is not well that people are told of.", "topic"),
    # -- REST, and what the exchange allows
    gauge("rest_weight_used", "Request weight of this minute, of all recorders here."),
    gauge("rest_weight_limit", "Request weight that a minute may have."),
    gauge("connections_used", "Connection attempts that the shared budget has not given back yet."),
    gauge("connections_limit", "Connection attempts that the shared budget holds."),
    counter("rest_failures", "Times that REST began to fail."),
    gauge(
        "banned_until_timestamp_seconds", "Until when the exchange asks to be left alone; 0: not."
    ),
    # -- this machine
    gauge("disk_free_bytes", "Free on the disk of the candle file."),
    gauge("candle_file_bytes", "Size of the candle file.", *STREAM),
    counter("disk_errors", "Times that the candle file began to be unwritable."),
    counter("journal_repairs", "Times that the candle file was put right after a crash."),
    gauge(
        "memory_limit_bytes",
        "Where a fresh process takes over; 0: nowhere.",
        answers=("k2_memory_leak_detection_score",),
    ),
    gauge("clock_skew_seconds", "By how much this machine's clock is ahead of the exchange's."),
    counter("suspends", "Times that this machine slept, or the recorder stood still."),
    counter("clock_steps", "Times that this machine's clock was set."),
    histogram("event_loop_lag_seconds", "How late the recorder's loop turns.", _MOMENTS),
    # -- who looks
    counter("http_requests", "Requests that were answered, by path and code.", "path", "code"),
    gauge("http_clients", "Clients that are being told of events."),
    counter("http_clients_dropped", "Clients that were let go for being too slow."),
)

#: What a watchdog leaves in its textfile: of a session that may be dead.
WATCHDOG = (
    gauge("watchdog_session_up", "1 where the watchdog found that it is well."),
    states(
        "watchdog_session_state",
        "What the watchdog found: WELL, STOPPED, STALE, DEAD and the like.",
    ),
    gauge("watchdog_last_check_timestamp_seconds", "When the watchdog looked last."),
    gauge("watchdog_heartbeat_timestamp_seconds", "When the session beat last."),
    gauge(
        "watchdog_last_candle_timestamp_seconds", "Close time of the newest candle that it told of."
    ),
    gauge("watchdog_candles_missing", "Candles that it told to be due and not on disk."),
    gauge("watchdog_disk_free_bytes", "Free on the disk of its files."),
    counter("watchdog_alarms", "Troubles that the watchdog told of, each once."),
)

#: Metrics that prometheus-client has of each process, under the names that all programs share.
PROCESS = {
    "process_resident_memory_bytes": ("memory_usage_bytes", "k2_process_memory_rss_bytes"),
    "process_virtual_memory_bytes": ("k2_process_memory_vms_bytes",),
    "process_cpu_seconds_total": ("cpu_usage_percent",),
}
