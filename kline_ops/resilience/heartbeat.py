"""Whether something that should live does, and what follows where it does not. Pure.

A target is WELL until a look finds it dead. It is replaced then, one replacement at a time, while
the beats go on. What was replaced is UNPROVED until a look finds it alive; found dead before that, it
is replaced again, and nobody is told a second time.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from kline_ops.market import timestamp

#: What a state says after a clean end.
STOPPED = "stopped"
#: A state so many seconds ahead is no older than now: clocks are read one after the other.
_AHEAD = 1.0


class Condition(enum.Enum):
    """Where a target stands."""

    WELL = "well"
    REPLACING = "a replacement is under way"
    UNPROVED = "replaced, and not seen alive yet"


class Sign(enum.Enum):
    """What can be seen of a target."""

    ALIVE = "it is alive"
    DEAD = "it is dead"
    REPLACED = "its replacement is done, or came to nothing"


#: The whole machine; what is not here changes nothing.
TARGET = {
    (Condition.WELL, Sign.DEAD): Condition.REPLACING,
    (Condition.REPLACING, Sign.REPLACED): Condition.UNPROVED,
    (Condition.UNPROVED, Sign.DEAD): Condition.REPLACING,
    (Condition.UNPROVED, Sign.ALIVE): Condition.WELL,
}


class Duty(NamedTuple):
    """What is to be done after a look."""

    tell: bool
    replace: bool


class TargetCare:
    """Looks after one target.

    >>> care = TargetCare()
    >>> care.look(is_dead=True)
    Duty(tell=True, replace=True)
    >>> care.look(is_dead=True)                   # one replacement at a time
    Duty(tell=False, replace=False)
    >>> care.replaced()
    >>> care.look(is_dead=True)                   # it came to nothing: again, untold
    Duty(tell=False, replace=True)
    """

    def __init__(self) -> None:
        self.condition = Condition.WELL

    def look(self, *, is_dead: bool) -> Duty:
        """Take in a look at it."""
        before = self.condition
        self._turn(Sign.DEAD if is_dead else Sign.ALIVE)
        replace = self.condition is Condition.REPLACING and before is not Condition.REPLACING
        return Duty(tell=replace and before is Condition.WELL, replace=replace)

    def replaced(self) -> None:
        """The replacement is done, or came to nothing."""
        self._turn(Sign.REPLACED)

    def _turn(self, sign: Sign) -> None:
        self.condition = TARGET.get((self.condition, sign), self.condition)


def age_of(state: Mapping[str, object], now_ms: int) -> float | None:
    """Seconds since the state was written, less than zero in the future; None if it does not say."""
    told = state.get("timestamp")
    try:
        return (now_ms - timestamp.to_ms(told)) / 1000.0 if isinstance(told, str) else None
    except ValueError:
        return None


def is_alive(state: Mapping[str, object] | None, now_ms: int, max_age: float) -> bool:
    """Does who wrote this state live? ``max_age`` in seconds; no state, no life.

    One that ended cleanly does not, however fresh its last word is; and a time in the future shows
    that a clock was set, and nothing else.

    >>> is_alive({"timestamp": "1970-01-01T00:01:00Z"}, 75_000, max_age=30.0)
    True
    """
    if state is None or state.get("status") == STOPPED:
        return False
    age = age_of(state, now_ms)
    return age is not None and -_AHEAD <= age <= max_age
