"""``kline-ops import FILE... NAME``: take candles from other files into a session's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kline_ops.cli.given import printable
from kline_ops.cli.options import ConfigFile, Name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kline_ops.config.settings import Settings
    from kline_ops.gaps.joined import Export, Tally
    from kline_ops.record.journal import Journal
    from kline_ops.record.take_in import Taken

_Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="Candle files of its stream.")]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Write nothing; say what would be taken in.")
]


def import_(
    files: _Files, name: Name, *, dry_run: _DryRun = False, config: ConfigFile = None
) -> None:
    """Take candles from existing files into a session's, so that its history goes on in one file.

    CSV in the usual forms, .gz, .zip, JSON, Parquet, Feather. Rows that the session has stay as they
    are. Exits with 0 if all was taken in or was there, 1 if rows were no candles or differ from those
    that are there, 2 if the input can not be used.
    """
    from kline_ops.cli.target import settings_of
    from kline_ops.gaps.joined import look
    from kline_ops.record.contents import columns_of
    from kline_ops.record.journal import Journal

    _check_order(files, name)
    settings = settings_of(name, config)
    columns = columns_of(settings.csv, settings.config.record.columns)
    exports = [look(path, settings.stream, columns) for path in dict.fromkeys(files)]
    _check_not_its_own(files, settings.csv)
    journal = Journal(settings.csv, settings.stream.interval, owner="import", columns=columns)
    if dry_run:
        raise typer.Exit(_run(settings, journal, exports, dry_run=True))
    existed = settings.csv.exists()
    _lock(journal, name)
    try:
        code = _run(settings, journal, exports)
    finally:
        if not existed and not settings.csv.exists():
            settings.csv.with_name(settings.csv.name + ".lock").unlink(missing_ok=True)
        journal.close()
    raise typer.Exit(code)


def _check_order(files: Sequence[str], name: str) -> None:
    from kline_ops.errors import InputError

    if name.endswith((".csv", ".gz", ".zip", ".json")):
        given = " ".join([*files, name])
        raise InputError(
            f"{name} is a file, and the session's NAME comes last",
            hint=f"kline-ops import {given} NAME",
        )


def _check_not_its_own(files: Sequence[str], csv: Path) -> None:
    from kline_ops.errors import InputError

    for path in files:
        if csv.exists() and csv.samefile(path):
            raise InputError(f"{path} is the session's own file", hint="leave it out")


def _lock(journal: Journal, name: str) -> None:
    """Whoever records into the file has to end first: nothing is imported beside it."""
    from kline_ops.errors import InputError, JournalError

    try:
        journal.path.parent.mkdir(parents=True, exist_ok=True)
        journal.lock()
    except OSError as error:
        raise InputError(f"cannot write {journal.path}: {error.strerror}") from None
    except JournalError as error:
        if error.transient:
            raise
        recording = f"(session {name})" in str(error)
        hint = f"kline-ops stop {name} first" if recording else "again when that has ended"
        raise JournalError(str(error), transient=True, hint=hint) from None


def _run(
    settings: Settings, journal: Journal, exports: list[Export], *, dry_run: bool = False
) -> int:
    """Read, write, tell; the exit code."""
    from kline_ops.cli.progress import meter
    from kline_ops.clock import SystemClock
    from kline_ops.errors import EXIT_FINDING, EXIT_GOOD
    from kline_ops.gaps.joined import Joined
    from kline_ops.market.span import joined
    from kline_ops.record.take_in import Taken, look_at, take_in

    taken = Taken()
    with meter("reading" if dry_run else "importing") as progress:
        progress.begin(sum(export.rows for export in exports))
        source = Joined(
            exports, settings.stream, journal.columns, SystemClock().wall_ms(), progress.advance
        )
        try:
            if dry_run:
                look_at(journal, source.candles(), taken)
            else:
                spans = joined(span for export in exports for span in export.spans)
                take_in(journal, source.candles(), spans, taken)
        except KeyboardInterrupt:
            typer.echo(
                f"interrupted; {_of(taken.new, 'candle')} taken in, another run goes on", err=True
            )
            raise
    if journal.repaired is not None:
        what, saved_to = journal.repaired
        typer.echo(printable(f"repaired: {what} ({saved_to})"), err=True)
    _tell_findings(source.tally, taken)
    _tell_sum(settings, source.tally, taken, dry_run=dry_run)
    if not dry_run:
        _tell_file(_called(settings), journal, taken)
    tally = source.tally
    found = taken.conflicts or tally.bad or tally.impossible or tally.cut_short
    return EXIT_FINDING if found else EXIT_GOOD


def _tell_findings(tally: Tally, taken: Taken) -> None:
    from kline_ops.market import timestamp

    lines = []
    for both in taken.told:
        time = timestamp.to_text(both.kept.open_ms)
        for name, ours, theirs in both.columns():
            lines.append(f"conflict: {time} {name}: {ours} stays, the file has {theirs}")
    if more := taken.conflicts - len(taken.told):
        lines.append(f"and {_of(more, 'more conflict')}")
    if tally.bad:
        lines.append(f"no rows: {_of(tally.bad, 'line')}, the first: {tally.first_bad}")
    if tally.impossible:
        rows = _of(tally.impossible, "row")
        lines.append(f"no candles: {rows}, the first: {tally.first_impossible}")
    lines += [f"cut short: {path}: {why}" for path, why in tally.cut_short.items()]
    for line in lines:
        typer.echo(printable(line))


def _tell_sum(settings: Settings, tally: Tally, taken: Taken, *, dry_run: bool) -> None:
    stream = settings.stream
    counts = [
        f"{_of(tally.rows, 'row')} read",
        f"{taken.new:,} new",
        f"{taken.there:,} there already",
        _of(taken.conflicts, "conflict"),
    ]
    left_out = {
        "off the grid": tally.off_grid,
        "doubled": tally.same,
        "of candles that were forming": tally.grown,
        "not closed yet": tally.unclosed,
        "no rows": tally.bad,
        "no candles": tally.impossible,
    }
    counts += [f"{count:,} {what}" for what, count in left_out.items() if count]
    end = "; nothing was written" if dry_run else ""
    typer.echo(printable(f"{stream.symbol} {stream.interval}: {', '.join(counts)}{end}"))


def _called(settings: Settings) -> str:
    """The session as other commands take it: by its name, where it was started with this config."""
    import shlex

    from kline_ops.watch.registry import sessions

    known = any((one.name, one.config) == (settings.name, str(settings.path)) for one in sessions())
    config = "" if known else f" --config {shlex.quote(str(settings.path))}"
    return f"{settings.name}{config}"


def _tell_file(name: str, journal: Journal, taken: Taken) -> None:
    """What the session has now."""
    from kline_ops.market import timestamp
    from kline_ops.record.rows import RowReader

    if not journal.path.exists():
        return
    interval = journal.interval
    contents = RowReader(journal.path, journal.columns).contents(interval)
    if contents.first_ms is None or contents.last_ms is None:
        return
    first, last = timestamp.to_text(contents.first_ms), timestamp.to_text(contents.last_ms)
    missing = sum(interval.slots(*hole) for hole in contents.holes)
    holes = f"{missing:,} missing in {_of(len(contents.holes), 'hole')}" if missing else "no hole"
    typer.echo(
        printable(
            f"{journal.path}: {first} to {last}, {_of(contents.rows, 'row')}, {holes}"
            f" (kline-ops analyze-gaps {name})"
        )
    )
    if taken.new:
        typer.echo(
            printable(
                "the last row of an export may have been forming when it was made:"
                f" kline-ops verify {name} compares"
            )
        )


def _of(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
