"""The processes of a session that run: its supervisor, and whoever that has started."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

from kline_ops.errors import SessionError
from kline_ops.watch.evidence import state_of
from kline_ops.watch.files import section
from kline_ops.watch.process import Process, children_of, look_at, parent_of
from kline_ops.watch.registry import KnownSession, find_session


def is_running(session: KnownSession) -> bool:
    """Is there a supervisor or a recorder of this session, dead ones excepted?"""
    return bool(processes(session))


def is_supervised(session: KnownSession) -> bool:
    """Is it kept by a supervisor, rather than a recorder in somebody's foreground?"""
    return session.supervised


def is_supervisor(pid: int, name: str) -> bool:
    """Is that a ``kline-ops supervise NAME``, by how it was called?"""
    try:
        called = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return (b"supervise", name.encode()) in itertools.pairwise(called)


def unit_of(pid: int, name: str) -> str:
    """The unit of systemd that we made for this session (``units --systemd``), if that runs it.

    By its control group (cgroups(7)): what stands in the environment is handed down to strangers.
    """
    unit = f"kline-ops-{name}.service"
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return unit if any(unit in line.split("/") for line in lines) else ""


def find_supervisor(session: KnownSession) -> int | None:
    """Of a session whose entry is lost: the one above the process that its state names."""
    told = section(state_of(session.name, Path(session.state_file)), "metadata")
    pid = told.get("pid")
    if not isinstance(pid, int) or look_at(pid, told.get("pid_started")) is Process.GONE:
        return None
    while pid > 1:
        if is_supervisor(pid, session.name):
            return pid
        pid = parent_of(pid)
    return None


def owned_by_another(session: KnownSession) -> int | None:
    """The pid of it that runs as another user; None where it is ours, or does not run."""
    for pid in processes(session):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}").stat().st_uid != os.geteuid():
                return pid
    return None


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
