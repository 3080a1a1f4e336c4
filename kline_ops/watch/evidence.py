"""What the files of a ``data_dir`` say of a session.

Two sessions may have been given one folder: what another one wrote there is no evidence of this one,
neither of its health nor of its processes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from kline_ops.watch.files import Json, read_json, section
from kline_ops.watch.registry import KnownSession

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def state_of(name: str, path: Path) -> Json | None:
    """The state file's content; None where there is none, or it is another session's."""
    state = read_json(path)
    return None if other_session(state, name) is not None else state


def exit_of(name: str, path: Path) -> Json | None:
    """How the session's last run ended; None where nobody saw it, or another session's is told."""
    told = read_json(path)
    return told if told is not None and told.get("name", name) == name else None


def end_in_registry(session: KnownSession) -> Json | None:
    """How its supervisor ended, by its entry; None where another one has been kept there since."""
    told = session.ended
    if not isinstance(told, dict):
        return None
    keeper = (told.get("keeper_pid"), told.get("keeper_started"))
    is_of_it = session.keeper_pid is None or keeper == (session.keeper_pid, session.keeper_started)
    return told if is_of_it else None


def newest_end(by_file: Json | None, by_registry: Json | None) -> Json | None:
    """What was written down last; where that is one moment, the file, which tells more."""
    told = [told for told in (by_file, by_registry) if isinstance(told, dict)]
    return max(told, key=lambda each: moment_of(each, "at") or 0, default=None)


def moment_of(told: Json | None, key: str) -> int | None:
    """A time in a file, in milliseconds since the epoch; None where it is none."""
    try:
        moment = datetime.fromisoformat(str((told or {}).get(key)))
        return int((moment - _EPOCH).total_seconds() * 1000)
    except (ValueError, TypeError):
        return None


def other_session(state: Json | None, name: str) -> str | None:
    """Whose state it is, if not this session's; one that does not say (older files) is."""
    whose = section(state, "metadata").get("session")
    return None if whose is None or whose == name else str(whose)
