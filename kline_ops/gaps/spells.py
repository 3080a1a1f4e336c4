"""A time in which something was wrong with a recording, and what it was, moment by moment. Pure.

A *dark* spell lasts from the moment that no connection brings data until one does again, whatever
happens meanwhile; each thing that does is a phase of it. Other spells are about the process, the
disk or frames, and have one phase.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

#: The end of a spell that was not over when the log ended.
FOR_EVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Phase:
    """What was wrong from a moment on, until the next phase of its spell."""

    at_ms: int
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Spell:
    """From the first moment to the last one in which something was wrong."""

    first_ms: int
    last_ms: int
    phases: tuple[Phase, ...]
    dark: bool
    #: By this machine's clock; the span above is as much wider as that clock was known to be wrong.
    began_ms: int
    #: :data:`FOR_EVER` where it was not over when the log ended.
    ended_ms: int

    def phase(self, ms: int) -> Phase:
        """What was in force at this moment."""
        return next((p for p in reversed(self.phases) if p.at_ms <= ms), self.phases[0])


def spell(phases: list[Phase], ended_ms: int, ahead_ms: int, *, dark: bool = False) -> Spell:
    """One that is over. ``ahead_ms``: of the machine's clock, of the exchange's time."""
    began = phases[0].at_ms
    ended = max(ended_ms, began)
    first, last = began - max(0, ahead_ms), ended + max(0, -ahead_ms)
    return Spell(first, last, tuple(phases), dark, began, ended)


class Darkness:
    """The phases of the dark spell that is not over yet; none while a connection brings data."""

    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self._refusals: Counter[str] = Counter()
        self._banned_until_ms = 0

    def add(self, phase: Phase) -> None:
        """It is dark, for this reason from then on."""
        self.phases = sorted([*self.phases, phase], key=lambda each: each.at_ms)

    def ban(self, phase: Phase, until_ms: int) -> None:
        """No attempt is made until then."""
        self.add(phase)
        self._banned_until_ms = until_ms

    def refuse(self, at_ms: int, reason: str) -> None:
        """An attempt was in vain; those that follow one another are one phase."""
        if at_ms <= self._banned_until_ms:
            return  # the attempt that brought the ban
        last = self.phases[-1]
        if last.kind == "refused":
            at_ms = self.phases.pop().at_ms
        else:
            self._refusals.clear()
            # The first attempt is made at once: from then on it was this that kept it dark.
            at_ms = last.at_ms + 1 if last.kind == "disconnect" else at_ms
        self._refusals[reason] += 1
        self.phases.append(Phase(at_ms, "refused", self._refused()))

    def restarted(self, stopped_ms: int, words: str) -> None:
        """The clean stop at that moment was a restart."""
        self.phases = [
            Phase(p.at_ms, "restart", words) if (p.at_ms, p.kind) == (stopped_ms, "stopped") else p
            for p in self.phases
        ]

    def end(self, ended_ms: int, ahead_ms: int) -> list[Spell]:
        """A connection brings data."""
        phases, self.phases = self.phases, []
        self._banned_until_ms = 0
        return [spell(phases, ended_ms, ahead_ms, dark=True)] if phases else []

    def _refused(self) -> str:
        count = self._refusals.total()
        often = self._refusals.most_common(1)[0][0]
        if count == 1:
            return often
        if len(self._refusals) > 1:
            return f"each attempt ({count}) in vain, most often {often}"
        return f"{often} at each attempt ({count})"


def sentence(phase: Phase, lasted: float | None) -> str:
    """A phase in words, and for how long (s) its spell lasted; None: it was not over."""
    if phase.kind in {"rejected", "handover", "hung"}:
        return phase.words
    if lasted is None and phase.kind == "stopped":
        return f"{phase.words}, not started again"
    if lasted is None:
        return f"{phase.words}, not over when the event log ends"
    how = {"crash": ", back after", "stopped": ", live again after"}
    how |= {"disk": " for", "waiting": " for"}
    if "attempt" in phase.words:
        how["refused"] = " for"
    return f"{phase.words}{how.get(phase.kind, ', dark for')} {_duration(lasted)}"


def _duration(seconds: float) -> str:
    """``3.2 s``, ``12 s``, ``5 min``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
