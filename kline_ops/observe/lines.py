"""Lines of a session's logs: what each says of its time and level, and how it is shown.

Pure. Three kinds are read: ``session.log`` (JSON; plain text in what an earlier version wrote),
``events.jsonl``, and the output of a command. A line that says neither time nor level (a traceback, a
torn line, whatever somebody put there) belongs to the line before it, and is shown with that one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

import msgspec

from kline_ops.events import Event
from kline_ops.market import timestamp
from kline_ops.observe.describe import describe
from kline_ops.plain import visible, without_colours

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
#: ``event.action`` of the record of each minute.
STATISTICS = "statistics"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file; ``ms`` since the epoch. ``shown``: as people read it, without line ends.

    ``is_routine``: the record of each minute, of which the newest says all.
    """

    ms: int | None
    level: int | None
    shown: tuple[str, ...]
    is_routine: bool = False

    @property
    def stands_alone(self) -> bool:
        """False where it belongs to the line before it."""
        return self.ms is not None or self.level is not None


Reader = Callable[[str], Line]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: lines from a time on (ms), of a level and above; None: all."""

    since_ms: int | None = None
    level: int | None = None

    def is_before(self, line: Line) -> bool:
        """Is it older than what is asked for?"""
        return self.since_ms is not None and line.ms is not None and line.ms < self.since_ms

    def admits(self, line: Line) -> bool:
        """Is it shown? What is not known of a line is no reason to hide it."""
        too_low = self.level is not None and line.level is not None and line.level < self.level
        return not too_low and not self.is_before(line)


def newest(files: Iterable[Iterable[Line]], wanted: Wanted, count: int | None) -> list[str]:
    """The last ``count`` shown lines (None: all), oldest first, of lines that come newest first.

    Of records of each minute in a row the newest stands for all, unless DEBUG is asked for: they would
    drive out what happened. It takes no more lines than it needs: no further file after one whose lines
    were all older than the time that is asked for. Within a file an older line ends nothing: a clock may
    have been set back.
    """
    if count == 0:
        return []
    found: list[str] = []
    below: list[Line] = []
    everything, skipped, after_routine = wanted == Wanted(), False, False
    for line in _as_far_as_needed(files, wanted):
        below.append(line)
        if not line.stands_alone and not everything:
            continue
        skipped = wanted.is_before(line)
        is_routine = line.is_routine and len(below) == 1 and wanted.level != logging.DEBUG
        if wanted.admits(line):
            if not (is_routine and after_routine):
                found.extend(text for each in below for text in reversed(each.shown))
            after_routine = is_routine
        below.clear()
        if count is not None and len(found) >= count:
            break
    if not skipped:  # nobody knows what the first lines of all belong to
        found.extend(text for each in below for text in reversed(each.shown))
    found = found[:count]
    found.reverse()
    return found


def _as_far_as_needed(files: Iterable[Iterable[Line]], wanted: Wanted) -> Iterator[Line]:
    for file in files:
        older = newer = False
        for line in file:
            is_before = wanted.is_before(line)
            older |= is_before
            newer |= line.ms is not None and not is_before
            yield line
        if older and not newer:
            return


class Coming:
    """Lines as they are added, each once: those that are asked for."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._shows = True

    def take(self, line: Line) -> tuple[str, ...]:
        """What is shown of the next line."""
        if line.stands_alone:
            self._shows = self._wanted.admits(line)
        return line.shown if self._shows else ()


# -- the three kinds ------------------------------------------------------------------------------


class _Log(msgspec.Struct):
    level: str


class _Error(msgspec.Struct):
    stack_trace: str = ""


class _Action(msgspec.Struct):
    action: str = ""


class _Record(msgspec.Struct):
    """What is read of a line of ``session.log``; ``json_lines.JsonFormatter`` writes it."""

    at: str = msgspec.field(name="@timestamp")
    log: _Log
    message: str
    event: _Action = msgspec.field(default_factory=_Action)
    error: _Error = msgspec.field(default_factory=_Error)


class _Older(msgspec.Struct):
    """The same, in an older form."""

    ts: str
    level: str
    message: str
    traceback: str = ""


class _Stamp(msgspec.Struct):
    ts: str = ""


_as_record = msgspec.json.Decoder(_Record).decode
_as_older = msgspec.json.Decoder(_Older).decode
_as_stamp = msgspec.json.Decoder(_Stamp).decode
_as_event: Callable[[str], Event] = msgspec.json.Decoder(reduce(or_, Event.__subclasses__())).decode
_NOT_OURS = (msgspec.DecodeError, UnicodeError, RecursionError)
_TEXT = re.compile(r"([0-9-]{10}T[0-9:]{8}Z) (DEBUG|INFO|WARNING|ERROR|CRITICAL) ")


def as_text(at: str, level: str, message: str) -> str:
    """``2026-01-27T14:00:00Z INFO     message``; ``at`` in ISO 8601, UTC."""
    return f"{at[:19]}Z {level.upper():<8} {visible(message)}"


def read_record(raw: str) -> Line:
    """A line of ``session.log``."""
    try:
        record = _as_record(raw)
        at, level, below = record.at, record.log.level, record.error.stack_trace
    except _NOT_OURS:
        return _read_older(raw)
    is_routine = record.event.action == STATISTICS
    return _told(at, level, record.message, below, is_routine=is_routine)


def _read_older(raw: str) -> Line:
    try:
        record = _as_older(raw)
    except _NOT_OURS:
        return _read_text(raw)
    return _told(record.ts, record.level, record.message, record.traceback)


def _told(at: str, level: str, message: str, below: str, *, is_routine: bool = False) -> Line:
    shown = (as_text(at, level, message), *map(visible, below.splitlines()))
    return Line(_ms(at), LEVELS.get(level), shown, is_routine)


def _read_text(raw: str) -> Line:
    text = visible(raw.rstrip("\r"))
    told = _TEXT.match(raw)
    if told is None:
        return Line(None, None, (text,))
    # CRITICAL, which only a library says, is an error.
    return Line(_ms(told[1]), LEVELS.get(told[2].lower(), logging.ERROR), (text,))


def read_event(raw: str) -> Line:
    """A line of ``events.jsonl``: shown as it is; its level is that of its text in the log."""
    try:
        ms = _ms(_as_stamp(raw).ts)
    except _NOT_OURS:
        return Line(None, None, (raw,))
    try:
        level, _ = describe(_as_event(raw))
    except _NOT_OURS:  # a kind of another version
        level = logging.INFO
    return Line(ms, level, (raw,))


def read_output(raw: str) -> Line:
    """A line that a command printed: it says neither time nor level, whatever stands in it."""
    return Line(None, None, (visible(without_colours(raw)),))


def as_it_is(reader: Reader) -> Reader:
    """The same lines, shown as they stand in the file."""

    def read(raw: str) -> Line:
        line = reader(raw)
        return Line(line.ms, line.level, (raw,))

    return read


def harmless(reader: Reader) -> Reader:
    """The same lines, for a terminal: JSON may hold control characters, and a torn line anything."""

    def read(raw: str) -> Line:
        line = reader(raw)
        return replace(line, shown=tuple(map(visible, line.shown)))

    return read


def _ms(text: str) -> int | None:
    try:
        return timestamp.to_ms(text)
    except ValueError:
        return None
