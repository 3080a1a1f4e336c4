"""``kline-ops init [NAME]``: a config of one's own, from five questions or from flags."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    name: Annotated[str | None, typer.Argument(help="The session.", show_default=False)] = None,
    symbol: Annotated[str | None, typer.Option(help="Such as btcusdt.")] = None,
    timeframe: Annotated[str | None, typer.Option(help="Such as 1h.")] = None,
    reconnect: Annotated[
        str | None, typer.Option(help="How often the connection is renewed: 4h, or never.")
    ] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder for the candles.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="The file; else configs/NAME.yml.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Take the defaults for what is not given.")
    ] = False,
) -> None:
    """Write a config for a new session: asks for what is not given, and checks each answer."""
    import shlex
    import sys

    from kline_ops.cli import new_config
    from kline_ops.cli.new_config import Answers, raise_if_wrong

    file = None if output is None else str(output.expanduser())
    answers = Answers(name, symbol, timeframe, reconnect, data_dir, file)
    if file is not None:
        new_config.check_free(answers.path)
    for key in new_config.QUESTIONS:
        if getattr(answers, key) is not None:
            raise_if_wrong(answers, key)
    answers = new_config.complete(answers, asks=not yes and sys.stdin.isatty(), defaults=yes)
    settings, path = new_config.put(answers), answers.path
    typer.echo(f"wrote {path}: {settings.stream.symbol} {settings.stream.interval}")
    typer.echo(f"candles go to {settings.csv}")
    given = "" if file is None else f" --config {shlex.quote(str(path))}"
    for step in (f"doctor {settings.name}", f"start {settings.name}"):
        typer.echo(f"next: kline-ops {step}{given}")
