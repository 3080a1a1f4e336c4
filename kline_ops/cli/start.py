"""``kline-ops start NAME``."""

from __future__ import annotations

from typing import Annotated

import typer

from kline_ops.cli.options import ConfigFile, NewName


def start(
    name: NewName,
    config: ConfigFile = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the first data.", min=0)] = 20.0,
    attach: Annotated[bool, typer.Option("--attach", help="Show it when it runs.")] = False,
) -> None:
    """Start a session in tmux; returns when its first data has arrived.

    After the wait it says what is wrong (exit 1), and the session goes on trying.
    """
    import os

    from kline_ops.cli.known import remember_session
    from kline_ops.clock import SystemClock
    from kline_ops.config.settings import load_settings
    from kline_ops.config.trust import check_trust
    from kline_ops.errors import EXIT_FINDING, SessionError
    from kline_ops.ops import session
    from kline_ops.watch.registry import find_session

    settings = load_settings(name, config)
    try:
        running = session.is_running(find_session(name))
    except SessionError:
        running = False
    if running:
        typer.echo(f"{name} is running already")
    else:
        check_trust(settings, os.environ)
        started = session.start(
            settings, SystemClock(), wait, register=lambda: remember_session(settings, None)
        )
        if not started.has_data:
            typer.echo(
                f"kline-ops: {name} has no data after {wait:g} s: {started.reason}; it goes on"
                f" trying. Try: kline-ops logs {name}",
                err=True,
            )
            raise typer.Exit(EXIT_FINDING)
        stream = settings.stream
        typer.echo(f"{name} is recording {stream.symbol} {stream.interval} into {settings.csv}")
    if attach:
        from kline_ops.cli.attach import attach as show

        show(name)
