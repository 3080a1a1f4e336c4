"""``kline-ops stop NAME``."""

from __future__ import annotations

from typing import Annotated

import typer

from kline_ops.cli.options import ConfigFile, Name


def stop(
    name: Name,
    config: ConfigFile = None,
    timeout: Annotated[float, typer.Option(help="Seconds before it is forced.", min=0)] = 10.0,
) -> None:
    """End a session cleanly: the row is finished and synced, sockets are closed, nothing is left."""
    from kline_ops.cli.known import known_session
    from kline_ops.clock import SystemClock
    from kline_ops.ops import session
    from kline_ops.watch.status import look
    from kline_ops.watch.verdict import Word

    known = known_session(name, config)
    if not session.stop(known, SystemClock(), timeout):
        typer.echo(f"{name} is not running")
        return
    word, record = look(known, SystemClock().wall_ms())
    forced = "" if word is Word.STOPPED else " by force"
    typer.echo(f"{name} stopped{forced}: {record['on_disk']:,} candles on disk in {record['csv']}")
