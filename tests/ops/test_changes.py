"""What could go wrong with a change to a fresh process, and must not end or hide a recording."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kline_ops.cli.pane import Pane
from kline_ops.cli.restart import _check_nothing_waits
from kline_ops.clock import SystemClock
from kline_ops.errors import SessionError
from kline_ops.watch.files import write_json
from kline_ops.watch.process import Process, look_at
from tests.support.machine import ROOT, Machine, kill, until
from tests.watch.test_registry import DEMO

GOOD = "exchange: {embedded: true}\nbinance: {stream: {symbol: btcusdt, timeframe: 1s}}\n"
#: Holds the lock of a candle file for three seconds, as a backfill may.
HOLDER = """
import sys, time
from pathlib import Path
from kline_ops.record.lock import FileLock
lock = FileLock(Path(sys.argv[1]))
while True:
    try:
        lock.acquire("backfill")
        break
    except Exception:
        time.sleep(0.001)
print("held", flush=True)
time.sleep(3)
"""


@pytest.fixture
def config(machine: Machine) -> Path:
    path = machine.folder / "demo.yml"
    path.write_text(GOOD)
    assert machine.run("start", "demo", "--config", str(path)).returncode == 0
    return path


def entry(machine: Machine) -> dict[str, Any]:
    told = json.loads((machine.folder / "state/kline-ops/sessions/demo.json").read_text())
    assert isinstance(told, dict)
    return told


def is_well(machine: Machine) -> bool:
    return machine.status("demo")["state"] in {"RECORDING", "CATCHING_UP"}


def test_other_columns_are_nothing_to_take_over(machine: Machine, config: Path) -> None:
    first = machine.status("demo")["pid"]
    config.write_text(GOOD + "record: {columns: full}\n")
    refused = machine.run("restart", "demo")
    assert refused.returncode == 1
    assert "goes on in its old process" in refused.stderr
    assert look_at(first, None) is Process.RUNNING
    assert is_well(machine)


def test_a_config_that_came_to_nothing_is_not_used_after_a_crash(
    machine: Machine, config: Path
) -> None:
    bad = machine.folder / "bad.yml"
    bad.write_text(f"data_dir: {machine.data('demo')}\n{GOOD}record: {{columns: full}}\n")
    assert machine.run("restart", "demo", "--config", str(bad)).returncode == 1
    assert entry(machine)["config"] == str(config)
    first = machine.status("demo")["pid"]
    kill(first)
    until(lambda: machine.status("demo")["pid"] not in {None, first} and is_well(machine))


def test_a_lock_that_is_held_for_a_moment_after_a_crash_is_waited_for(
    machine: Machine, config: Path
) -> None:
    first = machine.status("demo")["pid"]
    csv = machine.data("demo") / "candles_BTCUSDT_1s.csv"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(csv)],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
    ) as holder:  # fmt: skip
        kill(first)
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        until(lambda: machine.status("demo")["pid"] not in {None, first} and is_well(machine))
    told = json.loads((machine.data("demo") / "exit.json").read_text())
    assert told["final"] is False


def test_another_recorder_of_this_name_is_refused(machine: Machine, config: Path) -> None:
    other = machine.folder / "elsewhere.yml"
    other.write_text(f"data_dir: {machine.folder / 'elsewhere'}\n{GOOD}")
    before = entry(machine)
    refused = machine.run("run", "demo", "--config", str(other))
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "demo is running, and records into" in refused.stderr
    assert entry(machine) == before


def test_a_recorder_without_a_supervisor_survives_what_is_meant_for_one(machine: Machine) -> None:
    child = machine.begin("run", "demo")
    until(lambda: machine.state("demo").get("metadata", {}).get("live"))
    kill(child.pid, signal.SIGUSR1)
    refused = machine.run("restart", "demo")
    assert refused.returncode == 2
    assert "has no supervisor" in refused.stderr
    assert child.poll() is None


def test_a_supervisor_that_is_gone_is_not_signalled(machine: Machine) -> None:
    """Whoever has its pid by then would be ended by it."""
    keeper = machine.begin("supervise", "demo")
    until(lambda: machine.state("demo").get("metadata", {}).get("live"))
    pid = machine.status("demo")["pid"]
    kill(keeper.pid)
    keeper.wait(10)
    refused = machine.run("restart", "demo")
    assert refused.returncode == 3
    assert "no supervisor any more" in refused.stderr
    kill(pid, signal.SIGTERM)


def test_candles_that_wait_for_the_disk_are_not_given_away(tmp_path: Path) -> None:
    known = replace(DEMO, state_file=str(tmp_path / "state.json"))
    metadata = {"session": known.name, "disk_error": "No space left on device", "waiting": 43}
    write_json(tmp_path / "state.json", {"metadata": metadata})
    with pytest.raises(SessionError, match="43 candle"):
        _check_nothing_waits(known)
    write_json(tmp_path / "state.json", {"metadata": metadata | {"disk_error": None}})
    _check_nothing_waits(known)


def test_ctrl_c_while_the_processes_change_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Session:
        stopped = ""

        def stop(self, reason: str) -> None:
            self.stopped = reason

    controller, terminal = os.openpty()
    with contextlib.closing(os.fdopen(terminal)) as stdin, os.fdopen(controller):
        monkeypatch.setattr("sys.stdin", stdin)
        session: Any = Session()
        pane = Pane(SystemClock(), supervised=True, plain=True)
        pane.signalled(signal.SIGINT, session)
        assert session.stopped == ""
        pane.signalled(signal.SIGTERM, session)
        assert session.stopped == "SIGTERM"
