"""The port: listening, not listening for a while, and listening again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ssl import SSLContext
from typing import cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from kline_ops.exchange.session import Connection, ExchangeOptions

#: Between two tries to have the port back.
_RETRY_SECONDS = 0.5

Handler = Callable[[ServerConnection], Awaitable[None]]
Route = Callable[[ServerConnection, Request], Awaitable[Response | None]]


class Port:
    """Where clients connect.

    Args:
        number: 0 for a free one; it is known after :meth:`listen`.
        handler: serves a connection after its handshake.
        route: answers a request with HTTP, or lets it shake hands (None).
    """

    def __init__(
        self,
        host: str,
        number: int,
        ssl: SSLContext | None,
        options: ExchangeOptions,
        handler: Handler,
        route: Route,
    ) -> None:
        self.host = host
        self.number = number
        #: All connections whose TCP (or TLS) is up.
        self.connections: set[Connection] = set()
        self._ssl = ssl
        self._options = options
        self._handler = handler
        self._route = route
        self._listener: Server | None = None
        self._retired: list[Server] = []
        self._returning: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        """Listen; from now on it is the same port, whatever happens.

        Raises:
            OSError: the port can not be had.
        """
        self._listener = await serve(
            self._handler,
            self.host,
            self.number,
            ssl=self._ssl,
            process_request=self._route,
            create_connection=cast("type[ServerConnection]", self._connection),
            # Uncompressed, pinged by the sessions themselves, and no name in the answers.
            compression=None,
            ping_interval=None,
            server_header=None,
            open_timeout=None,
            close_timeout=self._options.close_seconds,
        )
        self.number = next(iter(self._listener.sockets)).getsockname()[1]

    def refuse(self) -> None:
        """Listen no more. Connections that are open stay open."""
        if self._listener is not None:
            self._listener.close(close_connections=False)
            self._retired.append(self._listener)
            self._listener = None

    def listen_again(self, then: Callable[[], object]) -> None:
        """Listen where nobody does, soon; ``then`` is called after that."""
        if self._listener is None and self._returning is None:
            self._returning = asyncio.create_task(self._return(then))

    async def close(self) -> None:
        """Listen no more; connections go on."""
        if self._returning is not None:
            self._returning.cancel()
            await asyncio.wait([self._returning])
        self.refuse()

    async def wait_closed(self) -> None:
        """Drop all connections; returns when nothing is left running."""
        for connection in list(self.connections):
            connection.transport.abort()
        for listener in self._retired:
            await listener.wait_closed()

    async def _return(self, then: Callable[[], object]) -> None:
        while self._listener is None:
            try:
                await self.listen()
            except OSError:
                # Somebody else has taken the port meanwhile.
                await asyncio.sleep(_RETRY_SECONDS)
        self._returning = None
        then()

    def _connection(self, *args: object, **kwargs: object) -> Connection:
        connection = Connection(*args, **kwargs)  # type: ignore[arg-type]
        connection.everyone = self.connections
        connection.handshake_seconds = self._options.handshake_seconds
        return connection
