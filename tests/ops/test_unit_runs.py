"""A written unit is run as systemd runs it, with a manager of our own at the other end of its socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.support.machine import Machine, until
from tests.support.unit_file import command_line, value, values, words

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

#: Seconds that the manager waits for a word before it would kill.
_WATCHDOG = 2.0


class Manager:
    """Keeps all that it is told."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.told: list[str] = []

    def hears(self, words: str, times: int = 1) -> Callable[[], bool]:
        """Has it been told so, as often as that?"""

        def look() -> bool:
            self.listen()
            return sum(line.startswith(words) for line in self.told) >= times

        return look

    def listen(self) -> None:
        while True:
            try:
                self.told += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return


@pytest.fixture
def manager(machine: Machine) -> Manager:
    return Manager(machine.folder / "notify")


def begin(
    machine: Machine,
    unit: str,
    folder: Path,
    more: Mapping[str, str] = MappingProxyType({}),
    out: Path | None = None,
) -> subprocess.Popen[bytes]:
    """What ``ExecStart=`` runs, in the environment that systemd gives it."""
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(machine.folder),
        "PYTHONPATH": machine.environ["PYTHONPATH"],
    }
    for setting in values(unit, "Environment"):
        (variable,) = words(setting)
        key, _, text = variable.partition("=")
        environ[key] = text
    environ |= more
    environ |= {
        "NOTIFY_SOCKET": str(folder / "notify"),
        "WATCHDOG_USEC": str(int(_WATCHDOG * 1e6)),
    }
    # WATCHDOG_PID is the pid of the service's first process.
    script = 'export WATCHDOG_PID=$$; exec "$@"'
    with (out or Path(os.devnull)).open("wb") as stdout:
        return subprocess.Popen(
            ["sh", "-c", script, "sh", *command_line(value(unit, "ExecStart"))],
            env=environ, cwd="/", stdin=subprocess.DEVNULL, stdout=stdout,
        )  # fmt: skip


def test_a_unit_runs_tells_and_ends(machine: Machine, manager: Manager) -> None:
    wrote = machine.run("units", "demo", "--systemd", "--user", "--output", "un its")
    assert wrote.returncode == 0
    unit = (machine.folder / "un its" / "kline-ops-demo.service").read_text()
    service = begin(machine, unit, machine.folder)
    try:
        until(manager.hears("READY=1"))
        until(manager.hears("STATUS=RECORDING"))
        until(manager.hears("WATCHDOG=1", 4))
        recorder = machine.state("demo")["metadata"]["pid"]

        # A recorder that stands still is silent for as long as the manager waits.
        os.kill(recorder, signal.SIGSTOP)
        time.sleep(0.2)
        manager.listen()
        manager.told.clear()
        time.sleep(_WATCHDOG * 1.5)
        manager.listen()
        assert "WATCHDOG=1" not in manager.told
        os.kill(recorder, signal.SIGCONT)
        until(manager.hears("WATCHDOG=1"))

        # A fresh process takes over: the service goes on as it was.
        assert machine.run("restart", "demo").returncode == 0
        recorder, before = machine.state("demo")["metadata"]["pid"], recorder
        assert recorder != before
        manager.listen()
        manager.told.clear()
        until(manager.hears("WATCHDOG=1", 3))
        assert not manager.hears("STOPPING=1")()

        # One that crashed is started again; the service has not ended.
        os.kill(recorder, signal.SIGKILL)
        until(lambda: machine.state("demo")["metadata"]["pid"] != recorder)
        manager.told.clear()
        until(manager.hears("WATCHDOG=1", 2))
        assert not manager.hears("STOPPING=1")()

        service.send_signal(signal.SIGTERM)
        assert service.wait(20) == 0
        until(manager.hears("STOPPING=1"))
    finally:
        if service.poll() is None:
            service.kill()
            service.wait()
        manager.socket.close()


def test_the_watchdog_tells_that_the_session_is_dead(machine: Machine, manager: Manager) -> None:
    machine.run("units", "demo", "--systemd", "--user", "--output", "units")
    folder = machine.folder / "units"
    unit = (folder / "kline-ops-demo-watchdog.service").read_text()
    often = {
        "KLINE_OPS__RESILIENCE__WATCHDOG__CYCLE_INTERVAL": "1",
        "KLINE_OPS__RESILIENCE__WATCHDOG__MAX_HEARTBEAT_AGE": "2",
    }
    service = begin(machine, (folder / "kline-ops-demo.service").read_text(), machine.folder)
    out = machine.folder / "told"
    watchdog = begin(machine, unit, machine.folder, often, out)
    try:
        until(manager.hears("STATUS=RECORDING"))
        until(lambda: "demo: WELL" in out.read_text())
        recorder = machine.state("demo")["metadata"]["pid"]
        service.kill()
        service.wait()
        os.kill(recorder, signal.SIGKILL)
        until(lambda: "CRITICAL demo: dead" in out.read_text(), 5)
        watchdog.send_signal(signal.SIGTERM)
        assert watchdog.wait(10) == 0
    finally:
        for process in (service, watchdog):
            if process.poll() is None:
                process.kill()
                process.wait()
        manager.socket.close()


def test_a_bad_config_is_final(machine: Machine, manager: Manager) -> None:
    """The exit code that ``RestartPreventExitStatus=`` names, and no word of being ready."""
    config = machine.folder / "mine.yml"
    config.write_text("exchange: {embedded: true}\nbinance: {stream: {symbol: b, timeframe: 1s}}\n")
    good = config.read_text().replace("symbol: b,", "symbol: btcusdt,")
    config.write_text(good)
    machine.run("units", "mine", "--config", "mine.yml", "--systemd", "--user", "--output", "units")
    config.write_text(good.replace("btcusdt", "b"))
    unit = (machine.folder / "units" / "kline-ops-mine.service").read_text()
    ended = begin(machine, unit, machine.folder).wait(20)
    assert str(ended) == value(unit, "RestartPreventExitStatus") == "2"
    assert not manager.hears("READY=1")()
    manager.socket.close()
