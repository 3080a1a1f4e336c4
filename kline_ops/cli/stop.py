"""``kline-ops stop NAME``."""

from __future__ import annotations

from typing import Annotated

import typer

from kline_ops.cli.options import ConfigFile, Name, finite


def stop(
    name: Name,
    config: ConfigFile = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds before it is forced.", min=0, callback=finite)
    ] = 10.0,
) -> None:
    """End a session cleanly: the row is finished and synced, sockets are closed, nothing is left."""
    from kline_ops.cli.known import known_session
    from kline_ops.clock import SystemClock
    from kline_ops.ops import stopping
    from kline_ops.watch.status import look
    from kline_ops.watch.verdict import Word

    known = known_session(name, config)
    how = stopping.stop(known, SystemClock(), timeout)
    if how is stopping.Stopped.NOT_RUNNING:
        typer.echo(f"{name} is not running")
        return
    forced = " by force" if how is stopping.Stopped.BY_FORCE else ""
    if known.command:
        typer.echo(f"{name} stopped{forced}")
        return
    word, record = look(known, SystemClock().wall_ms())
    told = f"{record['on_disk']:,} candles on disk in {record['csv']}"
    if word is not Word.STOPPED:
        # What it had on disk at last is not told by a state of before.
        told = f"its last state was not written; its candles are in {record['csv']}"
    typer.echo(f"{name} stopped{forced}: {told}")
