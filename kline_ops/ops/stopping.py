"""Ending a session, and waiting until it has ended."""

from __future__ import annotations

import contextlib
import enum
import os
import signal
import time
from collections.abc import Collection

from kline_ops.clock import Clock
from kline_ops.errors import EXIT_FINDING, EXIT_GOOD, EXIT_USAGE, SessionError
from kline_ops.market import timestamp
from kline_ops.ops.running import processes
from kline_ops.watch.registry import KnownSession, find_session, note_end
from kline_ops.watch.status import gather

_POLL = 0.05
#: Seconds that a killed process may take to be gone.
_KILL_WAIT = 5.0
#: Seconds for a supervisor to write down how a killed recorder ended, and to end itself.
_WRITE_WAIT = 2.0
#: Seconds from the start of a tmux session to the supervisor's entry in the registry, at the most.
_BEING_STARTED = 3.0


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
    running = processes(session) or _soon(session, clock)
    if not running:
        return Stopped.NOT_RUNNING
    for pid in running:
        _signal(session.name, pid, signal.SIGTERM)
        _signal(session.name, pid, signal.SIGCONT)
    if _gone_within(session, clock, timeout):
        return Stopped.CLEANLY
    # Before: a watchdog looks at any moment, and this is no alarm.
    with contextlib.suppress(OSError):
        _note(session, Stopped.BY_FORCE, clock)
    # The supervisor last: it writes down how the others ended, and ends by itself then.
    _kill(session, processes(session), but=session.keeper_pid)
    if not _gone_within(session, clock, _WRITE_WAIT):
        _kill(session, processes(session))
    if not _gone_within(session, clock, _KILL_WAIT):
        raise SessionError(
            f"{session.name} could not be ended", exit_code=EXIT_FINDING, hint="look at ps"
        )
    return Stopped.BY_FORCE


def leave_word(session: KnownSession, how: Stopped, clock: Clock) -> None:
    """See to it that it is known as stopped, also where the disk of its own files took nothing.

    Raises:
        OSError: that can not be written down either.
    """
    with contextlib.suppress(SessionError):
        session = find_session(session.name)
    seen = gather(session, clock.wall_ms())
    has_said = seen.exit is not None or (seen.state or {}).get("status") == "stopped"
    if how is Stopped.BY_FORCE or not has_said:
        _note(session, how, clock)


def _note(session: KnownSession, how: Stopped, clock: Clock) -> None:
    forced = how is Stopped.BY_FORCE
    told = {
        "code": None if forced else EXIT_GOOD,
        "signal": "SIGKILL" if forced else None,
        "at": timestamp.to_text(clock.wall_ms()),
        "final": True,
        "by_hand": True,
        "reason": "it did not end when it was told to, and was killed" if forced else "",
    }
    note_end(session, told)


def _kill(session: KnownSession, pids: Collection[int], but: int | None = None) -> None:
    for pid in pids:
        if pid != but:
            _signal(session.name, pid, signal.SIGKILL)


def _soon(session: KnownSession, clock: Clock) -> list[int]:
    """A session that is being started has a tmux session before it has processes we know."""
    if session.keeper_pid is not None:
        return []
    deadline = clock.monotonic() + _BEING_STARTED
    while clock.monotonic() < deadline:
        found = find_session(session.name)
        if found.keeper_pid is not None:
            return processes(found)
        time.sleep(_POLL)
    return []


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
    while processes(session):
        if clock.monotonic() >= deadline:
            return False
        time.sleep(_POLL)
    return True
