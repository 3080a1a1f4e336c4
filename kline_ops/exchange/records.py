"""What the exchange remembers of its connections, for tests that ask how a client behaved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class SessionRecord:
    """One WebSocket connection. Times in milliseconds by the exchange's clock."""

    id: int
    #: The request target of the handshake, the query included.
    path: str
    opened_ms: int
    #: None while it is open; the moment that either side began to close it.
    closed_ms: int | None = None
    #: Data frames only.
    frames_sent: int = 0


def dark_ms(records: Iterable[SessionRecord], since_ms: int, until_ms: int) -> int:
    """How many milliseconds of ``[since, until)`` had no open connection at all."""
    dark = 0
    lit_until = since_ms
    for record in sorted(records, key=lambda record: record.opened_ms):
        opened = min(record.opened_ms, until_ms)
        dark += max(0, opened - lit_until)
        closed = until_ms if record.closed_ms is None else record.closed_ms
        lit_until = max(lit_until, closed, since_ms)
    return dark + max(0, until_ms - lit_until)
