"""Carries out what ``watch/remedy.py`` decides, and says what came of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from kline_ops.clock import Clock
from kline_ops.errors import SessionError
from kline_ops.watch.evidence import state_of
from kline_ops.watch.files import section
from kline_ops.watch.process import Process, look_at
from kline_ops.watch.registry import KnownSession, find_session
from kline_ops.watch.remedy import Remedy
from kline_ops.watch.status import look
from kline_ops.watch.verdict import Word

_POLL = 0.1
#: Seconds that a killed process may take to be gone.
_KILL_WAIT = 5.0
#: Seconds for a session to record again.
_WELL_WAIT = 20.0
#: Seconds for a command of ours; ``restart`` waits for 75 by itself.
_COMMAND_WAIT = 90.0
_FOREGROUND = "it ran without a supervisor: it is left to whoever started it"
_GOOD = {Word.RECORDING, Word.CATCHING_UP, Word.RUNNING}


class Outcome(NamedTuple):
    """What came of a remedy, in one line, and whether it is done."""

    text: str
    is_done: bool = True


class Rescuer:
    """Restarts a session, in one way or another."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def help(self, session: KnownSession, remedy: Remedy, pid: object) -> Outcome:
        """Do it, and wait for what comes of it: some seconds, for a renewal a minute or more.

        ``pid``: of the recorder that is in trouble; no other one is killed.
        """
        if remedy is Remedy.GIVE_UP:
            return Outcome("as often as is good within an hour; somebody must look")
        if remedy is Remedy.LEAVE:
            if session.unit:
                return Outcome(f"systemctl status {session.unit} says why it does not run")
            return Outcome(_FOREGROUND)
        if remedy is Remedy.START:
            return _call("start", session)
        if remedy is Remedy.RENEW:
            return _call("restart", session)
        return self._kill(session, pid)

    def _kill(self, session: KnownSession, ailing: object) -> Outcome:
        told = section(state_of(session.name, Path(session.state_file)), "metadata")
        pid, started = told.get("pid"), told.get("pid_started")
        done = []
        if pid != ailing:
            return Outcome(f"it has another recorder by now, pid {pid}: none was killed")
        if started is None and isinstance(pid, int):
            return Outcome(
                f"pid {pid} was not killed: its state file does not say when that one began",
                is_done=False,
            )
        if isinstance(pid, int) and look_at(pid, started) in {Process.RUNNING, Process.STOPPED}:
            problem = _signal(pid, started, signal.SIGKILL)
            if problem:
                return Outcome(f"pid {pid} could not be killed: {problem}", is_done=False)
            done.append(f"pid {pid} was killed")
            self._wait_until_gone(pid, started)
        keeper = look_at(session.keeper_pid, session.keeper_started)
        if keeper is Process.STOPPED and session.keeper_pid is not None:
            _signal(session.keeper_pid, session.keeper_started, signal.SIGCONT)
            done.append("its supervisor was suspended, and goes on")
        elif keeper in {Process.GONE, Process.ZOMBIE}:
            if session.unit:
                return Outcome("; ".join((*done, f"{session.unit} is systemd's to start")))
            if session.keeper_pid == pid:
                return Outcome("; ".join((*done, _FOREGROUND)))
            started = _call("start", session)
            return Outcome("; ".join((*done, started.text)), started.is_done)
        return Outcome("; ".join((*done, self._how_it_goes(session))))

    def _wait_until_gone(self, pid: int, started: object) -> None:
        deadline = self._clock.monotonic() + _KILL_WAIT
        while look_at(pid, started) in {Process.RUNNING, Process.STOPPED}:
            if self._clock.monotonic() > deadline:
                return
            time.sleep(_POLL)

    def _how_it_goes(self, session: KnownSession) -> str:
        deadline = self._clock.monotonic() + _WELL_WAIT
        while True:
            with contextlib.suppress(SessionError):
                session = find_session(session.name)  # its supervisor may be another one by now
            word, record = look(session, self._clock.wall_ms())
            if word in _GOOD:
                return f"it goes on in pid {record['pid']}: {word.value}"
            if self._clock.monotonic() > deadline:
                why = f" ({record['reason']})" if record["reason"] else ""
                return f"it is {word.value} after {_WELL_WAIT:g} s{why}"
            time.sleep(_POLL)


def _signal(pid: int, started: object, number: signal.Signals) -> str:
    """Send it to this process, and to no other that has its pid by now. Why not, or nothing."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return ""
    except OSError as error:
        return error.strerror or "unknown"
    try:
        if look_at(pid, started) not in {Process.GONE, Process.ZOMBIE}:
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return ""
    except OSError as error:
        return error.strerror or "unknown"
    finally:
        os.close(handle)
    return ""


def _call(command: str, session: KnownSession) -> Outcome:
    """What one of our commands says last."""
    arguments = [sys.executable, "-m", "kline_ops", command, session.name]
    if command == "start":
        arguments += ["--config", session.config]
    try:
        ran = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=_COMMAND_WAIT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Outcome(f"kline-ops {command} did not end within {_COMMAND_WAIT:g} s", is_done=False)
    except OSError as error:
        return Outcome(f"kline-ops {command} could not be called: {error.strerror}", is_done=False)
    lines = (ran.stdout if ran.returncode == 0 else ran.stderr or ran.stdout).strip().splitlines()
    said = lines[-1].removeprefix("kline-ops: ") if lines else f"exit code {ran.returncode}"
    return Outcome(said, ran.returncode == 0)
