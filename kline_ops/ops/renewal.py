"""Changing a running session to a fresh recorder process, and waiting until it is so.

The supervisor does it (see ``care.py``); this asks it to, and reads what came of it from files.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from kline_ops.clock import Clock
from kline_ops.errors import EXIT_FINDING, EXIT_NOT_RUNNING, SessionError
from kline_ops.ops.supervise import RENEW
from kline_ops.watch.evidence import state_of
from kline_ops.watch.files import section
from kline_ops.watch.process import Process, look_at
from kline_ops.watch.registry import KnownSession

_POLL = 0.05


def renew(session: KnownSession, clock: Clock, wait: float) -> int:
    """The pid of the new recorder, which has taken over. ``wait`` in seconds.

    Raises:
        SessionError: nobody took over, and why; the old one goes on unless that is said.
    """
    before = _recorder(session)
    seen = _size(session.events_file)
    assert session.keeper_pid is not None  # noqa: S101 - the caller has seen it run
    os.kill(session.keeper_pid, RENEW)
    deadline = clock.monotonic() + wait
    while clock.monotonic() < deadline:
        now = _recorder(session)
        if now is not None and now != before:
            return now
        if (reason := _failure(session.events_file, seen)) is not None:
            raise SessionError(
                f"{session.name} goes on in its old process: {reason}",
                exit_code=EXIT_FINDING,
                hint=f"kline-ops logs {session.name}",
            )
        if look_at(session.keeper_pid, session.keeper_started) is Process.GONE:
            raise SessionError(
                f"{session.name} ended meanwhile",
                exit_code=EXIT_NOT_RUNNING,
                hint=f"kline-ops status {session.name}",
            )
        time.sleep(_POLL)
    raise SessionError(
        f"{session.name}: no fresh process has taken over within {wait:g} s",
        exit_code=EXIT_FINDING,
        hint=f"kline-ops status {session.name}",
    )


def _recorder(session: KnownSession) -> int | None:
    """Who writes the state file, if a connection of his delivers."""
    told = section(state_of(session.name, Path(session.state_file)), "metadata")
    pid = told.get("pid")
    return pid if isinstance(pid, int) and told.get("live") else None


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _failure(path: str, seen: int) -> str | None:
    """What the supervisor has told since, if the change came to nothing."""
    try:
        with Path(path).open("rb") as file:
            file.seek(seen)
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in lines:
        if b'"renewal_failed"' in line:
            try:
                return str(json.loads(line).get("reason"))
            except (ValueError, AttributeError):
                return "no reason told"
    return None
