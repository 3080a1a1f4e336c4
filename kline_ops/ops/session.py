"""Starting and stopping a session, and waiting until it is so."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kline_ops.errors import EXIT_USAGE, KlineOpsError, SessionError
from kline_ops.watch.files import Json, read_json, section
from kline_ops.watch.process import Process, look_at
from kline_ops.watch.registry import KnownSession

if TYPE_CHECKING:
    from kline_ops.clock import Clock
    from kline_ops.config.settings import Settings

_POLL = 0.05
#: Seconds that a killed process may take to be gone.
_KILL_WAIT = 5.0


@dataclass(frozen=True, slots=True)
class Started:
    """What came of a start within the wait: data, or what stands in its way."""

    has_data: bool
    reason: str


def is_running(session: KnownSession) -> bool:
    """Is there a supervisor or a recorder of this session, dead or alive ones excepted?"""
    return bool(_processes(session))


def start(settings: Settings, clock: Clock, wait: float) -> Started:
    """Start a session in tmux and wait for its first data.

    Raises:
        MachineError: no tmux.
        JournalError: another session records into the same file.
        SessionError: the recorder ended at once, and why.
    """
    from kline_ops.ops import handover  # noqa: PLC0415 - stop and status need none of this
    from kline_ops.ops.tmux import Tmux  # noqa: PLC0415
    from kline_ops.record.lock import FileLock  # noqa: PLC0415

    tmux = Tmux(settings.config.ops.tmux_socket)
    began_ms = clock.wall_ms()
    if not tmux.has(settings.name):
        if settings.csv.exists():
            lock = FileLock(settings.csv)
            lock.acquire(settings.name)
            lock.release()
        environment = settings.data_dir / "session.env"
        try:
            handover.write(environment, os.environ)
        except OSError as error:
            raise KlineOpsError(f"cannot write {environment}: {error.strerror}") from None
        tmux.start(settings.name, _command(settings, environment), settings.data_dir)
    return _wait_for_data(settings, began_ms, clock, wait)


def stop(session: KnownSession, clock: Clock, timeout: float) -> bool:
    """End a session cleanly; after ``timeout`` seconds, by force. False if nothing was running.

    Raises:
        SessionError: it could not be ended.
    """
    running = _processes(session)
    if not running:
        return False
    for pid in running:
        _signal(pid, signal.SIGTERM)
        _signal(pid, signal.SIGCONT)
    if _gone_within(session, clock, timeout):
        return True
    for pid in _processes(session):
        _signal(pid, signal.SIGKILL)
    if not _gone_within(session, clock, _KILL_WAIT):
        raise SessionError(f"{session.name} could not be ended", exit_code=1, hint="look at ps")
    return True


def _command(settings: Settings, environment: Path) -> list[str]:
    base = [sys.executable, "-m", "kline_ops", "supervise", settings.name]
    return [*base, "--config", str(settings.path), "--env-file", str(environment)]


def _wait_for_data(settings: Settings, began_ms: int, clock: Clock, wait: float) -> Started:
    deadline = clock.monotonic() + wait
    reason = "it has not said anything yet"
    while clock.monotonic() < deadline:
        told = read_json(settings.exit_file)
        if told is not None and _written_since(settings.exit_file, began_ms):
            _raise_if_final(settings.name, told)
        state = read_json(settings.state_file)
        if state is not None and _written_since(settings.state_file, began_ms):
            if section(state, "metadata").get("live"):
                return Started(has_data=True, reason="")
            reason = str(state.get("error") or reason)
        time.sleep(_POLL)
    return Started(has_data=False, reason=reason)


def _raise_if_final(name: str, told: Json) -> None:
    if not told.get("final"):
        return
    reason = str(told.get("reason") or "").removeprefix("kline-ops: ")
    code = told.get("code")
    raise SessionError(
        reason or f"{name} ended at once", exit_code=EXIT_USAGE if code == EXIT_USAGE else 1
    )


def _written_since(path: Path, began_ms: int) -> bool:
    try:
        return path.stat().st_mtime_ns // 1_000_000 >= began_ms
    except OSError:
        return False


def _processes(session: KnownSession) -> list[int]:
    """The pids that belong to the session and still run; its supervisor first."""
    told = section(read_json(Path(session.state_file)), "metadata")
    candidates = [
        (session.keeper_pid, session.keeper_started),
        (told.get("pid"), told.get("pid_started")),
    ]
    running: list[int] = []
    for pid, started in candidates:
        there = look_at(pid, started) in {Process.RUNNING, Process.STOPPED}
        if there and isinstance(pid, int) and pid not in running:
            running.append(pid)
    return running


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _gone_within(session: KnownSession, clock: Clock, seconds: float) -> bool:
    deadline = clock.monotonic() + seconds
    while _processes(session):
        if clock.monotonic() >= deadline:
            return False
        time.sleep(_POLL)
    return True
