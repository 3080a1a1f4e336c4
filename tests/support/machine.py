"""A machine of one's own for a test: its own home, registry and tmux server; real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

#: What whoever runs the tests has set; the size of a terminal is that of the test's own.
_OF_THE_TESTS = {"TMUX", "PYTHONDONTWRITEBYTECODE", "COLUMNS", "LINES"}


class Machine:
    """Runs ``kline-ops`` as a user would, and leaves nothing behind."""

    def __init__(self, folder: Path, socket: str) -> None:
        self.folder = folder
        self.socket = socket
        self.environ = {
            **{k: v for k, v in os.environ.items() if k not in _OF_THE_TESTS},
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "PYTHONPATH": str(ROOT),
            "KLINE_OPS__OPS__TMUX_SOCKET": socket,
        }
        self._children: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """A command, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "kline_ops", *arguments],
            env=self.environ | environ, cwd=self.folder, capture_output=True, text=True,
            timeout=60, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def begin(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """A command that goes on; it is killed at the end of the test."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE} | options
        child = subprocess.Popen(
            [sys.executable, "-m", "kline_ops", *arguments],
            env=self.environ, cwd=self.folder, stderr=subprocess.PIPE, text=True, **options,
        )  # fmt: skip
        self._children.append(child)
        return child

    def status(self, name: str) -> dict[str, Any]:
        """What ``status --json`` says."""
        told: dict[str, Any] = json.loads(self.run("status", name, "--json").stdout)
        return told

    def data(self, name: str) -> Path:
        """The data_dir of a session."""
        return self.folder / "data" / "kline-ops" / name

    def state(self, name: str) -> dict[str, Any]:
        """The state file of a session; empty before there is one."""
        path = self.data(name) / "state" / "heartbeat.state.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def tmux(self, *arguments: str) -> str:
        """What tmux says on our socket."""
        command = ["tmux", "-L", self.socket, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def close(self) -> None:
        """End everything: sessions, children, the tmux server and its socket."""
        for path in (self.folder / "state" / "kline-ops" / "sessions").glob("*.json"):
            self.run("stop", path.stem, "--timeout", "3")
        for child in self._children:
            if child.poll() is None:
                child.kill()
            child.communicate()
        subprocess.run(["tmux", "-L", self.socket, "kill-server"], capture_output=True, check=False)
        folder = Path(os.environ.get("TMUX_TMPDIR", "/tmp")) / f"tmux-{os.getuid()}"
        (folder / self.socket).unlink(missing_ok=True)


def until(holds: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait until something holds, and answer it; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {holds}"
        time.sleep(0.05)
    return found


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal, whoever is gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
