"""``kline-ops logs NAME``: from files, so that it works after the session died too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kline_ops.cli.options import ConfigFile, Name


def logs(
    name: Name,
    config: ConfigFile = None,
    lines: Annotated[int, typer.Option("-n", "--lines", help="How many.", min=0)] = 50,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as it grows.")] = False,
    events: Annotated[bool, typer.Option("--events", help="The event log instead.")] = False,
) -> None:
    """The last lines of a session's log, exactly as many as asked for."""
    from kline_ops.cli.known import known_session
    from kline_ops.errors import InputError
    from kline_ops.watch.tail import follow_lines, last_lines

    known = known_session(name, config)
    path = Path(known.events_file if events else known.log_file)
    if not path.exists():
        raise InputError(f"{path} does not exist yet", hint=f"kline-ops status {name}")
    for line in last_lines(path, lines):
        typer.echo(line)
    if follow:
        try:
            for line in follow_lines(path):
                typer.echo(line)
        except KeyboardInterrupt:
            raise typer.Exit(0) from None
