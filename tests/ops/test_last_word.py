"""What is stopped by hand is known as stopped, whatever its own disk took, and however it ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.machine import Machine, kill, until


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk of its own needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(folder: Path) -> Path:
    """Until nothing more goes onto that disk."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return ballast


def begin(machine: Machine, **changes: Any) -> None:
    tree = {
        "binance": {"stream": {"symbol": "btcusdt", "timeframe": "1s"}},
        "exchange": {"embedded": True},
        "resilience": {"heartbeat": {"interval": 0.5}},
    }
    (machine.folder / "mine.yml").write_text(yaml.safe_dump(tree | changes))
    started = machine.run("start", "mine", "--config", "mine.yml")
    assert started.returncode == 0, started.stderr
    until(lambda: machine.status("mine")["state"] == "RECORDING")


@contextlib.contextmanager
def frozen(pids: list[int]) -> Iterator[None]:
    """They are suspended again as soon as they were continued."""
    is_over = threading.Event()

    def freeze() -> None:
        while not is_over.wait(0.002):
            for pid in pids:
                kill(pid, signal.SIGSTOP)

    thread = threading.Thread(target=freeze)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def check(machine: Machine, *options: str) -> tuple[str, str]:
    told = machine.run("watchdog", "mine", "--once", *options)
    return told.stdout.split(":")[0].strip(), told.stderr


@pytest.mark.long
def test_a_stop_on_a_full_disk_is_a_stop(machine: Machine, disk: Path) -> None:
    begin(machine, data_dir=str(disk / "data"))
    ballast = fill(disk)
    until(lambda: machine.status("mine")["state"] == "STALLED", 30)
    stopped = machine.run("stop", "mine")
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert machine.status("mine")["state"] == "STOPPED"
    assert check(machine, "--restart") == ("mine STOPPED", "")
    ballast.unlink()
    assert machine.run("start", "mine", "--config", "mine.yml").returncode == 0
    until(lambda: machine.status("mine")["state"] == "RECORDING")
    assert "Restarted" not in machine.run("logs", "mine", "--events").stdout
    assert check(machine) == ("mine WELL", "")


@pytest.mark.long
def test_where_even_the_registry_is_full_that_is_said_and_an_older_entry_serves(
    machine: Machine, disk: Path
) -> None:
    machine.environ["XDG_STATE_HOME"] = str(disk / "state")
    begin(machine, data_dir=str(disk / "data"))
    fill(disk)
    until(lambda: machine.status("mine")["state"] == "STALLED", 30)
    entry = disk / "state" / "kline-ops" / "sessions" / "mine.json"
    entry.write_bytes(b" ".join(entry.read_bytes().split()) + b"\n")  # as one without room
    fill(disk)
    stopped = machine.run("stop", "mine")
    assert stopped.returncode == 0
    (told,) = stopped.stderr.splitlines()
    assert told.startswith("kline-ops: that mine is stopped can not be written down: No space")


@pytest.mark.long
def test_a_full_machine_folder_takes_the_word_in_its_place(machine: Machine, disk: Path) -> None:
    machine.environ["XDG_STATE_HOME"] = str(disk / "state")
    begin(machine, data_dir=str(disk / "data"))
    fill(disk)
    until(lambda: machine.status("mine")["state"] == "STALLED", 30)
    stopped = machine.run("stop", "mine")
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert machine.status("mine")["state"] == "STOPPED"


@pytest.mark.long
def test_a_restart_without_an_exchange_says_what_kept_the_new_one(machine: Machine) -> None:
    begin(machine)
    unreachable = {"ws_url": "ws://127.0.0.1:1/ws", "rest_url": "http://127.0.0.1:1"}
    stream = {"symbol": "btcusdt", "timeframe": "1s"}
    config = yaml.safe_dump({"binance": {"stream": stream} | unreachable})
    (machine.folder / "mine.yml").write_text(config)
    restart = machine.begin("restart", "mine")
    out, told = restart.communicate(timeout=90)
    assert (restart.returncode, out) == (1, "")
    assert "no data within 60 s: connection refused" in told
    assert machine.status("mine")["state"] == "RECORDING"


@pytest.mark.long
@pytest.mark.parametrize("is_hung", [False, True])
def test_a_stop_by_force_is_no_alarm(machine: Machine, is_hung: bool) -> None:
    """``is_hung``: its supervisor ends by SIGKILL as well, and writes nothing down."""
    begin(machine)
    entry = json.loads((machine.folder / "state/kline-ops/sessions/mine.json").read_text())
    pids = [machine.state("mine")["metadata"]["pid"], *([entry["keeper_pid"]] if is_hung else [])]
    with frozen(pids):
        stopped = machine.run("stop", "mine", "--timeout", "1")
    assert stopped.returncode == 0
    assert "by force" in stopped.stdout
    told = machine.status("mine")
    assert (told["state"], told["reason"]) == (
        "STOPPED", "it did not end when it was told to, and was killed",
    )  # fmt: skip
    assert check(machine, "--restart") == ("mine STOPPED", "")
