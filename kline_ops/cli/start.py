"""``kline-ops start NAME``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from kline_ops.cli.options import ConfigFile, NewName, finite

if TYPE_CHECKING:
    from kline_ops.config.command import CommandSettings
    from kline_ops.config.settings import Settings
    from kline_ops.ops.session import Register


def start(
    name: NewName,
    config: ConfigFile = None,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for the first data.", min=0, callback=finite)
    ] = 20.0,
    attach: Annotated[bool, typer.Option("--attach", help="Show it when it runs.")] = False,
) -> None:
    """Start a session in tmux; returns when its first data has arrived, or its command runs.

    After the wait it says what is wrong (exit 1), and the session goes on trying.
    """
    import os

    from kline_ops.clock import SystemClock
    from kline_ops.config.command import CommandSettings
    from kline_ops.config.settings import load_session
    from kline_ops.config.trust import check_trust
    from kline_ops.ops import session

    settings = load_session(name, config)
    if _is_running(settings):
        typer.echo(f"{name} {session.RUNS_ALREADY}")
    elif isinstance(settings, CommandSettings):
        _start_command(settings, wait)
    else:
        check_trust(settings, os.environ)
        if settings.config.alerts.urls:
            from kline_ops.alerts.routes import check_alerts

            check_alerts(settings.config)
        tell_warnings(settings)
        started = session.start(settings, SystemClock(), wait, register=_register(settings))
        if not started.has_data:
            _say_not_yet(name, f"has no data after {wait:g} s: {started.reason}")
        stream = f"{settings.stream.symbol} {settings.stream.interval}"
        typer.echo(f"{name} {started.reason or f'is recording {stream} into {settings.csv}'}")
    if attach:
        from kline_ops.cli.attach import attach as show

        show(name)


def tell_warnings(settings: Settings | CommandSettings) -> None:
    """What its user should know, on the terminal: the log has it for later."""
    from kline_ops.cli.given import printable
    from kline_ops.secret import redacted

    for warning in settings.warnings:
        typer.echo(printable(f"kline-ops: warning: {redacted(warning)}"), err=True)


def _is_running(settings: Settings | CommandSettings) -> bool:
    """By its entry in the registry, which is put right where it names a supervisor that is gone."""
    from kline_ops.errors import SessionError
    from kline_ops.ops import session
    from kline_ops.ops.running import is_running
    from kline_ops.watch.registry import find_session

    try:
        known = find_session(settings.name)
    except SessionError:
        return False
    if not is_running(known):
        return False
    if known.keeper_pid is not None and not session.has_keeper(known):
        session.adopt(settings, _register(settings))
    return True


def _register(settings: Settings | CommandSettings) -> Register:
    from kline_ops.cli.known import remember_session
    from kline_ops.ops.session import Keeper

    def register(keeper: Keeper | None) -> None:
        if keeper is None:
            remember_session(settings, None)
        else:
            remember_session(settings, keeper.pid, supervised=True, tmux_tmpdir=keeper.tmux_tmpdir)

    return register


def _start_command(settings: CommandSettings, wait: float) -> None:
    import os

    from kline_ops.cli.known import describe_session
    from kline_ops.clock import SystemClock
    from kline_ops.ops import commands

    commands.check(settings, os.environ)
    tell_warnings(settings)
    started = commands.start(settings, SystemClock(), wait, register=_register(settings))
    if not started.has_data:
        _say_not_yet(settings.name, f"does not run: {started.reason}")
    told = started.reason or f"is running: {describe_session(settings).command}"
    typer.echo(f"{settings.name} {told}")


def _say_not_yet(name: str, what: str) -> NoReturn:
    from kline_ops.errors import EXIT_FINDING
    from kline_ops.secret import redacted

    told = f"kline-ops: {name} {redacted(what)}; it goes on trying. Try: kline-ops logs {name}"
    typer.echo(told, err=True)
    raise typer.Exit(EXIT_FINDING)
