"""What is done about a session in trouble, and how often at the most. Pure.

A restart that does not help is not repeated for ever: somebody must look then.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kline_ops.watch.diagnosis import Ailment

#: The time (s) in which they are counted.
WINDOW = 3600.0


class Remedy(enum.Enum):
    """What is done."""

    #: As ``kline-ops start`` does.
    START = "start"
    #: End the recorder by SIGKILL; its supervisor starts a fresh one.
    KILL = "kill"
    #: As ``kline-ops restart`` does.
    RENEW = "renew"
    #: Leave it to systemd.
    LEAVE = "leave"
    #: Nothing more in this hour.
    GIVE_UP = "give up"

    __hash__ = object.__hash__


class _Rule(NamedTuple):
    remedy: Remedy
    #: So many checks in a row must have found it.
    strikes: int
    #: At most so many of that kind in an hour; 0: it is said once, and nothing is done.
    most: int
    #: Of which kind.
    counted_as: str


_TABLE: Mapping[Ailment, _Rule] = {
    Ailment.DEAD: _Rule(Remedy.START, 1, 3, "restart"),
    Ailment.DEAD_UNIT: _Rule(Remedy.LEAVE, 1, 0, ""),
    Ailment.HUNG: _Rule(Remedy.KILL, 2, 3, "restart"),
    Ailment.DRY: _Rule(Remedy.RENEW, 2, 1, "renewal"),
}


@dataclass(slots=True)
class Remedies:
    """Hears each ailment. Times are seconds of whichever clock is given, the same one each time."""

    ailment: str = Ailment.NONE.value
    strikes: int = 0
    done: dict[str, list[float]] = field(default_factory=dict)
    #: Was it said, of this ailment, that nothing more is done?
    gave_up: bool = False

    def choose(self, ailment: Ailment, now: float) -> Remedy | None:
        """What to do at this check."""
        if ailment.value != self.ailment:
            self.ailment, self.strikes, self.gave_up = ailment.value, 0, False
        self.strikes += 1
        rule = _TABLE.get(ailment)
        if rule is None or self.strikes < rule.strikes:
            return None
        lately = [at for at in self.done.get(rule.counted_as, []) if 0 <= now - at < WINDOW]
        if len(lately) >= rule.most:
            gave_up, self.gave_up = self.gave_up, True
            if gave_up:
                return None
            return Remedy.GIVE_UP if rule.most else rule.remedy
        self.done[rule.counted_as] = [*lately, now]
        self.strikes = 0
        return rule.remedy
