"""What of a session is told to people, and when. Pure.

It hears every event, and is asked each second; each topic is an incident (``incident.py``), how bad it
is say its signs (``signs.py``), and what is told of it stands in ``words.py``. What must outlive the
process goes in and out as plain values: an incident that was open at its end is known to the next one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from kline_ops import events
from kline_ops.alerts import words
from kline_ops.alerts.incident import (
    Incident,
    Pace,
    State,
    Told,
    advance,
    happened,
    known_already,
)
from kline_ops.alerts.message import Level, Message
from kline_ops.alerts.signs import HOLD, Judgement, Look, Signs, note_of
from kline_ops.alerts.words import Account, Subject, Topic
from kline_ops.events import PLANNED, Event

#: So many crashes within so many seconds are a loop.
_LOOP, _LOOP_WITHIN = 5, 600.0
#: Candles that REST brought so many seconds before a happening was noticed were missing for it.
_JUST_NOW = 5.0
#: Seconds for what a happening cost to be made good, before it is told.
_SETTLE = {Topic.PROCESS: 15.0, Topic.MACHINE: 15.0, Topic.HEARTBEAT: 15.0, Topic.MARKET: 0.0}


class Sent(NamedTuple):
    """A message; of which topic and which step of it, where it is about an incident."""

    message: Message
    topic: str = "session"
    step: str = ""
    #: Of what keeps the stream alive, and not of the stream.
    is_heartbeat: bool = False


@dataclass(slots=True)
class Matter:
    """A topic: its incident, why, and the candles that REST has brought, or has none of, since."""

    incident: Incident = field(default_factory=Incident)
    reason: str = ""
    recovered: int = 0
    nowhere: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """What outlives a process; times are its monotonic seconds, ``at`` that of the writing."""

    at: float
    topics: dict[str, Matter]
    crashes: list[float]
    greeted_at: float | None = None


class Herald:
    """Of one session. ``now`` is monotonic seconds.

    Args:
        subject: whom it is about.
        floor: seconds between two messages on one topic.
        stall: seconds without data that are the death of a stream.
        planned_restarts: tell of each.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        floor: float,
        stall: float,
        planned_restarts: bool = False,
    ) -> None:
        self._subject = subject
        self._floor = floor
        self._planned_restarts = planned_restarts
        #: What is missing can be asked for.
        self._backfill = True
        self._signs = Signs(stall)
        self._matters = {topic: Matter() for topic in Topic}
        self._crashes: list[float] = []
        #: When REST brought candles last, and how many.
        self._from_rest: deque[tuple[float, int]] = deque(maxlen=100)
        self._ready: list[Sent] = []
        #: The first data of this process is worth a message: after how many seconds it came.
        self._greets = False
        self._first: float | None = None
        self._greeted_at: float | None = None
        #: What closed before this process began is owed, and asked for.
        self._catches_up = False

    def begin(self, now: float, crash: str | None, *, goes_on: bool) -> None:
        """This process records from here on.

        ``crash``: how the one before it ended, where that was no clean end. ``goes_on``: it took over
        from one that ran.
        """
        self._greets = not goes_on and crash is None
        self._greet(now)
        if crash is None:
            return
        self._crashes = [at for at in self._crashes if now - at < _LOOP_WITHIN] + [now]
        is_loop = len(self._crashes) >= _LOOP
        again = f", {len(self._crashes)} times within ten minutes" if is_loop else ""
        level = Level.CRITICAL if is_loop else Level.WARNING
        self._note(Topic.PROCESS, level, crash + again, now)

    def opened(self, *, catches_up: bool) -> None:
        """The candle file is open; ``catches_up``: what it lacks is fetched from REST."""
        self._catches_up = catches_up

    def hear(self, event: Event, now: float) -> None:
        """Take in what happened."""
        self._signs.hear(event, now)
        note = note_of(event, backfill=self._backfill)
        if note is not None:
            self._note(*note, now)
        match event:
            case events.Live(seconds=seconds) if self._first is None:
                self._first = seconds
                self._greet(now)
            case events.Replaced(why=why, overlap=overlap):
                if why == PLANNED and self._planned_restarts:
                    self._ready.append(Sent(words.renewed(self._subject, overlap)))
            case events.Recorded(candles=candles, source="rest"):
                self._from_rest.append((now, candles))
                for matter in self._matters.values():
                    matter.recovered += candles
            case events.HoleConfirmed(candles=candles):
                for matter in self._matters.values():
                    matter.nowhere += candles

    def look(self, look: Look) -> list[Sent]:
        """What is to be told now."""
        self._backfill = look.backfill
        sent, self._ready = self._ready, []
        judged: dict[Topic, Judgement] = dict.fromkeys(Topic) | dict(self._signs.judged(look))
        # REST is asked for them, and nobody has been told that they are missing.
        is_fetching = look.pursued > 0 and judged[Topic.CANDLES] is HOLD
        is_fetching = is_fetching and not self._matters[Topic.CANDLES].incident.in_trouble
        for topic, level in judged.items():
            if level is HOLD:
                continue
            matter = self._matters[topic]
            if level is not None:
                self._begin_count(matter, look.now)
                matter.reason = self._signs.reasons.get(topic, matter.reason)
            pace, age = self._pace(topic), self._signs.ages.get(topic, 0.0)
            waits = is_fetching and words.counts(topic)
            matter.incident, told = advance(
                matter.incident, level, look.now, pace, age, unfinished=waits
            )
            if told is not None:
                text = words.message(topic, told, self._subject, _account(matter, told, look))
                sent.append(Sent(text, topic, told.step.value, topic is Topic.HEARTBEAT))
                if told.is_over and waits:
                    self._hand_on(matter, look.now)
                    is_fetching = False
        return sent

    def _hand_on(self, matter: Matter, now: float) -> None:
        """It is over and told, but for its candles: that they have come is told by their own topic."""
        candles, pace = self._matters[Topic.CANDLES], self._pace(Topic.CANDLES)
        candles.recovered, candles.nowhere = matter.recovered, matter.nowhere
        candles.reason = "they have not come from REST yet"
        age = now - matter.incident.wrong_at
        candles.incident = known_already(candles.incident, Level.INFO, now, pace, age)

    def stopped(self, reason: str, unwritten: int, missing: int) -> Sent:
        """The last word of a session that was told to end."""
        return Sent(words.stopped(self._subject, reason, unwritten, missing))

    def _greet(self, now: float) -> None:
        if not self._greets or self._first is None:
            return
        self._greets = False
        # Of one that is started again and again it is told once a floor.
        is_due = self._greeted_at is None or now >= self._greeted_at + self._floor
        if is_due and self._matters[Topic.STREAM].incident.state is State.NONE:
            self._greeted_at = now
            connected = words.connected(self._subject, self._first, catches_up=self._catches_up)
            self._ready.append(Sent(connected))

    def _note(self, topic: Topic, level: Level, reason: str, now: float) -> None:
        matter = self._matters[topic]
        if self._begin_count(matter, now):
            just_now = (candles for at, candles in self._from_rest if now - at < _JUST_NOW)
            matter.recovered = sum(just_now)
        matter.reason = reason
        matter.incident = happened(matter.incident, level, now, self._pace(topic))

    def _begin_count(self, matter: Matter, now: float) -> bool:
        """Candles are counted from the beginning of an episode on: is this one?"""
        incident = matter.incident
        begins = incident.state is State.NONE and incident.is_due(now, self._floor)
        if begins:
            matter.recovered = matter.nowhere = 0
        return begins

    def _pace(self, topic: Topic) -> Pace:
        return Pace(floor=self._floor, settle=min(_SETTLE.get(topic, Pace().settle), self._floor))

    def open_topics(self) -> frozenset[str]:
        """What is not well now, told or not."""
        return frozenset(t.value for t, m in self._matters.items() if m.incident.in_trouble)

    # -- what outlives the process ----------------------------------------------------------------

    def memory(self, now: float) -> Memory:
        """What the next process has to know."""
        topics = {
            topic.value: replace(matter)
            for topic, matter in self._matters.items()
            if matter.incident != Incident()
        }
        return Memory(now, topics, list(self._crashes), self._greeted_at)

    def remember(self, memory: Memory, now: float, elapsed: float) -> None:
        """Go on from where another process was, so many seconds ago."""
        by = now - max(0.0, elapsed) - memory.at
        self._crashes = [at + by for at in memory.crashes]
        if memory.greeted_at is not None:
            self._greeted_at = memory.greeted_at + by
        for name, matter in memory.topics.items():
            if name in set(Topic):
                shifted = matter.incident.shifted(by)
                self._matters[Topic(name)] = replace(matter, incident=shifted)


def _account(matter: Matter, told: Told, look: Look) -> Account:
    incident = matter.incident

    def moment(at: float) -> int:
        return look.now_ms - round((look.now - at) * 1000)

    lasted = incident.trouble(look.now) if told.is_over else look.now - incident.wrong_at
    return Account(
        reason=matter.reason,
        now_ms=look.now_ms,
        since_ms=moment(incident.since),
        wrong_ms=moment(incident.wrong_at),
        well_ms=moment(incident.well_at),
        is_well=not incident.in_trouble,
        lasted=lasted,
        trouble=incident.trouble(look.now),
        times=incident.times,
        recovered=matter.recovered,
        nowhere=matter.nowhere,
        missing=look.missing,
        waiting=look.waiting,
        backfill=look.backfill,
    )
