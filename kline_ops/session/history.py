"""What became of a session's candles, and what happened to it, in the last day or month.

Read from its candle file and its event log, as the digest and ``analyze-gaps`` do: files are the truth.
Whoever asks again pays only for what is new.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kline_ops import events
from kline_ops.events import Event
from kline_ops.gaps.coverage import Coverage, Kind, Ledger, cell_ms
from kline_ops.gaps.follow import RowFollower
from kline_ops.market import timestamp
from kline_ops.market.interval import DAY_MS, HOUR_MS, LATEST_MS, MINUTE_MS, Interval
from kline_ops.market.span import Span
from kline_ops.observe.marks import Mark, Marks
from kline_ops.session.event_follow import EventFollower
from kline_ops.worker import Breath

#: How far back each one looks.
SPANS = {"day": DAY_MS, "month": 31 * DAY_MS}
#: Events of so long before tell what stood at the beginning.
_RUN_UP_MS = HOUR_MS
#: What says nothing of either candles or marks.
_UNWANTED = (
    events.Connected,
    events.Recorded,
    events.FrameRejected,
    events.CandleConflict,
    events.CandleAmended,
    events.ConnectDelayed,
    events.BackfillFailed,
    events.AlertFailed,
)
_WANTED = [
    str(kind.__struct_config__.tag)
    for kind in Event.__subclasses__()
    if not issubclass(kind, _UNWANTED)
]


_HOLES = (events.HoleFound, events.HoleConfirmed, events.HoleFilled)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Of which session: where its files are, and what it owes."""

    session: str
    symbol: str
    interval: Interval
    csv: str
    events_file: str
    #: Candles are owed from then on (milliseconds), whatever the file begins with; None: from its first.
    since_ms: int | None = None
    #: A candle that closed so long (ms) ago may be on its way.
    grace_ms: int = 2_000


class History:
    """Of one session. For one thread."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self._reading: _Reading | None = None

    @property
    def size(self) -> int:
        """Bytes that it remembers, about."""
        reading = self._reading  # of another thread: it may be gone at the next look
        return 0 if reading is None else reading.ledger.size

    def answer(self, span: str, now_ms: int) -> dict[str, Any]:
        """What ``/api/history`` tells; ``now_ms`` is the exchange's time.

        Raises:
            InputError: a file can not be read, or is no candle file.
            KeyError: no such span.
        """
        window = window_of(self.recorded.interval, now_ms, SPANS[span])
        reading = self._reading
        if reading is None or not reading.reaches(window):
            reading = _Reading(self.recorded, window)
        # One that fails half-way is begun anew.
        self._reading = None
        if reading.update():
            reading = _Reading(self.recorded, window)
            reading.update()
        self._reading = reading
        breathe = Breath()
        told = _told(self.recorded, window, now_ms, reading, breathe)
        marks = []
        for mark in reading.marks.between(now_ms - SPANS[span], now_ms):
            marks.append(_mark(mark))
            breathe()
        return {**told, "marks": marks}


def window_of(interval: Interval, now_ms: int, length_ms: int) -> Span:
    """The candles that closed in the last so many milliseconds; below a minute, by whole minutes."""
    first = min(interval.floor(now_ms - length_ms), _minute(now_ms - length_ms, interval))
    return Span(interval.ceil(first), interval.floor(now_ms))


def _minute(ms: int, interval: Interval) -> int:
    return ms - ms % MINUTE_MS if interval.typical_ms < MINUTE_MS else ms


class _Reading:
    """What was read of the files of a session, from the beginning of a window on."""

    def __init__(self, recorded: Recorded, window: Span) -> None:
        self._recorded = recorded
        self._window = window
        self.ledger = Ledger(recorded.interval, window.first)
        self.rows = RowFollower(recorded.csv, self.ledger)
        self.marks = Marks()
        self._events = EventFollower(recorded.events_file, window.first - _RUN_UP_MS, iter(_WANTED))

    def reaches(self, window: Span) -> bool:
        """Is it of use for this window? What lies far behind it is let go of in time."""
        length = self._window.end - self._window.first
        began = self._window.first
        return began <= window.first <= began + length + DAY_MS

    def update(self) -> bool:
        """Read what is new; True: the event log is another one, and all is to be read anew."""
        for at, event in self._events.new():
            if isinstance(event, _HOLES):
                self._hear_of_holes(event)
            elif (at_ms := _ms(at)) is not None:
                self.marks.hear(at_ms, event)
        # After the events: what is told to be on disk is.
        self.rows.update()
        return self._events.is_anew

    def _hear_of_holes(
        self, event: events.HoleFound | events.HoleConfirmed | events.HoleFilled
    ) -> None:
        first = _ms(event.first)
        last = first if event.last == event.first else _ms(event.last)
        if first is None or last is None or first > last:
            return
        if isinstance(event, events.HoleFound):
            self.ledger.found(first, last)
        elif isinstance(event, events.HoleConfirmed):
            self.ledger.confirmed(first, last)
        elif event.source == "rest":
            self.ledger.filled(first, last, event.candles)


@lru_cache(maxsize=64)  # a hole that is found is filled: the same time twice
def _ms(text: str) -> int | None:
    """A time of a line that may be damaged."""
    try:
        ms = timestamp.to_ms(text)
    except ValueError:
        return None
    return ms if 0 <= ms < LATEST_MS else None


def _told(
    recorded: Recorded, window: Span, now_ms: int, reading: _Reading, breathe: Breath
) -> dict[str, Any]:
    interval = recorded.interval
    owed = _owed(recorded, window, reading.rows.first_ms)
    pending_ms = interval.floor(now_ms - recorded.grace_ms)
    coverage = reading.ledger.coverage(owed, pending_ms, breathe)
    return {
        "session": recorded.session,
        "symbol": recorded.symbol,
        "interval": interval.name,
        "from_ms": window.first,
        "until_ms": now_ms,
        "cell_ms": cell_ms(interval),
        "candles_per_cell": max(1, MINUTE_MS // interval.typical_ms),
        "cells": coverage.cells,
        "figures": _figures(coverage),
    }


def _owed(recorded: Recorded, window: Span, first_row_ms: int | None) -> Span:
    """Nobody has recorded what opened before the first row, unless it was asked for."""
    begins = [ms for ms in (recorded.since_ms, first_row_ms) if ms is not None]
    if not begins:
        return Span(window.end, window.end)
    first = max(window.first, recorded.interval.ceil(min(begins)))
    return Span(min(first, window.end), window.end)


def _figures(coverage: Coverage) -> dict[str, int]:
    return {
        "owed": coverage.owed,
        "on_disk": coverage.on_disk,
        **{kind.value: coverage.counts[kind] for kind in Kind},
    }


def _mark(mark: Mark) -> dict[str, Any]:
    return {
        "at_ms": mark.at_ms,
        "until_ms": mark.until_ms,
        "kind": mark.kind,
        "level": mark.level,
        "title": mark.title,
        "open": mark.is_open,
    }
