"""What the files of a ``data_dir`` say of a session.

Two sessions may have been given one folder: what another one wrote there is no evidence of this one,
neither of its health nor of its processes.
"""

from __future__ import annotations

from pathlib import Path

from kline_ops.watch.files import Json, read_json, section


def state_of(name: str, path: Path) -> Json | None:
    """The state file's content; None where there is none, or it is another session's."""
    state = read_json(path)
    return None if other_session(state, name) is not None else state


def exit_of(name: str, path: Path) -> Json | None:
    """How the session's last run ended; None where nobody saw it, or another session's is told."""
    told = read_json(path)
    return told if told is not None and told.get("name", name) == name else None


def other_session(state: Json | None, name: str) -> str | None:
    """Whose state it is, if not this session's; one that does not say (older files) is."""
    whose = section(state, "metadata").get("session")
    return None if whose is None or whose == name else str(whose)
