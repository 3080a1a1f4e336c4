"""The states of a connection and of a feed's effort: two tables. Pure.

A connection is ``CONNECTING → OPEN → LIVE → DRAINING → CLOSED``. OPEN is a handshake and proves
nothing; LIVE is data on every stream; DRAINING still delivers, while its successor is LIVE already.
A feed's effort is STEADY, BACKOFF after attempts that brought no data, or BREAKER_OPEN while no
address of the exchange is left that is worth an attempt; it is tried all the same. Only data that
lasted for a while leads back to STEADY: a handshake does not.

All that changes a state is here. An event that can not happen raises and changes nothing.
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    """Where a connection stands."""

    CONNECTING = "connecting"
    OPEN = "open"
    LIVE = "live"
    DRAINING = "draining"
    CLOSED = "closed"

    #: By identity: it is looked up with each message, and an enum's own takes ten times as long.
    __hash__ = object.__hash__


class Turn(enum.Enum):
    """What can happen to a connection."""

    OPENED = "the handshake succeeded"
    PROVED = "every stream has delivered"
    REPLACED = "its successor is live"
    ENDED = "it is over, for whatever reason"


class Effort(enum.Enum):
    """How hard the feed finds it to stay connected."""

    STEADY = "steady"
    BACKOFF = "backoff"
    BREAKER_OPEN = "breaker open"


class Outcome(enum.Enum):
    """What an attempt came to."""

    FAILED = "it ended without data, or too soon after"
    EXHAUSTED = "the same, and it opened the last breaker"
    LASTED = "it has been live for a while"


class ImpossibleError(Exception):
    """An event that can not happen in this state: a fault of ours."""


CONNECTION = {
    (State.CONNECTING, Turn.OPENED): State.OPEN,
    (State.CONNECTING, Turn.ENDED): State.CLOSED,
    (State.OPEN, Turn.PROVED): State.LIVE,
    (State.OPEN, Turn.ENDED): State.CLOSED,
    (State.LIVE, Turn.REPLACED): State.DRAINING,
    (State.LIVE, Turn.ENDED): State.CLOSED,
    # One that never delivered can be replaced too: it stalled, and a later one came through.
    (State.OPEN, Turn.REPLACED): State.DRAINING,
    (State.DRAINING, Turn.ENDED): State.CLOSED,
}

EFFORT = {
    (Effort.STEADY, Outcome.FAILED): Effort.BACKOFF,
    (Effort.STEADY, Outcome.EXHAUSTED): Effort.BREAKER_OPEN,
    (Effort.STEADY, Outcome.LASTED): Effort.STEADY,
    (Effort.BACKOFF, Outcome.FAILED): Effort.BACKOFF,
    (Effort.BACKOFF, Outcome.EXHAUSTED): Effort.BREAKER_OPEN,
    (Effort.BACKOFF, Outcome.LASTED): Effort.STEADY,
    # A breaker has cooled down: there is an address again that is worth it.
    (Effort.BREAKER_OPEN, Outcome.FAILED): Effort.BACKOFF,
    (Effort.BREAKER_OPEN, Outcome.EXHAUSTED): Effort.BREAKER_OPEN,
    (Effort.BREAKER_OPEN, Outcome.LASTED): Effort.STEADY,
}


def turn(state: State, happening: Turn) -> State:
    """The next state of a connection.

    Raises:
        ImpossibleError: the table has no such step.
    """
    try:
        return CONNECTION[state, happening]
    except KeyError:
        raise ImpossibleError(f"{happening.name} in {state.name}") from None
