"""``kline-ops exchange``: the embedded exchange, alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kline_ops.exchange.faults import Fault


def exchange(  # noqa: PLR0913, PLR0917 - a command's options
    port: Annotated[
        list[int] | None,
        typer.Option(
            help="The port to listen on, 9443 unless given; 0 for a free one. Several: endpoints of"
            " one market, each with faults of its own."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    seed: Annotated[int, typer.Option(help="The same seed is the same market.")] = 1,
    replay: Annotated[
        Path | None,
        typer.Option(help="Let prices follow this recording (.csv or .csv.gz)."),
    ] = None,
    history: Annotated[
        list[Path] | None,
        typer.Option(
            help="Let candles of the past be those of this file, holes included; several of them."
            " Its name tells symbol and interval."
        ),
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option(help="A script of faults for the first port: AFTER_SECONDS KIND key=value…"),
    ] = None,
    chaos: Annotated[
        int | None, typer.Option(help="Faults without an end from this seed, for the first port.")
    ] = None,
    every: Annotated[
        float, typer.Option(help="With --chaos: one fault in so many seconds.")
    ] = 30.0,
    *,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve wss and https with a throwaway certificate.")
    ] = False,
    tls_dir: Annotated[
        Path | None, typer.Option(help="Where to write the certificate authority's file.")
    ] = None,
) -> None:
    """Run the embedded exchange: Binance spot's protocol on this machine, with invented candles.

    Ctrl+C or SIGTERM ends it. GET /faults tells what can go wrong, and makes it so.
    """
    import asyncio
    import tempfile
    from contextlib import ExitStack

    from kline_ops.clock import SystemClock
    from kline_ops.exchange.altered import AlteredMarket
    from kline_ops.exchange.foreground import serve_until_signalled
    from kline_ops.exchange.history import HistoryMarket
    from kline_ops.exchange.market import Market
    from kline_ops.exchange.replay import ReplayMarket
    from kline_ops.exchange.server import ExchangeServer
    from kline_ops.exchange.tls import make_authority

    invented = Market(seed) if replay is None else ReplayMarket(replay)
    market = AlteredMarket(HistoryMarket(invented, history) if history else invented)
    plan = _plan(faults, chaos, every)
    context = None
    clock = SystemClock()
    with ExitStack() as stack:
        if tls or tls_dir is not None:
            folder = tls_dir or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="kline-ops-exchange-"))
            )
            authority = make_authority(folder)
            context = authority.good()
            typer.echo(f"certificate authority: {authority.file}")
            typer.echo(f"to use it: SSL_CERT_FILE={authority.file} kline-ops run NAME")
        servers = [
            ExchangeServer(market, clock, host=host, port=number, ssl=context, log=typer.echo)
            for number in port or [9443]
        ]
        asyncio.run(serve_until_signalled(servers, typer.echo, plan))


def _plan(script: Path | None, seed: int | None, every: float) -> Iterable[tuple[float, Fault]]:
    from heapq import merge

    from kline_ops.errors import InputError
    from kline_ops.exchange.chaos import endless
    from kline_ops.exchange.parameters import parse_script

    if every <= 0:
        raise InputError(f"--every {every:g} is no time", hint="--every 30")
    told = []
    if script is not None:
        try:
            told = parse_script(script.read_text(encoding="utf-8"), str(script))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{script}: can not be read: {error}") from None
    drawn = () if seed is None else endless(seed, every)
    return merge(told, drawn, key=lambda entry: entry[0])
