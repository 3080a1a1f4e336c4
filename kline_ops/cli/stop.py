"""``kline-ops stop NAME``."""

from __future__ import annotations

from pathlib import Path
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
    from kline_ops.watch.evidence import state_of
    from kline_ops.watch.status import look

    known = known_session(name, config)
    clock = SystemClock()
    how = stopping.stop(known, clock, timeout)
    if how is stopping.Stopped.NOT_RUNNING:
        typer.echo(f"{name} is not running")
        return
    try:
        stopping.leave_word(known, how, clock)
    except OSError as error:
        told = f"that {name} is stopped can not be written down: {error.strerror}"
        typer.echo(f"kline-ops: {told}. Try: make room; until then status calls it dead", err=True)
    forced = " by force" if how is stopping.Stopped.BY_FORCE else ""
    if known.command:
        typer.echo(f"{name} stopped{forced}")
        return
    _, record = look(known, clock.wall_ms())
    told = f"{record['on_disk']:,} candles on disk in {record['csv']}"
    if (state_of(name, Path(known.state_file)) or {}).get("status") != "stopped":
        # What it had on disk at last is not told by a state of before.
        told = f"its last state was not written; its candles are in {record['csv']}"
    typer.echo(f"{name} stopped{forced}: {told}")
