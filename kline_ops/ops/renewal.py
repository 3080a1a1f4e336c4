"""Changing a running session to a fresh recorder process, and waiting until it is so.

The supervisor does it (see ``care.py``); this asks it to, and reads what came of it from files.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from kline_ops.clock import Clock
from kline_ops.errors import EXIT_FINDING, EXIT_NOT_RUNNING, SessionError
from kline_ops.ops.supervise import RENEW
from kline_ops.watch.files import Json
from kline_ops.watch.process import Process, look_at
from kline_ops.watch.registry import KnownSession

_POLL = 0.05


def renew(session: KnownSession, clock: Clock, wait: float) -> int:
    """The pid of the new recorder, which has taken over. ``wait`` in seconds.

    Raises:
        SessionError: nobody took over, and why; the old one goes on unless that is said.
    """
    seen = _size(session.events_file)
    deadline = clock.monotonic() + wait
    for poll in count():
        # Looked at before it is signalled: to another process of this pid the signal is the end.
        if session.keeper_pid is None or _is_gone(session):
            raise SessionError(
                f"{session.name} has no supervisor any more",
                exit_code=EXIT_NOT_RUNNING,
                hint=f"kline-ops status {session.name}",
            )
        if poll == 0:
            os.kill(session.keeper_pid, RENEW)
        for told in _events(session.events_file, seen):
            if told.get("kind") == "session_started":
                return int(told.get("pid") or 0)
            if told.get("kind") == "renewal_failed":
                reason, _, advice = str(told.get("reason")).partition(". Try: ")
                raise SessionError(
                    f"{session.name} goes on in its old process: {reason}",
                    exit_code=EXIT_FINDING,
                    hint=advice or f"kline-ops logs {session.name}",
                )
        if clock.monotonic() > deadline:
            break
        time.sleep(_POLL)
    raise SessionError(
        f"{session.name}: no fresh process has taken over within {wait:g} s",
        exit_code=EXIT_FINDING,
        hint=f"kline-ops status {session.name}",
    )


def _is_gone(session: KnownSession) -> bool:
    return look_at(session.keeper_pid, session.keeper_started) in {Process.GONE, Process.ZOMBIE}


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _events(path: str, seen: int) -> Iterator[Json]:
    """What has been told since; a line that is being written is read the next time."""
    try:
        with Path(path).open("rb") as file:
            file.seek(seen)
            lines = file.read().split(b"\n")[:-1]
    except OSError:
        return
    for line in lines:
        with contextlib.suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, dict):
                yield told
