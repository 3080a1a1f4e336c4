"""Candles from elsewhere into a candle file of ours, for a file that nobody records into now.

What the file has stays; what it has and differs is told. New candles are appended, or merged, a batch
at a time: after a kill at any moment the file is good, and another run goes on. A merge rewrites all
that follows: where that would be done too often, the file is written anew (``rebuild.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from kline_ops.market.candle import Candle
from kline_ops.market.interval import Interval
from kline_ops.market.span import Span, within
from kline_ops.record.compare import Amended
from kline_ops.record.contents import Contents
from kline_ops.record.journal import Journal
from kline_ops.record.rebuild import Rebuild
from kline_ops.record.rows import RowReader

#: Candles that are written at once, and slots that are compared at once.
_BATCH = 20_000
#: Rows of the file that merges may rewrite, all together: a second or two, and some 200 MB.
_REWRITTEN = 400_000
#: Conflicts that are kept to be told.
_TOLD = 5

Write = Callable[[list[Candle]], None]


@dataclass(slots=True)
class Taken:
    """How it stands, in candles."""

    new: int = 0
    #: The file has them, with the same numbers.
    there: int = 0
    #: The file has them with other numbers, which stay.
    conflicts: int = 0
    #: The first of these: ours, and the other.
    told: list[Amended] = field(default_factory=list)


def take_in(
    journal: Journal, candles: Iterable[Candle], spans: Sequence[Span], taken: Taken
) -> None:
    """Write what the file lacks. ``taken`` says what is on disk, whatever ends it.

    Args:
        journal: locked, and not open yet; a file that does not exist is begun with the first candle.
        candles: ascending, each open time once.
        spans: open times that they may have; ascending.

    Raises:
        JournalError: the candle file can not be written.
    """
    contents = journal.open() if journal.path.exists() else Contents()
    rebuild = Rebuild(journal.path, journal.columns)
    rebuild.discard()
    if merges_suffice(contents, journal.interval, spans):
        _Taker(journal, contents, journal.write, taken).take(candles)
        return
    found = Taken()
    try:
        _Taker(journal, contents, rebuild.write, found).take(candles)
        rebuild.finish()
        taken.new = found.new
    finally:
        rebuild.close()
        taken.there, taken.conflicts, taken.told = found.there, found.conflicts, found.told


def look_at(journal: Journal, candles: Iterable[Candle], taken: Taken) -> None:
    """Count as above; ``journal`` is not locked, and nothing is written.

    Raises:
        InputError: the file can not be read.
        JournalError: it is no candle file of ours.
    """
    rows = RowReader(journal.path, journal.columns)
    contents = rows.contents(journal.interval) if journal.path.exists() else Contents()
    _Taker(journal, contents, lambda _: None, taken).take(candles)


def merges_suffice(contents: Contents, interval: Interval, spans: Sequence[Span]) -> bool:
    """Whether merging what these spans bring before the last row rewrites little enough."""
    if contents.first_ms is None or contents.last_ms is None:
        return True
    holes = [Span(0, contents.first_ms), *contents.holes]
    late = list(_common(spans, holes))
    if not late:
        return True
    merges = -(-sum(interval.slots(*part) for part in late) // _BATCH)
    behind = Span(late[0].first, contents.last_ms)
    tail = interval.slots(*behind) - sum(interval.slots(*hole) for hole in within(holes, behind))
    return merges * tail <= _REWRITTEN


def _common(spans: Sequence[Span], holes: Sequence[Span]) -> Iterator[Span]:
    """What is in both; each is ascending."""
    at = 0
    for hole in holes:
        while at < len(spans) and spans[at].end <= hole.first:
            at += 1
        following = at
        while following < len(spans) and (span := spans[following]).first < hole.end:
            yield Span(max(span.first, hole.first), min(span.end, hole.end))
            following += 1


class _Taker:
    """Tells new candles from those that the file has."""

    def __init__(self, journal: Journal, contents: Contents, write: Write, taken: Taken) -> None:
        self._rows = RowReader(journal.path, journal.columns)
        self._interval = journal.interval
        self._last_ms = -1 if contents.last_ms is None else contents.last_ms
        self._write = write
        self._taken = taken

    def take(self, candles: Iterable[Candle]) -> None:
        new: list[Candle] = []
        for batch in _batches(candles, self._interval):
            new += self._new(batch)
            if len(new) >= _BATCH:
                self._flush(new)
        self._flush(new)

    def _flush(self, new: list[Candle]) -> None:
        if new:
            self._write(new)
            self._taken.new += len(new)
            new.clear()

    def _new(self, batch: list[Candle]) -> Iterator[Candle]:
        known: dict[int, Candle] = {}
        if batch[0].open_ms <= self._last_ms:
            span = Span(batch[0].open_ms, batch[-1].open_ms + 1)
            known = {candle.open_ms: candle for candle in self._rows.between(span)}
        for candle in batch:
            kept = known.get(candle.open_ms)
            if kept is None:
                yield candle
            else:
                self._compare(Amended(kept, candle, self._rows.columns))

    def _compare(self, both: Amended) -> None:
        taken = self._taken
        if both.kept == both.seen or not any(both.columns()):
            taken.there += 1
            return
        taken.conflicts += 1
        if len(taken.told) < _TOLD:
            taken.told.append(both)


def _batches(candles: Iterable[Candle], interval: Interval) -> Iterator[list[Candle]]:
    """Pieces that reach over so many slots at most, and so meet so many rows of the file."""
    batch: list[Candle] = []
    end_ms = 0
    for candle in candles:
        if batch and candle.open_ms >= end_ms:
            yield batch
            batch = []
        if not batch:
            end_ms = interval.shift(candle.open_ms, _BATCH)
        batch.append(candle)
    if batch:
        yield batch
