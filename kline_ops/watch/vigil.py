"""When somebody is told of what a watchdog finds: once, again as a reminder, and of the end. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from kline_ops.watch.staleness import Finding, Pulse

#: Seconds between two reminders.
REMIND = 3600.0
#: What comes and goes is told at once so many times in :data:`REMIND`; then once in a floor.
_AT_ONCE = 6


class Kind(enum.Enum):
    """What a telling is."""

    ALARM = "alarm"
    #: It is still bad, in another way.
    CHANGED = "changed"
    REMINDER = "reminder"
    RECOVERED = "recovered"
    #: It was stopped by somebody: nothing to look after any more.
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Telling:
    """What is to be told. ``finding`` is the present one; ``lasted`` (s) since the alarm began."""

    kind: Kind
    finding: Finding
    lasted: float = 0.0
    #: What it was that is over.
    was: str = ""


@dataclass(slots=True)
class Vigil:
    """Hears each finding. Times are seconds of whichever clock is given, the same one each time.

    ``floor``: seconds between two alarms on what comes and goes all the time.
    """

    floor: float = 300.0
    #: The alarm that is on: since when, told when, and the words that were told of it.
    since: float | None = None
    told_at: float | None = None
    told: list[str] = field(default_factory=list)
    #: A word that was found at the last check, and told not yet.
    news: str = ""
    #: When alarms were told lately.
    alarms: list[float] = field(default_factory=list)

    @property
    def is_on(self) -> bool:
        """Is there an alarm, told or not?"""
        return self.since is not None

    def hear(self, finding: Finding, now: float) -> Telling | None:
        """What to tell of it, if anything."""
        if finding.word is Pulse.WAITING:
            return None  # neither an alarm nor an all-clear
        if not finding.is_alarm:
            return self._end(finding, now)
        if self.since is None:
            self.since = now
        return self._tell(finding, now)

    def _tell(self, finding: Finding, now: float) -> Telling | None:
        lasted = 0.0 if self.since is None else max(0.0, now - self.since)
        if self.told_at is None:
            if self._is_too_often(now):
                return None
            self.alarms = [*(at for at in self.alarms if now - at < REMIND), now]
            kind = Kind.ALARM
        elif self._is_changed(finding):
            kind = Kind.CHANGED
        elif now - self.told_at >= REMIND:
            kind = Kind.REMINDER
        else:
            return None
        self.told_at, self.news = now, ""
        if finding.word.value not in self.told:
            self.told.append(finding.word.value)
        return Telling(kind, finding, lasted)

    def _is_changed(self, finding: Finding) -> bool:
        """Something else, for more than a moment: whoever starts again is not what it was nor well."""
        word = finding.word.value
        if word in self.told:
            self.news = ""
            return False
        news, self.news = self.news, word
        return finding.word is Pulse.DEAD or news == word

    def _is_too_often(self, now: float) -> bool:
        lately = [at for at in self.alarms if 0 <= now - at < REMIND]
        return len(lately) >= _AT_ONCE and now - lately[-1] < self.floor

    def _end(self, finding: Finding, now: float) -> Telling | None:
        since, told, words = self.since, self.told_at, self.told
        self.since, self.told_at, self.told, self.news = None, None, [], ""
        if since is None or told is None:
            return None
        kind = Kind.RECOVERED if finding.word is Pulse.WELL else Kind.ENDED
        return Telling(kind, finding, max(0.0, now - since), ", ".join(words))
