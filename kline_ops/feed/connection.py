"""One WebSocket: opens within a bounded time, yields frames, ends with a named reason.

Every way to end comes out the same: a clean close (1000, 1001), an error close, a reset, a failed
keepalive, a refused handshake. What follows is decided elsewhere (``plan.py``).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from kline_ops.causes import root_cause
from kline_ops.feed.endpoint import is_loopback

#: No close frame was received ("Status codes", RFC 6455 section 7.4.1).
ABNORMAL = 1006
#: Seconds for the closing handshake; a peer that does not answer is cut off.
_CLOSE_TIMEOUT = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """Seconds. ``tls`` is made once for a session: a fresh one costs 16 ms a connect."""

    open_timeout: float = 30.0
    ping_interval: float = 15.0
    ping_timeout: float = 10.0
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended. ``code`` is None where there was no handshake."""

    code: int | None
    reason: str


class Connection:
    """Run it once; it calls back on the event loop, in order."""

    def __init__(
        self,
        url: str,
        options: Options,
        *,
        on_open: Callable[[], None],
        on_frame: Callable[[bytes], None],
    ) -> None:
        self.url = url
        self._options = options
        self._on_open = on_open
        self._on_frame = on_frame
        self._socket: ClientConnection | None = None
        self._closing: asyncio.Task[None] | None = None

    async def run(self) -> Ending:
        """Connect and deliver until it is over; never raises but for a cancellation."""
        try:
            self._socket = await self._connect()
        except InvalidStatus as error:
            return Ending(None, f"the handshake was answered HTTP {error.response.status_code}")
        except TimeoutError:
            return Ending(None, f"no handshake within {self._options.open_timeout:g} s")
        except (OSError, WebSocketException, EOFError) as error:
            return Ending(None, root_cause(error))
        try:
            self._on_open()
            ending = await self._deliver(self._socket)
        except BaseException:
            # Cancelled at the end of the session, or a fault of ours: no time for a handshake.
            self._socket.transport.abort()
            raise
        await self._socket.close()
        return ending

    def close(self) -> bool:
        """Begin to close; :meth:`run` answers when that is done. False while there is no socket."""
        if self._socket is not None and self._closing is None:
            self._closing = asyncio.create_task(self._socket.close(), name="close")
        return self._socket is not None

    async def _connect(self) -> ClientConnection:
        options = self._options
        return await connect(
            self.url,
            open_timeout=options.open_timeout,
            ping_interval=options.ping_interval,
            ping_timeout=options.ping_timeout,
            close_timeout=_CLOSE_TIMEOUT,
            compression=None,
            ssl=options.tls if self.url.startswith("wss:") else None,
            proxy=None if is_loopback(self.url) else True,
        )

    async def _deliver(self, socket: ClientConnection) -> Ending:
        try:
            while True:
                self._on_frame(await socket.recv(decode=False))
        except ConnectionClosed as closed:
            return _named(closed)


def _named(closed: ConnectionClosed) -> Ending:
    if closed.rcvd is not None:
        return Ending(closed.rcvd.code, closed.rcvd.reason or "closed by the exchange")
    if closed.sent is not None:
        return Ending(ABNORMAL, closed.sent.reason or "closed by us, without an answer")
    return Ending(ABNORMAL, "connection lost without a close frame")
