"""``kline-ops backfill FILE-or-NAME``: fill what is missing, from REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kline_ops.cli.given import moment, printable, run_text
from kline_ops.cli.options import ConfigFile
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
    from kline_ops.market.span import Span
    from kline_ops.record.fill_file import FileFiller
    from kline_ops.record.journal import Journal
    from kline_ops.record.owed import Window

#: Spans that are listed one by one.
_LISTED = 20
#: Candles in an answer.
_PAGE = 1000
#: A candle that closed just before may be on its way to the disk still.
_UNDER_WAY_MS = 5_000


def backfill(  # noqa: PLR0913 - an argument an option
    target: FileOrName,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; say what would be asked for.")
    ] = False,
    from_: From = None,
    until: Until = None,
    symbol: Symbol = None,
    interval: IntervalName = None,
    rest_url: RestUrl = None,
    environment: Environment = None,
    config: ConfigFile = None,
) -> None:
    """Fill what a candle file lacks from REST: holes, its head with --from, and its tail.

    Ctrl+C leaves a good file, and what came until then. Exits with 0 if nothing is missing that the
    exchange has, 1 if something still is, 2 if the input can not be used.
    """
    import asyncio

    from kline_ops.record.owed import Window

    found = find_target(target, Options(symbol, interval, rest_url, environment, config))
    window = Window(moment("--from", from_), moment("--until", until), found.since_ms)
    code = asyncio.run(_look(found, window) if dry_run else _fill(found, window))
    raise typer.Exit(code)


async def _fill(target: Target, window: Window) -> int:
    from kline_ops.errors import InputError, JournalError
    from kline_ops.record.journal import Journal

    if not target.path.exists() and window.from_ms is None and window.since_ms is None:
        raise InputError(f"{target.path} does not exist", hint="--from 2026-01-01 to begin it")
    journal = Journal(target.path, target.stream.interval, owner="backfill", columns=target.columns)
    try:
        target.path.parent.mkdir(parents=True, exist_ok=True)
        journal.lock()
    except OSError as error:
        raise InputError(f"cannot write {target.path}: {error.strerror}") from None
    except JournalError as error:
        if error.transient:
            raise
        return await _leave_to_its_recorder(target, window, str(error))
    existed = target.path.exists()
    try:
        return await _fill_locked(target, window, journal)
    finally:
        if not existed:
            _remove_empty(target)
        journal.close()


def _remove_empty(target: Target) -> None:
    """A file that was begun and got no row is of no use to anybody. Its lock is held still."""
    from kline_ops.record.contents import header_line

    path = target.path
    if path.exists() and path.stat().st_size <= len(header_line(target.columns)):
        path.unlink()
        path.with_name(path.name + ".lock").unlink(missing_ok=True)


async def _fill_locked(target: Target, window: Window, journal: Journal) -> int:
    import asyncio

    from kline_ops.cli.progress import meter
    from kline_ops.clock import SystemClock
    from kline_ops.errors import EXIT_FINDING, VenueError
    from kline_ops.record.fill_file import FileFiller

    async with asking(target, SystemClock()) as asker:
        with meter("filling") as progress:
            filler = FileFiller(target.stream, journal, asker, target.grace_ms, progress.advance)
            failed: VenueError | None = None
            try:
                await filler.run(window, lambda tally: progress.begin(tally.missing))
            except VenueError as error:
                failed = error
            except asyncio.CancelledError:
                typer.echo("interrupted; what came is on disk, another run goes on", err=True)
                raise
    if journal.repaired is not None:
        what, saved_to = journal.repaired
        typer.echo(printable(f"repaired: {what} ({saved_to})"), err=True)
    if failed is not None:
        if not filler.tally.owed or not failed.retryable:
            raise for_user(failed)
        typer.echo(f"kline-ops: {failed.one_line()}", err=True)
    _tell(target, filler)
    return EXIT_FINDING if failed or filler.tally.missing else 0


async def _leave_to_its_recorder(target: Target, window: Window, held: str) -> int:
    """Whoever has the lock fills the file; here it is only looked at."""
    owed, parts = await _missing(target, window, _UNDER_WAY_MS)
    count = sum(target.stream.interval.slots(*part) for part in parts)
    slots = target.stream.interval.slots(*owed)
    typer.echo(
        printable(f"{held}; it fills what is missing itself: {count} of {slots} missing now")
    )
    return 1 if count else 0


async def _look(target: Target, window: Window) -> int:
    """What would be asked for."""
    interval = target.stream.interval
    owed, parts = await _missing(target, window)
    counts = [interval.slots(*part) for part in parts]
    for part, count in list(zip(parts, counts, strict=True))[:_LISTED]:
        text = run_text(part.first, interval.shift(part.end, -1), count)
        typer.echo(f"would ask for {text}")
    if len(parts) > _LISTED:
        typer.echo(f"and {len(parts) - _LISTED} more")
    pages = sum(-(-count // _PAGE) for count in counts)
    typer.echo(
        printable(
            f"{target.path}: {interval.slots(*owed)} owed, {sum(counts)} missing,"
            f" {pages} request(s) or more; nothing was written"
        )
    )
    return 1 if parts else 0


async def _missing(target: Target, window: Window, late_ms: int = 0) -> tuple[Span, list[Span]]:
    """What the file owes, and what of it is missing; the file is only read."""
    from kline_ops.clock import SystemClock
    from kline_ops.errors import InputError, VenueError
    from kline_ops.record import owed as rules
    from kline_ops.record.contents import Contents
    from kline_ops.record.rows import RowReader

    interval = target.stream.interval
    exists = target.path.exists()
    contents = RowReader(target.path, target.columns).contents(interval) if exists else Contents()
    async with asking(target, SystemClock()) as asker:
        try:
            now_ms = await asker.server_time()
        except VenueError as error:
            raise for_user(error) from None
    end_ms = rules.closed_end(interval, now_ms, target.grace_ms + late_ms)
    span = rules.owed(contents, interval, window, end_ms)
    if span is None:
        what = "has no candle yet" if exists else "does not exist"
        raise InputError(f"{target.path} {what}", hint="--from 2026-01-01")
    return span, rules.missing(contents, interval, span)


def _tell(target: Target, filler: FileFiller) -> None:
    interval, tally = target.stream.interval, filler.tally
    for part in filler.absent[:_LISTED]:
        text = run_text(part.first, interval.shift(part.end, -1), interval.slots(*part))
        typer.echo(f"not there now: {text}")
    if len(filler.absent) > _LISTED:
        typer.echo(f"and {len(filler.absent) - _LISTED} more")
    typer.echo(
        printable(
            f"{target.path}: {tally.owed} owed, {tally.on_disk_before} on disk before,"
            f" {tally.filled} filled, the exchange has none: {tally.absent},"
            f" still missing: {tally.missing}"
        )
    )
