"""A session whose addresses hold secrets: they are in nothing that it writes or says."""

from __future__ import annotations

import json
import os
import signal

import pytest
import yaml

from tests.support.exchange_thread import ExchangeThread
from tests.support.machine import Machine, until

HOOK = "https://hooks.slack.com/services/T0/B0/hidden"


def config(machine: Machine, ws_url: str, rest_url: str) -> None:
    def secret(url: str) -> str:
        scheme, _, rest = url.partition("://")
        return f"{scheme}://user:hidden@{rest}"

    binance = {
        "ws_url": f"{secret(ws_url)}?token=hidden",
        "failover_urls": [f"{secret('ws://127.0.0.1:1/ws')}?token=hidden"],
        "rest_url": secret(rest_url),
        "stream": {"symbol": "btcusdt", "timeframe": "1s"},
    }
    tree = {
        "binance": binance,
        "credentials": {"sops_mainnet": HOOK},
        "logger": {"preset": "trace"},
    }
    (machine.folder / "x.yml").write_text(yaml.safe_dump(tree))


def written(machine: Machine) -> dict[str, str]:
    """All files of the machine but the config itself."""
    return {
        str(path): path.read_bytes().decode("utf-8", "replace")
        for path in machine.folder.rglob("*")
        if path.is_file() and path.suffix != ".yml"
    }


@pytest.mark.long
def test_no_secret_of_an_address_is_written_or_said(machine: Machine) -> None:
    said = {}

    def run(*arguments: str, **environ: str) -> str:
        done = machine.run(*arguments, **environ)
        said[" ".join(arguments)] = done.stdout + done.stderr
        return done.stdout

    with ExchangeThread() as exchange:
        config(machine, exchange.server.ws_url, exchange.rest_url)
        with (machine.folder / "output").open("w") as output:
            child = machine.begin("run", "x", "--config", "x.yml", stdout=output)
        log = machine.data("x") / "session.log"
        until(lambda: machine.state("x").get("candles_received", 0) >= 2)
        run("status", "x")
        run("verify", "x")
        run("doctor", "x")
        port = exchange.rest_url.rpartition(":")[2]
    # It is gone: what follows are errors of connections and of REST.
    until(lambda: log.read_text().count('"action":"disconnected"') >= 4)
    until(lambda: "backfill_failed" in (machine.data("x") / "events.jsonl").read_text())
    given = ("x", "--config", "x.yml")
    for command in (
        ["status", "x"], ["status", "x", "--json"], ["list"], ["logs", "x", "-n", "9999"],
        ["logs", "x", "--json"], ["logs", "x", "--events"], ["config", "show", *given],
        ["config", "check", *given], ["run", *given],
    ):  # fmt: skip
        run(*command)
    for key, value in {
        "WS_URL": "user:hidden@host/ws?token=hidden", "REST_URL": "ftp://user:hidden@host/?x=hidden",
    }.items():  # fmt: skip
        variable = f"KLINE_OPS__BINANCE__{key}"
        run("config", "check", *given, **{variable: value})
    run("backfill", "x", "--rest-url", "ftp://u:hidden@api.binance.us")
    os.kill(child.pid, signal.SIGTERM)
    _, said["errors"] = child.communicate(timeout=10)
    run("status", "x")

    told = f"ws://…@127.0.0.1:{port}/ws?token=…"
    assert told in said["status x"]
    assert told in said["doctor x"]
    assert f"ws_url: {told}" in said["config show x --config x.yml"]
    assert "sops_mainnet: …" in said["config show x --config x.yml"]
    assert json.loads(said["status x --json"])["endpoint"] == told
    files = written(machine)
    assert {"session.log", "events.jsonl", "heartbeat.state.json", "x.json"} <= {
        path.rpartition("/")[2] for path in files
    }
    entry = files[str(machine.folder / "state/kline-ops/sessions/x.json")]
    assert json.loads(entry)["endpoint"] == told
    assert f"cannot connect to {told}" in files[str(machine.folder / "output")]
    # What the library tells at this preset: the request, and the header it makes of user and password.
    trace = files[str(log)]
    assert "Authorization: …" in trace
    assert "GET /ws/btcusdt@kline_1s?token=… HTTP/1.1" in trace
    for place, text in {**files, **said}.items():
        assert "hidden" not in text, f"{place}: {text[text.index('hidden') - 200 :][:400]}"
        assert "dXNlcjpoaWRkZW4" not in text, place


def test_who_begins_it_is_told_of_those_in_clear_text(machine: Machine) -> None:
    with ExchangeThread() as exchange:
        config(machine, exchange.server.ws_url, exchange.rest_url)
        begun = ("x", "--config", "x.yml")
        told = machine.run("start", *begun).stderr
        assert told.startswith(f"kline-ops: warning: {machine.folder / 'x.yml'} holds secrets in")
        assert "hidden" not in told
        assert machine.run("start", *begun).stderr == ""  # it runs already
        machine.run("stop", "x")
        child = machine.begin("run", *begun)
        until(lambda: machine.status("x")["pid"] == child.pid)
        child.terminate()
        assert child.communicate(timeout=10)[1] == told


def test_what_nobody_expected_is_told_without_secrets(machine: Machine) -> None:
    """The name of a file may be an address as well."""
    refused = machine.run("analyze-gaps", "https://u:hidden@host/candles.csv?token=hidden")
    assert refused.returncode == 2
    assert "hidden" not in refused.stderr
