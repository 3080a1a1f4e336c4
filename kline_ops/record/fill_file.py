"""Fills what a candle file lacks, once, from REST: for a file that nobody records into now.

Oldest first, page by page. What belongs between rows is gathered before it is merged, as each merge
rewrites the file from the first of its places on; what belongs behind the last row is appended with
each page. After a kill at any moment the file is good, and a second run goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from kline_ops.errors import InputError
from kline_ops.market.candle import Candle
from kline_ops.market.span import Span
from kline_ops.market.stream import Stream
from kline_ops.record.asking import Asker
from kline_ops.record.journal import Journal
from kline_ops.record.owed import Window, closed_end, missing, owed
from kline_ops.record.page import answered, lacking, with_follower

#: Candles that are gathered before a merge.
_GATHERED = 50_000
#: Seconds to the next looks at what REST may not have yet, or not followed by another: candles that
#: closed within ``_FRESH_MS``.
_LOOKS = (1.0, 2.0, 4.0)
_FRESH_MS = 120_000


@dataclass(slots=True)
class Tally:
    """How it stands, in candles."""

    owed: int = 0
    on_disk_before: int = 0
    filled: int = 0
    #: REST was asked, and has none of them now.
    absent: int = 0

    @property
    def missing(self) -> int:
        """Not on disk, and REST has not said that it has none."""
        return self.owed - self.on_disk_before - self.filled - self.absent


@dataclass(slots=True)
class FileFiller:
    """Make one for an open journal, run it once. ``tally`` holds whatever ends it.

    ``progress`` hears of each page how many candles it has settled.
    """

    stream: Stream
    journal: Journal
    asker: Asker
    grace_ms: int
    progress: Callable[[int], None]
    tally: Tally = field(default_factory=Tally)
    absent: list[Span] = field(default_factory=list)
    _gathered: list[Candle] = field(default_factory=list)
    _now_ms: int = 0

    async def run(self, window: Window, begun: Callable[[Tally], None]) -> None:
        """Fill the window; ``begun`` hears what is missing before the first question.

        Raises:
            InputError: nothing says from when on candles are owed.
            VenueError: REST can not be asked any more; what it has brought is on disk.
            JournalError: the candle file can not be written.
        """
        interval = self.stream.interval
        self._now_ms = now_ms = await self.asker.server_time()
        contents = self.journal.open()
        span = owed(contents, interval, window, closed_end(interval, now_ms, self.grace_ms))
        if span is None:
            raise InputError(f"{self.journal.path} has no candle yet", hint="--from 2026-01-01")
        if span.first >= span.end and contents.first_ms is None:
            raise InputError(
                "no candle closes between these times", hint="other --from and --until"
            )
        parts = missing(contents, interval, span)
        self.tally.owed = interval.slots(*span)
        self.tally.on_disk_before = self.tally.owed - sum(interval.slots(*part) for part in parts)
        begun(self.tally)
        last_ms = contents.last_ms
        try:
            for part in parts:
                await self._fill(part, at_end=last_ms is None or part.first > last_ms)
            if span.end > now_ms - _FRESH_MS:
                await self._look_again(span.end)
        finally:
            self._write()

    async def _fill(self, part: Span, *, at_end: bool) -> None:
        interval = self.stream.interval
        while part.first < part.end:
            question = with_follower(interval, part, self._now_ms)
            candles = await self.asker.candles(self.stream, question)
            settled, good = answered(interval, part, candles, self._now_ms)
            self._gathered += good
            self._mark_absent(lacking(interval, settled, good))
            if at_end or len(self._gathered) >= _GATHERED:
                self._write()
            self.progress(interval.slots(*settled))
            part = Span(settled.end, part.end)

    async def _look_again(self, end_ms: int) -> None:
        """An answer may lag behind the close of the newest candles."""
        for wait in _LOOKS:
            if not self.absent or self.absent[-1].end != end_ms:
                return
            newest = self.absent.pop()
            self.tally.absent -= self.stream.interval.slots(*newest)
            # Of a long absence only the newest candles can be late.
            fresh = max(newest.first, self.stream.interval.floor(end_ms - _FRESH_MS))
            self._mark_absent([Span(newest.first, fresh)] if newest.first < fresh else [])
            self.progress(-self.stream.interval.slots(fresh, end_ms))
            await asyncio.sleep(wait)
            self._now_ms += round(wait * 1000)
            await self._fill(Span(fresh, end_ms), at_end=True)

    def _mark_absent(self, spans: list[Span]) -> None:
        for span in spans:
            self.tally.absent += self.stream.interval.slots(*span)
            if self.absent and self.absent[-1].end == span.first:
                span = Span(self.absent.pop().first, span.end)  # noqa: PLW2901 - the two are one
            self.absent.append(span)

    def _write(self) -> None:
        if self._gathered:
            self.journal.write(self._gathered)
            self.tally.filled += len({candle.open_ms for candle in self._gathered})
            self._gathered.clear()
