"""What can happen to a feed, and what it can answer: the words of ``plan.py``. Pure.

Times in ``_ms`` are the exchange's, in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from kline_ops.events import Event

# What happens.


@dataclass(frozen=True, slots=True)
class Opened:
    """A handshake succeeded."""

    link: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """A stream brought a usable message; ``closed_ms``: the open time of the candle it closes."""

    link: int
    stream: str
    closed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A connection is over; ``code`` is None where there was no handshake.

    ``lasting``: the host refused for good (HTTP 403 and 451).
    """

    link: int
    code: int | None
    reason: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Replace:
    """Let a successor take over, for this reason: from one connection, or (None) from all."""

    why: str
    link: int | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """Every candle that closes before this moment is on disk, or not to be had."""

    before_ms: int


@dataclass(frozen=True, slots=True)
class Missed:
    """REST had a traded candle that no connection had said closed in time."""

    stream: str
    open_ms: int
    close_ms: int


@dataclass(frozen=True, slots=True)
class Witnessed:
    """REST's answer to :class:`Ask`: has its market traded meanwhile? None: it could not tell."""

    stream: str
    traded: bool | None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Happening = Opened | Delivered | Ended | Replace | Settled | Missed | Witnessed | Tick


# What to do.


@dataclass(frozen=True, slots=True)
class Open:
    """Open a connection under this number; where to, its ``Link`` says."""

    link: int


@dataclass(frozen=True, slots=True)
class Close:
    """Close a connection; its end will be reported as :class:`Ended`."""

    link: int


@dataclass(frozen=True, slots=True)
class Resubscribe:
    """Subscribe to this stream anew on this connection."""

    link: int
    stream: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Find out at REST whether the market of this stream trades; the answer is :class:`Witnessed`."""

    stream: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Emit an event."""

    event: Event


Action = Open | Close | Resubscribe | Ask | Tell
