"""The sessions of this machine, so that ``status``, ``logs`` and ``stop`` need no ``--config``.

One small JSON file a session, in ``~/.local/state/kline-ops/sessions/``.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from kline_ops.errors import EXIT_NO_SESSION, EXIT_USAGE, SessionError
from kline_ops.places import machine_folder
from kline_ops.watch.files import Json, read_json, write_with_room

#: Bytes that an entry is larger than it needs to be: an end is written into it on a full disk, too.
_ROOM = 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class KnownSession:
    """Where the files of a session are. Paths are absolute, as text."""

    name: str
    config: str
    data_dir: str
    csv: str
    state_file: str
    events_file: str
    log_file: str
    exit_file: str
    symbol: str
    interval: str
    endpoint: str
    tmux_socket: str
    #: The process that keeps the recorder running (or the recorder itself), and its start time.
    keeper_pid: int | None = None
    keeper_started: int | None = None
    #: Is that a supervisor, which starts another recorder when asked to?
    supervised: bool = False
    #: Below which folder the socket of its tmux server is (``$TMUX_TMPDIR``); empty in older entries.
    tmux_tmpdir: str = ""
    #: What a session runs that records nothing: its ``symbol``, ``interval`` and ``csv`` are empty.
    command: str = ""
    #: The unit of systemd that its supervisor runs as, if it is one of ours.
    unit: str = ""
    #: How its last supervisor ended, as for ``exit_file``: the disk of that one may take nothing.
    ended: Json | None = None


def folder() -> Path:
    """Where the registry is."""
    return machine_folder() / "sessions"


def remember(session: KnownSession) -> None:
    """Add or replace a session. Raises OSError."""
    write_with_room(folder() / f"{session.name}.json", asdict(session), _ROOM)


def note_end(session: KnownSession, told: Json) -> None:
    """Write down how a supervisor ended, unless another one is kept there by now. Raises OSError."""
    known = _read(folder() / f"{session.name}.json")
    keeper = (session.keeper_pid, session.keeper_started)
    if known is None or (known.keeper_pid, known.keeper_started) != keeper:
        return
    whose = {"keeper_pid": session.keeper_pid, "keeper_started": session.keeper_started}
    remember(replace(known, ended=told | whose))


def forget(name: str) -> None:
    """Take a session out, if it is there. Raises OSError."""
    (folder() / f"{name}.json").unlink(missing_ok=True)


def find_session(name: str) -> KnownSession:
    """The session of exactly this name.

    Raises:
        SessionError: there is none (exit code 4), or the name can not be one (2).
    """
    if _NAME.fullmatch(name) is None:
        raise SessionError(f"{name!r} is no session name", exit_code=EXIT_USAGE)
    found = _read(folder() / f"{name}.json")
    if found is None:
        known = ", ".join(session.name for session in sessions())
        raise SessionError(
            f"no session {name!r} has been started here",
            exit_code=EXIT_NO_SESSION,
            hint=f"one of: {known}" if known else f"kline-ops start {name}",
        )
    return found


def sessions() -> list[KnownSession]:
    """All sessions that were ever started here, by name."""
    try:
        paths = sorted(folder().glob("*.json"), key=lambda path: path.stem)
    except OSError:
        return []
    return [session for path in paths if (session := _read(path)) is not None]


def _read(path: Path) -> KnownSession | None:
    told = read_json(path)
    if told is None:
        return None
    names = {field.name for field in fields(KnownSession)}
    try:
        return KnownSession(**{key: value for key, value in told.items() if key in names})
    except TypeError:
        return None
