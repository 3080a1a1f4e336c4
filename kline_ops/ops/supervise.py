"""What tmux runs: keeps a recorder running, and writes down how each run of it ended.

The recorder stays in the terminal's foreground group and owns the keys; this process ignores SIGINT,
passes SIGTERM and SIGHUP on, and restores the terminal after a kill. Exit codes 0 and 2 are final: a
clean end, or an error that a restart would only repeat.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import termios
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO

from kline_ops.clock import Clock
from kline_ops.errors import EXIT_GOOD, EXIT_USAGE
from kline_ops.market import timestamp
from kline_ops.ops.crashes import CrashBudget
from kline_ops.watch.files import Json, write_json

#: Tells the recorder who keeps it, for the registry.
KEEPER_VARIABLE = "KLINE_OPS_KEEPER"
_FINAL = {EXIT_GOOD, EXIT_USAGE}
_LAST_LINES = 20


class Supervisor:
    """Runs one command until it ends for good."""

    def __init__(self, name: str, command: Sequence[str], exit_file: Path, clock: Clock) -> None:
        self._name = name
        self._command = list(command)
        self._exit_file = exit_file
        self._clock = clock
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._budget = CrashBudget()
        self._starts = 0

    def run(self) -> int:
        """The exit code of the last run; 128 + n after signal n, as a shell says it."""
        self._catch_signals()
        terminal = _terminal()
        while True:
            code, last_lines = self._run_once()
            _restore(terminal)
            final = code in _FINAL or self._stopping.is_set()
            self._write_exit(code, last_lines, final=final)
            if final:
                return code if code >= 0 else 128 - code
            delay = self._budget.delay(self._clock.monotonic())
            _say(f"the recorder ended ({_how(code)}); starting it again in {delay:g} s")
            if self._stopping.wait(delay):
                return EXIT_GOOD

    def _catch_signals(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._pass_on)

    def _pass_on(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping.set()
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)

    def _run_once(self) -> tuple[int, list[str]]:
        self._starts += 1
        environ = {**os.environ, KEEPER_VARIABLE: str(os.getpid())}
        self._child = child = subprocess.Popen(self._command, env=environ, stderr=subprocess.PIPE)
        if self._stopping.is_set():
            child.send_signal(signal.SIGTERM)
        last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        if child.stderr is not None:
            _copy(child.stderr, last_lines)
        return child.wait(), list(last_lines)

    def _write_exit(self, code: int, last_lines: list[str], *, final: bool) -> None:
        told: Json = {
            "name": self._name,
            "code": code if code >= 0 else None,
            "signal": signal.Signals(-code).name if code < 0 else None,
            "at": timestamp.to_text(self._clock.wall_ms()),
            "final": final,
            "starts": self._starts,
            "reason": last_lines[-1] if last_lines else "",
            "last_lines": last_lines,
        }
        try:
            write_json(self._exit_file, told)
        except OSError as error:
            _say(f"cannot write {self._exit_file}: {error.strerror}")


def _copy(stderr: IO[bytes], last_lines: deque[str]) -> None:
    """Show the recorder's error output and remember its end, until it is closed."""
    for line in stderr:
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            last_lines.append(text)
            _say(text)


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - the terminal is ours
    except OSError:
        return  # the terminal is gone; exit.json and the log have it


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _terminal() -> list[object] | None:
    try:
        return termios.tcgetattr(0)
    except termios.error:
        return None


def _restore(terminal: list[object] | None) -> None:
    if terminal is None:
        return
    try:
        termios.tcsetattr(0, termios.TCSADRAIN, terminal)  # type: ignore[arg-type]
    except termios.error:
        return  # the terminal is gone
