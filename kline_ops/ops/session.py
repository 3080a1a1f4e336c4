"""Starting and stopping a session, and waiting until it is so."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kline_ops.errors import EXIT_USAGE, KlineOpsError, SessionError
from kline_ops.ops.running import is_supervisor
from kline_ops.watch.evidence import exit_of, state_of
from kline_ops.watch.files import Json, section
from kline_ops.watch.process import Process, look_at
from kline_ops.watch.registry import KnownSession, find_session, forget, remember
from kline_ops.watch.status import free_bytes
from kline_ops.watch.verdict import DISK_FULL, NO_DATA_YET, is_full

if TYPE_CHECKING:
    from kline_ops.clock import Clock
    from kline_ops.config.command import Session as AnySession
    from kline_ops.config.settings import Settings
    from kline_ops.ops.tmux import Tmux

_POLL = 0.05
#: So many polls long tmux may take to close the window of a supervisor that has just ended.
_ENDING_POLLS = 20
#: What came of a start where there was nothing to do.
RUNS_ALREADY = "is running already"


@dataclass(frozen=True, slots=True)
class Started:
    """What came of a start within the wait: data, or what stands in its way."""

    has_data: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Keeper:
    """A supervisor that runs in tmux, and below which folder that server's socket is."""

    pid: int
    tmux_tmpdir: str


#: Makes a session known: before it starts (None), or with the supervisor that it has.
Register = Callable[[Keeper | None], None]


def start(settings: Settings, clock: Clock, wait: float, *, register: Register) -> Started:
    """Start a session in tmux and wait for its first data. ``register`` makes it known before.

    Raises:
        MachineError: no tmux.
        ConfigError: its data_dir can not be written.
        JournalError: another session records into the same file.
        SessionError: the recorder ended at once, and why.
    """
    from kline_ops.record.lock import FileLock  # noqa: PLC0415

    def check() -> None:
        if settings.csv.exists():
            lock = FileLock(settings.csv)
            lock.acquire(settings.name)
            lock.release()

    began_ms = clock.wall_ms()
    if not launch(settings, register=register, check=check):
        return Started(has_data=True, reason=RUNS_ALREADY)
    return _wait_for_data(settings, began_ms, clock, wait)


def launch(
    settings: AnySession,
    *,
    register: Register,
    check: Callable[[], None] = lambda: None,
    whole: bool = False,
) -> bool:
    """Have a supervisor run it in tmux, where none does yet. ``whole``: with all of our environment.

    False where one has been running all along, and the registry did not know.

    Raises:
        MachineError: no tmux.
        ConfigError: its data_dir can not be written.
    """
    from kline_ops.ops import handover  # noqa: PLC0415 - stop and status need none of this
    from kline_ops.ops.tmux import Tmux  # noqa: PLC0415

    socket = settings.config.ops.tmux_socket
    places = [Tmux(socket, place) for place in _tmux_places(settings.name)]
    for _ in range(_ENDING_POLLS):
        if not any(tmux.has(settings.name) for tmux in places):
            break
        time.sleep(_POLL)
    else:
        return not adopt(settings, register)  # it runs, or is being started
    check()
    environment = handover.file_in(settings.data_dir)
    try:
        handover.write(environment, os.environ, whole=whole)
    except OSError as error:
        raise handover.unwritable(environment, error) from None
    with _forgotten_on_failure(settings.name, environment):
        register(None)
        Tmux(socket).start(settings.name, _command(settings, environment), settings.data_dir)
    return True


def adopt(settings: AnySession, register: Register) -> bool:
    """Make a supervisor in tmux known again whose entry is lost, or names one that is gone.

    Raises:
        MachineError: no tmux.
    """
    from kline_ops.ops.tmux import Tmux  # noqa: PLC0415

    if (known := _entry(settings.name)) is not None and (
        known.keeper_pid is None or has_keeper(known)
    ):
        return False  # being started, or well known
    for place in _tmux_places(settings.name):
        tmux = Tmux(settings.config.ops.tmux_socket, place)
        if (pid := _supervisor_in(tmux, settings.name)) is not None:
            register(Keeper(pid, str(tmux.folder)))
            return True
    return False


def has_keeper(known: KnownSession) -> bool:
    """Is the process that its entry names still there?"""
    return look_at(known.keeper_pid, known.keeper_started) is not Process.GONE


def _supervisor_in(tmux: Tmux, name: str) -> int | None:
    """Of the panes (somebody may have split the window) the one of the supervisor."""
    for pid in tmux.pids(name):
        if is_supervisor(pid, name):
            return pid
    return None


@contextlib.contextmanager
def _forgotten_on_failure(name: str, environment: Path) -> Iterator[None]:
    """Where nothing came to run, the registry is as before, and what was handed over is gone."""
    before = _entry(name)
    try:
        yield
    except (KlineOpsError, OSError):
        with contextlib.suppress(OSError):
            environment.unlink(missing_ok=True)
            forget(name) if before is None else remember(before)
        raise


def _entry(name: str) -> KnownSession | None:
    try:
        return find_session(name)
    except SessionError:
        return None


def _tmux_places(name: str) -> list[Path | None]:
    """Where it may run: below today's TMUX_TMPDIR, and below that of whoever started it last."""
    known = _entry(name)
    return [None, Path(known.tmux_tmpdir)] if known is not None and known.tmux_tmpdir else [None]


def _command(settings: AnySession, environment: Path) -> list[str]:
    base = [sys.executable, "-m", "kline_ops", "supervise", settings.name]
    return [*base, "--config", str(settings.path), "--env-file", str(environment)]


def _wait_for_data(settings: Settings, began_ms: int, clock: Clock, wait: float) -> Started:
    deadline = clock.monotonic() + wait
    reason = "it has not said anything yet"
    while clock.monotonic() < deadline:
        told = exit_of(settings.name, settings.exit_file)
        if told is not None and written_since(settings.exit_file, began_ms):
            _raise_if_final(settings.name, told)
        state = state_of(settings.name, settings.state_file)
        if state is not None and written_since(settings.state_file, began_ms):
            if section(state, "metadata").get("live"):
                return Started(has_data=True, reason="")
            reason = str(state.get("error") or reason).removeprefix(NO_DATA_YET)
        time.sleep(_POLL)
    if is_full(free_bytes(settings.data_dir)):
        reason = DISK_FULL
    return Started(has_data=False, reason=reason)


def _raise_if_final(name: str, told: Json) -> None:
    if not told.get("final"):
        return
    reason = str(told.get("reason") or "").removeprefix("kline-ops: ")
    code = told.get("code")
    raise SessionError(
        reason or f"{name} ended at once", exit_code=EXIT_USAGE if code == EXIT_USAGE else 1
    )


def written_since(path: Path, began_ms: int) -> bool:
    """Is the file of this start, and not of a run before?"""
    try:
        return path.stat().st_mtime_ns // 1_000_000 >= began_ms
    except OSError:
        return False
