"""The listener: uvicorn's protocol in the recorder's own loop, on a socket of our own.

Of uvicorn only the part that makes requests of bytes is used: its server handles signals, ends the
process where something fails, and wakes ten times a second. Whoever sends no whole request, or does not
read its answer, is let go; where there are too many, whoever has been waiting for longest without being
served, or else does not read what it was given. So nobody keeps a probe from its answer, and most of the
files that a process may have open are left to the recorder.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

import h11
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

#: Connections at a time; fewer where a process may have few files open: this part of them.
MOST_CLIENTS, _PART_OF_FILES = 128, 4
#: Seconds for a whole request to come, for an answer to be read on, and for the next request.
REQUEST_WITHIN, READ_WITHIN, IDLE_FOR = 5.0, 10.0, 60.0
#: Seconds between two looks at all connections.
_LOOK_EVERY = 1.0
#: Bytes of an answer that wait in memory, and in the kernel (which doubles it).
_BUFFER, _KERNEL_BUFFER = 32_768, 65_536
#: Connections that wait for us in the kernel, and those that are accepted in one turn of the loop: each
#: takes a file until the turn after the next, whether there is room for it or not.
_BACKLOG, _AT_ONCE = 64, 4
#: Seconds that answers may take at the end.
_LAST_ANSWERS = 0.2


def bound(host: str, port: int) -> socket.socket:
    """A listening address of ours; of a process before nothing is in the way. Raises OSError."""
    host = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    # Named as TCP: only then asyncio sends small answers at once (TCP_NODELAY).
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Those that are accepted have it from here.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BUFFER)
        sock.bind((host, port))
        # Two that are bound may not both listen: it shows here, and not at the first client.
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def most_clients() -> int:
    """As many as leave most of the files that this process may have open to the recorder."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return MOST_CLIENTS
    return max(1, min(MOST_CLIENTS, allowed // _PART_OF_FILES))


class Server:
    """Serves an ASGI app until :meth:`close`. Made and used on the event loop."""

    def __init__(self, app: ASGIApp, on_dropped: Callable[[], None] = lambda: None) -> None:
        self._config = Config(
            app,
            http=H11Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            # A client that speaks no HTTP is no news; an answer that fails is told of by the app.
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            # Long: see ``_Client.look``.
            timeout_keep_alive=3600,
            h11_max_incomplete_event_size=16_384,
        )
        self._state = ServerState()
        self._room = _Room(most_clients())
        self._on_dropped = on_dropped
        self._listener: asyncio.Server | None = None
        self._looking: asyncio.Task[None] | None = None

    async def listen(self, sock: socket.socket) -> None:
        """Serve whoever comes to this socket, which is closed at the end."""
        if not self._config.loaded:
            self._config.load()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._client, sock=sock, backlog=_AT_ONCE)
        sock.listen(_BACKLOG)  # the one number meant both
        self._looking = asyncio.create_task(self._look_after(), name="http clients")

    def let_go(self) -> None:
        """Of the port: nobody new comes."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def close(self) -> None:
        """Let go of the clients, too, within a moment."""
        self.let_go()
        if self._looking is not None:
            self._looking.cancel()
        for client in tuple(self._room.clients):
            # What it does may be no HTTP any more.
            with contextlib.suppress(h11.ProtocolError):
                client.shutdown()
        if self._room.clients:
            self._room.is_empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_ANSWERS):
                    await self._room.is_empty.wait()
        for client in tuple(self._room.clients):
            client.transport.abort()
        for task in tuple(self._state.tasks):
            task.cancel()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=_LAST_ANSWERS)

    def _client(self) -> asyncio.Protocol:
        return _Client(self._room, self._config, self._state)

    async def _look_after(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            for client in tuple(self._room.clients):
                if client.look(loop.time()):
                    self._on_dropped()


@dataclass(slots=True)
class _Room:
    """Who is connected, and how many may be."""

    most: int
    clients: set[_Client] = field(default_factory=set)
    is_empty: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_full(self) -> bool:
        return len(self.clients) >= self.most

    def make(self) -> None:
        """Let go of whoever has waited for longest without being served, or else without reading."""
        waiting = [client for client in self.clients if not client.is_served]
        waiting = waiting or [client for client in self.clients if client.is_behind]
        if waiting:
            longest = min(waiting, key=lambda client: client.since)
            longest.transport.abort()
            self.clients.discard(longest)  # its end is told later; it counts no more


class _Client(H11Protocol):
    """One connection, and since when it has kept us waiting.

    Of uvicorn's protocol it relies on ``cycle`` (``response_complete``, ``disconnected``,
    ``message_event``), ``conn``, ``transport``, ``loop``, and that a request which is no HTTP ends in
    ``send_400_response``.
    """

    def __init__(self, room: _Room, config: Config, state: ServerState) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self._room = room
        #: When it did something last that brings it further: connected, asked, was answered, read.
        self.since = 0.0
        self._is_made, self._is_asking = False, True
        #: The least that has waited for it to read since then.
        self._unread: int | None = None

    # -- what uvicorn's protocol does, and when it was done --

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if self._room.is_full:
            self._room.make()
        if self._room.is_full:
            # All of them are being served, and read it.
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._is_made = True
        transport.set_write_buffer_limits(high=_BUFFER)
        self._room.clients.add(self)
        self.since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.clients.discard(self)
        if not self._room.clients:
            self._room.is_empty.set()
        if self._is_made:
            self._unset_keepalive_if_required()
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if not self._is_asking and not self.is_served:
            self._is_asking = True
            self.since = self.loop.time()
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        if not self.is_served:
            super().send_400_response(msg)
            return
        # An answer has begun, or is about to: no other one fits in between.
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        self.transport.abort()

    def resume_writing(self) -> None:
        self.since = self.loop.time()
        self._unread = None
        super().resume_writing()

    def on_response_complete(self) -> None:
        self.since = self.loop.time()
        self._is_asking = False
        super().on_response_complete()

    @property
    def is_served(self) -> bool:
        """Has it asked for something, and is not answered yet?"""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def is_behind(self) -> bool:
        """Does more of its answer wait than the kernel takes?"""
        return self.transport.get_write_buffer_size() > 0

    # -- who is let go --

    def look(self, now: float) -> bool:
        """Let it go where it has kept us waiting for too long; True where it did not read."""
        unread = self.transport.get_write_buffer_size()
        if not unread:
            self._unread = None
        elif self._unread is None or unread < self._unread:
            self._unread, self.since = unread, now
        elif now - self.since > READ_WITHIN:
            self.transport.abort()
            return True
        has_come = self.conn.their_state is not h11.SEND_BODY
        if unread or (self.is_served and has_come):
            return False
        allowed = REQUEST_WITHIN if self._is_asking or not has_come else IDLE_FOR
        if now - self.since > allowed:
            self.transport.abort()
        return False
