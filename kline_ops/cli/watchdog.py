"""``kline-ops watchdog NAME``: a process of its own that tells when a session does not record."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from kline_ops.cli.options import ConfigFile, Name, finite

if TYPE_CHECKING:
    from kline_ops.alerts.message import Message
    from kline_ops.cli.watchdog_voice import Voice
    from kline_ops.cli.watched import Watched
    from kline_ops.ops.guard import Guard
    from kline_ops.watch.staleness import Finding

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: A check that comes so much later (s) than it should was held up with the rest of the machine.
_HELD_UP = 2.0
#: Seconds for what is still to be told at the end.
_LAST_WORDS = 5.0


class _ToldToEnd(BaseException):
    """A signal: it ends whatever this process waits for."""


def _finite(value: float | None) -> float | None:
    return None if value is None else finite(value)


def watchdog(
    name: Name,
    config: ConfigFile = None,
    once: Annotated[
        bool, typer.Option("--once", help="Check once: one line, exit code 0 or 1.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Restart a session that is dead or hangs.")
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option(help="Seconds between two checks.", min=0.1, callback=_finite),
    ] = None,
    max_age: Annotated[
        float | None,
        typer.Option(
            help="Seconds without a heartbeat that are good.",
            min=0.1,
            callback=_finite,
        ),
    ] = None,
) -> None:
    """Watch over a session from outside, and tell its alert channel when it does not record.

    Told once, each hour again, and when it is over; a session that was stopped is left in peace.
    Exit code of --once: 1 where somebody must look, else 0.
    """
    from kline_ops.cli.watched import find_watched

    watched = find_watched(name, config, interval=interval, max_age=max_age)
    if once:
        raise typer.Exit(_check_once(watched, restart=restart))
    _watch(watched, restart=restart)


def _watch(watched: Watched, *, restart: bool) -> None:
    """Until a signal."""
    from kline_ops.cli.watchdog_voice import Voice
    from kline_ops.clock import SystemClock
    from kline_ops.ops.guard import Guard, Memory
    from kline_ops.ops.rescue import Rescuer
    from kline_ops.watch.vigil import Vigil

    clock, voice = SystemClock(), Voice(watched)
    try:
        _listen()
        voice.begin()
        guard = Guard(
            watched.ward,
            clock,
            Memory(vigil=Vigil(floor=watched.floor)),
            Rescuer(clock) if restart else None,
            settles=watched.max_age,
        )
        _rounds(guard, watched, clock.monotonic, voice)
    except _ToldToEnd:
        voice.log("INFO", "ended")
    finally:
        voice.close(_LAST_WORDS)


def _listen() -> None:
    told: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        # Two at once are usual (a service manager, a terminal that goes away): one ends it.
        if not told:
            told.append(number)
            raise _ToldToEnd

    for number in _SIGNALS:
        if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # started by nohup: it is to outlive its terminal
        signal.signal(number, end)


def _rounds(guard: Guard, watched: Watched, monotonic: Callable[[], float], voice: Voice) -> None:
    # The second check is soon: what is found at the first is not told before it has settled.
    due, interval = monotonic(), min(watched.interval, watched.max_age)
    before: Finding | None = None
    while True:
        late = monotonic() - due
        try:
            finding = guard.round(
                voice.tell, late if late > max(_HELD_UP, watched.max_age) else 0.0
            )
            if not finding.is_alarm and (before is None or finding.word is not before.word):
                voice.log("INFO", f"{watched.name}: {finding}")
            before = finding
            voice.try_again()
        except Exception as error:  # noqa: BLE001 - a boundary: nothing but a signal ends it
            voice.log("ERROR", f"this check came to nothing: {type(error).__name__}: {error}")
        now = monotonic()
        due = due + interval if due + interval > now else now + interval
        interval = watched.interval
        time.sleep(due - now)


def _check_once(watched: Watched, *, restart: bool) -> int:
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
        finding = guard.round(messages.append)
        if is_alone:  # else the one that is under way tells, and does, what there is to
            if watched.problem and watched.problem != memory.problem:
                _complain(line("WARNING", f"{NO_CONFIG}: {watched.problem}"))
            memory.problem = watched.problem
            for message in messages:
                _deliver(watched, message)
            try:
                keep(path, watches, read(clock), memory)
            except OSError as error:
                _complain(f"{path} can not be written: {error.strerror}")
    # Last, as that may go to the full disk that the others had to be told of.
    typer.echo(shown(f"{watched.name} {finding}"))
    return EXIT_FINDING if finding.is_alarm else EXIT_GOOD


def _complain(text: str) -> None:
    with contextlib.suppress(OSError):
        typer.echo(text, err=True)


def _deliver(watched: Watched, message: Message) -> None:
    """To the channels, and wait for them; without any, and where one fails, to our error output."""
    from kline_ops.alerts.routes import WATCHDOG, routes_of, tell
    from kline_ops.cli.watchdog_voice import line, text
    from kline_ops.errors import KlineOpsError

    problems: list[str] = []
    channels = []
    try:
        if watched.config is not None:
            channels = [
                route.channel for route in routes_of(watched.config, WATCHDOG, watched.name)
            ]
        problems += [error.one_line() for error in tell(channels, message)]
    except KlineOpsError as error:
        problems.append(error.one_line())
    except Exception as error:  # noqa: BLE001 - a boundary: what is left to tell is told all the same
        problems.append(f"its alert channel failed: {type(error).__name__}: {error}")
    for problem in problems:
        _complain(line("WARNING", problem))
    if problems or not channels:
        _complain(line(message.level.name, text(message)))
