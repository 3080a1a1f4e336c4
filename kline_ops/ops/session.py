"""Starting and stopping a session, and waiting until it is so."""

from __future__ import annotations

import enum
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kline_ops.errors import EXIT_USAGE, ConfigError, SessionError
from kline_ops.watch.evidence import exit_of, state_of
from kline_ops.watch.files import Json, section
from kline_ops.watch.process import Process, look_at
from kline_ops.watch.registry import KnownSession, find_session
from kline_ops.watch.status import free_bytes
from kline_ops.watch.verdict import DISK_FULL, NO_DATA_YET, is_full

if TYPE_CHECKING:
    from kline_ops.clock import Clock
    from kline_ops.config.settings import Settings

_POLL = 0.05
#: Seconds that a killed process may take to be gone.
_KILL_WAIT = 5.0
#: Seconds from the start of a tmux session to the supervisor's entry in the registry, at the most.
_BEING_STARTED = 3.0


@dataclass(frozen=True, slots=True)
class Started:
    """What came of a start within the wait: data, or what stands in its way."""

    has_data: bool
    reason: str


def is_running(session: KnownSession) -> bool:
    """Is there a supervisor or a recorder of this session, dead or alive ones excepted?"""
    return bool(_processes(session))


def start(
    settings: Settings, clock: Clock, wait: float, *, register: Callable[[], None]
) -> Started:
    """Start a session in tmux and wait for its first data. ``register`` makes it known before.

    Raises:
        MachineError: no tmux.
        ConfigError: its data_dir can not be written.
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
            raise ConfigError(
                f"cannot write {environment}: {error.strerror}",
                field="data_dir",
                hint="check its permissions and its disk, or give another place",
            ) from None
        register()
        tmux.start(settings.name, _command(settings, environment), settings.data_dir)
    return _wait_for_data(settings, began_ms, clock, wait)


class Stopped(enum.Enum):
    """What came of a stop."""

    NOT_RUNNING = "there was nothing to end"
    CLEANLY = "it ended by itself when it was told to"
    BY_FORCE = "it did not end in time, and was killed"


def stop(session: KnownSession, clock: Clock, timeout: float) -> Stopped:
    """End a session cleanly; after ``timeout`` seconds, by force.

    Raises:
        SessionError: it could not be ended.
    """
    running = _processes(session) or _processes_soon(session, clock)
    if not running:
        return Stopped.NOT_RUNNING
    for pid in running:
        _signal(session.name, pid, signal.SIGTERM)
        _signal(session.name, pid, signal.SIGCONT)
    if _gone_within(session, clock, timeout):
        return Stopped.CLEANLY
    for pid in _processes(session):
        _signal(session.name, pid, signal.SIGKILL)
    if not _gone_within(session, clock, _KILL_WAIT):
        raise SessionError(f"{session.name} could not be ended", exit_code=1, hint="look at ps")
    return Stopped.BY_FORCE


def runs_in_tmux(session: KnownSession) -> bool:
    """Is it kept by a supervisor, rather than a recorder in somebody's foreground?"""
    told = section(state_of(session.name, Path(session.state_file)), "metadata")
    return session.keeper_pid != told.get("pid")


def _processes_soon(session: KnownSession, clock: Clock) -> list[int]:
    """A session that is being started has a tmux session before it has processes we know."""
    if session.keeper_pid is not None:
        return []
    deadline = clock.monotonic() + _BEING_STARTED
    while clock.monotonic() < deadline:
        found = find_session(session.name)
        if found.keeper_pid is not None:
            return _processes(found)
        time.sleep(_POLL)
    return []


def _command(settings: Settings, environment: Path) -> list[str]:
    base = [sys.executable, "-m", "kline_ops", "supervise", settings.name]
    return [*base, "--config", str(settings.path), "--env-file", str(environment)]


def _wait_for_data(settings: Settings, began_ms: int, clock: Clock, wait: float) -> Started:
    deadline = clock.monotonic() + wait
    reason = "it has not said anything yet"
    while clock.monotonic() < deadline:
        told = exit_of(settings.name, settings.exit_file)
        if told is not None and _written_since(settings.exit_file, began_ms):
            _raise_if_final(settings.name, told)
        state = state_of(settings.name, settings.state_file)
        if state is not None and _written_since(settings.state_file, began_ms):
            if section(state, "metadata").get("live"):
                return Started(has_data=True, reason="")
            reason = str(state.get("error") or reason).removeprefix(NO_DATA_YET)
        time.sleep(_POLL)
    if is_full(free_bytes(settings.data_dir)):
        reason = DISK_FULL
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
    if session.keeper_pid is None:
        session = _as_registered(session)
    told = section(state_of(session.name, Path(session.state_file)), "metadata")
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


def _as_registered(session: KnownSession) -> KnownSession:
    """The supervisor registers itself a moment after the session was."""
    try:
        return find_session(session.name)
    except SessionError:
        return session


def _signal(name: str, pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        raise SessionError(
            f"{name} belongs to another user (pid {pid})",
            exit_code=EXIT_USAGE,
            hint="ask as that user",
        ) from None


def _gone_within(session: KnownSession, clock: Clock, seconds: float) -> bool:
    deadline = clock.monotonic() + seconds
    while _processes(session):
        if clock.monotonic() >= deadline:
            return False
        time.sleep(_POLL)
    return True
