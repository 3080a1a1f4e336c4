"""What happened to a session, as marks on an axis of time: since when, how bad, in words. Pure.

Out of its events, one after another, from anywhere in its log on: what began before is not known, and
not told. Titles are those of the log and of the alerts.
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain

from kline_ops import events
from kline_ops.events import PLANNED, Event
from kline_ops.market import timestamp
from kline_ops.observe.describe import describe

#: Marks of a kind that are kept, the newest ones: ten thousand drops take no restart away.
_MOST = 1000
#: Seconds without data that are worth more than a warning.
_LONG_MS = 60_000

#: What is known of a darkness that begins with a process: it is told when that one is there.
_NO_LAST_WORD = "the process before ended without a last word"

INFO, SUCCESS, WARNING, CRITICAL = "info", "success", "warning", "critical"
_LEVELS = {"INFO": INFO, "SUCCESS": SUCCESS, "WARNING": WARNING, "CRITICAL": CRITICAL}
#: What happens in a moment, and under which word it is marked.
_MOMENTS: dict[type[Event], str] = {
    events.CloseMissed: "stalled",
    events.CrashLoop: "crash_loop",
    events.RenewalFailed: "restart_failed",
    events.HeartbeatRestart: "heartbeat_restart",
    events.MemoryHigh: "memory",
    events.ClockStepped: "clock",
    events.ClockSkewed: "clock",
    events.JournalRepaired: "repaired",
    events.BacklogFull: "disk_full",
    events.ShutdownNotice: "shutdown_notice",
    events.EndpointChanged: "endpoint",
    events.MarketClosed: "market",
    events.AttemptsExhausted: "exhausted",
}

#: What is told when it is over.
_LASTED: dict[type[Event], str] = {
    events.Suspended: "suspended",
    events.HeldUp: "held_up",
    events.Stalled: "stalled",
    events.StreamSilent: "stalled",
}


@dataclass(slots=True)
class Mark:
    """One of them; ``until_ms``: None of a moment, and of what lasts still (``is_open``)."""

    at_ms: int
    until_ms: int | None
    kind: str
    level: str
    #: In whose words it is told, and what before them; of an incident its title.
    event: Event
    before: str = ""
    is_open: bool = False

    @property
    def title(self) -> str:
        """In words."""
        if isinstance(self.event, events.Alerted):
            return self.event.title
        if self.kind == "dark" and isinstance(self.event, events.SessionStarted):
            return _NO_LAST_WORD
        return self.before + describe(self.event)[1]

    def touches(self, from_ms: int) -> bool:
        """Has it anything to do with what came after this?"""
        until = self.at_ms if self.until_ms is None else self.until_ms
        return self.is_open or until >= from_ms


class Marks:
    """Listens to the events of one session, in the order of its log."""

    def __init__(self) -> None:
        self._marks: defaultdict[str, deque[Mark]] = defaultdict(partial(deque, maxlen=_MOST))
        self._live: set[int] = set()
        #: Whether a connection delivers is known: the log tells only of changes.
        self._knows = False
        #: The recorder that runs, as far as that was told.
        self._pid: int | None = None
        self._dark: Mark | None = None
        self._disk: Mark | None = None
        self._incidents: dict[str, Mark] = {}
        self._planned: tuple[int, str] | None = None

    def between(self, from_ms: int, until_ms: int) -> Iterator[Mark]:
        """Those of a time, by their beginning."""
        marks = chain.from_iterable(self._marks.values())
        found = [mark for mark in marks if mark.at_ms <= until_ms and mark.touches(from_ms)]
        yield from sorted(found, key=lambda mark: mark.at_ms)

    def hear(self, at_ms: int, event: Event) -> None:  # noqa: C901, PLR0912 - a table of what means what
        """The next event, and when it was told (milliseconds since the epoch)."""
        match event:
            case events.Live(connection=number):
                self._came_live({number}, at_ms)
            case events.Disconnected(connection=number, seconds=seconds):
                # An attempt in vain says nothing of the connections that there are.
                if self._knows or seconds is not None:
                    self._went_dark({number}, at_ms, event)
            case events.Replaced():
                self._replaced(at_ms, event)
            case events.RestartPlanned(boundary=boundary):
                self._planned = (at_ms, boundary)
            case events.SessionStarted():
                self._started(at_ms, event)
            case events.SessionStopped() | events.HandedOver():
                self._ended(at_ms, event)
            case events.ProcessEnded(role=role, code=code) if role == "recorder" and code != 0:
                self._add(at_ms, "process_ended", CRITICAL, event)
                if self._pid in {None, event.pid}:
                    self._went_dark(set(self._live), at_ms, event)
            case events.DiskFull() if self._disk is None:
                self._disk = self._add(at_ms, "disk_full", CRITICAL, event, lasts=True)
            case events.DiskRecovered():
                self._disk_is_back(at_ms)
            case (
                events.Suspended(seconds=seconds)
                | events.HeldUp(seconds=seconds)
                | events.Stalled(seconds=seconds)
                | events.StreamSilent(seconds=seconds)
            ):
                began = at_ms - round(abs(seconds) * 1000)
                _end(self._add(began, _LASTED[type(event)], WARNING, event), at_ms)
            case events.Banned(until=until):
                _end(self._add(at_ms, "banned", CRITICAL, event), _ms(until, at_ms))
            case events.Alerted(step=step) if step:
                self._alerted(at_ms, event)
            case _ if (kind := _MOMENTS.get(type(event))) is not None:
                self._add(at_ms, kind, _level(describe(event)[0]), event)

    # -- connections and processes ----------------------------------------------------------------

    def _came_live(self, numbers: set[int], at_ms: int) -> None:
        self._live |= numbers
        self._knows = True
        dark, self._dark = self._dark, None
        if dark is not None:
            _end(dark, at_ms)
            if dark.level == WARNING and at_ms - dark.at_ms >= _LONG_MS:
                dark.level = CRITICAL

    def _went_dark(self, numbers: set[int], at_ms: int, why: Event, level: str = WARNING) -> None:
        self._live -= numbers
        self._knows = True
        if not self._live and self._dark is None:
            self._dark = self._add(at_ms, "dark", level, why, lasts=True)

    def _replaced(self, at_ms: int, event: events.Replaced) -> None:
        self._live.discard(event.old)
        self._live.add(event.new)
        if event.why != PLANNED:
            self._add(at_ms, "reconnect", WARNING, event)
            return
        began, boundary = self._planned or (at_ms, "")
        before = f"planned restart at {boundary}: " if boundary else ""
        self._planned = None
        _end(self._add(began, "restart", SUCCESS, event, before), at_ms)

    def _started(self, at_ms: int, event: events.SessionStarted) -> None:
        self._add(at_ms, "started", INFO, event)
        self._pid = event.pid
        self._disk_is_back(at_ms)
        if event.live:
            self._came_live(set(event.live), at_ms)
        elif self._knows:
            # Nothing where there was a last word. Else it was killed, or the machine was.
            self._went_dark(set(self._live), at_ms, event)
        self._knows = True

    def _ended(self, at_ms: int, event: Event) -> None:
        if isinstance(event, events.HandedOver):
            self._add(at_ms, "handed_over", SUCCESS, event)
            return
        level = CRITICAL if describe(event)[0] >= logging.ERROR else INFO
        self._add(at_ms, "stopped", level, event)
        self._went_dark(set(self._live), at_ms, event, INFO)

    def _disk_is_back(self, at_ms: int) -> None:
        if self._disk is not None:
            _end(self._disk, at_ms)
        self._disk = None

    # -- what people were told --------------------------------------------------------------------

    def _alerted(self, at_ms: int, event: events.Alerted) -> None:
        topic, level = event.topic, _LEVELS.get(event.level, INFO)
        open_one = self._incidents.get(topic)
        match event.step:
            case "resolved" if open_one is not None:
                _end(self._incidents.pop(topic), at_ms)
            case "passed" | "resolved":
                self._add(at_ms, "alert", level, event)
            case _ if open_one is None:
                mark = self._add(at_ms, "alert", level, event, lasts=True)
                self._incidents[topic] = mark
            case "escalated":
                open_one.level, open_one.event = level, event

    # -- marks ------------------------------------------------------------------------------------

    def _add(
        self,
        at_ms: int,
        kind: str,
        level: str,
        event: Event,
        before: str = "",
        *,
        lasts: bool = False,
    ) -> Mark:
        mark = Mark(at_ms, None, kind, level, event, before, is_open=lasts)
        self._marks[kind].append(mark)
        return mark


def _end(mark: Mark, at_ms: int) -> None:
    mark.until_ms, mark.is_open = max(mark.at_ms, at_ms), False


def _level(level: int) -> str:
    if level >= logging.ERROR:
        return CRITICAL
    return WARNING if level >= logging.WARNING else INFO


def _ms(text: str, otherwise: int) -> int:
    try:
        return timestamp.to_ms(text)
    except ValueError:
        return otherwise
