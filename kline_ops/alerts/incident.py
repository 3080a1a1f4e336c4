"""One thing that comes and goes, and when it is told: one table, one message a step. Pure.

An incident is ``NONE → OPEN → (ESCALATED) → SETTLING → NONE``. It is told when it opens, at once when it
turns critical, seldom while it stays so, and when it has been well for a while; so are things that
happen in a moment (:func:`happened`). Between two messages on one topic lies the *floor*, whatever the
line does: what comes and goes meanwhile is counted, and told with the next one. Only the first CRITICAL
of an episode does not wait for the floor, and none is ever left out. What comes back within the floor
after a message is the same episode; the oftener it comes back, the longer it has to be well, up to a
floor. What has come back since the last message, and goes on so, is told once a floor.

Times are monotonic seconds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import NamedTuple

from kline_ops.alerts.message import Level


class State(enum.Enum):
    """Where an incident stands."""

    NONE = "none"
    OPEN = "open"
    ESCALATED = "escalated"
    #: It is well, and has to be so for a while.
    SETTLING = "settling"


class Turn(enum.Enum):
    """What can become of it."""

    WRONG = "not as it should be"
    GRAVE = "critical"
    WELL = "as it should be"
    OVER = "well for long enough, and told"


TABLE = {
    (State.NONE, Turn.WELL): State.NONE,
    (State.NONE, Turn.WRONG): State.OPEN,
    (State.NONE, Turn.GRAVE): State.ESCALATED,
    (State.OPEN, Turn.WRONG): State.OPEN,
    (State.OPEN, Turn.GRAVE): State.ESCALATED,
    (State.OPEN, Turn.WELL): State.SETTLING,
    # It is critical until it is well.
    (State.ESCALATED, Turn.WRONG): State.ESCALATED,
    (State.ESCALATED, Turn.GRAVE): State.ESCALATED,
    (State.ESCALATED, Turn.WELL): State.SETTLING,
    (State.SETTLING, Turn.WELL): State.SETTLING,
    (State.SETTLING, Turn.WRONG): State.OPEN,
    (State.SETTLING, Turn.GRAVE): State.ESCALATED,
    (State.SETTLING, Turn.OVER): State.NONE,
}

_TROUBLE = frozenset({State.OPEN, State.ESCALATED})


class Step(enum.Enum):
    """What a message tells of an incident."""

    OPENED = "opened"
    ESCALATED = "escalated"
    REMINDED = "reminded"
    #: It comes and goes.
    AGAIN = "again"
    #: It was told that it is over.
    RESOLVED = "resolved"
    #: It came, and is over already.
    PASSED = "passed"


class Told(NamedTuple):
    """One message, to be put into words."""

    step: Step
    level: Level

    @property
    def is_over(self) -> bool:
        """Is it of what is well again?"""
        return self.step in {Step.RESOLVED, Step.PASSED}


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. ``settle``: well for so long is over; ``remind``: between two reminders."""

    floor: float = 300.0
    settle: float = 60.0
    remind: float = 3600.0


@dataclass(frozen=True, slots=True)
class Incident:
    """What is known of one topic. An *episode* is all that comes without the floor between."""

    state: State = State.NONE
    #: When the episode began, and the trouble that lasts, or was the last.
    since: float = 0.0
    wrong_at: float = 0.0
    #: When the last trouble was over.
    well_at: float = 0.0
    #: Seconds of trouble in the episode, without what lasts.
    lasted: float = 0.0
    #: How often it came in the episode.
    times: int = 0
    #: When there was a message on this topic last.
    told_at: float | None = None
    #: What readers take for the present state; None: well.
    known: Level | None = None
    #: The worst that they have not been told.
    untold: Level | None = None
    #: The first CRITICAL of the episode has been told.
    rang: bool = False
    #: The worst that has come, or come back, since the last message; and when that began.
    back: Level | None = None
    back_at: float = 0.0

    @property
    def in_trouble(self) -> bool:
        """Is it not as it should be?"""
        return self.state in _TROUBLE

    def trouble(self, now: float) -> float:
        """Seconds of trouble in the episode by now."""
        return self.lasted + (now - self.wrong_at if self.in_trouble else 0.0)

    def shifted(self, by: float) -> Incident:
        """The same, by a clock that is so many seconds ahead."""
        told_at = None if self.told_at is None else self.told_at + by
        return replace(
            self,
            since=self.since + by,
            wrong_at=self.wrong_at + by,
            well_at=self.well_at + by,
            back_at=self.back_at + by,
            told_at=told_at,
        )

    def is_due(self, now: float, floor: float) -> bool:
        """May there be a message on this topic?"""
        return self.told_at is None or now >= self.told_at + floor


def advance(
    incident: Incident,
    level: Level | None,
    now: float,
    pace: Pace,
    age: float = 0.0,
    *,
    unfinished: bool = False,
) -> tuple[Incident, Told | None]:
    """How the topic stands now (None: well); answers the incident and what is to be told.

    INFO is trouble that is worth a message only when it is over. ``age``: for how long (s) it has not
    been well already, where that begins to be seen now. ``unfinished``: what it cost is being made
    good; that it is over is told when it is, or a floor later.
    """
    if level is None and incident.state is State.NONE:
        return incident, None
    incident = _turned(incident, level, now, pace, age)
    told = _to_tell(incident, now, pace, unfinished=unfinished)
    return (incident, None) if told is None else (_after(incident, told, now), told)


def happened(incident: Incident, level: Level, now: float, pace: Pace) -> Incident:
    """Something happened and is over; :func:`advance` tells it."""
    if incident.in_trouble:
        return _with(incident, level)
    return _turned(_turned(incident, level, now, pace), None, now, pace)


def known_already(
    incident: Incident, level: Level, now: float, pace: Pace, age: float = 0.0
) -> Incident:
    """It is not well, and another topic's message has just said so."""
    if incident.in_trouble:
        return incident
    return _after(_turned(incident, level, now, pace, age), Told(Step.OPENED, level), now)


def _turned(
    incident: Incident, level: Level | None, now: float, pace: Pace, age: float = 0.0
) -> Incident:
    """The next state, and what is counted on the way."""
    was = incident.state
    if level is None:
        state = TABLE[was, Turn.WELL]
        if was in _TROUBLE:
            lasted = incident.lasted + now - incident.wrong_at
            return replace(incident, state=state, well_at=now, lasted=lasted)
        return incident
    state = TABLE[was, Turn.GRAVE if level >= Level.CRITICAL else Turn.WRONG]
    if was is State.NONE and incident.is_due(now, pace.floor):
        incident = Incident(since=now - age, well_at=now - age, told_at=incident.told_at)
    if was not in _TROUBLE:
        wrong_at = max(now - age, incident.well_at)
        incident = replace(incident, wrong_at=wrong_at, times=incident.times + 1)
        if incident.back is None:
            incident = replace(incident, back=level, back_at=wrong_at)
    return _with(replace(incident, state=state), level)


def _with(incident: Incident, level: Level) -> Incident:
    """Note what readers do not know yet."""
    if incident.back is not None:
        incident = replace(incident, back=max(level, incident.back))
    worst = max(level, incident.untold or level)
    return incident if worst <= (incident.known or 0) else replace(incident, untold=worst)


def _to_tell(incident: Incident, now: float, pace: Pace, *, unfinished: bool) -> Told | None:
    untold, due = incident.untold, incident.is_due(now, pace.floor)
    rings = untold is Level.CRITICAL and not incident.rang
    if not (due or rings):
        return None
    if incident.in_trouble:
        if untold is not None and untold > Level.SUCCESS:
            return Told(Step.ESCALATED if _is_open(incident) else Step.OPENED, untold)
        return _again(incident, now, pace) or _reminder(incident, now, pace)
    if untold is Level.CRITICAL:
        return Told(Step.PASSED, untold)
    over_at = incident.well_at + _settle(incident, pace)
    if now < over_at:
        return _again(incident, now, pace)
    # What nobody knows of, and is bad, does not wait for long.
    if unfinished and now < over_at + (pace.settle if untold is Level.WARNING else pace.floor):
        return None
    return Told(Step.RESOLVED, Level.SUCCESS) if untold is None else Told(Step.PASSED, untold)


def _again(incident: Incident, now: float, pace: Pace) -> Told | None:
    """It has come back since the last message, and readers would hear nothing of it for long."""
    back = incident.back
    has_just_happened = (
        incident.wrong_at == incident.well_at and now < incident.well_at + pace.settle
    )
    if back is None or not (incident.in_trouble or has_just_happened):
        return None
    is_bad = back > Level.SUCCESS
    # Of what heals at once readers are told where it comes several times, and it has no end.
    flaps = incident.wrong_at > incident.back_at and now >= incident.back_at + pace.floor
    if not flaps and not (is_bad and incident.in_trouble and _is_open(incident)):
        return None
    if is_bad and not _is_open(incident):
        return Told(Step.OPENED, back)
    return Told(Step.AGAIN, max(back, incident.known or back) if is_bad else back)


def _is_open(incident: Incident) -> bool:
    """Have readers been told that it is bad, and not yet that it is over?"""
    return incident.known is not None and incident.known > Level.SUCCESS


def _reminder(incident: Incident, now: float, pace: Pace) -> Told | None:
    is_critical = incident.state is State.ESCALATED and incident.known is Level.CRITICAL
    since = incident.told_at if incident.told_at is not None else now
    if is_critical and now >= since + max(pace.remind, pace.floor):
        return Told(Step.REMINDED, Level.CRITICAL)
    return None


def _settle(incident: Incident, pace: Pace) -> float:
    """For how long (s) it has to be well: twice as long each time that it came back."""
    longest = max(pace.settle, pace.floor)
    return float(min(pace.settle * 2.0 ** min(incident.times - 1, 16), longest))


def _after(incident: Incident, told: Told, now: float) -> Incident:
    """It has been told."""
    rang = incident.rang or told.level is Level.CRITICAL
    incident = replace(incident, told_at=now, untold=None, rang=rang, back=None)
    if told.is_over:
        return replace(incident, state=TABLE[incident.state, Turn.OVER], known=None)
    # Where it comes and goes, readers may have known of worse before.
    return replace(incident, known=max(told.level, incident.known or told.level))
