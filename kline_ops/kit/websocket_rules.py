"""What a managed connection is called, why it ended, and how long to wait for the next. Pure."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kline_ops.feed.link import Link
from kline_ops.feed.plan import AGED, BETTER, SHUTDOWN, STALLED
from kline_ops.feed.states import State
from kline_ops.resilience import Backoff

#: Who fails at once, or whose callback says "now" for ever, tries no more often than this (s).
_SHORTEST = 1.0
#: Codes of a peer, or of ours, that say that the other one broke the protocol (RFC 6455, 7.4.1).
_PROTOCOL = frozenset({1002, 1003, 1007, 1009, 1010})
#: What the library says when it closes as no pong came.
_NO_PONG = "keepalive ping timeout"


class ConnectionState(enum.Enum):
    """Where a manager stands. It is told from its connections, not kept beside them."""

    #: Nothing works on it: not begun, killed, or over with ``auto_reconnect=False``.
    DISCONNECTED = "disconnected"
    #: Attempts go on, and there was no connection yet.
    CONNECTING = "connecting"
    #: At least one connection is open, and not known to be dead.
    CONNECTED = "connected"
    #: Attempts go on; there was a connection.
    RECONNECTING = "reconnecting"
    CLOSING = "closing"
    CLOSED = "closed"


class DisconnectReason(enum.Enum):
    """Why a connection ended. Of the first four a successor delivered already, but for ``close()``."""

    #: ``request_reconnect()`` or ``close()``.
    USER_REQUESTED = "user requested"
    #: A planned restart (``restart_every``), or the way back to a better address.
    SCHEDULED = "scheduled"
    #: ``should_disconnect()`` said so.
    CALLBACK_TRIGGERED = "callback triggered"
    #: It was about to reach the 24 h after which exchanges cut a connection.
    CONNECTION_LIMIT = "connection limit"
    #: A close frame came, whatever its code (1000 and 1001 included), or the notice of a shutdown.
    SERVER_CLOSED = "server closed"
    #: It broke off without a close frame, or was left behind when the machine slept.
    NETWORK_ERROR = "network error"
    #: A ping was not answered within ``ping_timeout``.
    PING_TIMEOUT = "ping timeout"
    #: Nothing came within ``stall_timeout``, pongs or not.
    STALLED = "stalled"
    #: One side broke the protocol, sent no UTF-8, or sent too much at once.
    PROTOCOL_ERROR = "protocol error"
    #: ``kill()``.
    KILLED = "killed"

    @property
    def is_proactive(self) -> bool:
        """Whether we ended it, at a moment of our own."""
        return self in _PROACTIVE


@dataclass(slots=True)
class WebSocketStats:
    """Counts since the manager was made. Moments are milliseconds since the epoch, UTC."""

    #: Handshakes that succeeded, and attempts that came to none.
    connects: int = 0
    failed_attempts: int = 0
    #: Connections that ended: by us at a moment of our own, or otherwise.
    proactive_disconnects: int = 0
    reactive_disconnects: int = 0
    messages_received: int = 0
    bytes_received: int = 0
    messages_sent: int = 0
    bytes_sent: int = 0
    #: Messages that were lost, as nobody took them in time.
    dropped: int = 0
    #: Messages of an overlap that were not handed on: the other connection brings them.
    doubles: int = 0
    last_connect_ms: int | None = None
    last_disconnect_ms: int | None = None
    last_message_ms: int | None = None
    last_reason: DisconnectReason | None = None
    #: What was said about the last end, or the last attempt that failed.
    last_detail: str = ""

    @property
    def disconnects(self) -> int:
        """All connections that ended."""
        return self.proactive_disconnects + self.reactive_disconnects


_PROACTIVE = frozenset(
    {
        DisconnectReason.USER_REQUESTED,
        DisconnectReason.SCHEDULED,
        DisconnectReason.CALLBACK_TRIGGERED,
        DisconnectReason.CONNECTION_LIMIT,
    }
)
#: The machine slept: the other end may have gone meanwhile, and nobody would tell.
SUSPENDED = "suspended"
#: By what the plan calls it.
_BY_WHY = {
    SUSPENDED: DisconnectReason.NETWORK_ERROR,
    STALLED: DisconnectReason.STALLED,
    AGED: DisconnectReason.CONNECTION_LIMIT,
    SHUTDOWN: DisconnectReason.SERVER_CLOSED,
    BETTER: DisconnectReason.SCHEDULED,
}


class ReconnectStrategy(enum.Enum):
    """How long to wait before an attempt. Of all of them only data that lasted resets the count."""

    #: At once; after a second failure in a row once a second.
    IMMEDIATE = "immediate"
    #: ``reconnect_delay``; after a second failure in a row at least a second.
    FIXED_DELAY = "fixed delay"
    #: Full jitter between zero and a cap that doubles from ``reconnect_delay`` on.
    EXPONENTIAL_BACKOFF = "exponential backoff"
    #: As ``should_reconnect()`` says; at most once a second after a second failure in a row.
    CALLBACK_CONTROLLED = "callback controlled"


@dataclass(frozen=True, slots=True)
class _Fixed(Backoff):
    """The same wait each time; ``delay`` may be 0."""

    def wait(self, failures: int, draw: Callable[[], float]) -> float:  # noqa: ARG002 - as its base has it
        """The wait in seconds."""
        if failures <= 0:
            return 0.0
        return self.delay if failures == 1 else max(self.delay, _SHORTEST)


def backoff_of(
    strategy: ReconnectStrategy, delay: float, max_delay: float, max_attempts: int
) -> Backoff:
    """The waits of a strategy; times in seconds."""
    if strategy is ReconnectStrategy.EXPONENTIAL_BACKOFF:
        return Backoff(delay, max_delay, max_attempts)
    if strategy is ReconnectStrategy.FIXED_DELAY:
        return _Fixed(delay, delay, max_attempts)
    return _Fixed(0.0, 0.0, max_attempts)


def reason_of(
    link: Link, code: int | None, sent: int | None, detail: str, asked: DisconnectReason
) -> DisconnectReason:
    """Why a connection that was open ended.

    Args:
        link: as it stood when it ended.
        code: of the close frame that came; 1006 where none did.
        sent: the code that we closed with, where we did.
        detail: what was said about it.
        asked: why it was to be replaced, where somebody wanted that.
    """
    if link.closing:
        # Ours to close: it brought nothing at all, or its successor delivers.
        return DisconnectReason.STALLED if link.why is None else _BY_WHY.get(link.why, asked)
    if detail == _NO_PONG:
        return DisconnectReason.PING_TIMEOUT
    if code in _PROTOCOL or sent in _PROTOCOL:
        return DisconnectReason.PROTOCOL_ERROR
    if code is None or code == 1006:
        return DisconnectReason.NETWORK_ERROR
    return DisconnectReason.SERVER_CLOSED


#: Whose word counts: one that delivers goes before one that is to go, and that before one that is new.
_RANK = {State.OPEN: 1, State.DRAINING: 2, State.LIVE: 3}


def in_charge(links: Iterable[Link]) -> Link | None:
    """The connection whose messages are handed on; None while none is open."""
    ranked = [link for link in links if link.state in _RANK]
    return max(ranked, key=lambda link: (_RANK[link.state], link.number), default=None)


def is_usable(link: Link) -> bool:
    """Whether it is open, and not known to bring nothing."""
    useless = link.why == STALLED or (link.closing and link.state is State.OPEN)
    return link.state in _RANK and not useless
