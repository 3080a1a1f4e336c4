"""A command on a terminal of its own, whose output goes to our terminal and to a log.

A program: ``python -m kline_ops.ops.pty_relay --log FILE … -- ARGV…`` runs in the place of a recorder,
as the child of a supervisor, and ends as the command did: by the same exit code, or the same signal.
The command finds a real terminal (colours, keys, Ctrl+C, the size of the window) and leads a session
of its own (setsid(2)); what it leaves behind ends with it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import selectors
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kline_ops.clock import SystemClock
from kline_ops.market import timestamp
from kline_ops.ops import children
from kline_ops.ops.output_log import OutputLog
from kline_ops.ops.pty_leader import Leader, die_with_parent, exit_code, start
from kline_ops.ops.pty_window import Window
from kline_ops.ops.supervise import KEEPER_VARIABLE
from kline_ops.plain import visible, without_colours
from kline_ops.watch.files import Json, write_json
from kline_ops.watch.process import started_at

#: What the command's environment is to have besides, as JSON: none of it is meant for this process.
ENVIRONMENT_VARIABLE = "KLINE_OPS_COMMAND_ENV"
#: Seconds that what a command left behind may take to end, after SIGTERM, before it is killed.
_LEAVES_WITHIN = 5.0
#: The same where nobody keeps us any more: whoever killed the supervisor is done waiting.
_ORPHANED_WITHIN = 1.0
#: Seconds that a terminal on hold may take for the rest of the output, at the end.
_SHOWN_WITHIN = 1.0
_PIECE = 65_536


class Relay:
    """Runs one command; :meth:`run` is its exit code, or minus the number of a signal.

    Args:
        folder: where the command runs.
        register: is told its pid as soon as it runs.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, log: OutputLog, register: Callable[[int], None]
    ) -> None:
        self._command = list(command)
        self._folder = folder
        self._log = log
        self._register = register
        self._selector = selectors.PollSelector()
        self._window = Window()
        self._keeper = os.getppid()
        self._code: int | None = None
        #: It was told to end; what it says then is no reason.
        self.told = False
        self._deadline: float | None = None
        #: On their way to the command, and whether none come after them.
        self._keys = b""
        self._ended = False

    def run(self) -> int:
        """Raises OSError: the command can not be started."""
        signals = _listen()
        self._controller, terminal = os.openpty()
        self._window.copy_size(self._controller)
        os.set_blocking(self._controller, False)
        self._leader = leader = self._start(terminal)
        os.close(terminal)
        self._register(leader.command)
        self._selector.register(leader.told, selectors.EVENT_READ, self._hear_end)
        self._selector.register(signals, selectors.EVENT_READ, lambda: self._hear(signals))
        self._selector.register(self._controller, selectors.EVENT_READ, self._talk)
        self._window.make_raw()
        self._await_keys()
        try:
            while not self._is_over():
                for key, _ in self._selector.select(self._left()):
                    key.data()
            while self._copy_output():
                pass
            children.end_what_is_left()
            self._window.flush(_SHOWN_WITHIN)
        finally:
            self._window.restore()
            self._log.close()
        return self._code or 0

    def _start(self, terminal: int) -> Leader:
        children.adopt_orphans()
        die_with_parent(signal.SIGTERM)
        environ = {"TERM": "dumb", **os.environ}
        environ.pop(KEEPER_VARIABLE, None)
        environ |= json.loads(environ.pop(ENVIRONMENT_VARIABLE, "{}"))
        return start(terminal, self._command, self._folder, environ)

    def _left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _is_over(self) -> bool:
        """Is nothing left to wait for: the command gone, and what it had started?"""
        children.reap()
        if self._keeper != os.getppid():
            self._be_left_within(_ORPHANED_WITHIN)
        due = self._deadline is not None and time.monotonic() >= self._deadline
        if self._code is None and due:
            self._send(signal.SIGKILL)
            self._deadline = None
        return self._code is not None and (due or not self._is_survived())

    def _is_survived(self) -> bool:
        """Does anything live that the command has started? (proc(5), ``children``.)"""
        try:
            told = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
        except OSError:
            return False  # a kernel that does not tell: what is there is killed at once
        return bool({int(pid) for pid in told.split()} - {self._leader.pid})

    def _hear_end(self) -> None:
        self._selector.unregister(self._leader.told)
        code = exit_code(self._leader.told)
        self._code = -signal.SIGKILL if code is None else code
        self._be_left_within(_LEAVES_WITHIN)
        if not self.told:
            self._send(signal.SIGTERM)

    def _be_left_within(self, seconds: float) -> None:
        latest = time.monotonic() + seconds
        self._deadline = latest if self._deadline is None else min(self._deadline, latest)

    def _hear(self, signals: int) -> None:
        for number in os.read(signals, _PIECE):
            if number == signal.SIGWINCH:
                self._window.copy_size(self._controller)
            elif number != signal.SIGCHLD:
                self.told = True
                self._send(signal.Signals(number))

    def _send(self, number: signal.Signals) -> None:
        """To the command's own group, and to what a shell has put into the foreground."""
        groups = {self._leader.pid}
        with contextlib.suppress(OSError):
            groups.add(os.tcgetpgrp(self._controller))
        for group in groups - {0}:
            children.send(group, number)

    def _talk(self) -> None:
        """Pass on what can be passed on, both ways."""
        self._write_keys()
        self._copy_output()

    def _copy_output(self) -> bool:
        """Was there any?"""
        try:
            data = os.read(self._controller, _PIECE)
        except OSError:
            return False
        self._log.feed(data)
        self._window.show(data, self._selector)
        return bool(data)

    def _await_keys(self) -> None:
        self._selector.register(0, selectors.EVENT_READ, self._read_keys)

    def _read_keys(self) -> None:
        # Not before the command has taken these: what it does not read stays where it is.
        self._selector.unregister(0)
        try:
            self._keys = os.read(0, _PIECE)
        except OSError:
            self._keys = b""
        self._ended = not self._keys
        if self._ended and not self._window.is_terminal:
            self._keys = b"\x04"  # Ctrl+D, which ends the input of a terminal
        self._write_keys()

    def _write_keys(self) -> None:
        if not self._keys:
            return
        with contextlib.suppress(OSError):
            while self._keys:
                self._keys = self._keys[os.write(self._controller, self._keys) :]
        waiting = selectors.EVENT_WRITE if self._keys else 0
        self._selector.modify(self._controller, selectors.EVENT_READ | waiting, self._talk)
        if not self._keys and not self._ended:
            self._await_keys()


def _listen() -> int:
    """Signals as bytes to be read, one each."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (
        signal.SIGCHLD, signal.SIGWINCH,
        signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT,
    ):  # fmt: skip
        signal.signal(number, lambda *_: None)
    return reading


def state(name: str, pid: int) -> Json:
    """What the state file of such a session says: which process its command is, and since when."""
    now_ms = SystemClock().wall_ms()
    return {
        "timestamp": timestamp.to_text(now_ms),
        "status": "running",
        "error": None,
        "metadata": {
            "session": name,
            "pid": pid,
            "pid_started": started_at(pid),
            "started_ms": now_ms,
        },
    }


def end_as(code: int) -> None:
    """End this process by an exit code, or by the signal of this number below zero."""
    if code < 0:
        # One core file, the command's, is enough.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):  # SIGKILL has no handler to be taken away
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


def main() -> None:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser()
    for option in ("--log", "--state", "--folder"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("command", nargs="+")
    told = parser.parse_args()
    log = OutputLog(told.log)

    def register(pid: int) -> None:
        with contextlib.suppress(OSError):  # a full disk stops no command
            write_json(told.state, state(told.name, pid))

    relay = Relay(told.command, told.folder, log, register)
    try:
        code = relay.run()
    except OSError as error:
        _say(f"cannot run {error.filename or told.command[0]}: {error.strerror}")
        end_as(126 if isinstance(error, PermissionError) else 127)
    if code and not relay.told and log.last:
        _say(visible(without_colours(log.last)))  # the supervisor takes it for the reason
    end_as(code)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - a supervisor reads it


if __name__ == "__main__":
    main()
