"""One WebSocket: opens within a bounded time, yields frames, ends with a named reason.

Every way to end comes out the same: a clean close (1000, 1001), an error close, a reset, a failed
keepalive, a refused handshake. What follows is decided elsewhere (``plan.py``).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.http11 import Response
from websockets.typing import DataLike

from kline_ops.causes import root_cause
from kline_ops.clock import Clock
from kline_ops.feed.endpoint import is_loopback
from kline_ops.market import messages
from kline_ops.resilience.rate_limiter import RateLimiter

#: No close frame was received ("Status codes", RFC 6455 section 7.4.1).
ABNORMAL = 1006
#: Seconds for the closing handshake; a peer that does not answer is cut off.
_CLOSE_TIMEOUT = 1.0

#: The exchange counts pings, pongs and control messages, and closes at more than 5 a second ("WebSocket
#: Limits"): three control messages in any second leave room for a ping and a pong.
_BURST, _PER_SECOND = 2, 1.0
#: "HTTP Return Codes": too many attempts, and a ban; without ``Retry-After`` a minute is kept.
_STAY_AWAY = frozenset({429, 418})
_STAY_AWAY_SECONDS = 60.0

#: The logger that the library would use itself.
_library = logging.getLogger("websockets.client")


@dataclass(frozen=True, slots=True)
class Options:
    """Seconds. ``tls`` is made once for a session: a fresh one costs 16 ms a connect.

    ``text``: text messages arrive as ``str``, as they were sent; else all arrive as ``bytes``.
    """

    open_timeout: float = 30.0
    ping_interval: float = 15.0
    ping_timeout: float = 10.0
    tls: ssl.SSLContext | None = None
    text: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended. ``code`` is None where there was no handshake."""

    code: int | None
    reason: str
    #: Of a handshake that was answered otherwise than by an upgrade.
    status: int | None = None
    #: Seconds that the exchange asks to stay away (429, 418).
    retry_after: float | None = None
    #: The code that we closed with, where we did.
    sent: int | None = None


class _OneAttempt(connect):
    """Follows no redirect: that is one more attempt, which nobody counted, and at another host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Answer the redirect itself as the error; a signature of the library."""
        return exc


class _Socket(ClientConnection):
    """Says when a ping of ours was answered: the library's keepalive keeps that to itself."""

    #: Called with the seconds from a ping to its pong.
    on_pong: Callable[[float], None] | None = None

    async def ping(self, data: DataLike | None = None) -> Awaitable[float]:
        """Send a ping, as the library does; a signature of it, and what its keepalive calls."""
        pong = await super().ping(data)
        if isinstance(pong, asyncio.Future):
            pong.add_done_callback(self._answered)
        return pong

    def _answered(self, pong: asyncio.Future[float]) -> None:
        if self.on_pong is not None and not pong.cancelled() and pong.exception() is None:
            self.on_pong(pong.result())


class Connection:
    """Run it once; it calls back on the event loop, in order.

    ``number``: what the library says of it is logged with this as ``connection``.
    """

    def __init__(
        self,
        url: str,
        options: Options,
        *,
        clock: Clock,
        on_open: Callable[[], None],
        on_frame: Callable[[Any], None],
        on_pong: Callable[[float], None] | None = None,
        number: int | None = None,
    ) -> None:
        self.url = url
        self._options = options
        self._clock = clock
        self._on_open = on_open
        self._on_frame = on_frame
        self._on_pong = on_pong
        self._logger = logging.LoggerAdapter(_library, {"connection": number})
        self._socket: ClientConnection | None = None
        self._closing: asyncio.Task[None] | None = None
        self._messages = RateLimiter(_BURST, _PER_SECOND)
        self._sending: set[asyncio.Task[None]] = set()
        self._ids = 0

    async def run(self) -> Ending:
        """Connect and deliver until it is over; never raises but for a cancellation."""
        try:
            self._socket = await self._connect()
        except InvalidStatus as error:
            return _refused(error.response)
        except TimeoutError:
            return Ending(None, f"no handshake within {self._options.open_timeout:g} s")
        except (OSError, WebSocketException, EOFError) as error:
            return Ending(None, root_cause(error))
        except ValueError:
            # Of the library, about a port that is no number; its words may hold a password.
            return Ending(None, "its proxy's address is no good: see HTTPS_PROXY and ALL_PROXY")
        if isinstance(self._socket, _Socket):
            self._socket.on_pong = self._on_pong
        try:
            self._on_open()
            ending = await self._deliver(self._socket)
        except BaseException:
            # Cancelled at the end of the session, or a fault of ours: no time for a handshake.
            self._socket.transport.abort()
            raise
        finally:
            for task in self._sending:
                task.cancel()
        await self._socket.close()
        return ending

    @property
    def is_open(self) -> bool:
        """Has there been a handshake?"""
        return self._socket is not None

    def close(self) -> bool:
        """Begin to close; :meth:`run` answers when that is done. False while there is no socket."""
        if self._socket is not None and self._closing is None:
            self._closing = asyncio.create_task(self._socket.close(), name="close")
        return self._socket is not None

    def abort(self) -> None:
        """Cut it off without a word, as a failing network would; :meth:`run` answers."""
        if self._socket is not None:
            self._socket.transport.abort()

    def subscribe_anew(self, stream: str) -> None:
        """Leave the stream and subscribe to it again, at the pace that the exchange allows."""
        controls = []
        for method in ("UNSUBSCRIBE", "SUBSCRIBE"):
            self._ids += 1
            controls.append(messages.control(method, [stream], self._ids))
        self.say(controls)

    def say(self, controls: Sequence[str | bytes]) -> None:
        """Send these one after another, at the pace that the exchange allows; does not wait."""
        if self._socket is not None and controls:
            task = asyncio.create_task(self._say(self._socket, controls), name="subscribe")
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def send(self, message: str | bytes) -> bool:
        """Send at once; waits where the peer is slow to read. False: it is over, or not open yet.

        Raises:
            TypeError: neither text nor bytes.
        """
        if self._socket is None:
            return False
        try:
            await self._socket.send(message)
        except ConnectionClosed:
            return False
        return True

    async def _say(self, socket: ClientConnection, controls: Sequence[str | bytes]) -> None:
        try:
            for control in controls:
                await self._turn()
                await socket.send(control)
        except ConnectionClosed:
            pass  # its end is told by whoever reads from it

    async def _turn(self) -> None:
        """Wait until a control message may be sent."""
        while (wait := self._messages.take(self._clock.monotonic())) > 0.0:  # noqa: ASYNC110
            await asyncio.sleep(wait)

    async def _connect(self) -> ClientConnection:
        options = self._options
        return await _OneAttempt(
            self.url,
            open_timeout=options.open_timeout,
            ping_interval=options.ping_interval,
            ping_timeout=options.ping_timeout,
            close_timeout=_CLOSE_TIMEOUT,
            compression=None,
            ssl=options.tls if self.url.startswith("wss:") else None,
            proxy=None if is_loopback(self.url) else True,
            logger=self._logger,
            create_connection=_Socket,
        )

    async def _deliver(self, socket: ClientConnection) -> Ending:
        decode = None if self._options.text else False
        try:
            while True:
                self._on_frame(await socket.recv(decode=decode))
        except ConnectionClosed as closed:
            return _named(closed)


def _refused(response: Response) -> Ending:
    """A handshake that was answered with a status ("HTTP Return Codes", ``Retry-After``)."""
    status = response.status_code
    wait = response.headers.get("Retry-After", "")
    retry_after = float(wait) if wait.isdecimal() else None
    if status not in _STAY_AWAY:
        retry_after = None
    elif retry_after is None:
        retry_after = _STAY_AWAY_SECONDS
    return Ending(None, f"the handshake was answered HTTP {status}", status, retry_after)


def _named(closed: ConnectionClosed) -> Ending:
    if closed.rcvd is not None:
        who = "us" if closed.rcvd_then_sent is False else "the server"
        return Ending(closed.rcvd.code, closed.rcvd.reason or f"closed by {who}")
    if closed.sent is not None:
        reason = closed.sent.reason or "closed by us, without an answer"
        return Ending(ABNORMAL, reason, sent=closed.sent.code)
    return Ending(ABNORMAL, "connection lost without a close frame")
