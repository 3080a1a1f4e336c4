"""The exchange as a program of its own: until a signal ends it."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack

from kline_ops.errors import InputError
from kline_ops.exchange.faults import Fault
from kline_ops.exchange.server import ExchangeServer
from kline_ops.resilience.shutdown import ENDING


async def serve_until_signalled(
    servers: Sequence[ExchangeServer],
    log: Callable[[str], None],
    plan: Iterable[tuple[float, Fault]] = (),
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP, then close cleanly.

    Args:
        servers: the endpoints of one market.
        plan: the faults of the first of them, by the seconds from now.

    Raises:
        InputError: a port can not be had.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, ended.set)
    async with AsyncExitStack() as running:
        for server in servers:
            try:
                await running.enter_async_context(server)
            except (OSError, OverflowError) as error:
                raise _no_port(server, error) from None
            log(f"streams: {server.ws_url}")
            log(f"REST:    {server.rest_url}")
            log(f"faults:  {server.rest_url}/faults")
        log(f"symbols: {' '.join(servers[0].market.symbols)}")
        servers[0].play(plan)
        await ended.wait()
    log("ended")


def _no_port(server: ExchangeServer, error: OSError | OverflowError) -> InputError:
    where = f"{server.host}:{server.port}"
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return InputError(f"{where} is taken", hint="--port 0 for a free one")
    return InputError(f"can not listen on {where}: {error}")
