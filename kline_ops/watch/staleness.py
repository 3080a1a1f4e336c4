"""What a heartbeat's state file says of whoever writes it, from check to check. Pure.

Age by the timestamp alone would call a recorder dead whose clock, or ours, was set; and alive, for ever,
one that died with a clock that was ahead. So what can be counted on without the time of day goes first:
has the file been written anew since the last check, and for how long, on the monotonic clock, has it
not. A machine that slept, or whose clock was set, gives the writer ``max_age`` to beat again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from kline_ops.clock import Reading
from kline_ops.plain import duration
from kline_ops.watch.clocks import between
from kline_ops.watch.files import Json
from kline_ops.watch.verdict import allowed

#: Two clocks of one machine, read one after the other, are never further apart (s).
_FUTURE = 2.0
#: Seconds; what is longer is no interval of a heartbeat.
_LONGEST_BEAT = 3600.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Pulse(enum.Enum):
    """What is known of whoever beats."""

    WELL = "WELL"
    #: It said that it ends, and ended.
    STOPPED = "STOPPED"
    #: There is no state file, and never was.
    NOT_STARTED = "NOT_STARTED"
    #: Its time has not come: after a suspend or a step of the clock, or while it begins.
    WAITING = "WAITING"
    #: It beats, and says that nothing comes in.
    STALLED = "STALLED"
    #: No beat for longer than ``max_age``.
    STALE = "STALE"
    #: Its process has ended, and nobody stopped it.
    DEAD = "DEAD"
    #: The state file was there at a check before.
    GONE = "GONE"
    #: The state file can not be read, is torn, or does not say when it was written.
    BAD = "BAD"
    #: The state is from the future: a clock is wrong.
    FUTURE = "FUTURE"
    #: It beats, with timestamps that are old: a clock is wrong.
    BEHIND = "BEHIND"

    __hash__ = object.__hash__

    @property
    def is_alarm(self) -> bool:
        """Must somebody look?"""
        return self in _ALARMS


_ALARMS = {
    Pulse.STALLED,
    Pulse.STALE,
    Pulse.DEAD,
    Pulse.GONE,
    Pulse.BAD,
    Pulse.FUTURE,
    Pulse.BEHIND,
}


@dataclass(frozen=True, slots=True)
class Sight:
    """A state file as it was found."""

    content: Json | None
    is_there: bool = True
    #: Why there is a file and no content.
    problem: str = ""
    #: Differs each time the file was written.
    mark: str = ""
    written_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a check. ``age``: seconds since the last beat, by its own timestamp."""

    word: Pulse
    reason: str = ""
    age: float | None = None

    @property
    def is_alarm(self) -> bool:
        """Must somebody look?"""
        return self.word.is_alarm

    def __str__(self) -> str:
        return f"{self.word.value}: {self.reason}" if self.reason else self.word.value


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept from one check to the next. Seconds are those of the monotonic clock."""

    now: Reading
    was_there: bool = False
    said_stopped: bool = False
    mark: str = ""
    #: Since when the file has stood still, as far as was seen.
    still_since: float = 0.0
    #: Until when no beat is missed, and why.
    excused_until: float = 0.0
    excuse: str = ""


@dataclass(frozen=True, slots=True)
class _Case:
    """All that the rules look at."""

    sight: Sight
    before: Seen | None
    seen: Seen
    max_age: float
    age: float | None
    still_for: float

    @property
    def is_new(self) -> bool:
        """Written since the check before."""
        return self.before is not None and self.before.mark != self.sight.mark

    @property
    def since(self) -> str:
        """``, and not since …``, where there was something."""
        excuse = self.seen.excuse
        return f", and none since {excuse}" if excuse else ""


def judge(
    sight: Sight, before: Seen | None, now: Reading, max_age: float, *, held_up: float = 0.0
) -> tuple[Finding, Seen]:
    """What a state file says now, and what is to be kept for the next check.

    Args:
        sight: the file.
        before: what was kept at the check before; None at the first.
        now: the clocks.
        max_age: seconds without a beat that are good.
        held_up: for how long (s) this process could not look, though it was to: with the machine, or
            with whatever froze it, the writer was held up as well.
    """
    max_age = allowed(max_age, _beat_of(sight))
    seen = _see(sight, before, now, max_age, held_up)
    case = _Case(sight, before, seen, max_age, _age(sight, now), now.monotonic - seen.still_since)
    for word, rule in _RULES:
        reason = rule(case)
        if reason is not None:
            return Finding(word, reason, case.age), seen
    return Finding(Pulse.WELL, age=case.age), seen


def _see(sight: Sight, before: Seen | None, now: Reading, max_age: float, held_up: float) -> Seen:
    said_stopped = (sight.content or {}).get("status") == "stopped"
    excuse, until = _excuse(before, now, max_age, held_up)
    if before is None:
        seen = Seen(now, sight.is_there, said_stopped, sight.mark, now.monotonic)
        return replace(seen, excused_until=until, excuse=excuse)
    stands_still = before.mark == sight.mark and not excuse
    if not excuse and stands_still:
        excuse, until = before.excuse, before.excused_until
    return Seen(
        now=now,
        was_there=before.was_there or sight.is_there,
        said_stopped=said_stopped if sight.is_there else before.said_stopped,
        mark=sight.mark,
        still_since=before.still_since if stands_still else now.monotonic,
        excused_until=until,
        excuse=excuse,
    )


def _excuse(before: Seen | None, now: Reading, max_age: float, held_up: float) -> tuple[str, float]:
    """Why no beat could come, if so, and until when one may be waited for."""
    until = now.monotonic + max_age
    if before is None:
        # The monotonic clock counts from the boot of this machine.
        just_now = 0 <= now.monotonic < max_age
        return ("this machine was started just now", max_age) if just_now else ("", 0.0)
    slept, step = between(before.now, now)
    if slept:
        return f"this machine slept for {duration(slept)}", until
    if step:
        where = "ahead" if step > 0 else "back"
        return f"its clock was set {where} by {duration(abs(step))}", until
    if held_up:
        return f"this process was held up for {duration(held_up)}", until
    return "", 0.0


# -- the rules: a reason, or None where they do not hold ------------------------------------------


def _never_there(case: _Case) -> str | None:
    return None if case.seen.was_there else "there is no state file yet"


def _ended_and_gone(case: _Case) -> str | None:
    return None if case.sight.is_there or not case.seen.said_stopped else "it was stopped"


def _gone(case: _Case) -> str | None:
    return None if case.sight.is_there else "its state file was there, and is not any more"


def _unreadable(case: _Case) -> str | None:
    if case.sight.content is None:
        return case.sight.problem or "its state file is torn"
    return None if case.age is not None else "its state file does not say when it was written"


def _stopped(case: _Case) -> str | None:
    return "it was stopped" if case.seen.said_stopped else None


def _stands_still(case: _Case) -> str | None:
    if case.still_for <= case.max_age:
        return None
    return _no_beat(max(case.still_for, case.age or 0.0), case)


def _is_excused(case: _Case) -> str | None:
    is_over = not case.seen.excuse or case.seen.now.monotonic >= case.seen.excused_until
    if is_over or _is_on_time(case):
        return None
    return f"{case.seen.excuse}: it has {case.max_age:g} s to beat again"


def _from_the_future(case: _Case) -> str | None:
    ahead = -(case.age or 0.0)
    if ahead <= _FUTURE:
        return None
    return f"its last beat is {duration(ahead)} in the future: a clock is wrong"


def _beats_behind(case: _Case) -> str | None:
    """Written just now, with a time long ago: dead it is not."""
    written_ms = case.sight.written_ms
    if _is_on_time(case) or not case.is_new or written_ms is None:
        return None
    written_ago = (case.seen.now.wall_ms - written_ms) / 1000.0
    if not -_FUTURE <= written_ago <= case.max_age:
        return None
    return f"it beats, with a time of {duration(case.age or 0.0)} ago: a clock is wrong"


def _old(case: _Case) -> str | None:
    return None if _is_on_time(case) else _no_beat(case.age or 0.0, case)


def _stalled(case: _Case) -> str | None:
    content = case.sight.content or {}
    if content.get("status") != "stalled":
        return None
    return str(content.get("error") or "it beats, and nothing comes in")


def _no_beat(seconds: float, case: _Case) -> str:
    return f"no heartbeat for {duration(seconds)}{case.since}"


#: The first that holds; else all is well.
_RULES: tuple[tuple[Pulse, Callable[[_Case], str | None]], ...] = (
    (Pulse.NOT_STARTED, _never_there),
    (Pulse.STOPPED, _ended_and_gone),
    (Pulse.GONE, _gone),
    (Pulse.BAD, _unreadable),
    (Pulse.STOPPED, _stopped),
    (Pulse.STALE, _stands_still),
    (Pulse.WAITING, _is_excused),
    (Pulse.FUTURE, _from_the_future),
    (Pulse.BEHIND, _beats_behind),
    (Pulse.STALE, _old),
    (Pulse.STALLED, _stalled),
)


def _is_on_time(case: _Case) -> bool:
    return case.age is not None and -_FUTURE <= case.age <= case.max_age


def _age(sight: Sight, now: Reading) -> float | None:
    try:
        written = datetime.fromisoformat(str((sight.content or {}).get("timestamp")))
        return now.wall_ms / 1000.0 - (written - _EPOCH).total_seconds()
    except (ValueError, TypeError):  # a time without a zone could be any
        return None


def _beat_of(sight: Sight) -> float:
    """The writer's own interval (s), where it tells; a torn file may hold anything."""
    told = (sight.content or {}).get("metadata")
    beat = told.get("heartbeat_interval") if isinstance(told, dict) else None
    return float(beat) if isinstance(beat, int | float) and 0 < beat < _LONGEST_BEAT else 0.0
