"""``kline-ops analyze-gaps``: what is missing in candle files, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kline_ops.cli.given import encoding, moment, printable
from kline_ops.cli.options import ConfigFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kline_ops.cli.gap_search import Asked
    from kline_ops.errors import KlineOpsError
    from kline_ops.gaps.model import Finding

_Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE-or-NAME...", help="Candle files, - for stdin, or sessions."),
]
_Interval = Annotated[
    str | None, typer.Option(help="1h or the like; else by file name, else by the rows.")
]
_From = Annotated[
    str | None, typer.Option("--from", metavar="T", help="Owed from this time on (UTC).")
]
_Until = Annotated[
    str | None, typer.Option(metavar="T|now", help="Owed is what is closed by then.")
]
_Each = Annotated[
    bool, typer.Option("--each", help="Each file alone; else those of one symbol are one series.")
]
_Values = Annotated[
    bool | None,
    typer.Option("--values/--no-values", help="Look for highs below lows; else up to 32 MB."),
]
_Events = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The event log that tells the causes.")
]
_Outages = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Known outages: FROM, UNTIL, what it was.")
]
_Verify = Annotated[
    bool, typer.Option("--verify", help="Ask REST for what is missing: ours, or the exchange's?")
]
_Symbol = Annotated[
    str | None, typer.Option(help="For --verify, where no file name tells it: BTCUSDT.")
]
_RestUrl = Annotated[str | None, typer.Option(help="For --verify: ask this REST host.")]
_Environment = Annotated[str | None, typer.Option(help="For --verify: mainnet, testnet or us.")]
_Strict = Annotated[
    bool, typer.Option("--strict", help="What the exchange itself lacks is a finding too.")
]
_Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with pictures too.")]
_Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing where nothing is missing.")
]
_Notify = Annotated[
    bool, typer.Option("--notify", help="Send a finding to the session's alert channel too.")
]
_Digest = Annotated[
    bool, typer.Option("--digest", help="Sessions: the last whole UTC day, complete or not.")
]


def analyze_gaps(  # noqa: PLR0913 - an argument an option
    *,
    files: _Files,
    interval: _Interval = None,
    from_: _From = None,
    until: _Until = None,
    each: _Each = False,
    values: _Values = None,
    events: _Events = None,
    outages: _Outages = None,
    verify: _Verify = False,
    symbol: _Symbol = None,
    rest_url: _RestUrl = None,
    environment: _Environment = None,
    config: ConfigFile = None,
    strict: _Strict = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV: a line a gap.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Markdown.")] = False,
    html: _Html = None,
    quiet: _Quiet = False,
    notify: _Notify = False,
    digest: _Digest = False,
) -> None:
    """Report the candles that are missing in candle files or sessions, whose they are and why.

    CSV in the usual forms, .gz, .zip, JSON, Parquet, Feather; files are only read. Exits with 0 if
    nothing is missing but what the exchange itself has none of, 1 if something is, 2 if a file can not
    be read; with --notify also where nothing is missing and the session has no alert channel.
    """
    from kline_ops.cli.gap_search import Asked
    from kline_ops.errors import InputError

    formats = [name for name, on in _formats(as_json, as_csv, as_markdown).items() if on]
    if len(formats) > 1:
        raise InputError(f"--{formats[0]} and --{formats[1]} at once", hint="one of them")
    asked = Asked(
        interval=interval,
        symbol=symbol,
        from_ms=moment("--from", from_),
        until_ms=moment("--until", until),
        each=each,
        values=values,
        events=events,
        outages=outages,
        config=config,
        verify=verify,
        rest_url=rest_url,
        environment=environment,
    )
    if digest:
        from kline_ops.cli.gap_digest import tell_digests

        raise typer.Exit(tell_digests(files, config, quiet=quiet, notify=notify, as_json=as_json))
    form = formats[0] if formats else "text"
    raise typer.Exit(_search(files, asked, form, html, strict=strict, quiet=quiet, notify=notify))


def _formats(as_json: bool, as_csv: bool, as_markdown: bool) -> dict[str, bool]:
    return {"json": as_json, "csv": as_csv, "markdown": as_markdown}


def _search(
    names: list[str],
    asked: Asked,
    form: str,
    html: Path | None,
    *,
    strict: bool,
    quiet: bool,
    notify: bool,
) -> int:
    from kline_ops.cli.gap_search import all_series, find
    from kline_ops.errors import EXIT_FINDING, EXIT_GOOD, EXIT_USAGE, KlineOpsError

    untold = set[str]()
    if notify:
        from kline_ops.cli.gap_notice import notify_of, without_channel

        # Told at the first run of a line for cron, and not in the first night that there is a gap.
        untold = without_channel(names, asked.config)
    findings: list[Finding] = []
    errors: list[KlineOpsError] = []
    found = list(all_series(names, asked))
    for one in found:
        try:
            if isinstance(one, KlineOpsError):
                raise one
            findings.append(find(one, asked))
        except KlineOpsError as error:
            if len(found) == 1:
                raise
            errors.append(error)
    told = [one for one in findings if not quiet or _is_finding(one, strict=strict)]
    if told:
        _print(told, form)
    if html is not None and findings:
        from kline_ops.cli.gap_page import write_page

        write_page(findings, html)
    for failure in errors:
        typer.echo(printable(failure.one_line()), err=True)
    missing = [one for one in findings if _is_finding(one, strict=strict)]
    code = EXIT_FINDING if missing else EXIT_USAGE if untold else EXIT_GOOD
    if notify:
        notify_of(missing, asked, untold)  # whatever comes of it, what is missing is a finding
    codes = {code, *(error.exit_code for error in errors)}
    return EXIT_USAGE if EXIT_USAGE in codes else max(codes)


def _is_finding(finding: Finding, *, strict: bool) -> bool:
    """Whether something is missing that somebody is to look after."""
    from kline_ops.gaps.model import Whose

    accepted = 0 if strict else finding.missing_of(Whose.EXCHANGE)
    return finding.report.missing > accepted or bool(finding.report.cut_short)


def _print(findings: Sequence[Finding], form: str) -> None:
    import shutil
    import sys

    if form == "json":
        import json

        from kline_ops.gaps import exports

        typer.echo(json.dumps(exports.as_object(findings)))
    elif form == "text":
        from kline_ops.gaps.table import as_text

        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        typer.echo(printable(as_text(findings, width, ascii_only=encoding() != "utf-8")))
    else:
        from kline_ops.gaps import exports

        text = exports.as_csv(findings) if form == "csv" else exports.as_markdown(findings)
        typer.echo(printable(text), nl=False)
