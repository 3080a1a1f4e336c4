"""``kline-ops analyze-gaps``: what is missing in candle files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kline_ops.cli.given import encoding, is_file, moment, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kline_ops.errors import KlineOpsError
    from kline_ops.gaps import FileReport


def analyze_gaps(
    *,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE-or-NAME...", help="Candle files or sessions.")
    ],
    interval: Annotated[
        str | None, typer.Option(help="1h or the like; else by file name, else by the rows.")
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="T", help="Owed from this time on (UTC).")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="T|now", help="Owed is what is closed by then.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing where nothing is missing.")
    ] = False,
) -> None:
    """Report the candles that are missing in candle files: CSV, .gz, .zip, or sessions by name.

    Exits with 0 if nothing is missing, 1 if something is, 2 if a file can not be read.
    """
    from kline_ops.errors import EXIT_FINDING, EXIT_USAGE, KlineOpsError

    window = (moment("--from", from_), moment("--until", until))
    reports: list[FileReport] = []
    errors: list[KlineOpsError] = []
    for name in files:
        try:
            reports.append(_report(name, interval, *window))
        except KlineOpsError as error:
            if len(files) == 1:
                raise
            errors.append(error)
    if quiet:
        reports = [report for report in reports if report.missing]
    if reports:
        _print(reports, as_json=as_json)
    if errors:
        for failure in errors:
            typer.echo(printable(failure.one_line()), err=True)
        codes = {failure.exit_code for failure in errors}
        raise typer.Exit(EXIT_USAGE if EXIT_USAGE in codes else max(codes))
    if any(report.missing for report in reports):
        raise typer.Exit(EXIT_FINDING)


def _report(
    name: str, interval: str | None, from_ms: int | None, until_ms: int | None
) -> FileReport:
    from kline_ops.gaps import report

    if is_file(name):
        return report(name, interval, from_ms=from_ms, until_ms=until_ms)

    from kline_ops.watch.registry import find_session

    session = find_session(name)
    return report(
        session.csv,
        interval or session.interval,
        symbol=session.symbol,
        from_ms=from_ms,
        until_ms=until_ms,
    )


def _print(reports: Sequence[FileReport], *, as_json: bool) -> None:
    from kline_ops.gaps import render

    if as_json:
        import json

        typer.echo(json.dumps(render.as_object(reports)))
    else:
        typer.echo(printable(render.as_text(reports, ascii_only=encoding() != "utf-8")))
