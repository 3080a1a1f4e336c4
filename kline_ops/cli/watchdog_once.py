"""``kline-ops watchdog NAME --once``: one check, by a call that knows of those before by a file only."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from kline_ops.alerts.message import Message
    from kline_ops.cli.watched import Watched

#: So many messages are kept that reached nobody; the oldest are given up.
_MOST = 20


def check_once(watched: Watched, *, restart: bool) -> int:
    """Check, tell and do what there is to, say it in a line; the exit code."""
    from kline_ops.cli.watchdog_textfile import Textfile
    from kline_ops.cli.watchdog_voice import NO_CONFIG, line, shown
    from kline_ops.clock import SystemClock, read
    from kline_ops.errors import EXIT_FINDING, EXIT_GOOD
    from kline_ops.ops.guard import Guard
    from kline_ops.ops.guard_memory import alone, keep, memory_file, recall
    from kline_ops.ops.rescue import Rescuer

    clock = SystemClock()
    path, watches = memory_file(watched.name), watched.state_file
    with alone(path) as is_alone:
        memory = recall(path, watches, read(clock), watched.floor)
        messages: list[Message] = []
        rescuer = Rescuer(clock) if restart and is_alone else None
        # After a boot, cron is there before a session that begins at boot is.
        settles = max(0.0, watched.max_age - clock.monotonic())
        guard = Guard(watched.ward, clock, memory, rescuer, settles=settles)
        textfile = Textfile(watched, memory, clock, lambda what: _complain(line("WARNING", what)))
        textfile.before()
        finding = guard.round(
            lambda message: messages.append(replace(message, at_ms=clock.wall_ms()))
        )
        textfile.after(finding, guard.evidence)
        if is_alone:  # else the one that is under way tells, and does, what there is to
            if watched.problem and watched.problem != memory.problem:
                _complain(line("WARNING", f"{NO_CONFIG}: {watched.problem}"))
            memory.problem = watched.problem
            memory.untold = _tell(watched, memory.untold, messages)
            try:
                keep(path, watches, read(clock), memory)
            except OSError as error:
                _complain(f"{path} can not be written: {error.strerror}")
    # Last, as that may go to the full disk that the others had to be told of.
    done = f"; {guard.done}" if guard.done else ""
    typer.echo(shown(f"{watched.name} {finding}{done}"))
    return EXIT_FINDING if finding.is_alarm else EXIT_GOOD


def _tell(watched: Watched, before: Sequence[Message], new: Sequence[Message]) -> list[Message]:
    """Tell them in their order, those first that reached nobody before; what reaches nobody now.

    After one that does not, no other is tried: each may take a minute.
    """
    from kline_ops.cli.watchdog_voice import line, text

    left: list[Message] = []
    for number, message in enumerate((*before, *new)):
        problems: list[str] = []
        reached = None if left else _deliver(watched, message, problems)
        for problem in problems:
            _complain(line("WARNING", problem))
        # Cron mails it; once is enough.
        if number >= len(before) and (problems or not reached):
            _complain(line(message.level.name, text(message)))
        if reached is None:
            left.append(message)
    return left[-_MOST:]


def _deliver(watched: Watched, message: Message, problems: list[str]) -> int | None:
    """How many channels took it; None where it reached nobody. ``problems``: of those that did not.

    Waits for them. Where there is none, our error output is who is told.
    """
    from kline_ops.alerts.routes import WATCHDOG, routes_of, tell
    from kline_ops.errors import KlineOpsError

    if watched.config is None:
        return None
    try:
        routes = routes_of(watched.config, WATCHDOG, watched.name)
        failed = tell([route.channel for route in routes], message)
    except KlineOpsError as error:
        problems.append(error.one_line())
        return None
    except Exception as error:  # noqa: BLE001 - a boundary: what is left to tell is told all the same
        problems.append(f"its alert channel failed: {type(error).__name__}: {error}")
        return None
    problems += [error.one_line() for error in failed]
    return None if failed and len(failed) == len(routes) else len(routes) - len(failed)


def _complain(text: str) -> None:
    with contextlib.suppress(OSError):
        typer.echo(text, err=True)
