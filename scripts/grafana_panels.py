"""What the dashboard for Grafana shows, from the question that matters most down.

``$session`` is a session, or all of them. See ``grafana_dashboard.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_OF = '{session=~"$session"}'
#: The states, the good ones first, as a number: a timeline shows one series.
_STATES = (
    ("RECORDING", "green"),
    ("CATCHING_UP", "yellow"),
    ("STARTING", "blue"),
    ("STALLED", "red"),
    ("STOPPED", "text"),
)
_BREAKER = (("closed", "green"), ("open", "red"), ("half open", "yellow"))


def of(name: str, more: str = "") -> str:
    return f'kline_ops_{name}{{session=~"$session"{more}}}'


def _p99(name: str, by: str = "session, le") -> str:
    rate = f"rate({of(f'{name}_bucket')}[$__rate_interval])"
    return f"histogram_quantile(0.99, sum by ({by}) ({rate}))"


def _counted(name: str, by: str) -> str:
    return f"sum by ({by}) (increase({of(name)}[$__rate_interval]))"


def _state() -> str:
    """The number of the state that holds."""
    words = (word for word, _ in _STATES)
    one = " or ".join(
        of("session_state", f', state="{word}"') + f" * {number}"
        for number, word in enumerate(words)
    )
    return f"max by (session) ({one})"


@dataclass(frozen=True)
class Panel:
    """One of them. ``queries``: an expression, and what its series are called."""

    title: str
    queries: Sequence[tuple[str, str]]
    help: str = ""
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    #: Colours from a value on, the first from everything on.
    steps: Sequence[tuple[float | None, str]] = ((None, "green"),)
    #: Words for 0, 1, 2 … with their colours.
    words: Sequence[tuple[str, str]] = ()
    minimum: float | None = None


_RED_ABOVE_0 = ((None, "green"), (1.0, "red"))

ROWS: dict[str, list[Panel]] = {
    "Is it well?": [
        Panel(
            "State", [(_state(), "{{session}}")],
            "What each session is, by its data.",
            kind="stat", width=6, words=_STATES,
        ),
        Panel(
            "Candles missing", [(f"{of('candles_missing')} - {of('candles_absent')}", "{{session}}")],
            "Due and not on disk; what the exchange itself has none of does not count.",
            kind="stat", width=4, steps=_RED_ABOVE_0,
        ),
        Panel(
            "On disk", [(f"session:kline_ops_candles_on_disk:ratio{_OF}", "{{session}}")],
            "Of all candles that there were since the file began.",
            kind="stat", width=4, unit="percentunit",
            steps=((None, "red"), (0.999, "yellow"), (1.0, "green")),
        ),
        Panel(
            "Age of the newest candle",
            [(f"time() - {of('last_candle_timestamp_seconds')}", "{{session}} {{interval}}")],
            "Since its close. It grows up to one interval, and falls to nothing at each close.",
            kind="stat", width=5, unit="s",
        ),
        Panel(
            "Next candle closes in",
            [(f"{of('next_due_timestamp_seconds')} - time()", "{{session}} {{interval}}")],
            "Below zero: it is late.",
            kind="stat", width=5, unit="s", steps=((None, "red"), (-60.0, "yellow"), (-5.0, "green")),
        ),
        Panel(
            "State over time", [(_state(), "{{session}}")],
            kind="state-timeline", width=24, words=_STATES,
        ),
    ],
    "Coverage": [
        Panel(
            "Missing, and being asked for",
            [
                (of("candles_missing"), "{{session}} missing"),
                (of("candles_pursued"), "{{session}} asked for"),
                (of("candles_absent"), "{{session}} confirmed"),
            ],
            minimum=0,
        ),
        Panel(
            "Candles recorded, by source",
            [(_counted("candles_recorded_total", "session, source"), "{{session}} {{source}}")],
            "From the stream, or from REST where the stream did not bring them.",
            minimum=0,
        ),
        Panel(
            "From the close to the disk",
            [
                (f"session:kline_ops_candle_close_delay_seconds:p99_1h{_OF}", "{{session}} p99 of 1 h"),
                (_p99("candle_close_delay_seconds", "session, source, le"), "{{session}} {{source}}"),
            ],
            "By the exchange's time.",
            unit="s", minimum=0,
        ),
        Panel(
            "Holes",
            [
                (_counted("candles_lost_on_wire_total", "session"), "{{session}} found"),
                (_counted("candles_confirmed_absent_total", "session"), "{{session}} confirmed"),
                (_counted("candle_conflicts_total", "session"), "{{session}} seen twice, differing"),
                (_counted("closes_missed_total", "session"), "{{session}} closes no stream told"),
            ],
            minimum=0, width=12,
        ),
        Panel(
            "Candle file", [(of("candle_file_bytes"), "{{session}} {{symbol}} {{interval}}")],
            unit="bytes", minimum=0, width=12,
        ),
    ],
    "Connections": [
        Panel(
            "Connections by state", [(of("connections"), "{{session}} {{state}}")],
            "Two are live for a moment at each planned restart.",
            minimum=0,
        ),
        Panel(
            "Replaced, by reason",
            [(_counted("reconnects_total", "session, reason"), "{{session}} {{reason}}")],
            minimum=0,
        ),
        Panel(
            "Ended, or not made",
            [(_counted("connection_errors_total", "session, error"), "{{session}} {{error}}")],
            minimum=0,
        ),
        Panel(
            "Since the last message, and the last pong",
            [
                (f"time() - {of('last_message_timestamp_seconds')}", "{{session}} message"),
                (f"time() - {of('last_pong_timestamp_seconds')}", "{{session}} pong"),
                (f"time() - {of('heartbeat_timestamp_seconds')}", "{{session}} heartbeat"),
            ],
            unit="s", minimum=0,
        ),
        Panel("Ping", [(of("ping_latency_seconds"), "{{session}}")], unit="s", minimum=0),
        Panel(
            "Connections live for",
            [(f"time() - {of('connection_live_timestamp_seconds')}", "{{session}}")],
            "A saw: it falls at each planned restart.",
            unit="s", minimum=0,
        ),
        Panel(
            "Messages a second, and rejected ones",
            [
                (f"rate({of('messages_received_total')}[$__rate_interval])", "{{session}}"),
                (
                    _counted("messages_rejected_total", "session, reason") + " > 0",
                    "{{session}} rejected: {{reason}}",
                ),
            ],
            minimum=0,
        ),
        Panel(
            "Circuit breakers", [(of("breaker_state"), "{{session}} {{endpoint}}")],
            kind="state-timeline", words=_BREAKER,
        ),
        Panel(
            "Next planned restart in",
            [(f"{of('next_rotation_timestamp_seconds')} - time()", "{{session}}")],
            kind="stat", unit="s",
        ),
    ],
    "What the exchange allows": [
        Panel(
            "Request weight of this minute",
            [
                (of("rest_weight_used"), "{{session}} used"),
                (of("rest_weight_limit"), "{{session}} limit"),
            ],
            "Of all recorders behind this address.",
            minimum=0,
        ),
        Panel(
            "Connection attempts of five minutes",
            [
                (of("connections_used"), "{{session}} used"),
                (of("connections_limit"), "{{session}} limit"),
            ],
            "Of all recorders behind this address.",
            minimum=0,
        ),
        Panel(
            "REST failures", [(_counted("rest_failures_total", "session"), "{{session}}")],
            minimum=0, width=4,
        ),
        Panel(
            "Banned for",
            [(f"clamp_min({of('banned_until_timestamp_seconds')} - time(), 0)", "{{session}}")],
            kind="stat", unit="s", width=4, steps=_RED_ABOVE_0,
        ),
    ],
    "The machine": [
        Panel("Free disk", [(of("disk_free_bytes"), "{{session}}")], unit="bytes", minimum=0),
        Panel(
            "Memory",
            [
                (f"process_resident_memory_bytes{_OF}", "{{session}}"),
                (f"{of('memory_limit_bytes')} > 0", "{{session}} limit"),
            ],
            "At the limit a fresh process takes over.",
            unit="bytes", minimum=0,
        ),
        Panel(
            "CPU", [(f"rate(process_cpu_seconds_total{_OF}[$__rate_interval])", "{{session}}")],
            "Of one core.",
            unit="percentunit", minimum=0,
        ),
        Panel(
            "How late the loop turns",
            [(f"session:kline_ops_event_loop_lag_seconds:p99_5m{_OF}", "{{session}} p99")],
            unit="s", minimum=0,
        ),
        Panel(
            "Clock ahead of the exchange's", [(of("clock_skew_seconds"), "{{session}}")], unit="s",
        ),
        Panel(
            "What waits",
            [
                (of("queue_size"), "{{session}} {{queue}}"),
                (_counted("dropped_total", "session, queue"), "{{session}} {{queue}} dropped"),
            ],
            minimum=0,
        ),
    ],
    "Who is told": [
        Panel(
            "Alerts that fire",
            [('ALERTS{alertname=~"KlineOps.+", alertstate="firing"}',
              "{{severity}} {{session}} {{alertname}}")],
            "What each means, and what to do, stands in docs/runbook.md.",
            kind="state-timeline", width=12, words=(("", "green"), ("fires", "red")),
        ),
        Panel(
            "What the watchdog finds",
            [(f"{of('watchdog_session_state')} == 1", "{{session}} {{state}}")],
            "From outside: its files and processes.",
            kind="state-timeline", width=12, words=(("", "text"), ("holds", "blue")),
        ),
        Panel(
            "Messages to people",
            [
                (_counted("alerts_total", "session, level"), "{{session}} {{level}}"),
                (_counted("alert_failures_total", "session, host"), "{{session}} {{host}} fails"),
                (_counted("alerts_lost_total", "session"), "{{session}} lost"),
            ],
            minimum=0, width=12,
        ),
        Panel(
            "Since the watchdog looked",
            [(f"time() - {of('watchdog_last_check_timestamp_seconds')}", "{{session}}")],
            unit="s", minimum=0, width=12,
        ),
    ],
}  # fmt: skip
