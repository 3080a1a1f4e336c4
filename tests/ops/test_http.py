"""HTTP of a session in tmux: it goes on through a restart, and is gone with the session."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.machine import Machine, kill, until
from tests.support.web import ask, free_port

CONFIG: dict[str, Any] = {
    "exchange": {"embedded": True},
    "binance": {"stream": {"symbol": "btcusdt", "timeframe": "1s"}},
}


def get(port: int, path: str) -> tuple[int, Any]:
    """Code and body; 0 where nobody listens."""
    try:
        got = asyncio.run(asyncio.wait_for(ask(port, path), 10))
    except OSError:
        return 0, None
    return got.code, got.json()


@pytest.mark.long
def test_a_session_answers_through_a_restart_and_a_crash(machine: Machine) -> None:
    port = free_port()
    config = machine.folder / "demo.yml"
    config.write_text(yaml.safe_dump({**CONFIG, "http": {"port": port}}))
    assert machine.run("start", "demo", "--config", str(config)).returncode == 0
    until(lambda: get(port, "/ready")[0] == 200)
    first = get(port, "/api/status")[1]
    told = machine.status("demo")
    same = {"name", "state", "pid", "symbol", "interval", "csv", "log", "endpoint", "lock_holder"}
    assert {key: first[key] for key in same} == {key: told[key] for key in same}
    assert first.keys() == told.keys() | {"stopping"}

    assert machine.run("restart", "demo").returncode == 0
    second = until(lambda: (get(port, "/api/status")[1] or first)["pid"] != first["pid"] and get(
        port, "/api/status"
    )[1])  # fmt: skip
    assert second["pid"] == machine.status("demo")["pid"]
    log = Path(machine.data("demo") / "session.log").read_text().splitlines()
    assert not [line for line in log if "can not be had" in json.loads(line)["message"]]

    kill(second["pid"])
    until(
        lambda: get(port, "/api/status")[1] not in (None, second) and get(port, "/ready")[0] == 200
    )
    until(lambda: get(port, "/complete")[0] == 200, 30)
    assert machine.run("stop", "demo").returncode == 0
    assert get(port, "/healthz")[0] == 0
