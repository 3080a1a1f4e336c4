"""The exchange as a program of its own: until a signal ends it."""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import Callable

from kline_ops.errors import InputError
from kline_ops.exchange.server import ExchangeServer


async def serve_until_signalled(server: ExchangeServer, log: Callable[[str], None]) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP, then close cleanly.

    Raises:
        InputError: the port can not be had.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    try:
        await server.start()
    except (OSError, OverflowError) as error:
        raise _no_port(server, error) from None
    log(f"streams: {server.ws_url}")
    log(f"REST:    {server.rest_url}")
    log(f"symbols: {' '.join(server.market.symbols)}")
    await ended.wait()
    await server.stop()
    log("ended")


def _no_port(server: ExchangeServer, error: OSError | OverflowError) -> InputError:
    where = f"{server.host}:{server.port}"
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return InputError(f"{where} is taken", hint="--port 0 for a free one")
    return InputError(f"can not listen on {where}: {error}")
