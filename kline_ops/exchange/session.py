"""One WebSocket connection as the exchange sees it.

Source: Binance spot API, "General WSS information" (a ping every 20 seconds, a minute for its pong,
24 hours in all) and "WebSocket Limits" (5 incoming messages a second: pings, pongs and JSON).

Everything is sent without waiting, so that no client can hold the others up; one that does not
read is cut when its buffer is full. Session methods are called from the event loop only.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.protocol import Event, State

from kline_ops.clock import Clock
from kline_ops.exchange.control import Subscriptions
from kline_ops.exchange.limits import SlidingLimit
from kline_ops.exchange.records import SessionRecord
from kline_ops.exchange.streams import Address

GOING_AWAY = 1001
POLICY_VIOLATION = 1008

_COUNTED = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.PONG})


@dataclass(frozen=True, slots=True)
class ExchangeOptions:
    """What the exchange allows and how often it speaks. The defaults are Binance's own."""

    #: Milliseconds between updates of a forming candle (1s candles come once a second anyway).
    update_ms: int = 2000
    #: Frames leave so many milliseconds after the second that they tell of.
    lag_ms: int = 5
    ping_seconds: float = 20.0
    pong_seconds: float = 60.0
    max_age_seconds: float = 24 * 3600.0
    messages_per_second: int = 5
    max_streams: int = 1024
    #: Connection attempts per IP within ``attempts_window`` seconds.
    attempts: int = 300
    attempts_window: float = 300.0
    weight_per_minute: int = 6000
    #: Answers with 429 before a client is banned with 418.
    refusals_before_ban: int = 5
    #: A client with so many bytes unread is cut.
    max_buffer_bytes: int = 1 << 20
    #: How long a client may take to ask for anything, once it has connected.
    handshake_seconds: float = 10.0
    #: How long a closing handshake may take before the connection is dropped.
    close_seconds: float = 2.0


class Connection(ServerConnection):
    """A connection of the library that also tells its session of every incoming frame."""

    session: Session | None = None
    #: All connections whose TCP (or TLS) is up; this one enters and leaves by itself.
    everyone: set[Connection]
    #: How long it may be up without a request.
    handshake_seconds: float = 10.0
    _impatience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop when TCP (or TLS) is up."""
        super().connection_made(transport)
        self.everyone.add(self)
        # Not the library's own limit, which covers the answer as well: that one may hang on demand.
        self._impatience = self.loop.call_later(self.handshake_seconds, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop when TCP has ended."""
        self.everyone.discard(self)
        if self._impatience is not None:
            self._impatience.cancel()
        super().connection_lost(exc)

    def process_event(self, event: Event) -> None:
        """Called by the library for the handshake request and each incoming frame."""
        super().process_event(event)
        if self.session is not None and isinstance(event, WireFrame):
            self.session.received(event.opcode, bytes(event.data))

    def _give_up(self) -> None:
        if self.request is None:
            self.transport.abort()


class Session:
    """A connection after its handshake: its streams, its pings and its end."""

    def __init__(
        self,
        record: SessionRecord,
        connection: Connection,
        address: Address,
        clock: Clock,
        options: ExchangeOptions,
    ) -> None:
        self.record = record
        self.microseconds = address.microseconds
        self.subscriptions = Subscriptions(
            address.streams, combined=address.combined, limit=options.max_streams
        )
        #: The closing handshake, while one is under way.
        self.closing: asyncio.Task[None] | None = None
        self._connection = connection
        self._clock = clock
        self._options = options
        self._limit = SlidingLimit(options.messages_per_second, 1.0)
        now = clock.monotonic()
        self._expires = now + options.max_age_seconds
        self._next_ping = now + options.ping_seconds
        #: Pings without their pong yet, oldest first: payload and the time it left.
        self._pings: dict[bytes, float] = {}
        self._frozen = False

    @property
    def live(self) -> bool:
        """Whether neither side has begun to end it."""
        return self.record.closed_ms is None and self._connection.state is State.OPEN

    def send(self, text: str) -> None:
        """Send a text frame; never waits. A client whose buffer is full is cut."""
        if not self.live or self._frozen:
            return
        broadcast((self._connection,), text)
        self.record.frames_sent += 1
        if self._connection.transport.get_write_buffer_size() > self._options.max_buffer_bytes:
            self.cut()

    def received(self, opcode: Opcode, payload: bytes) -> None:
        """Take note of an incoming frame: pongs are matched, and too many end the session."""
        if opcode is Opcode.PONG and payload in self._pings:
            answered = list(self._pings)
            for ping in answered[: answered.index(payload) + 1]:
                del self._pings[ping]
        if opcode in _COUNTED and not self._limit.admits(self._clock.monotonic()):
            self.close(POLICY_VIOLATION, "Too many requests")

    def freeze(self, *, frozen: bool) -> None:
        """Read nothing and do nothing, as a host does that is gone without a word; or wake up."""
        if frozen == self._frozen:
            return
        self._frozen = frozen
        if frozen:
            self._connection.transport.pause_reading()
        else:
            self._connection.transport.resume_reading()
            # Their pongs may be among what has not been read yet.
            self._pings = dict.fromkeys(self._pings, self._clock.monotonic())

    def deadline(self) -> float | None:
        """The monotonic time at which :meth:`tick` has something to do; None while frozen."""
        if self._frozen:
            return None
        oldest = next(iter(self._pings.values()), None)
        pong = self._next_ping if oldest is None else oldest + self._options.pong_seconds
        return min(self._expires, self._next_ping, pong)

    def tick(self, now: float, *, silent: bool) -> None:
        """Ping, miss a pong or end of old age, where the time has come."""
        oldest = next(iter(self._pings.values()), None)
        if self._frozen:
            return
        if now >= self._expires:
            self.close(GOING_AWAY, "24 hours")
        elif oldest is not None and now >= oldest + self._options.pong_seconds:
            self.close(POLICY_VIOLATION, "Pong timeout")
        elif now >= self._next_ping:
            self._next_ping = now + self._options.ping_seconds
            if self.live and not silent:
                payload = str(self._clock.wall_ms()).encode()
                self._pings[payload] = now
                # As broadcast() does it: the awaitable ping() would wait for a slow client.
                self._connection.protocol.send_ping(payload)
                self._connection.send_data()

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; the client is gone when it answers, or soon after."""
        if self.closing is None and self.live:
            self.finish()
            self.closing = asyncio.create_task(self._connection.close(code, reason))

    def cut(self) -> None:
        """End the TCP connection with a reset, as a crashed host or a middlebox does."""
        self.finish()
        transport = self._connection.transport
        if not transport.is_closing():
            wire = transport.get_extra_info("socket")
            # Zero linger: the kernel sends RST in place of FIN.
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def finish(self) -> None:
        """Note the end, once."""
        if self.record.closed_ms is None:
            self.record.closed_ms = self._clock.wall_ms()
