"""``kline-ops analyze-gaps``: what is missing in candle files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kline_ops.errors import KlineOpsError
    from kline_ops.gaps import FileReport

#: Until ``now``: a candle that closed just before may be on its way to the disk still.
_UNDER_WAY_MS = 5_000
_FILE_ENDINGS = (".csv", ".gz", ".zip")


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

    window = (_moment("--from", from_), _moment("--until", until))
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
            typer.echo(_printable(failure.one_line()), err=True)
        codes = {failure.exit_code for failure in errors}
        raise typer.Exit(EXIT_USAGE if EXIT_USAGE in codes else max(codes))
    if any(report.missing for report in reports):
        raise typer.Exit(EXIT_FINDING)


def _report(
    name: str, interval: str | None, from_ms: int | None, until_ms: int | None
) -> FileReport:
    from kline_ops.gaps import report

    if _is_file(name):
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


def _is_file(name: str) -> bool:
    if "/" in name or name.endswith(_FILE_ENDINGS):
        return True
    try:
        return Path(name).exists()
    except OSError:  # longer than a file name can be
        return True


def _moment(option: str, text: str | None) -> int | None:
    """Milliseconds since the epoch of an option's time; ``now`` is known to ``--until`` only."""
    from kline_ops.clock import SystemClock
    from kline_ops.errors import InputError
    from kline_ops.market import timestamp

    if text is None:
        return None
    if option == "--until" and text == "now":
        return SystemClock().wall_ms() - _UNDER_WAY_MS
    try:
        return timestamp.to_ms(text)
    except ValueError:
        raise InputError(
            f"{option} {text!r}: not a time", hint="2026-01-27 or 2026-01-27T14:00:00Z"
        ) from None


def _print(reports: Sequence[FileReport], *, as_json: bool) -> None:
    from kline_ops.gaps import render

    if as_json:
        import json

        typer.echo(json.dumps(render.as_object(reports)))
    else:
        typer.echo(_printable(render.as_text(reports, ascii_only=_encoding() != "utf-8")))


def _printable(text: str) -> str:
    """What stdout can not encode (a symbol, a path) is escaped instead of failing."""
    encoding = _encoding()
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _encoding() -> str:
    import codecs
    import sys

    return codecs.lookup(sys.stdout.encoding or "ascii").name
