"""``kline-ops run``: every way to end it is clean, with and without a terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from tests.support.machine import Machine, until


def recording(machine: Machine, pid: int) -> bool:
    metadata = machine.state("demo").get("metadata", {})
    return metadata.get("pid") == pid and metadata.get("live")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly_within_two_seconds(
    machine: Machine, number: signal.Signals
) -> None:
    child = machine.begin("run", "demo")
    until(lambda: recording(machine, child.pid))
    began = time.monotonic()
    child.send_signal(number)
    output, errors = child.communicate(timeout=10)
    assert time.monotonic() - began < 2
    assert child.returncode == 0
    assert errors == ""
    assert f"stopped: {number.name}" in output
    assert machine.state("demo")["status"] == "stopped"


@pytest.mark.parametrize("keys", [b"q", b"\x1b[21~", b"\x03"], ids=["q", "F10", "Ctrl+C"])
def test_a_key_ends_it_cleanly(machine: Machine, keys: bytes) -> None:
    controller, terminal = pty.openpty()

    def own_the_terminal() -> None:
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    child = machine.begin(
        "run", "demo", stdin=terminal, stdout=terminal, start_new_session=True,
        preexec_fn=own_the_terminal,
    )  # fmt: skip
    os.close(terminal)
    until(lambda: recording(machine, child.pid))
    os.write(controller, keys)
    assert child.wait(5) == 0
    os.close(controller)
    assert machine.state("demo")["status"] == "stopped"


def test_the_terminal_may_go_away(machine: Machine) -> None:
    """A closed terminal is a SIGHUP, and nobody left to write to."""
    controller, terminal = pty.openpty()
    child = machine.begin("run", "demo", stdin=terminal, stdout=terminal)
    os.close(terminal)
    until(lambda: recording(machine, child.pid))
    os.close(controller)
    child.send_signal(signal.SIGHUP)
    assert child.wait(5) == 0
    assert machine.state("demo")["status"] == "stopped"


def test_an_unknown_preset_is_one_line(machine: Machine) -> None:
    refused = machine.run("run", "demo", "--log-preset", "loud")
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        "kline-ops: --log-preset: no preset 'loud'. Try: prod, dev or trace"
    ]


PATCHED = {
    "a name server that hangs": """
import socket, time
socket.getaddrinfo = lambda *args, **kwargs: time.sleep(60)
""",
    "a disk that hangs in a write": """
import time
from kline_ops.record.disk import Disk
Disk.write = lambda *args: time.sleep(60)
""",
    "a disk that hangs in an open": """
import time
from kline_ops.record.disk import Disk
Disk.open = lambda *args: time.sleep(60)
""",
}


@pytest.mark.parametrize("patch", PATCHED.values(), ids=PATCHED.keys())
def test_nothing_that_hangs_holds_up_the_end(machine: Machine, patch: str) -> None:
    (machine.folder / "far.yml").write_text(
        "binance: {ws_url: 'ws://exchange.invalid/ws', stream: {symbol: btcusdt, timeframe: 1h}}\n"
        if "socket" in patch
        else "exchange: {embedded: true}\nbinance: {stream: {symbol: btcusdt, timeframe: 1s}}\n"
    )
    script = f"{patch}\nfrom kline_ops.cli import main\nmain()\n"
    child = subprocess.Popen(
        [sys.executable, "-c", script, "run", "far", "--config", "far.yml"],
        env=machine.environ, cwd=machine.folder, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: machine.state("far").get("metadata", {}).get("pid") == child.pid)
        time.sleep(1.5)
        began = time.monotonic()
        child.send_signal(signal.SIGTERM)
        child.wait(10)
        assert time.monotonic() - began < 3
    finally:
        child.kill()
        child.wait()


def test_a_log_that_can_not_be_written_is_no_reason_to_fail(machine: Machine) -> None:
    machine.data("demo").mkdir(parents=True)
    (machine.data("demo") / "session.log").symlink_to("/dev/full")
    child = machine.begin("run", "demo", stdout=subprocess.DEVNULL)
    until(lambda: recording(machine, child.pid))
    child.send_signal(signal.SIGTERM)
    assert child.wait(5) == 0


def test_without_standard_input_it_records(machine: Machine) -> None:
    child = subprocess.Popen(
        ["sh", "-c", f"exec {sys.executable} -m kline_ops run demo <&- >/dev/null"],
        env=machine.environ, cwd=machine.folder,
    )  # fmt: skip
    try:
        until(lambda: recording(machine, child.pid))
        child.send_signal(signal.SIGQUIT)
        assert child.wait(5) == 0
        assert machine.state("demo")["status"] == "stopped"
    finally:
        child.kill()
        child.wait()


def test_under_nohup_it_outlives_its_terminal(machine: Machine) -> None:
    child = machine.begin(
        "run", "demo", stdout=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    until(lambda: recording(machine, child.pid))
    child.send_signal(signal.SIGHUP)
    before = machine.state("demo")["candles_received"]
    until(lambda: machine.state("demo")["candles_received"] > before)
    child.send_signal(signal.SIGTERM)
    assert child.wait(5) == 0
