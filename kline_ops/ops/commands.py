"""A session that is only a command: how it is called, and whether it runs."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kline_ops.config.command import CommandSettings
from kline_ops.errors import ConfigError, SessionError
from kline_ops.ops.session import RUNS_ALREADY, Register, Started, launch, written_since
from kline_ops.watch.command import SETTLES
from kline_ops.watch.evidence import exit_of, state_of
from kline_ops.watch.files import Json, section
from kline_ops.watch.process import Process, look_at
from kline_ops.watch.verdict import how_it_ended

if TYPE_CHECKING:
    from kline_ops.clock import Clock

#: The only exit code after which a command is not started again: an end of its own.
FINAL = frozenset({0})
_POLL = 0.05


def relay(settings: CommandSettings) -> list[str]:
    """What a supervisor runs: the command on a terminal of its own (``pty_relay.py``)."""
    told = {
        "--name": settings.name,
        "--log": settings.log_file,
        "--state": settings.state_file,
        "--folder": settings.working_dir,
    }
    arguments = [f"{option}={value}" for option, value in told.items()]
    return [sys.executable, "-m", "kline_ops.ops.pty_relay", *arguments, "--", *settings.argv]


def environment(settings: CommandSettings) -> dict[str, str]:
    """What its config sets for the command."""
    return {key: value.reveal() for key, value in settings.env.items()}


def check(settings: CommandSettings, environ: Mapping[str, str]) -> None:
    """Refuse a program that is not there, before anything is touched.

    Raises:
        ConfigError: like that.
    """
    program = settings.argv[0]
    # The command is looked for from its own folder.
    wanted = str(settings.working_dir / program) if "/" in program else program
    path = (dict(environ) | environment(settings)).get("PATH")
    if shutil.which(wanted, path=path) is None:
        raise ConfigError(
            f"there is no program {program!r}",
            field=f"ops.sessions.{settings.name}.command",
            hint="its whole path; a built-in of the shell needs: sh -c '…'",
        )


def start(settings: CommandSettings, clock: Clock, wait: float, *, register: Register) -> Started:
    """Start it in tmux; good is a command that runs for a moment, or has ended with 0.

    Raises:
        MachineError: no tmux.
        ConfigError: its data_dir can not be written.
        SessionError: it was told to end meanwhile.
    """
    began_ms = clock.wall_ms()
    if not launch(settings, register=register, whole=True):
        return Started(has_data=True, reason=RUNS_ALREADY)
    deadline = clock.monotonic() + wait
    while clock.monotonic() < deadline:
        told = exit_of(settings.name, settings.exit_file)
        if told is not None and written_since(settings.exit_file, began_ms):
            return _ended(settings.name, told)
        if _runs(settings, began_ms, clock.wall_ms()):
            return Started(has_data=True, reason="")
        time.sleep(_POLL)
    return Started(has_data=False, reason="it has not begun yet")


def _ended(name: str, told: Json) -> Started:
    if not told.get("final"):
        return Started(has_data=False, reason=f"it ended ({how_it_ended(told)})")
    if told.get("code") != 0 or told.get("orphaned"):
        raise SessionError(f"{name} was told to end", exit_code=1, hint=f"kline-ops logs {name}")
    return Started(has_data=True, reason="has ended, with exit code 0")


def _runs(settings: CommandSettings, began_ms: int, now_ms: int) -> bool:
    """Does this run of it last for long enough?"""
    told = section(state_of(settings.name, settings.state_file), "metadata")
    started_ms = told.get("started_ms")
    if not isinstance(started_ms, int) or not began_ms <= started_ms <= now_ms - SETTLES * 1000:
        return False
    return look_at(told.get("pid"), told.get("pid_started")) is Process.RUNNING
