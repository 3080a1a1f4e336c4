"""What became of a session, from its ``events.jsonl``: what was wrong when, and what became of holes.

Pure, but for :func:`read_history`. A line that is torn or no event is passed over and counted; a log
may begin in the middle.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from kline_ops.errors import InputError
from kline_ops.gaps.spells import Spell
from kline_ops.gaps.teller import Teller, moment, number, text

_BEGINNING = b'{"ts"'
#: What ``journal_repaired`` says where rows are gone after it, and not only in another order.
_WHOLE_ROWS = ("no row", "moved away")
_TAKEN_OUT = (*_WHOLE_ROWS, "torn")


class Spanning(Protocol):
    """Something from a first to a last moment (ms)."""

    @property
    def first_ms(self) -> int:
        """Its first moment."""

    @property
    def last_ms(self) -> int:
        """Its last moment."""


S = TypeVar("S", bound=Spanning)


class Timeline(Generic[S]):
    """Spans by their beginning; finds those around a moment quickly."""

    def __init__(self, spans: Iterable[S] = ()) -> None:
        self.spans: Sequence[S] = sorted(spans, key=lambda span: span.first_ms)
        self._firsts = [span.first_ms for span in self.spans]
        #: The last moment of all spans up to each: it never falls, and so can be searched.
        self._reach: list[int] = []
        for span in self.spans:
            self._reach.append(max(span.last_ms, self._reach[-1] if self._reach else span.last_ms))

    def touching(self, first_ms: int, last_ms: int) -> list[S]:
        """Those that have a moment of this span, both ends included."""
        start = bisect_left(self._reach, first_ms)
        stop = bisect_right(self._firsts, last_ms)
        return [span for span in self.spans[start:stop] if span.last_ms >= first_ms]


@dataclass(frozen=True, slots=True)
class Batch:
    """Candles that one event tells of: found missing, filled, or confirmed as absent."""

    #: When it was told.
    at_ms: int
    #: Open times.
    first_ms: int
    last_ms: int
    candles: int


@dataclass(frozen=True, slots=True)
class Repair:
    """Rows were taken out of the candle file, or it was begun anew."""

    at_ms: int
    what: str

    @property
    def at_end(self) -> bool:
        """Nothing but a row that was cut off at the end."""
        return not any(words in self.what for words in _WHOLE_ROWS)


@dataclass(frozen=True, slots=True)
class History:
    """A session's events, in order of what is asked about them."""

    spells: Timeline[Spell]
    found: Timeline[Batch]
    #: By REST.
    filled: Timeline[Batch]
    confirmed: Timeline[Batch]
    repairs: tuple[Repair, ...]
    #: Which connections brought data, from when on.
    lines: tuple[tuple[int, tuple[int, ...]], ...]
    #: When the first event was told, and the last one; None in an empty log.
    began_ms: int | None
    ended_ms: int | None
    #: Lines that are no events.
    skipped: int

    def live(self, ms: int) -> tuple[int, ...]:
        """The connections that brought data at this moment."""
        index = bisect_right(self.lines, ms, key=lambda line: line[0])
        return self.lines[index - 1][1] if index else ()


def read_history(path: str | Path) -> History:
    """The history in an event log.

    Raises:
        InputError: the file can not be read.
    """
    try:
        with Path(path).open("rb") as file:
            return history_of(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"the event log {path} can not be read: {reason}", hint="another --events"
        ) from None


def history_of(lines: Iterable[bytes]) -> History:
    """The history that these lines of an event log tell."""
    teller = Teller()
    batches: dict[str, list[Batch]] = {"hole_found": [], "hole_filled": [], "hole_confirmed": []}
    repairs: list[Repair] = []
    began = ended = None
    skipped = 0
    for line in lines:
        event, whole = _decoded(line)
        skipped += not whole
        at_ms = None if event is None else moment(event, "ts")
        if event is None or at_ms is None:
            continue
        kind = text(event, "kind")
        teller.take(at_ms, kind, event)
        began = at_ms if began is None else began
        ended = at_ms
        if kind in batches and (batch := _batch(at_ms, event)) is not None:
            batches[kind].append(batch)
        elif kind == "journal_repaired" and any(w in text(event, "what") for w in _TAKEN_OUT):
            repairs.append(Repair(at_ms, text(event, "what")))
    return History(
        spells=Timeline(teller.end()),
        found=Timeline(batches["hole_found"]),
        filled=Timeline(batches["hole_filled"]),
        confirmed=Timeline(batches["hole_confirmed"]),
        repairs=tuple(repairs),
        lines=tuple(teller.lines),
        began_ms=began,
        ended_ms=ended,
        skipped=skipped,
    )


def _decoded(line: bytes) -> tuple[Mapping[str, Any] | None, bool]:
    """The event of a line, and whether the line is nothing else.

    A process that lost its power may leave half a line; the next one goes on from there.
    """
    for start in (0, line.rfind(_BEGINNING)):
        if start < 0 or not line.strip():
            break
        try:
            event = msgspec.json.decode(line[start:])
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            continue
        if isinstance(event, dict) and moment(event, "ts") is not None:
            return event, start == 0
    return None, not line.strip()


def _batch(at_ms: int, event: Mapping[str, Any]) -> Batch | None:
    first, last = moment(event, "first"), moment(event, "last")
    if first is None or last is None or last < first:
        return None
    if event.get("kind") == "hole_filled" and event.get("source") != "rest":
        return None
    return Batch(at_ms, first, last, max(1, round(number(event, "candles"))))
