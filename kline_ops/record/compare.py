"""Compares the rows of a candle file with REST. Reads only: the file keeps what it has.

An exchange amends candles now and then, days after their close; a row that was edited, or one that
came from elsewhere, differs as well. Numbers are compared as numbers: ``1.10`` equals ``1.1``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from kline_ops.errors import InputError
from kline_ops.market.candle import HEADERS, Candle, Columns
from kline_ops.market.interval import Interval
from kline_ops.market.span import Span
from kline_ops.market.stream import Stream
from kline_ops.record.asking import Asker
from kline_ops.record.owed import Window, closed_end, owed
from kline_ops.record.page import answered
from kline_ops.record.rows import RowReader

#: REST may lag behind what closed within this time: then it is asked once more, after a moment.
_FRESH_MS = 60_000
_SECOND_LOOK = 2.0
#: Slots that one question reaches over: so many rows are in memory at most, where REST has none.
_REACH = 50_000


@dataclass(frozen=True, slots=True)
class Amended:
    """One candle that differs: the file's, and REST's."""

    kept: Candle
    seen: Candle
    of: Columns = "basic"

    def ours(self) -> list[str]:
        """What the file's row has behind its open time."""
        return _values(self.kept, self.of)

    def theirs(self) -> list[str]:
        """The same of REST."""
        return _values(self.seen, self.of)

    def columns(self) -> Iterator[tuple[str, str, str]]:
        """Name, ours, theirs of each number that differs."""
        names = HEADERS[self.of].split(",")[1:]
        pairs = zip(names, self.ours(), self.theirs(), strict=True)
        return ((name, ours, theirs) for name, ours, theirs in pairs if _differ(ours, theirs))


@dataclass(slots=True)
class Comparison:
    """What was found. Open times in milliseconds."""

    compared: int = 0
    amended: list[Amended] = field(default_factory=list)
    #: Rows of the file that REST does not have.
    unknown: list[int] = field(default_factory=list)
    #: Slots that REST has and the file lacks.
    lacking: list[int] = field(default_factory=list)

    @property
    def findings(self) -> int:
        """How many candles are not as REST has them."""
        return len(self.amended) + len(self.unknown) + len(self.lacking)

    def add(self, other: Comparison) -> None:
        """Take over what was found in another part."""
        self.compared += other.compared
        self.amended += other.amended
        self.unknown += other.unknown
        self.lacking += other.lacking


@dataclass(frozen=True, slots=True)
class Comparer:
    """Run it once. ``progress`` hears of each page how many slots it has settled."""

    stream: Stream
    rows: RowReader
    asker: Asker
    grace_ms: int
    progress: Callable[[int], None]

    async def run(self, window: Window, begun: Callable[[int], None]) -> Comparison:
        """Compare from the first to the last row, or within the window.

        ``begun`` hears how many slots there are to settle.

        Raises:
            InputError: the file can not be read.
            VenueError: REST can not be asked.
        """
        interval = self.stream.interval
        contents = self.rows.contents(interval)
        now_ms = await self.asker.server_time()
        end_ms = closed_end(interval, now_ms, self.grace_ms)
        if window.until_ms is None and contents.last_ms is not None:
            end_ms = min(end_ms, interval.after(interval.floor(contents.last_ms)))
        left = owed(contents, interval, window, end_ms)
        if left is None:
            raise InputError(f"{self.rows.path} has no candle yet", hint="--from 2026-01-01")
        if left.first >= left.end:
            raise InputError(
                "no candle closes between these times", hint="other --from and --until"
            )
        whole = Comparison()
        begun(interval.slots(*left))
        while left.first < left.end:
            settled, found = await self._page(left, now_ms)
            if found.findings and settled.end > now_ms - _FRESH_MS:
                await asyncio.sleep(_SECOND_LOOK)
                settled, found = await self._page(left, now_ms)
            whole.add(found)
            self.progress(interval.slots(*settled))
            left = Span(settled.end, left.end)
        return whole

    async def _page(self, left: Span, now_ms: int) -> tuple[Span, Comparison]:
        reach = self.stream.interval.shift(left.first, _REACH)
        left = Span(left.first, min(left.end, reach))
        candles = await self.asker.candles(self.stream, left)
        settled, _ = answered(self.stream.interval, left, candles, now_ms)
        theirs = [c for c in candles if settled.first <= c.open_ms < settled.end]
        # The file is read last: what a recorder has filled meanwhile is not lacking.
        ours = self.rows.between(settled)
        return settled, compare(self.stream.interval, ours, theirs, self.rows.columns)


def compare(
    interval: Interval, ours: list[Candle], theirs: list[Candle], columns: Columns = "basic"
) -> Comparison:
    """The rows of a file against what REST has for the same time."""
    known = {candle.open_ms: candle for candle in theirs}
    on_disk = {candle.open_ms for candle in ours}
    found = Comparison(compared=len(ours))
    for kept in ours:
        seen = known.get(kept.open_ms)
        if seen is None:
            found.unknown.append(kept.open_ms)
        elif any(map(_differ, _values(kept, columns), _values(seen, columns))):
            found.amended.append(Amended(kept, seen, columns))
    # The exchange has bars beside its own grid; no file owes them.
    found.lacking = [ms for ms in known if ms not in on_disk and interval.is_open(ms)]
    return found


def runs(interval: Interval, opens: list[int]) -> list[tuple[int, int, int]]:
    """Neighbouring open times in one piece: the first, the last, how many."""
    pieces: list[tuple[int, int, int]] = []
    for open_ms in opens:
        if pieces and interval.shift(pieces[-1][1], 1) == open_ms:
            first, _, count = pieces.pop()
            pieces.append((first, open_ms, count + 1))
        else:
            pieces.append((open_ms, open_ms, 1))
    return pieces


def _values(candle: Candle, columns: Columns) -> list[str]:
    """What stands in its row behind the open time."""
    return candle.row(columns).decode().rstrip("\n").split(",")[1:]


def _differ(ours: str, theirs: str) -> bool:
    try:
        return ours != theirs and Decimal(ours) != Decimal(theirs)
    except ArithmeticError:  # REST sent no number
        return True
