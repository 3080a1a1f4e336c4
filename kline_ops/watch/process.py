"""Is a process what it was taken for? By pid *and* start time: pids are used again.

A zombie still answers ``kill(pid, 0)``, and a stopped process looks alive to it: so ``/proc`` is read
(proc(5), ``/proc/PID/stat``: state and starttime).
"""

from __future__ import annotations

import contextlib
import enum
import os
from pathlib import Path

from kline_ops.clock import SystemClock


class Process(enum.Enum):
    """What became of a process."""

    RUNNING = "running"
    STOPPED = "stopped"
    ZOMBIE = "zombie"
    GONE = "gone"


_LETTERS = {"Z": Process.ZOMBIE, "X": Process.ZOMBIE, "T": Process.STOPPED, "t": Process.STOPPED}


def look_at(pid: object, started: object) -> Process:
    """The process with this pid that started then; GONE if it is another one by now."""
    if not isinstance(pid, int) or pid <= 0:
        return Process.GONE
    stat = _stat(pid)
    if stat is None:
        return Process.GONE
    letter, start_time, _ = stat
    if started is not None and started != start_time:
        return Process.GONE
    return _LETTERS.get(letter, Process.RUNNING)


def started_at(pid: int | None = None) -> int | None:
    """The start time of a process (clock ticks since boot), to be kept beside its pid."""
    stat = _stat(os.getpid() if pid is None else pid)
    return stat[1] if stat else None


def running_for(started: object) -> float | None:
    """Seconds since a process began that began then (see :func:`started_at`); None if unknown."""
    if not isinstance(started, int):
        return None
    clock = SystemClock()
    seconds = clock.monotonic() + clock.asleep() - started / os.sysconf("SC_CLK_TCK")
    return seconds if seconds >= 0 else None


def parent_of(pid: int) -> int:
    """Who has started a process, or adopted it; 0 where there is none."""
    stat = _stat(pid)
    return stat[2] if stat else 0


def children_of(pid: int) -> list[int]:
    """Whom a process has started and not reaped yet; none where there is no such process."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def _stat(pid: int) -> tuple[str, int, int] | None:
    """Its state, its start time and its parent."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the command in brackets; it may hold anything, brackets too.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19]), int(fields[1])
