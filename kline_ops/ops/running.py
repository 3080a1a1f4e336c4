"""The processes of a session that run: its supervisor, and whoever that has started."""

from __future__ import annotations

from pathlib import Path

from kline_ops.errors import SessionError
from kline_ops.watch.evidence import state_of
from kline_ops.watch.files import section
from kline_ops.watch.process import Process, children_of, look_at
from kline_ops.watch.registry import KnownSession, find_session


def is_running(session: KnownSession) -> bool:
    """Is there a supervisor or a recorder of this session, dead ones excepted?"""
    return bool(processes(session))


def is_supervised(session: KnownSession) -> bool:
    """Is it kept by a supervisor, rather than a recorder in somebody's foreground?"""
    told = section(state_of(session.name, Path(session.state_file)), "metadata")
    return session.keeper_pid != told.get("pid")


def processes(session: KnownSession) -> list[int]:
    """The pids that belong to the session and still run; its supervisor first."""
    if session.keeper_pid is None:
        session = _as_registered(session)
    told = section(state_of(session.name, Path(session.state_file)), "metadata")
    candidates = [
        (session.keeper_pid, session.keeper_started),
        (told.get("pid"), told.get("pid_started")),
    ]
    if look_at(session.keeper_pid, session.keeper_started) is not Process.GONE:
        # A process that is about to take over has not said its name yet.
        candidates += [(pid, None) for pid in children_of(session.keeper_pid or 0)]
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
