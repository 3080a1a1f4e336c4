"""What goes wrong on demand.

A fault is data: a kind and its parameters. Faults that last are kept here with their end and asked
by kind; what has to be done at once (a cut, a close) is looked up in the table of
:meth:`kline_ops.exchange.troubles.TroubledExchange.apply`. To add a fault: a kind here, its
parameters in :mod:`kline_ops.exchange.parameters`, and a line there or a question here. Pure: every
rule takes ``now`` (seconds, monotonic).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from kline_ops.exchange.streams import Frame

#: Not a code that can be sent: it says that a connection ended without a closing handshake.
NO_HANDSHAKE = 1006
#: How long a fault lasts that only :meth:`ActiveFaults.end` ends.
UNTIL_HEALED = math.inf


class FaultKind(enum.StrEnum):
    """The faults there are. "At once" happen and are over; the others last ``seconds``."""

    # Connections

    #: At once: TCP reset, no closing handshake.
    CUT = "cut"
    #: At once: closing handshake with ``code``; 1006 is a cut.
    CLOSE = "close"
    #: At once: ``serverShutdown`` is sent; ``seconds`` later the sessions are closed with ``code``.
    SHUTDOWN = "shutdown"
    #: Handshakes are answered with HTTP ``status``, and with ``retry_after`` where it is given.
    REFUSE = "refuse"
    #: Connections are refused by TCP: nobody listens.
    REFUSE_TCP = "refuse-tcp"
    #: Handshakes succeed, and the connection is closed at once with ``code``.
    ACCEPT_CLOSE = "accept-close"
    #: TCP connects; handshakes are not answered before the end.
    HANG = "hang"
    #: Nothing is sent; the client's pings are still answered.
    SILENCE = "silence"
    #: TCP stays up; nothing is read, answered or sent, pongs included.
    HALF_OPEN = "half-open"

    # Data frames

    #: All but data: SUBSCRIBE and pings are answered. ``sessions``, or all that open meanwhile, to
    #: their end.
    ACK_ONLY = "ack-only"
    #: No frames of ``stream`` (each session's first) on these connections, until they subscribe to
    #: it anew; with ``stays`` not even then.
    DEAD_STREAM = "dead-stream"
    #: The closing frame of ``candle`` is not sent, ever.
    WITHHOLD = "withhold"
    #: Every frame leaves ``delay`` seconds late, in order.
    LATE = "late"
    #: Every data frame is sent twice.
    DOUBLED = "doubled"
    #: Neighbouring data frames change places.
    DISORDERED = "disordered"
    #: Every data frame is cut in half.
    TRUNCATED = "truncated"
    #: At once: ``text`` is sent as a frame, whatever it is.
    INJECT = "inject"
    #: At once: frames that are no message at all.
    GARBAGE = "garbage"
    #: At once: closing frames of another symbol and of another interval.
    FOREIGN = "foreign"
    #: At once: closing frames of candles that can not be.
    IMPOSSIBLE = "impossible"

    # REST

    #: REST is answered with HTTP ``status``.
    REST_DOWN = "rest-down"
    #: REST is answered with HTTP 429 and ``Retry-After``.
    REST_LIMITED = "rest-limited"
    #: REST is answered with HTTP 418, ``Retry-After`` and the end of the ban.
    REST_BANNED = "rest-banned"
    #: REST answers after ``delay`` seconds.
    REST_SLOW = "rest-slow"
    #: REST leaves out a candle until ``delay`` seconds after its close; the forming one is there.
    REST_LAGGING = "rest-lagging"
    #: REST shows candles as they were ``delay`` seconds ago: what has just closed is still forming.
    REST_STALE = "rest-stale"

    # The market, and its time

    #: REST serves other values of ``candle`` than the stream sent.
    AMEND = "amend"
    #: Event times and ``/time`` are off by ``offset`` seconds.
    SKEW = "skew"
    #: Candles that open in ``span`` exist nowhere.
    MAINTENANCE = "maintenance"
    #: ``symbol`` has no trades in ``span``; without ``closes``, no closing frames before the next.
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Which fields count is told by its kind."""

    kind: FaultKind
    seconds: float = 0.0
    code: int = NO_HANDSHAKE
    text: str = ""
    #: Symbol, interval (with its zone) and open time in milliseconds. None: the candles that form
    #: now, of ``stream`` or of all streams that are listened to.
    candle: tuple[str, str, int] | None = None
    #: Ids of the sessions that are hit; empty: all of them.
    sessions: tuple[int, ...] = ()
    #: An HTTP status.
    status: int = 503
    #: Seconds to stay away, as the client is told; None: what is left of the fault.
    retry_after: float | None = None
    #: Seconds.
    delay: float = 0.0
    #: Seconds; negative is behind.
    offset: float = 0.0
    stream: str = ""
    #: Empty: all of them.
    symbol: str = ""
    #: Milliseconds, the end excluded. None: ``seconds`` from now on.
    span: tuple[int, int] | None = None
    stays: bool = False
    closes: bool = True

    def hits(self, session_id: int) -> bool:
        """Whether it is about this session."""
        return not self.sessions or session_id in self.sessions


class ActiveFaults:
    """The faults that last, and until when."""

    def __init__(self) -> None:
        self._until: list[tuple[float, Fault]] = []

    def begin(self, fault: Fault, now: float) -> None:
        """Let it last from now on; a candle's closing frame is withheld for good."""
        seconds = UNTIL_HEALED if fault.kind is FaultKind.WITHHOLD else fault.seconds
        self._until = [(end, other) for end, other in self._until if end > now]
        self._until.append((now + seconds, fault))

    def end(self) -> None:
        """All of them are over."""
        self._until.clear()

    def lasting(self, now: float) -> list[tuple[float, Fault]]:
        """What lasts now, and the seconds that are left of it."""
        return [(end - now, fault) for end, fault in self._until if now < end]

    def seconds_to_next_end(self, now: float) -> float | None:
        """How long until one of them is over; None where none will be."""
        return min((left for left, _ in self.lasting(now) if left < UNTIL_HEALED), default=None)

    def active(self, kind: FaultKind, now: float, session_id: int = -1) -> Fault | None:
        """The fault of this kind that lasts now and hits this session, or None."""
        for end, fault in self._until:
            if fault.kind is kind and now < end and fault.hits(session_id):
                return fault
        return None

    def remaining(self, fault: Fault, now: float) -> float:
        """The seconds that are left of it."""
        return max((left for left, other in self.lasting(now) if other is fault), default=0.0)

    def opens(self, session_id: int, now: float) -> None:
        """A session has opened: one that is to get no data will get none to its end."""
        for _, fault in self.lasting(now):
            if fault.kind is FaultKind.ACK_ONLY and not fault.sessions:
                bound = replace(fault, seconds=UNTIL_HEALED, sessions=(session_id,))
                return self.begin(bound, now)
        return None

    def closes(self, session_id: int) -> None:
        """A session has ended, and so has what was about it alone."""
        self._until = [(end, f) for end, f in self._until if f.sessions != (session_id,)]

    def subscribed(self, session_id: int, streams: Collection[str]) -> None:
        """A session has subscribed to these streams: they come back to life there."""
        self._until = [
            (end, fault)
            for end, fault in self._until
            if fault.kind is not FaultKind.DEAD_STREAM
            or fault.stays
            or fault.sessions != (session_id,)
            or fault.stream not in streams
        ]

    def lets_pass(self, frame: Frame, now: float = 0.0, session_id: int = -1) -> bool:
        """Whether this frame is sent at all."""
        if frame.kline is None:
            return True
        return not any(
            _swallows(fault, frame, session_id)
            for end, fault in self._until
            if now < end and fault.hits(session_id)
        )


def _swallows(fault: Fault, frame: Frame, session_id: int) -> bool:
    match fault.kind:
        case FaultKind.WITHHOLD:
            return frame.closed and fault.candle == frame.kline
        case FaultKind.ACK_ONLY:
            return session_id in fault.sessions
        case FaultKind.DEAD_STREAM:
            return fault.stream == frame.stream
        case _:
            return False
