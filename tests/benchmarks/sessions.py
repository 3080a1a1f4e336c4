"""How long `start`, `restart` and `stop` take, and what a change to a fresh process costs in candles.

Run it with `make bench-sessions` (a minute and a half). Real tmux, real processes, 1 s candles from an
exchange of its own process, without backfill: what is lost stays lost. Beside it, what users do without
such a command: stop, then start.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.machine import Machine, until
from tests.support.trial import write_config

TIMES = 5
PORT = "29444"
EXCHANGE = [sys.executable, "-m", "kline_ops", "exchange", "--port", PORT]


class Session:
    """One session, and a stop watch."""

    def __init__(self, machine: Machine, name: str, config: Path) -> None:
        self.machine, self.name, self.config = machine, name, str(config)

    def takes(self, *command: str) -> float:
        began = time.perf_counter()
        told = self.machine.run(*command[:1], self.name, *command[1:])
        assert told.returncode == 0, told.stderr
        return time.perf_counter() - began

    def start(self) -> float:
        return self.takes("start", "--config", self.config)

    def missing(self) -> int:
        ran = self.machine.run("analyze-gaps", self.name, "--json")
        return int(json.loads(ran.stdout)["files"][0]["missing"])


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ko-") as name, contextlib.ExitStack() as stack:
        machine = Machine(Path(name), f"bench-{os.getpid()}")
        stack.callback(machine.close)
        exchange = subprocess.Popen(EXCHANGE, stdout=subprocess.DEVNULL, env=machine.environ)
        stack.callback(exchange.wait, 10)
        stack.callback(exchange.send_signal, signal.SIGTERM)
        until(listens)
        config = write_config(
            Path(name), f"ws://127.0.0.1:{PORT}/ws", f"http://127.0.0.1:{PORT}",
            record__backfill=False,
        )  # fmt: skip
        session = Session(machine, "bench", config)
        print(f"{'':32}{'median s':>10}{'worst s':>10}{'candles lost':>14}")
        starts, stops = [], []
        for _ in range(TIMES):
            starts.append(session.start())
            stops.append(session.takes("stop"))
        show("start, to the first data", starts)
        show("stop", stops)
        session.start()
        changes, before = [], session.missing()
        for _ in range(TIMES):
            time.sleep(3)
            changes.append(session.takes("restart"))
        time.sleep(3)
        show(f"restart ({TIMES} times)", changes, session.missing() - before)
        both, before = [], session.missing()
        for _ in range(TIMES):
            time.sleep(3)
            both.append(session.takes("stop") + session.start())
        time.sleep(3)
        show(f"stop, then start ({TIMES} times)", both, session.missing() - before)


def listens() -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(PORT)), 1):
        return True
    return False


def show(what: str, seconds: list[float], lost: int | None = None) -> None:
    told = "" if lost is None else f"{lost:>14}"
    print(f"{what:32}{statistics.median(seconds):10.2f}{max(seconds):10.2f}{told}", flush=True)


if __name__ == "__main__":
    main()
