"""``kline-ops watchdog NAME``: a process of its own that tells when a session does not record."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from kline_ops.cli.options import ConfigFile, Name, finite

if TYPE_CHECKING:
    from kline_ops.cli.watchdog_textfile import Textfile
    from kline_ops.cli.watchdog_voice import Voice
    from kline_ops.cli.watched import Watched
    from kline_ops.ops.guard import Guard
    from kline_ops.ops.guard_memory import Shared
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
    textfile: Annotated[
        Path | None,
        typer.Option(help="Leave what is found here, for node_exporter (FILE.prom)."),
    ] = None,
) -> None:
    """Watch over a session from outside, and tell its alert channel when it does not record.

    Told once, each hour again, and when it is over; a session that was stopped is left in peace.
    Exit code of --once: 1 where somebody must look, else 0.
    """
    from kline_ops.cli.watched import find_watched

    if textfile is not None:
        from kline_ops.config.paths import textfile_of

        textfile = textfile_of(textfile, "--textfile").absolute()
    watched = find_watched(name, config, interval=interval, max_age=max_age, textfile=textfile)
    if once:
        from kline_ops.cli.watchdog_once import check_once

        raise typer.Exit(check_once(watched, restart=restart))
    _watch(watched, restart=restart)


def _watch(watched: Watched, *, restart: bool) -> None:
    """Until a signal."""
    from kline_ops.cli.watchdog_textfile import Textfile
    from kline_ops.cli.watchdog_voice import Voice
    from kline_ops.clock import SystemClock
    from kline_ops.ops.guard import Guard, Memory
    from kline_ops.ops.guard_memory import Shared, memory_file
    from kline_ops.ops.rescue import Rescuer
    from kline_ops.watch.vigil import Vigil

    clock, voice = SystemClock(), Voice(watched)
    try:
        _listen()
        voice.begin()
        memory = Memory(vigil=Vigil(floor=watched.floor))
        guard = Guard(
            watched.ward,
            clock,
            memory,
            Rescuer(clock) if restart else None,
            settles=watched.max_age,
        )
        shared = Shared(memory_file(watched.name), watched.state_file, clock, memory)
        textfile = Textfile(watched, memory, clock, partial(voice.log, "WARNING"))
        _rounds(guard, watched, clock.monotonic, voice, shared, textfile)
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


def _rounds(
    guard: Guard,
    watched: Watched,
    monotonic: Callable[[], float],
    voice: Voice,
    shared: Shared,
    textfile: Textfile,
) -> None:
    # The second check is soon: what is found at the first is not told before it has settled.
    due, interval = monotonic(), min(watched.interval, watched.max_age)
    before: Finding | None = None
    while True:
        late = monotonic() - due
        try:
            shared.learn()
            told = voice.told
            textfile.before()
            finding = guard.round(
                voice.tell, late if late > max(_HELD_UP, watched.max_age) else 0.0
            )
            textfile.after(finding, guard.evidence)
            shared.keep()
            is_new = before is None or finding.word is not before.word
            if is_new and not (finding.is_alarm and voice.told > told):
                voice.log("INFO", f"{watched.name}: {finding}")
            before = finding
            voice.try_again()
        except Exception as error:  # noqa: BLE001 - a boundary: nothing but a signal ends it
            voice.log("ERROR", f"this check came to nothing: {type(error).__name__}: {error}")
        now = monotonic()
        due = due + interval if due + interval > now else now + interval
        interval = watched.interval
        time.sleep(due - now)
