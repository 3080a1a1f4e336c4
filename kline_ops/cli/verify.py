"""``kline-ops verify FILE-or-NAME``: compare the rows with REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from kline_ops.cli.given import moment, printable, run_text
from kline_ops.cli.options import AsJson, ConfigFile
from kline_ops.cli.target import (
    Environment,
    FileOrName,
    From,
    IntervalName,
    Options,
    RestUrl,
    Symbol,
    Target,
    Until,
    asking,
    find_target,
    for_user,
)

if TYPE_CHECKING:
    from pathlib import Path

    from kline_ops.record.compare import Comparison
    from kline_ops.record.owed import Window


def verify(  # noqa: PLR0913 - an argument an option
    target: FileOrName,
    *,
    from_: From = None,
    until: Until = None,
    symbol: Symbol = None,
    interval: IntervalName = None,
    rest_url: RestUrl = None,
    environment: Environment = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Compare a candle file with REST, from its first to its last row; nothing is rewritten.

    Exits with 0 if all is equal, 1 if something is not, 2 if the input can not be used.
    """
    import asyncio

    from kline_ops.record.owed import Window

    found = find_target(target, Options(symbol, interval, rest_url, environment, config))
    window = Window(moment("--from", from_), moment("--until", until))
    comparison = asyncio.run(_compare(found, window, quiet=as_json))
    if found.events_file is not None and comparison.amended:
        _note(comparison, found.events_file)
    if as_json:
        import json

        typer.echo(json.dumps(_as_object(found, comparison)))
    else:
        _tell(found, comparison)
    raise typer.Exit(1 if comparison.findings else 0)


async def _compare(target: Target, window: Window, *, quiet: bool) -> Comparison:
    from kline_ops.cli.progress import meter
    from kline_ops.clock import SystemClock
    from kline_ops.errors import VenueError
    from kline_ops.record.compare import Comparer
    from kline_ops.record.rows import RowReader

    async with asking(target, SystemClock()) as asker:
        with meter("comparing", quiet=quiet) as progress:
            rows = RowReader(target.path, target.columns)
            comparer = Comparer(target.stream, rows, asker, target.grace_ms, progress.advance)
            try:
                return await comparer.run(window, progress.begin)
            except VenueError as error:
                raise for_user(error) from None


def _note(comparison: Comparison, events_file: Path) -> None:
    """One write a finding: a recorder appends to the same file."""
    import os

    from kline_ops.clock import SystemClock
    from kline_ops.events import CandleAmended
    from kline_ops.market import timestamp
    from kline_ops.observe.logs import event_line

    clock = SystemClock()
    try:
        fd = os.open(events_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            for amended in comparison.amended:
                event = CandleAmended(
                    open_time=timestamp.to_text(amended.kept.open_ms),
                    kept=",".join(amended.ours()),
                    seen=",".join(amended.theirs()),
                )
                os.write(fd, event_line(event, clock))
        finally:
            os.close(fd)
    except OSError as error:
        typer.echo(f"the findings could not be noted: {events_file}: {error.strerror}", err=True)


def _as_object(target: Target, comparison: Comparison) -> dict[str, Any]:
    from kline_ops.market import timestamp

    return {
        "path": str(target.path),
        "symbol": target.stream.symbol,
        "interval": target.stream.interval.name,
        "compared": comparison.compared,
        "amended": [
            {
                "open_time": timestamp.to_text(amended.kept.open_ms),
                "column": name,
                "ours": ours,
                "theirs": theirs,
            }
            for amended in comparison.amended
            for name, ours, theirs in amended.columns()
        ],
        "not_at_exchange": _runs(target, comparison.unknown),
        "not_in_file": _runs(target, comparison.lacking),
    }


def _runs(target: Target, opens: list[int]) -> list[dict[str, Any]]:
    from kline_ops.market import timestamp
    from kline_ops.record.compare import runs

    return [
        {"first": timestamp.to_text(first), "last": timestamp.to_text(last), "candles": count}
        for first, last, count in runs(target.stream.interval, opens)
    ]


def _tell(target: Target, comparison: Comparison) -> None:
    from kline_ops.market import timestamp
    from kline_ops.record.compare import runs

    for amended in comparison.amended:
        for name, ours, theirs in amended.columns():
            time = timestamp.to_text(amended.kept.open_ms)
            typer.echo(f"amended: {time} {name}: ours {ours}, theirs {theirs}")
    for told, opens in (
        ("not at the exchange", comparison.unknown),
        ("not in the file", comparison.lacking),
    ):
        for run in runs(target.stream.interval, opens):
            typer.echo(f"{told}: {run_text(*run)}")
    typer.echo(
        printable(
            f"{target.path}: {comparison.compared} compared,"
            f" {len(comparison.amended)} amended,"
            f" {len(comparison.unknown)} not at the exchange,"
            f" {len(comparison.lacking)} not in the file"
        )
    )
