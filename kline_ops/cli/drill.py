"""``kline-ops drill``: the recorder under every fault there is, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kline_ops.cli.given import printable

_INTERRUPTED = 130


def drill(
    seconds: Annotated[
        float, typer.Option(help="About how long. With less, faults are left out and named.")
    ] = 90.0,
    seed: Annotated[int, typer.Option(help="The same seed is the same order of faults.")] = 1,
    only: Annotated[
        str, typer.Option(metavar="FAULT,FAULT", help="Only these; --list names them.")
    ] = "",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keep the recorder's files here, in a new folder."),
    ] = None,
    no_backfill: Annotated[
        bool,
        typer.Option("--no-backfill", help="Fetch nothing from REST: is each loss explained?"),
    ] = False,
    names: Annotated[bool, typer.Option("--list", help="Name the faults, and end.")] = False,
) -> None:
    """Let everything go wrong, and see whether a candle is lost, doubled or wrong.

    The real recorder, a process of its own, records from the embedded exchange. Nothing of yours is
    touched. Exits with 1 if a candle is lost, doubled or wrong, or a fault is noticed too late; with
    --no-backfill, if a loss is not put down to the fault that it is due to.
    """
    import json
    import sys

    from kline_ops.drill import table
    from kline_ops.drill.faults import TROUBLES
    from kline_ops.drill.foreground import conduct
    from kline_ops.drill.plan import make_plan
    from kline_ops.errors import EXIT_FINDING

    if names:
        typer.echo("\n".join(trouble.name for trouble in TROUBLES))
        return
    chosen = [name.strip() for name in only.split(",") if name.strip()]
    plan = make_plan(seed, seconds, chosen, backfill=not no_backfill)
    typer.echo(table.opening(plan, seed), err=True)
    progress = table.Progress(plan, sys.stderr)
    try:
        report = conduct(plan, seed, keep, progress.tell, backfill=not no_backfill)
    finally:
        progress.close()
    typer.echo(json.dumps(report.as_object()) if as_json else printable(table.as_text(report)))
    if report.findings():
        raise typer.Exit(EXIT_FINDING)
    if report.interrupted:
        raise typer.Exit(_INTERRUPTED)
