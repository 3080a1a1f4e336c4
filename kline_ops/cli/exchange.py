"""``kline-ops exchange``: the embedded exchange, alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def exchange(
    port: Annotated[int, typer.Option(help="The port to listen on; 0 for a free one.")] = 9443,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    seed: Annotated[int, typer.Option(help="The same seed is the same market.")] = 1,
    replay: Annotated[
        Path | None,
        typer.Option(help="Let prices follow this recording (.csv or .csv.gz)."),
    ] = None,
    *,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve wss and https with a throwaway certificate.")
    ] = False,
    tls_dir: Annotated[
        Path | None, typer.Option(help="Where to write the certificate authority's file.")
    ] = None,
) -> None:
    """Run the embedded exchange: Binance spot's protocol on this machine, with invented candles.

    Ctrl+C or SIGTERM ends it.
    """
    import asyncio
    import tempfile
    from contextlib import ExitStack

    from kline_ops.clock import SystemClock
    from kline_ops.exchange.foreground import serve_until_signalled
    from kline_ops.exchange.market import Market
    from kline_ops.exchange.replay import ReplayMarket
    from kline_ops.exchange.server import ExchangeServer
    from kline_ops.exchange.tls import make_authority

    market = Market(seed) if replay is None else ReplayMarket(replay)
    context = None
    with ExitStack() as stack:
        if tls or tls_dir is not None:
            folder = tls_dir or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="kline-ops-exchange-"))
            )
            authority = make_authority(folder)
            context = authority.good()
            typer.echo(f"certificate authority: {authority.file}")
            typer.echo(f"to use it: SSL_CERT_FILE={authority.file} kline-ops run NAME")
        server = ExchangeServer(
            market, SystemClock(), host=host, port=port, ssl=context, log=typer.echo
        )
        asyncio.run(serve_until_signalled(server, typer.echo))
