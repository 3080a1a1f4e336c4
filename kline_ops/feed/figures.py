"""What a feed can say of itself at a moment, as plain values. Seconds; None: not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Address(NamedTuple):
    """One of the exchange's addresses, and the circuit breaker at it."""

    #: With its passwords and tokens, as the rules know it.
    url: str
    #: ``closed``, ``open`` or ``half open``.
    breaker: str
    #: Attempts that brought no data: in a row, and since the feed was begun.
    failures: int
    failed: int


@dataclass(frozen=True, slots=True)
class FeedFigures:
    """One look."""

    #: Connections by their state; those that there are none of are left out.
    connections: Mapping[str, int]
    #: Attempts to connect since this process began.
    attempts: int
    #: Until the next attempt; 0 while none has to wait.
    retry_in: float
    #: Since the last usable message.
    heard_ago: float | None
    #: Since the last pong to a ping of ours, and how long that took.
    pong_ago: float | None
    latency: float | None
    addresses: tuple[Address, ...]
