"""What goes wrong on demand.

A fault is data: a kind and its parameters. Faults that last are kept here with their end and asked
by kind; what has to be done at once (a cut, a close) is looked up in the table of
:meth:`kline_ops.exchange.server.ExchangeServer.apply`. To add a fault: a kind here, and a line
there or a question here. Pure: every rule takes ``now`` (seconds, monotonic).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from kline_ops.exchange.streams import Frame

#: Not a code that can be sent: it says that a connection ended without a closing handshake.
NO_HANDSHAKE = 1006


class FaultKind(enum.StrEnum):
    """The faults there are. "At once" happen and are over; the others last ``seconds``."""

    #: At once: TCP reset, no closing handshake.
    CUT = "cut"
    #: At once: closing handshake with ``code``; 1006 is a cut.
    CLOSE = "close"
    #: At once: ``text`` is sent as a frame, whatever it is.
    INJECT = "inject"
    #: Nothing is sent; the client's pings are still answered.
    SILENCE = "silence"
    #: The closing frame of ``candle`` is not sent, ever.
    WITHHOLD = "withhold"
    #: Handshakes are answered with HTTP 503.
    REFUSE = "refuse"
    #: Connections are refused by TCP: nobody listens.
    REFUSE_TCP = "refuse-tcp"
    #: Handshakes succeed, and the connection is closed at once with ``code``.
    ACCEPT_CLOSE = "accept-close"
    #: REST is answered with HTTP 503.
    REST_DOWN = "rest-down"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Which fields count is told by its kind."""

    kind: FaultKind
    seconds: float = 0.0
    code: int = NO_HANDSHAKE
    text: str = ""
    #: Symbol, interval (with its zone) and open time in milliseconds.
    candle: tuple[str, str, int] | None = None
    #: Ids of the sessions that are hit; empty: all of them.
    sessions: tuple[int, ...] = ()

    def hits(self, session_id: int) -> bool:
        """Whether it is about this session."""
        return not self.sessions or session_id in self.sessions


class ActiveFaults:
    """The faults that last, and until when."""

    def __init__(self) -> None:
        self._until: list[tuple[float, Fault]] = []
        self._withheld: set[tuple[str, str, int]] = set()

    def begin(self, fault: Fault, now: float) -> None:
        """Let it last from now on."""
        if fault.candle is not None:
            self._withheld.add(fault.candle)
        self._until = [(end, other) for end, other in self._until if end > now]
        self._until.append((now + fault.seconds, fault))

    def end(self) -> None:
        """All of them are over."""
        self._until.clear()
        self._withheld.clear()

    def active(self, kind: FaultKind, now: float, session_id: int = -1) -> Fault | None:
        """The fault of this kind that lasts now and hits this session, or None."""
        for end, fault in self._until:
            if fault.kind is kind and now < end and fault.hits(session_id):
                return fault
        return None

    def lets_pass(self, frame: Frame) -> bool:
        """Whether this frame is sent at all."""
        return not (frame.closed and frame.kline in self._withheld)
