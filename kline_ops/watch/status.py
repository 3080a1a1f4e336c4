"""Looking at a session: gathers the evidence and makes one record of it.

Reads JSON that others keep; takes no lock, starts nothing, asks no network.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kline_ops.watch.command import judge_command
from kline_ops.watch.evidence import end_in_registry, exit_of, moment_of, newest_end, other_session
from kline_ops.watch.files import Json, read_json, section
from kline_ops.watch.locks import lock_holder
from kline_ops.watch.process import Process, look_at, running_for
from kline_ops.watch.registry import KnownSession
from kline_ops.watch.verdict import Evidence, Word, verdict


def look(session: KnownSession, now_ms: int) -> tuple[Word, Json]:
    """The word for a session, and the record that ``status --json`` prints."""
    evidence = gather(session, now_ms)
    word, reason = judge_session(session, evidence, now_ms)
    running = evidence.taken_by is None and evidence.recorder in {
        Process.RUNNING,
        Process.STOPPED,
    }
    record = record_of(
        about(session), evidence.state or {}, word.value, reason, now_ms if running else None
    )
    return word, {**record, "lock_holder": evidence.lock_holder}


def gather(session: KnownSession, now_ms: int, max_age: float | None = None) -> Evidence:
    """What can be seen of a session. ``max_age`` (s): when its state is late, if that was said."""
    state = read_json(Path(session.state_file))
    taken_by = other_session(state, session.name)
    writer = section(state, "metadata")
    recorder = look_at(writer.get("pid"), writer.get("pid_started"))
    if taken_by is not None:
        state = None
    told = section(state, "metadata")
    written_ms = moment_of(state, "timestamp")
    exit_told = _last_end(session)
    ended_ms = moment_of(exit_told, "at")
    if ended_ms is None or (written_ms is not None and ended_ms < written_ms):
        exit_told = ended_ms = None  # of an earlier run: the state is newer
    return Evidence(
        state=state,
        state_age=None if written_ms is None else (now_ms - written_ms) / 1000.0,
        beat=_number(told.get("heartbeat_interval"), 5.0),
        recorder=recorder,
        keeper=look_at(session.keeper_pid, session.keeper_started),
        exit=exit_told,
        exit_age=None if ended_ms is None else (now_ms - ended_ms) / 1000.0,
        disk_free=free_bytes(Path(session.data_dir)),
        recorder_pid=writer.get("pid"),
        keeper_pid=session.keeper_pid,
        lock_holder=lock_holder(session.csv) if session.csv else None,
        log_age=_written_ago(now_ms, session.log_file, session.csv),
        taken_by=taken_by,
        max_age=max_age,
        keeper_for=running_for(session.keeper_started),
    )


def _last_end(session: KnownSession) -> Json | None:
    by_registry = end_in_registry(session)
    if by_registry is not None and by_registry.get("by_hand"):
        return by_registry  # its supervisor writes down a kill, and not who did it
    return newest_end(exit_of(session.name, Path(session.exit_file)), by_registry)


def judge_session(session: KnownSession, evidence: Evidence, now_ms: int) -> tuple[Word, str]:
    """The word for a session that records, or only runs a command, and the reason."""
    if session.command:
        started_ms = section(evidence.state, "metadata").get("started_ms")
        return judge_command(evidence, _age(started_ms, now_ms))
    return verdict(evidence)


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a session, whatever becomes of it. Paths are absolute, as text."""

    name: str
    symbol: str
    interval: str
    csv: str
    log: str
    command: str
    endpoint: str


def about(session: KnownSession) -> About:
    """A session by its entry in the registry."""
    return About(
        name=session.name,
        symbol=session.symbol,
        interval=session.interval,
        csv=session.csv,
        log=session.log_file,
        command=session.command,
        endpoint=session.endpoint,
    )


def record_of(
    session: About, state: Json, word: str, reason: str, now_ms: int | None
) -> dict[str, Any]:
    """What ``status --json`` prints, but for who holds the lock; in the process as from its files. Pure.

    Args:
        session: which one.
        state: the content of its state file; empty where there is none.
        word: ``RECORDING`` or the like.
        reason: why.
        now_ms: by this machine's clock; None where it does not run.
    """
    told = section(state, "metadata")
    started_ms = told.get("started_ms")
    closed_ms = told.get("last_candle_closed_ms")
    lacks = str(told.get("lacks_secrets") or "") if now_ms is not None else ""
    return {
        "name": session.name,
        "state": word,
        "reason": reason or _without_alerts(lacks),
        "pid": told.get("pid") if now_ms is not None else None,
        "symbol": session.symbol,
        "interval": session.interval,
        "csv": session.csv,
        "log": session.log,
        "command": session.command,
        "endpoint": told.get("endpoint") or session.endpoint,
        "last_candle": state.get("last_candle_time"),
        "last_candle_age_seconds": _age(closed_ms, now_ms),
        "next_due": told.get("next_due") if now_ms is not None else None,
        "owed": told.get("owed", 0),
        "on_disk": told.get("on_disk", 0),
        "missing": told.get("missing", 0),
        "restarts_planned": told.get("restarts_planned", 0),
        "reconnects": told.get("reconnects", 0),
        "next_restart": told.get("next_restart") if now_ms is not None else None,
        "uptime_seconds": _age(started_ms, now_ms),
        "clock_skew_seconds": told.get("clock_skew_seconds") if now_ms is not None else None,
        "lacks_secrets": lacks,
    }


def _without_alerts(why: str) -> str:
    """A session that goes on without its secrets tells nobody."""
    return f"records without its alert channels: {why}" if why else ""


def _written_ago(now_ms: int, *paths: str) -> float | None:
    """Seconds since one of these files was written last."""
    times = []
    for path in filter(None, paths):
        with contextlib.suppress(OSError):
            times.append(Path(path).stat().st_mtime)
    return now_ms / 1000.0 - max(times) if times else None


def free_bytes(folder: Path) -> int | None:
    """What is left on the disk of a folder; None where there is none."""
    try:
        told = os.statvfs(folder)
    except OSError:
        return None
    return told.f_bavail * told.f_frsize


def _number(value: object, otherwise: float) -> float:
    """A number of a state file that may be damaged."""
    return float(value) if isinstance(value, int | float) else otherwise


def _age(since_ms: object, now_ms: int | None) -> float | None:
    if now_ms is None or not isinstance(since_ms, int):
        return None
    return round((now_ms - since_ms) / 1000.0, 3)
