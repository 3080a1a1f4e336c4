"""How a program ends: which signals ask for it, what is done then, in which order, for how long. Pure.

There is one time for all, and nobody may take it from the others: each callback is waited for until
its share of what is left is over, then the next one begins beside it. So all of them are begun, in
order, however many hang, and who needs longer may go on until the time of all is over.
"""

from __future__ import annotations

import enum
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

#: What asks a program to end. The last one is sent where a terminal goes away (``tmux kill-session``).
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Phase(enum.Enum):
    """Where a shutdown stands."""

    RUNNING = "nobody has asked for the end"
    CALLED = "the program itself has asked, and what is to be done is done"
    SIGNALLED = "a signal has asked, and what is to be done is done"
    ENDED = "all is done, or its time is over"
    FORCED = "the process ends at once"


class Turn(enum.Enum):
    """What can happen to it."""

    CALLED = "the program asks for its end"
    SIGNALLED = "a signal does"
    DONE = "all is done, or its time is over"


#: The whole machine; what is not here changes nothing.
SHUTDOWN = {
    (Phase.RUNNING, Turn.CALLED): Phase.CALLED,
    (Phase.RUNNING, Turn.SIGNALLED): Phase.SIGNALLED,
    # The first one of a supervisor that does not know yet is no impatience.
    (Phase.CALLED, Turn.SIGNALLED): Phase.SIGNALLED,
    (Phase.SIGNALLED, Turn.SIGNALLED): Phase.FORCED,
    (Phase.CALLED, Turn.DONE): Phase.ENDED,
    (Phase.SIGNALLED, Turn.DONE): Phase.ENDED,
    # All was done, and the program is still there.
    (Phase.ENDED, Turn.SIGNALLED): Phase.FORCED,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do at the end; ``timeout`` in seconds, None: its share."""

    name: str
    callback: Callable[[], object]
    priority: int = 100
    timeout: float | None = None


def in_order(steps: Iterable[Step]) -> list[Step]:
    """The lowest priority first; of the same priority, as they were registered."""
    return sorted(steps, key=lambda step: step.priority)


def share(timeout: float | None, left: float, steps: int) -> float:
    """Seconds that a step is waited for before the next one begins.

    ``left``: until the time of all is over; ``steps``: how many have not begun, this one included.

    >>> share(None, 30.0, 3), share(12.0, 30.0, 3), share(12.0, 5.0, 1)
    (10.0, 12.0, 5.0)
    """
    left = max(0.0, left)
    return left / steps if timeout is None else min(timeout, left)
