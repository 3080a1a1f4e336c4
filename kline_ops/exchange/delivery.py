"""What happens to frames on their way: late, doubled, in another order, in half.

Frames to one client never overtake one another but for :attr:`FaultKind.DISORDERED`: the wire is
slow, not broken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kline_ops.exchange.faults import ActiveFaults, FaultKind
from kline_ops.exchange.session import Session

#: A timer may be so many seconds early.
_SLACK = 0.001


@dataclass(slots=True)
class _Wire:
    """The way to one client."""

    #: What is under way, and when it arrives.
    late: deque[tuple[float, str]] = field(default_factory=deque)
    #: A frame that waits for its neighbour to go first.
    kept: str | None = None


class Delivery:
    """Takes frames for sessions, and sends them as the faults have it.

    Args:
        faults: what goes wrong.
        now: the monotonic clock.
        later: calls back after so many seconds.
        blocked: whether nothing reaches this session at the moment.
    """

    def __init__(
        self,
        faults: ActiveFaults,
        now: Callable[[], float],
        later: Callable[[float, Callable[[], object]], None],
        blocked: Callable[[Session], bool],
    ) -> None:
        self._faults = faults
        self._now = now
        self._later = later
        self._blocked = blocked
        self._wires: dict[Session, _Wire] = {}

    def data(self, session: Session, text: str) -> None:
        """Send a data frame."""
        for shaped in self._shaped(session, text):
            self.reply(session, shaped)

    def reply(self, session: Session, text: str) -> None:
        """Send what is not data: nothing but lateness happens to it."""
        now = self._now()
        late = self._faults.active(FaultKind.LATE, now, session.record.id)
        wire = self._wires.get(session)
        if late is None and (wire is None or not wire.late):
            self._send(session, text)
            return
        wire = self._wires.setdefault(session, _Wire())
        due = now + (late.delay if late else 0.0)
        if wire.late:
            wire.late.append((max(due, wire.late[-1][0]), text))
        else:
            wire.late.append((due, text))
            self._later(due - now, lambda: self._arrive(session))

    def settle(self) -> None:
        """Send what a fault that is over still keeps back."""
        now = self._now()
        for session, wire in self._wires.items():
            kept = wire.kept
            if kept is not None and not self._active(FaultKind.DISORDERED, session, now):
                wire.kept = None
                self.reply(session, kept)

    def flush(self) -> None:
        """Send all that is under way, at once."""
        self.settle()
        for session, wire in self._wires.items():
            while wire.late:
                self._send(session, wire.late.popleft()[1])

    def forget(self, session: Session) -> None:
        """The session has ended."""
        self._wires.pop(session, None)

    def _shaped(self, session: Session, text: str) -> Sequence[str]:
        now = self._now()
        if self._active(FaultKind.TRUNCATED, session, now):
            text = text[: len(text) // 2]
        texts = [text, text] if self._active(FaultKind.DOUBLED, session, now) else [text]
        wire = self._wires.get(session)
        if self._active(FaultKind.DISORDERED, session, now):
            wire = self._wires.setdefault(session, _Wire())
            if wire.kept is None:
                wire.kept = texts.pop()
                return texts
        if wire is not None and wire.kept is not None:
            kept, wire.kept = wire.kept, None
            # Its neighbour first; or in order, where the fault is over.
            swapped = self._active(FaultKind.DISORDERED, session, now)
            texts = [*texts, kept] if swapped else [kept, *texts]
        return texts

    def _arrive(self, session: Session) -> None:
        wire = self._wires.get(session)
        if wire is None:
            return
        now = self._now()
        while wire.late and wire.late[0][0] <= now + _SLACK:
            self._send(session, wire.late.popleft()[1])
        if wire.late:
            self._later(wire.late[0][0] - now, lambda: self._arrive(session))

    def _send(self, session: Session, text: str) -> None:
        if not self._blocked(session):
            session.send(text)

    def _active(self, kind: FaultKind, session: Session, now: float) -> bool:
        return self._faults.active(kind, now, session.record.id) is not None
