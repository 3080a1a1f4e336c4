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
import time
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
        self._stopping = False
        #: Its terminal went away (the tmux server was killed): nobody asked it to end.
        self._orphaned = False
        self._budget = CrashBudget()
        self._starts = 0

    def run(self) -> int:
        """The exit code of the last run; 128 + n after signal n, as a shell says it."""
        self._catch_signals()
        terminal = _terminal()
        while True:
            began = self._clock.monotonic()
            code, last_lines = self._run_once()
            _restore(terminal)
            if self._is_stopping() and code == -signal.SIGTERM:
                code = EXIT_GOOD  # it was told to end before it could listen
            if code in _FINAL or self._is_stopping():
                self._write_exit(code, last_lines, None)
                return code if code >= 0 else 128 - code
            delay = self._budget.delay(self._clock.monotonic(), self._clock.monotonic() - began)
            self._write_exit(code, last_lines, self._clock.wall_ms() + int(delay * 1000))
            _say(f"the recorder ended ({_how(code)}); starting it again in {delay:g} s")
            self._wait(delay)
            if self._is_stopping():
                self._write_exit(EXIT_GOOD, last_lines, None)
                return EXIT_GOOD

    def _catch_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)  # keys of the terminal: the recorder's
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._pass_on)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._orphaned |= number == signal.SIGHUP and not self._stopping
        self._stopping = True
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)

    def _is_stopping(self) -> bool:
        """Set by a signal, between any two lines."""
        return self._stopping

    def _wait(self, seconds: float) -> None:
        """Sleep, but not past a signal that ends it all."""
        deadline = self._clock.monotonic() + seconds
        while not self._is_stopping() and (left := deadline - self._clock.monotonic()) > 0:
            time.sleep(min(left, 0.2))

    def _run_once(self) -> tuple[int, list[str]]:
        self._starts += 1
        environ = {**os.environ, KEEPER_VARIABLE: str(os.getpid())}
        self._child = child = subprocess.Popen(self._command, env=environ, stderr=subprocess.PIPE)
        if self._is_stopping():
            child.send_signal(signal.SIGTERM)
        last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        if child.stderr is not None:
            _copy(child.stderr, last_lines)
        return child.wait(), list(last_lines)

    def _write_exit(self, code: int, last_lines: list[str], next_start_ms: int | None) -> None:
        told: Json = {
            "name": self._name,
            "code": code if code >= 0 else None,
            "signal": signal.Signals(-code).name if code < 0 else None,
            "at": timestamp.to_text(self._clock.wall_ms()),
            "final": next_start_ms is None,
            "orphaned": self._orphaned,
            "next_start": None if next_start_ms is None else timestamp.to_text(next_start_ms),
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
    """As it is to be after each run; Ctrl+S must not put it, and us, on hold."""
    try:
        attributes = termios.tcgetattr(0)
        attributes[0] &= ~termios.IXON
        termios.tcsetattr(0, termios.TCSANOW, attributes)
    except termios.error:
        return None
    return list(attributes)


def _restore(terminal: list[object] | None) -> None:
    if terminal is None:
        return
    try:
        termios.tcsetattr(0, termios.TCSANOW, terminal)  # type: ignore[arg-type]
    except termios.error:
        return  # the terminal is gone
