"""``kline-ops start NAME``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from kline_ops.cli.options import ConfigFile, NewName

if TYPE_CHECKING:
    from kline_ops.config.command import CommandSettings


def start(
    name: NewName,
    config: ConfigFile = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the first data.", min=0)] = 20.0,
    attach: Annotated[bool, typer.Option("--attach", help="Show it when it runs.")] = False,
) -> None:
    """Start a session in tmux; returns when its first data has arrived, or its command runs.

    After the wait it says what is wrong (exit 1), and the session goes on trying.
    """
    import os

    from kline_ops.cli.known import remember_session
    from kline_ops.clock import SystemClock
    from kline_ops.config.command import CommandSettings
    from kline_ops.config.settings import load_session
    from kline_ops.config.trust import check_trust
    from kline_ops.errors import SessionError
    from kline_ops.ops import session
    from kline_ops.ops.running import is_running
    from kline_ops.watch.registry import find_session

    settings = load_session(name, config)
    try:
        running = is_running(find_session(name))
    except SessionError:
        running = False
    if running:
        typer.echo(f"{name} is running already")
    elif isinstance(settings, CommandSettings):
        _start_command(settings, wait)
    else:
        check_trust(settings, os.environ)
        started = session.start(
            settings, SystemClock(), wait, register=lambda: remember_session(settings, None)
        )
        if not started.has_data:
            _say_not_yet(name, f"has no data after {wait:g} s: {started.reason}")
        stream = settings.stream
        typer.echo(f"{name} is recording {stream.symbol} {stream.interval} into {settings.csv}")
    if attach:
        from kline_ops.cli.attach import attach as show

        show(name)


def _start_command(settings: CommandSettings, wait: float) -> None:
    import os

    from kline_ops.cli.known import describe_session, remember_session
    from kline_ops.clock import SystemClock
    from kline_ops.ops import commands

    commands.check(settings, os.environ)
    started = commands.start(
        settings, SystemClock(), wait, register=lambda: remember_session(settings, None)
    )
    if not started.has_data:
        _say_not_yet(settings.name, f"does not run: {started.reason}")
    told = started.reason or f"is running: {describe_session(settings).command}"
    typer.echo(f"{settings.name} {told}")


def _say_not_yet(name: str, what: str) -> NoReturn:
    from kline_ops.errors import EXIT_FINDING

    told = f"kline-ops: {name} {what}; it goes on trying. Try: kline-ops logs {name}"
    typer.echo(told, err=True)
    raise typer.Exit(EXIT_FINDING)
