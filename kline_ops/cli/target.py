"""What ``backfill`` and ``verify`` work on: a candle file, or a session's; and where its REST is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kline_ops.cli.given import is_file
from kline_ops.errors import ConfigError, InputError, SessionError

if TYPE_CHECKING:
    from kline_ops.clock import Clock
    from kline_ops.config.settings import Settings
    from kline_ops.errors import KlineOpsError, VenueError
    from kline_ops.market.candle import Columns
    from kline_ops.market.stream import Stream
    from kline_ops.record.asking import Asker

FileOrName = Annotated[
    str, typer.Argument(metavar="FILE-or-NAME", help="A candle file of ours, or a session.")
]
From = Annotated[str | None, typer.Option("--from", metavar="T", help="From this time on (UTC).")]
Until = Annotated[
    str | None, typer.Option(metavar="T|now", help="What is closed by then; else all.")
]
Symbol = Annotated[str | None, typer.Option(help="BTCUSDT; else by the file's name.")]
IntervalName = Annotated[str | None, typer.Option(help="1h; else by the file's name.")]
RestUrl = Annotated[str | None, typer.Option(help="Ask this REST host.")]
Environment = Annotated[
    str | None, typer.Option(help="mainnet (the default), testnet or us; for a FILE.")
]


@dataclass(frozen=True, slots=True)
class Options:
    """As they were given; None where they were not."""

    symbol: str | None
    interval: str | None
    rest_url: str | None
    environment: str | None
    config: Path | None


@dataclass(frozen=True, slots=True)
class Target:
    """One candle file. ``rest_url`` is None for a session on the embedded exchange."""

    path: Path
    stream: Stream
    rest_url: str | None
    grace_ms: int = 2_000
    since_ms: int | None = None
    #: Where findings are noted; None for a file without a session.
    events_file: Path | None = None
    #: What its rows have.
    columns: Columns = "basic"


def find_target(given: str, options: Options) -> Target:
    """The file that was meant.

    Raises:
        InputError: options that do not fit, or too few of them.
        ConfigError: the session's config can not be used, or an address.
        SessionError: there is no such session.
    """
    if not is_file(given):
        return _of_session(given, options)
    path = Path(given)
    if options == Options(None, None, None, None, None) and (name := _session_of(path)) is not None:
        return _of_session(name, options)
    return _of_file(path, options)


def _session_of(path: Path) -> str | None:
    """The session that records into this file: it may be of another venue than mainnet."""
    from kline_ops.watch.registry import sessions

    return next((known.name for known in sessions() if Path(known.csv) == path.absolute()), None)


def _of_file(path: Path, options: Options) -> Target:
    from kline_ops.config.addresses import rest_address
    from kline_ops.market import interval as intervals
    from kline_ops.market.stream import Stream, symbol_of
    from kline_ops.record.contents import columns_of

    if options.config is not None:
        raise InputError(f"{path} is a file: --config goes with a session", hint="leave it out")
    if path.suffix in {".gz", ".zip"} or path.is_dir():
        raise InputError(f"{path} is no candle file of kline-ops", hint="a .csv that it recorded")
    symbol = options.symbol or symbol_of(path.name)
    if symbol is None:
        raise InputError(f"{path}: its name tells no symbol", hint="--symbol BTCUSDT")
    interval = told = intervals.from_file_name(path.name)
    if options.interval is not None:
        try:
            interval = intervals.parse(options.interval)
        except ValueError as error:
            raise InputError(str(error), hint="--interval 1h") from None
    if interval is None:
        raise InputError(f"{path}: its name tells no interval", hint="--interval 1h")
    if told not in {None, interval}:
        raise InputError(f"{path} holds {told} by its name", hint="leave --interval out")
    url = rest_address(options.rest_url, options.environment or "mainnet")
    return Target(path, Stream(symbol.upper(), interval), url, columns=columns_of(path))


def _of_session(name: str, options: Options) -> Target:
    from kline_ops.config.addresses import rest_address
    from kline_ops.config.venues import venue_of
    from kline_ops.record.contents import columns_of
    from kline_ops.secret import shown_url

    for option in ("symbol", "interval", "environment"):
        if getattr(options, option) is not None:
            raise InputError(
                f"--{option} goes with a file: session {name!r} has its own", hint="leave it out"
            )
    settings = settings_of(name, options.config)
    url = settings.rest_url
    if options.rest_url is not None:
        url = rest_address(options.rest_url, "mainnet")
        venues = {venue_of(url), venue_of(settings.ws_url or "")} - {None}
        if len(venues) > 1:
            ours = shown_url(settings.ws_url or "")
            raise InputError(f"{shown_url(url)} is another market than {ours}: its candles differ")
    elif url is None and not settings.config.exchange.embedded:
        raise InputError(f"session {name!r} has no rest_url", hint="--rest-url URL")
    return Target(
        path=settings.csv,
        stream=settings.stream,
        rest_url=url,
        grace_ms=int(settings.config.record.grace * 1000),
        since_ms=settings.since_ms,
        events_file=settings.events_file,
        columns=columns_of(settings.csv, settings.config.record.columns),
    )


def settings_of(name: str, config: Path | None) -> Settings:
    """What a session is to record, by its config; it need never have been started.

    Raises:
        ConfigError: the config can not be used.
        SessionError: there is no such session, and no config of this name.
    """
    from kline_ops.config.settings import load_settings
    from kline_ops.config.sops import Secrets
    from kline_ops.watch.registry import find_session

    if config is not None:
        return load_settings(name, config, secrets=Secrets.LEFT)
    try:
        config = Path(find_session(name).config)
    except SessionError as unknown:
        try:
            return load_settings(name, secrets=Secrets.LEFT)  # never started, but it has a config
        except ConfigError:
            raise unknown from None
    return load_settings(name, config, secrets=Secrets.LEFT)


def for_user(error: VenueError) -> KlineOpsError:
    """A symbol that the exchange does not know is an input of the user's, not a finding."""
    return error if error.retryable else InputError(str(error), hint="check the symbol")


@asynccontextmanager
async def asking(
    target: Target, clock: Clock, patience: float | None = None
) -> AsyncIterator[Asker]:
    """REST of this target, within this machine's budget. ``patience`` (s) with a host that fails."""
    import ssl

    from kline_ops.budget import Budget, budget_path
    from kline_ops.config.venues import venue_key
    from kline_ops.record.asking import PATIENCE, Asker
    from kline_ops.record.backfill import Backfill

    wait_for = PATIENCE if patience is None else patience

    def tell(reason: str, wait: float) -> None:
        typer.echo(f"{reason}; again in {wait:.0f} s", err=True)

    if target.rest_url is None:
        from kline_ops.exchange.embedded import embedded

        async with embedded(clock) as server:
            backfill = Backfill(server.rest_url, None)
            try:
                yield Asker(backfill, tell, patience=wait_for)
            finally:
                backfill.close()
        return
    tls = ssl.create_default_context() if target.rest_url.startswith("https:") else None
    budget = Budget(budget_path(), venue_key(target.rest_url), clock)
    backfill = Backfill(target.rest_url, tls, budget)
    try:
        yield Asker(backfill, tell, patience=wait_for)
    finally:
        backfill.close()
