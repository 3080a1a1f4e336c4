"""What a supervisor does next: the table of its states. Pure; ``supervise.py`` carries it out.

One recorder runs. To change to a fresh process without a gap, a successor is started beside it; once
that delivers (and keeps in memory what it hears), the old one is told to make way, and with its lock on
the candle file the successor has all it needs. Until then nothing has changed for the old one, so a
successor that comes to nothing costs nothing.
"""

from __future__ import annotations

import enum
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from kline_ops.errors import EXIT_GOOD
from kline_ops.ops.crashes import CrashBudget

#: Seconds for a successor to deliver; an exchange that is down for longer is no time for a change.
LIVE_WITHIN = 60.0
#: Seconds for the old one to make way; it is killed then, and the kernel frees its lock.
MAKES_WAY_WITHIN = 10.0
#: Seconds for all to end after they were told to; whoever told us so may be less patient.
ENDS_WITHIN = 20.0
#: Sent to a recorder: let a successor have the candle file.
MAKE_WAY = signal.SIGUSR2


class State(enum.Enum):
    """What is there: a recorder, a recorder and a successor, or none."""

    RUNNING = "running"
    #: A successor connects.
    RENEWING = "renewing"
    #: The successor delivers, and the old one has been told to make way.
    HANDING_OVER = "handing over"
    #: A crash is waited out.
    WAITING = "waiting"
    #: All were told to end.
    ENDING = "ending"
    ENDED = "ended"

    __hash__ = object.__hash__


class Role(enum.Enum):
    """Which of the two processes."""

    MAIN = "recorder"
    SUCCESSOR = "successor"

    __hash__ = object.__hash__


class Ended(NamedTuple):
    """A process ended: with an exit code, or minus the number of a signal, after so many seconds."""

    role: Role
    code: int
    lasted: float


class Live(NamedTuple):
    """The successor delivers."""


class Renew(NamedTuple):
    """A fresh process is asked for."""


class Stop(NamedTuple):
    """All is to end; ``number``: what told us so."""

    number: signal.Signals = signal.SIGTERM


class Tick(NamedTuple):
    """Time has passed."""


Happening = Ended | Live | Renew | Stop | Tick


@dataclass(frozen=True, slots=True)
class Start:
    """Start a process in this role."""

    role: Role


@dataclass(frozen=True, slots=True)
class Signal:
    """Send it a signal, and to what it has started."""

    role: Role
    number: signal.Signals


@dataclass(frozen=True, slots=True)
class Promote:
    """The successor is the recorder from here on."""


@dataclass(frozen=True, slots=True)
class Crashed:
    """The recorder ended and is started again in so many seconds.

    ``escalate``: somebody should look, as it was the so manieth crash in a short while.
    """

    code: int
    delay: float
    escalate: int


@dataclass(frozen=True, slots=True)
class GaveUp:
    """There is no change of processes, and why; the old one goes on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Final:
    """It is over, with this code (minus the number of a signal)."""

    code: int


Action = Start | Signal | Promote | Crashed | GaveUp | Final


class Care:
    """Times are monotonic seconds.

    Args:
        final: exit codes after which nothing is started again.
        renewable: a successor can run beside what it follows; otherwise the old one ends first.
    """

    def __init__(self, final: frozenset[int], *, renewable: bool) -> None:
        self.state = State.WAITING
        self._final = final
        self._renewable = renewable
        self._budget = CrashBudget()
        #: When time alone brings something about.
        self._deadline: float | None = 0.0
        self._alive: set[Role] = set()
        self._code = EXIT_GOOD

    def advance(self, happening: Happening, now: float) -> list[Action]:
        """What to do about it. What has no place in a state is passed over: it came too late."""
        if isinstance(happening, Ended):
            self._alive.discard(happening.role)
        actions = _TABLE.get((self.state, type(happening)), _nothing)(self, happening, now)
        for action in actions:
            if isinstance(action, Start):
                self._alive.add(action.role)
            elif isinstance(action, Promote):
                self._alive = {Role.MAIN}
        return actions

    def wake_at(self) -> float | None:
        """When to call :meth:`advance` with a :class:`Tick` at the latest."""
        return self._deadline

    # -- one recorder -----------------------------------------------------------------------------

    def _main_ended(self, happening: Happening, now: float) -> list[Action]:
        assert isinstance(happening, Ended)  # noqa: S101 - by the table
        code = happening.code
        if code in self._final:
            return self._end(code)
        delay = self._budget.delay(now, happening.lasted)
        self.state, self._deadline = State.WAITING, now + delay
        return [Crashed(code, delay, self._budget.escalates())]

    def _renew(self, _happening: Happening, now: float) -> list[Action]:
        if not self._renewable:
            return self._make_way(now, signal.SIGTERM)
        self.state, self._deadline = State.RENEWING, now + LIVE_WITHIN
        return [Start(Role.SUCCESSOR)]

    def _start(self) -> list[Action]:
        self.state, self._deadline = State.RUNNING, None
        return [Start(Role.MAIN)]

    # -- a recorder and a successor ---------------------------------------------------------------

    def _live(self, _happening: Happening, now: float) -> list[Action]:
        return self._make_way(now, MAKE_WAY)

    def _make_way(self, now: float, number: signal.Signals) -> list[Action]:
        self.state, self._deadline = State.HANDING_OVER, now + MAKES_WAY_WITHIN
        return [Signal(Role.MAIN, number)]

    def _ended_while_renewing(self, happening: Happening, now: float) -> list[Action]:
        assert isinstance(happening, Ended)  # noqa: S101 - by the table
        if happening.role is Role.SUCCESSOR:
            why = f"ended ({how(happening.code)})"
            if self._deadline is None:  # by us
                why = f"had no data within {LIVE_WITHIN:g} s"
            self.state, self._deadline = State.RUNNING, None
            return [GaveUp(f"the new process {why}")]
        if happening.code == EXIT_GOOD:
            return self._told_to_end(happening.code, now)  # somebody ended it by hand
        return self._promote()

    def _ended_while_handing_over(self, happening: Happening, _now: float) -> list[Action]:
        assert isinstance(happening, Ended)  # noqa: S101 - by the table
        if happening.role is Role.SUCCESSOR:
            return []  # the old one is ending already: one is started after it
        return self._promote() if Role.SUCCESSOR in self._alive else self._start()

    def _promote(self) -> list[Action]:
        self.state, self._deadline = State.RUNNING, None
        return [Promote()]

    def _not_live_in_time(self, _happening: Happening, now: float) -> list[Action]:
        if not self._is_due(now):
            return []
        self._deadline = None
        return [Signal(Role.SUCCESSOR, signal.SIGKILL)]

    def _does_not_make_way(self, _happening: Happening, now: float) -> list[Action]:
        if not self._is_due(now):
            return []
        self._deadline = None
        return [Signal(Role.MAIN, signal.SIGKILL)]

    # -- none, and the end ------------------------------------------------------------------------

    def _waited(self, _happening: Happening, now: float) -> list[Action]:
        return self._start() if self._is_due(now) else []

    def _start_now(self, _happening: Happening, _now: float) -> list[Action]:
        return self._start()

    def _stop(self, happening: Happening, now: float) -> list[Action]:
        assert isinstance(happening, Stop)  # noqa: S101 - by the table
        # A recorder tells people why it ends. What a program of one's own takes SIGHUP for, who knows.
        number = happening.number if self._renewable else signal.SIGTERM
        return self._told_to_end(None, now, number)

    def _stop_waiting(self, _happening: Happening, _now: float) -> list[Action]:
        return self._end(EXIT_GOOD)

    def _told_to_end(
        self, code: int | None, now: float, number: signal.Signals = signal.SIGTERM
    ) -> list[Action]:
        """``code``: of the main process, where it has ended already."""
        self.state, self._deadline = State.ENDING, now + ENDS_WITHIN
        self._code = EXIT_GOOD if code is None else code
        return [Signal(role, number) for role in Role if role in self._alive]

    def _ended_at_the_end(self, happening: Happening, _now: float) -> list[Action]:
        assert isinstance(happening, Ended)  # noqa: S101 - by the table
        if happening.role is Role.MAIN:
            # Told to end before it could listen, it ends by the signal itself.
            by_us = happening.code in {-signal.SIGTERM, -signal.SIGHUP, -MAKE_WAY}
            self._code = EXIT_GOOD if by_us else happening.code
        return [] if self._alive else self._end(self._code)

    def _does_not_end(self, _happening: Happening, now: float) -> list[Action]:
        if not self._is_due(now):
            return []
        self._deadline = None
        return [Signal(role, signal.SIGKILL) for role in Role if role in self._alive]

    def _end(self, code: int) -> list[Action]:
        self.state, self._deadline = State.ENDED, None
        return [Final(code)]

    def _is_due(self, now: float) -> bool:
        return self._deadline is not None and now >= self._deadline


def how(code: int) -> str:
    """An ending in words: ``SIGKILL``, ``exit code 1``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


_Handler = Callable[[Care, Happening, float], list[Action]]


def _nothing(_care: Care, _happening: Happening, _now: float) -> list[Action]:
    return []


_TABLE: Mapping[tuple[State, type[Happening]], _Handler] = {
    (State.RUNNING, Ended): Care._main_ended,
    (State.RUNNING, Renew): Care._renew,
    (State.RUNNING, Stop): Care._stop,
    (State.RENEWING, Live): Care._live,
    (State.RENEWING, Ended): Care._ended_while_renewing,
    (State.RENEWING, Stop): Care._stop,
    (State.RENEWING, Tick): Care._not_live_in_time,
    (State.HANDING_OVER, Ended): Care._ended_while_handing_over,
    (State.HANDING_OVER, Stop): Care._stop,
    (State.HANDING_OVER, Tick): Care._does_not_make_way,
    (State.WAITING, Tick): Care._waited,
    (State.WAITING, Renew): Care._start_now,
    (State.WAITING, Stop): Care._stop_waiting,
    (State.ENDING, Ended): Care._ended_at_the_end,
    (State.ENDING, Tick): Care._does_not_end,
}
