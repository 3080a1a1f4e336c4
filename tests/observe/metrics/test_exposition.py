"""What is told of a session: as its events, its state and its file say."""

from __future__ import annotations

import asyncio
import platform
import shutil
import subprocess
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kline_ops import events
from kline_ops.market.timestamp import to_ms
from kline_ops.observe.metrics.catalogue import METRICS
from kline_ops.observe.metrics.exposition import Metrics
from tests.observe.metrics.reading import Samples
from tests.support.trial import Trial, run_trial

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def watched(
    folder: Path,
    seconds: float,
    script: Callable[[Trial, Look], Awaitable[None]],
    **changes: object,
) -> Trial:
    """A session, and metrics that hear it from the start; ``script`` may look at them."""

    async def play(trial: Trial) -> None:
        session, settings = trial.session, trial.settings
        while not hasattr(session, "_view"):
            await asyncio.sleep(0)  # before it connects
        server_time = session._server_time
        metrics = Metrics(
            settings.name, settings.stream, settings.csv.parent, clock=trial.clock,
            now_ms=lambda: server_time.now_ms(trial.clock.monotonic()),
        )  # fmt: skip
        session._bus.listen(metrics.hear)
        try:
            await script(trial, Look(trial, metrics))
        finally:
            metrics.close()

    return run_trial(folder, seconds, play, **changes)  # type: ignore[arg-type]


@dataclass
class Look:
    """What Prometheus would see now."""

    trial: Trial
    metrics: Metrics

    def __call__(self) -> Samples:
        body, content_type = self.metrics.render("", self.trial.session.snapshot())
        assert content_type.startswith("text/plain; version=0.0.4")
        return Samples(body.decode())


def _ours(told: Samples) -> list[object]:
    """All but what changes from one moment to the next."""
    moved = {"disk_free_bytes"}
    return [sample for sample in told.all if "session" in sample[1] and sample[0] not in moved]


def agrees(trial: Trial, told: Samples) -> None:
    """The counters are what the events, the state and the candle file say."""
    of = trial.of
    session = trial.session
    replaced = [event.why for event in of(events.Replaced)]
    reconnects = told.by("reconnects_total", "reason")
    state = session.snapshot().state
    assert sum(reconnects.values()) == state["websocket_reconnects"]
    assert told.sum("rotations_total") == replaced.count("planned") == reconnects["planned"]
    assert reconnects["other"] == 0
    assert sum(reconnects.values()) - reconnects["lost"] == len(replaced)
    assert told.sum("connection_errors_total") == len(of(events.Disconnected))
    assert told.by("connection_errors_total", "error")["other"] == 0
    pongs = [e for e in of(events.Disconnected) if e.reason == "keepalive ping timeout"]
    assert told.sum("pong_timeouts_total") == len(pongs)
    assert told.sum("stalls_total") == len(of(events.Stalled))
    assert told.sum("shutdown_notices_total") == len(of(events.ShutdownNotice))
    assert told.sum("breaker_opened_total") == len(of(events.BreakerOpened))
    assert told.sum("rest_failures_total") == len(of(events.BackfillFailed))
    assert told.sum("connect_duration_seconds_count") == len(of(events.Live))
    assert told.sum("replacement_overlap_seconds_count") == len(replaced)

    recorded: Counter[str] = Counter()
    for event in of(events.Recorded):
        recorded[event.source] += event.candles
    assert told.by("candles_recorded_total", "source") == {"rest": 0, "stream": 0} | recorded
    assert told.sum("published_total", sink="csv") == len(trial.rows())
    assert told.sum("candles_on_disk") == len(trial.rows()) == sum(recorded.values())
    assert told.sum("candle_close_delay_seconds_count") == sum(recorded.values())
    assert told.sum("candles_lost_on_wire_total") == sum(
        event.candles for event in of(events.HoleFound)
    )
    assert told.sum("candles_confirmed_absent_total") == sum(
        event.candles for event in of(events.HoleConfirmed)
    )
    assert told.sum("candle_file_bytes") == trial.settings.csv.stat().st_size
    last = to_ms(trial.rows()[-1].split(",")[0])
    closed = trial.settings.stream.interval.after(last)
    assert told.sum("last_candle_timestamp_seconds") == closed / 1000

    feed = session._feed
    assert told.sum("messages_received_total") == feed.messages
    assert told.sum("messages_rejected_total") == feed.rejects.total
    assert (
        feed.messages >= told.sum("klines_received_total") >= feed.messages - feed.rejects.total - 9
    )
    assert told.sum("connection_attempts_total") >= len(of(events.Live))


def test_counters_equal_the_events_and_the_file(tmp_path: Path) -> None:
    async def script(trial: Trial, look: Look) -> None:
        server, session = trial.server, trial.session
        first = look()  # before anything came: all that can be counted is there, as 0
        assert first.sum("reconnects_total") == first.sum("candles_recorded_total") == 0
        assert not first.has("last_message_timestamp_seconds")
        assert not first.has("last_candle_timestamp_seconds")
        assert not first.has("candles_owed")  # nor is it 0: the file was not read yet
        assert not first.has("candles_on_disk")
        assert not first.has("candle_file_bytes")
        assert first.sum("connection_up") == 0
        await asyncio.sleep(15)
        server.garbage()
        server.foreign()
        server.cut()
        await asyncio.sleep(15)
        session.renew()
        await asyncio.sleep(15)
        server.rest_down(8)
        server.close_all(1001)
        server.refuse(6)
        await asyncio.sleep(15)
        server.half_open(20)
        await asyncio.sleep(25)
        server.announce_shutdown()
        await asyncio.sleep(20.1)
        told = look()
        agrees(trial, told)
        reasons = {word for word, n in told.by("reconnects_total", "reason").items() if n}
        assert {"planned", "server_shutdown", "lost"} <= reasons
        assert told.sum("pong_timeouts_total") >= 1
        assert told.by("messages_rejected_total", "reason")["wrong_symbol"] >= 1
        assert told.by("candles_recorded_total", "source")["rest"] > 0

    trial = watched(tmp_path, 110, script, websocket__ping={"interval": 5.0, "timeout": 5.0})
    assert trial.rows() == trial.truth()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_an_hour_with_faults(tmp_path: Path) -> None:
    async def script(trial: Trial, look: Look) -> None:
        server = trial.server
        for happens in (
            server.cut,
            lambda: server.half_open(120),
            lambda: server.silence(150),
            lambda: server.refuse(150),
            lambda: (server.rest_down(150), server.close_all(1012)),
            server.announce_shutdown,
        ):
            await asyncio.sleep(290)
            happens()
            await asyncio.sleep(290)
        await asyncio.sleep(30)
        told = look()
        agrees(trial, told)
        assert {word for word, n in told.by("reconnects_total", "reason").items() if n} == {
            "planned", "lost", "stalled", "server_shutdown",
        }  # fmt: skip

    trial = watched(
        tmp_path, 3_600, script, binance__stream__timeframe="1m", binance__reconnect__modulo="15m"
    )
    assert len(trial.rows()) >= 58
    assert trial.rows() == trial.truth()


def test_times_are_times_and_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    async def script(trial: Trial, look: Look) -> None:
        await asyncio.sleep(31)
        now, told = trial.clock.wall_ms() / 1000, look()
        assert told.sum("start_time_seconds") == trial.live_from_ms / 1000
        assert now - 2 <= told.sum("last_message_timestamp_seconds") <= now
        assert now - 2 <= told.sum("last_recorded_timestamp_seconds") <= now
        assert now - 15 <= told.sum("last_pong_timestamp_seconds") <= now
        assert now - 6 <= told.sum("heartbeat_timestamp_seconds") <= now
        assert now - 31 <= told.sum("connection_live_timestamp_seconds") <= now - 25
        assert now - 1 <= told.sum("next_due_timestamp_seconds") <= now + 1
        assert now < told.sum("next_rotation_timestamp_seconds") <= now + 14_400
        assert 0 <= told.sum("ping_latency_seconds") < 1
        assert told.by("session_state", "state") == {
            "STARTING": 0, "RECORDING": 1, "CATCHING_UP": 0, "STALLED": 0, "STOPPED": 0,
        }  # fmt: skip
        assert told.by("connections", "state") == {
            "connecting": 0, "open": 0, "live": 1, "draining": 0,
        }  # fmt: skip
        trial.server.refuse(1_000)
        trial.server.cut()
        await asyncio.sleep(20)
        told = look()
        assert told.sum("connection_up") == 0
        assert not told.has("connection_live_timestamp_seconds")
        assert now - 2 <= told.sum("last_message_timestamp_seconds") <= now + 2
        assert told.sum("reconnect_delay_seconds") >= 0
        assert told.sum("breaker_state") in {1, 2}
        assert told.sum("breaker_failures") >= 2
        assert told.sum("endpoint_failures_total") >= 2
        assert told.by("session_state", "state")["STALLED"] == 1

    watched(
        tmp_path, 55, script, binance__reconnect__modulo="4h",
        resilience__circuit_breaker={"failures": 2},
    )  # fmt: skip


def test_prometheus_reads_it(tmp_path: Path) -> None:
    bodies: list[bytes] = []

    async def script(trial: Trial, look: Look) -> None:
        await asyncio.sleep(10)
        metrics, snapshot = look.metrics, trial.session.snapshot()
        metrics.count_request("/metrics", 200)
        metrics.lag(0.001)
        text, _ = metrics.render("", snapshot)
        told, content_type = metrics.render(OPENMETRICS, snapshot)
        assert content_type.startswith("application/openmetrics-text")
        bodies.append(text)
        read = Samples(told.decode(), is_openmetrics=True)
        plain = Samples(text.decode())
        assert len(_ours(plain)) > 50
        assert _ours(plain) == _ours(read)
        about = read.by("build_info", "python")
        assert about == {platform.python_version(): 1.0}
        assert read.sum("process_resident_memory_bytes") > 10_000_000
        # All that needs neither somebody to tell nor something that has happened.
        rare = {"alert_failures", "incident_open", "disk_free_bytes", "last_pong_timestamp_seconds",
                "ping_latency_seconds", "clock_skew_seconds"}  # fmt: skip
        names = {name for name, _, _ in plain.all}
        for metric in METRICS:
            full = metric.full_name.removeprefix("kline_ops_")
            assert metric.name in rare or {full, f"{full}_count"} & names, full

    watched(tmp_path, 12, script, binance__reconnect__modulo="4h")
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=bodies[0],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_no_label_holds_a_secret(tmp_path: Path) -> None:
    async def script(trial: Trial, look: Look) -> None:
        await asyncio.sleep(5)
        body, _ = look.metrics.render("", trial.session.snapshot())
        assert b"s3cret" not in body
        assert "…@".encode() in body

    watched(tmp_path, 8, script, binance__failover_urls=["ws://user:s3cret@127.0.0.1:9/ws"],
            binance__reconnect__modulo="4h")  # fmt: skip


def test_half_a_character_in_an_address_is_no_end_of_all_metrics(tmp_path: Path) -> None:
    async def script(trial: Trial, look: Look) -> None:
        look.metrics.hear(events.BreakerOpened(endpoint="ws://h/\udc80", failures=1, reason=""))
        assert look().by("breaker_opened_total", "endpoint")["ws://h/?"] == 1

    watched(tmp_path, 2, script)
