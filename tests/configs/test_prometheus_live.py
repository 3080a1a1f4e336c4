"""A real Prometheus, with the files that ship, against a real recorder and a real node_exporter."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kline_ops.observe.metrics.catalogue import METRICS
from tests.configs.dashboard import expressions
from tests.support.machine import Machine, until
from tests.support.prometheus import FOR, PATIENCE, Prometheus, needed, prometheus, promtool
from tests.support.web import free_port

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

CONFIG = """\
exchange: {{embedded: true}}
binance:
  stream: {{symbol: btcusdt, timeframe: 1s}}
  reconnect: {{modulo: 6s, margin_seconds: 1, min_connection_duration: 1}}
resilience: {{heartbeat: {{interval: 1.0}}}}
websocket: {{ping: {{interval: 5, timeout: 5}}}}
http: {{port: {port}}}
"""
#: What is empty in a recorder that is well, whose market trades, and that tells nobody.
EMPTY = {"ALERTS", "messages_rejected_total", "alert_failures_total", "clock_skew_seconds"}
PLANNED = 'kline_ops_reconnects_total{reason="planned"}'


def configured(machine: Machine) -> int:
    """A session ``live`` with HTTP on; answers its port."""
    port = free_port()
    (machine.folder / "live.yml").write_text(CONFIG.format(port=port))
    return port


@contextmanager
def watched(machine: Machine, recorder: int) -> Iterator[Prometheus]:
    """Its watchdog writes a textfile, node_exporter serves it, Prometheus scrapes both."""
    textfiles = machine.folder / "textfiles"
    textfiles.mkdir()
    machine.begin(
        "watchdog", "live", "--config", "live.yml", "--interval", "1", "--max-age", "5",
        "--textfile", str(textfiles / "live.prom"), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    port = free_port()
    exporter = subprocess.Popen(
        [
            needed("prometheus-node-exporter"),
            "--collector.disable-defaults",
            "--collector.textfile",
            f"--collector.textfile.directory={textfiles}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    targets = {"kline-ops": {"live": recorder}, "node": {"": port}}
    try:
        with prometheus(machine.folder / "prometheus", targets) as server:
            until(lambda: server.value('kline_ops_watchdog_session_state{state="WELL"}'), PATIENCE)
            until(lambda: server.ups("kline-ops") == [1.0], PATIENCE)
            yield server
    finally:
        exporter.terminate()
        exporter.wait(30)


def test_a_recorder_from_well_to_dead(machine: Machine) -> None:
    """Planned restarts fire nothing, each panel shows something, and a death is told of twice."""
    port = configured(machine)
    recorder = machine.begin("run", "live", "--config", "live.yml", stdout=subprocess.DEVNULL)
    until(lambda: machine.state("live").get("status") == "recording", PATIENCE)
    with watched(machine, port) as server:
        check_body(port)
        until(lambda: server.value(PLANNED) >= 3, PATIENCE)
        assert server.ups("kline-ops") == [1.0]
        check_series(server)
        check_panels(server)
        assert server.has_fired() == set()

        recorder.kill()
        server.await_firing("KlineOpsSessionDead", "KlineOpsRecorderDown")
        assert server.has_fired() == {"KlineOpsSessionDead", "KlineOpsRecorderDown"}
        (found,) = server.query('ALERTS{alertname="KlineOpsSessionDead", alertstate="firing"}')
        assert (found["metric"]["session"], found["metric"]["state"]) == ("live", "DEAD")
        rules = server.ask("/api/v1/rules")["groups"]
        broken = [rule for group in rules for rule in group["rules"] if rule["health"] != "ok"]
        assert broken == []


def test_a_restart_of_the_process_and_a_stop_fire_nothing(machine: Machine) -> None:
    port = configured(machine)
    machine.run("start", "live", "--config", "live.yml", "--wait", "30")
    with watched(machine, port) as server:
        began = 'kline_ops_start_time_seconds{session="live"}'
        first = until(lambda: server.value(began), PATIENCE)
        assert machine.run("restart", "live").returncode == 0
        until(lambda: server.value(began) > first, PATIENCE)
        # What the restart has left behind shows in the time that the end is looked at.
        assert machine.run("stop", "live").returncode == 0
        until(lambda: server.value('kline_ops_watchdog_session_state{state="STOPPED"}'), PATIENCE)
        until(lambda: server.ups("kline-ops") == [0.0], PATIENCE)
        looked = server.value("vector(time())")
        until(lambda: server.value("vector(time())") > looked + FOR + 4, PATIENCE)
        assert server.has_fired() == set()


def check_body(port: int) -> None:
    """What is scraped is as Prometheus wants it."""
    command = ["curl", "-s", f"http://127.0.0.1:{port}/metrics"]
    body = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    checked = promtool("check", "metrics", input=body)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def check_series(server: Prometheus) -> None:
    """There are many, and of most of our metrics."""
    assert server.value('count({session="live", job="kline-ops"})') >= 50
    scraped = {one["metric"]["__name__"] for one in server.query('{session="live"}')}
    assert len(scraped & {metric.full_name for metric in METRICS}) >= 40


def check_panels(server: Prometheus) -> None:
    """Each panel of the dashboard shows something."""
    asked = expressions(session="live", rate_interval="15s")
    shown = {expr: title for title, expr in asked if not any(name in expr for name in EMPTY)}
    for expr in {expr for _, expr in asked} - set(shown):
        server.query(expr)  # a bad one raises

    def blank() -> list[str]:
        return [title for expr, title in shown.items() if not has_numbers(server, expr)]

    try:
        until(lambda: not blank(), PATIENCE)
    except AssertionError:
        assert blank() == []


def has_numbers(server: Prometheus, expr: str) -> bool:
    """Is there a sample that is a number? Of a rate, NaN is none."""
    return any(one["value"][1] != "NaN" for one in server.query(expr))
