"""The daily word of a session: was yesterday complete? Told when all is well too. Pure.

Silence is never mistaken for health: who hears nothing for a day knows that something is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kline_ops.alerts.message import Level, Message
from kline_ops.alerts.words import Subject
from kline_ops.events import PLANNED
from kline_ops.market import timestamp
from kline_ops.market.interval import DAY_MS, MINUTE_MS, Interval
from kline_ops.secret import redacted

#: Events that tell something only in their order.
_COUNTED = frozenset(
    {"session_started", "live", "disconnected", "replaced", "process_ended", "alerted"}
)
#: Missing candles that are named.
_NAMED = 5


def due_day(now_ms: int, at: str) -> str:
    """The day (UTC) whose digest was due last: today from ``at`` (``00:05``) on, else yesterday."""
    hours, minutes = map(int, at.split(":"))
    since_ms = (hours * 60 + minutes) * MINUTE_MS
    return timestamp.to_text((now_ms - since_ms) // DAY_MS * DAY_MS).partition("T")[0]


@dataclass(frozen=True, slots=True)
class Counted:
    """A day of the candle file. ``missing``: the first of their open times."""

    day: str
    owed: int
    on_disk: int
    missing: Sequence[int] = ()


@dataclass(slots=True)
class Tally:
    """What the event log says of a day."""

    #: Candles of the day that came from REST, and that the exchange has none of.
    rest: int = 0
    nowhere: int = 0
    planned: int = 0
    unplanned: int = 0
    incidents: int = 0


def tally(lines: Iterable[str], day: str, interval: Interval) -> Tally:
    """Sum up a day of the event log; ``lines``: from its end backwards."""
    begin, found = f"{day}T", Tally()
    told: list[dict[str, Any]] = []
    for event in _since(lines, begin):
        # A log may have a hundred thousand of these, and so many can not be kept.
        if event["kind"] == "hole_filled":
            found.rest += _in_day(event, day, interval)
        elif event["kind"] == "hole_confirmed":
            found.nowhere += _in_day(event, day, interval)
        elif event["kind"] in _COUNTED:
            told.append(event)
    _count_in_order(reversed(told), begin, found)
    return found


def _since(lines: Iterable[str], begin: str) -> Iterator[dict[str, Any]]:
    """The events from a time on; ``lines``: from the end of the log backwards."""
    for event in filter(None, map(_event, lines)):
        if event["ts"] < begin:
            return
        yield event


def _count_in_order(told: Iterable[dict[str, Any]], begin: str, found: Tally) -> None:
    started, reconnects = _Reconnects(), 0
    for event in told:
        is_reconnect = started.hear(event)
        if not event["ts"].startswith(begin):
            continue
        reconnects += is_reconnect
        match event:
            case {"kind": "replaced", "why": why}:
                found.planned += why == PLANNED
                reconnects += why != PLANNED
            case {"kind": "process_ended", "role": "recorder", "code": code} if code != 0:
                reconnects += 1
            case {"kind": "alerted", "step": "opened" | "passed", "level": "WARNING" | "CRITICAL"}:
                found.incidents += 1
    found.unplanned = reconnects


class _Reconnects:
    """Is a connection that comes up the first while none delivers? Then it was a reconnect."""

    def __init__(self) -> None:
        self._live: set[Any] = set()
        #: There was one that delivered; not known where the log begins.
        self._was_live = False

    def hear(self, event: dict[str, Any]) -> bool:
        match event:
            case {"kind": "session_started"}:
                self._live = set(event.get("live") or ())
                self._was_live = bool(self._live)
            case {"kind": "live", "connection": number}:
                is_reconnect = self._was_live and not self._live
                self._was_live = True
                self._live.add(number)
                return is_reconnect
            case {"kind": "disconnected", "connection": number, "seconds": seconds}:
                self._was_live |= seconds is not None
                self._live.discard(number)
            case {"kind": "replaced", "old": number}:
                self._live.discard(number)
        return False


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None  # torn by a crash
    sound = isinstance(event, dict) and all(
        isinstance(event.get(key), str) for key in ("ts", "kind")
    )
    return event if sound else None


def _in_day(event: dict[str, Any], day: str, interval: Interval) -> int:
    """How many of the candles that an event tells of open in the day."""
    try:
        first, last = timestamp.to_ms(event["first"]), timestamp.to_ms(event["last"])
        candles, day_ms = int(event["candles"]), timestamp.to_ms(day)
    except (KeyError, ValueError, TypeError):
        return 0
    start, end = max(first, day_ms), min(interval.after(last), day_ms + DAY_MS)
    return min(candles, interval.slots(interval.ceil(start), end)) if start < end else 0


def digest(subject: Subject, counted: Counted, found: Tally) -> Message:
    """``BTCUSDT 1h 2026-11-29: complete: 24 owed, 24 on disk, 23 live, 1 by REST; 6 planned …``."""
    missing = counted.owed - counted.on_disk
    nowhere, rest = min(found.nowhere, missing), min(found.rest, counted.on_disk)
    lost = missing - nowhere
    parts = [f"{counted.owed:,} owed", f"{counted.on_disk:,} on disk"]
    if lost:
        parts.append(f"{lost:,} missing")
    if nowhere:
        parts.append(f"{nowhere:,} that the exchange has none of")
    parts += [f"{counted.on_disk - rest:,} live", f"{rest:,} by REST"]
    word = "INCOMPLETE" if lost else "complete"
    counts = f"{word}: {', '.join(parts)}" if counted.owed else "nothing was owed"
    restarts = f"{_many(found.planned, 'planned restart')}, {found.unplanned:,} unplanned"
    return Message(
        Level.WARNING if lost else Level.SUCCESS,
        f"{subject.symbol} {subject.interval} {counted.day}: {counts}; {restarts},"
        f" {_many(found.incidents, 'incident')}",
        _missing(counted, subject) if lost else "",
        {"Session": subject.session},
    )


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _missing(counted: Counted, subject: Subject) -> str:
    times = [timestamp.to_text(ms) for ms in counted.missing[:_NAMED]]
    more = ["…"] if len(counted.missing) > _NAMED else []
    why = f"kline-ops analyze-gaps {subject.session} says why."
    return f"Missing: {', '.join(times + more)}. {why}"


def unreadable(subject: Subject, day: str, reason: str) -> Message:
    """The day could not be counted, which is told as well."""
    title = f"{subject.symbol} {subject.interval} {day}: could not be counted"
    return Message(Level.WARNING, title, redacted(reason), {"Session": subject.session})
