"""Keeps the candles of one stream: takes them in, and tells what is owed, on disk and missing.

Two tasks beside the one that delivers: the outbox (``outbox.py``) puts candles on the disk, the filler
(``filler.py``) asks REST for what is due and not there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kline_ops import events
from kline_ops.clock import Clock
from kline_ops.events import Bus, Event
from kline_ops.market import timestamp
from kline_ops.market.candle import Candle
from kline_ops.market.messages import FrameRejected, Kline
from kline_ops.market.server_time import ServerTime
from kline_ops.market.span import Span, common, without
from kline_ops.market.stream import Stream
from kline_ops.record.backfill import Backfill, RefusalError
from kline_ops.record.contents import Contents
from kline_ops.record.filler import Filler
from kline_ops.record.journal import Journal
from kline_ops.record.outbox import Outbox, Waiting
from kline_ops.record.sequence import Sequence, Verdict
from kline_ops.record.witness import Witness

STREAM = "stream"
REST = "rest"

#: How many candles back the last one is looked for, where no stream has told of any: a page of REST.
_LOOK_BACK = 999

#: Seconds that REST has to answer when the recorder is told to end.
_LAST_LOOK = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a recorder can say of itself. Open times in milliseconds; None before the first."""

    first_ms: int | None
    last_ms: int | None
    owed: int
    on_disk: int
    missing: int
    waiting: int
    #: When the next candle is closed.
    next_due_ms: int | None
    #: Due, not on disk, and not given up.
    pursued: int
    #: Those of them that REST was asked for and did not have.
    absent: int
    #: Missing, and no longer asked for: the exchange itself has none of them.
    confirmed: int
    #: For how long (s) the newest owed candle has been due; zero or less while it is not.
    overdue_for: float
    disk_error: str | None
    rest_error: str | None
    #: The candle file: the open time of its newest row, and its bytes.
    file_last_ms: int | None
    file_bytes: int
    #: How many candles may wait for the disk, and how many found no room.
    room: int
    dropped: int


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """``grace`` in seconds after a close, before REST is asked; ``since_ms``: owed from then on."""

    grace: float = 2.0
    since_ms: int | None = None
    #: How many candles may wait in memory for a disk that fails (about 300 bytes each).
    max_waiting: int = 100_000


class Recorder:
    """One stream's keeper. Times of candles are the exchange's."""

    def __init__(
        self,
        stream: Stream,
        journal: Journal,
        backfill: Backfill | None,
        options: RecordOptions,
        *,
        bus: Bus,
        clock: Clock,
        server_time: ServerTime,
    ) -> None:
        self.stream = stream
        self.interval = stream.interval
        self._backfill = backfill
        #: False where there is no REST address to ask.
        self.has_backfill = backfill is not None
        self._witness = Witness()
        self._looks: set[asyncio.Task[None]] = set()
        self._bus = bus
        self._clock = clock
        self._server_time = server_time
        self._grace_ms = int(options.grace * 1000)
        self._since_ms = options.since_ms
        self._sequence = Sequence(stream.interval)
        #: What was delivered before :meth:`start`, the last of each candle; None from then on.
        self._early: dict[int, Kline] | None = {}
        self._told: list[Span] = []
        self._outbox = Outbox(journal, options.max_waiting, self._written, bus=bus, clock=clock)
        self._filler = Filler(
            stream, backfill, self, self._grace_ms, bus=bus, clock=clock, server_time=server_time
        )
        #: They run until :meth:`close`; one that ends before is a fault of ours.
        self.tasks: list[asyncio.Task[None]] = []
        #: Called after each write with what :meth:`settled_before` says then.
        self.on_settled: Callable[[int], None] = lambda _before: None
        #: Called with the open time of a traded candle that no stream had brought in time.
        self.on_missed: Callable[[int], None] = lambda _open_ms: None

    async def start(self) -> None:
        """Open the candle file (its lock is held already) and begin; what came early is taken in now.

        Raises:
            JournalError: the file is not ours to write.
        """
        contents = await self._outbox.open()
        after = None if contents.last_ms is None else self.interval.after(contents.last_ms)
        self._sequence = Sequence(
            self.interval, first_ms=contents.first_ms, next_ms=after, holes=contents.holes
        )
        if self._since_ms is not None:
            self._sequence.begin(self.interval.ceil(self._since_ms))
        self.tasks = [
            asyncio.create_task(self._outbox.run(), name="write"),
            asyncio.create_task(self._filler.run(), name="fill"),
        ]
        early, self._early = self._early or {}, None
        for _, kline in sorted(early.items()):
            self._keep(kline)

    def deliver(self, kline: Kline) -> None:
        """Take in an update from a stream; only a closed candle is kept.

        Before :meth:`start` it waits in memory: the file is another recorder's still, who makes way.

        Raises:
            FrameRejected: its times can not be, or not be believed yet.
        """
        candle, now = kline.candle, self._clock.monotonic()
        after = self.interval.after(candle.open_ms)
        # An event time far from its candle is no clock; a late repetition is one second at most.
        if candle.open_ms <= kline.event_ms <= after + 60_000:
            self._server_time.observe(kline.event_ms, now, self._clock.wall_ms())
        ahead = candle.open_ms > self._server_time.now_ms(now) + self.interval.typical_ms
        if ahead or not self._server_time.heard:
            raise FrameRejected("opens in the future" if ahead else "its time is far from ours")
        self._witness.hear(candle)
        if self._early is None:
            self._keep(kline)
        elif candle.open_ms not in self._early or not self._early[candle.open_ms].closed:
            self._early[candle.open_ms] = kline

    def _keep(self, kline: Kline) -> None:
        if self._sequence.next_ms is None:
            self._sequence.begin(kline.candle.open_ms)
            self._filler.wake()
        if kline.closed:
            self._take(kline.candle, STREAM)

    def look_at_market(self, answer: Callable[[bool | None], None]) -> None:
        """Ask REST whether the market has traded since the stream was heard; None: nobody can tell."""
        task = asyncio.create_task(self._look_at_market(answer), name="look")
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)

    async def _look_at_market(self, answer: Callable[[bool | None], None]) -> None:
        traded = None
        if self._backfill is not None:
            forming = self.interval.floor(self._now_ms())
            known = self._witness.known
            # From what is known on, so that an answer without it shows that REST is behind.
            since = self.interval.shift(forming, -_LOOK_BACK) if known is None else known[0]
            span = Span(min(since, forming), self.interval.after(forming))
            try:
                candles = await self._backfill.candles(self.stream, span)
                traded = self._witness.judge(c for c in candles if c.open_ms < span.end)
            except Exception as error:  # noqa: BLE001 - a boundary: who asked waits for an answer
                _log.debug("REST is no witness: %s", error)
                if isinstance(error, RefusalError):
                    # Whoever drew it: a ban is told, and kept to by the filler.
                    self._filler.failed(error)
        answer(traded)

    def settled_before(self) -> int:
        """Every candle that closes before this moment is on disk, or not to be had at REST."""
        unsettled = [item.candle.open_ms for item in self._outbox.waiting]
        unsettled += [hole.first for hole in self._sequence.holes[:1]]
        if self._sequence.next_ms is not None:
            unsettled.append(self._sequence.next_ms)
        return self.interval.after(min(unsettled)) if unsettled else 0

    def figures(self) -> Figures:
        """What is owed, what is on disk, what is missing: by the exchange's time."""
        sequence, now_ms = self._sequence, self._now_ms()
        overdue_end = self.interval.floor(now_ms - self._grace_ms)
        late = sum(1 for item in self._outbox.waiting if item.candle.open_ms < overdue_end)
        due = sequence.due(now_ms, self._grace_ms)
        pursued = self._slots(due)
        confirmed = self._slots(sequence.confirmed)
        absent = self._slots(common(due, self._filler.absent()))
        next_ms, last, overdue_ms = sequence.next_ms, None, 0
        if next_ms is not None:
            overdue_ms = now_ms - self._grace_ms - self.interval.after(next_ms)
            last = None if next_ms == sequence.first_ms else self.interval.shift(next_ms, -1)
        return Figures(
            first_ms=sequence.first_ms,
            last_ms=last,
            owed=sequence.owed(now_ms),
            on_disk=sequence.taken() - len(self._outbox.waiting),
            missing=late + pursued + confirmed,
            waiting=len(self._outbox.waiting),
            next_due_ms=None if next_ms is None else self.interval.after(next_ms),
            pursued=pursued,
            absent=absent,
            confirmed=confirmed,
            overdue_for=overdue_ms / 1000.0,
            disk_error=self._outbox.disk_error,
            rest_error=self._filler.error,
            file_last_ms=self._outbox.journal.last_ms,
            file_bytes=self._outbox.journal.size,
            room=self._outbox.most,
            dropped=self._outbox.dropped,
        )

    def is_sound(self) -> bool:
        """Is every owed candle on disk, or being pursued?

        So it is while both tasks turn. What they wait for may last for days (a ban, a full or hanging
        disk, an exchange in maintenance): starting the process anew would heal none of it.
        """
        turning = not any(task.done() for task in self.tasks)
        return turning and self._outbox.is_sound() and self._filler.is_sound()

    def _slots(self, spans: Iterable[Span]) -> int:
        return sum(self.interval.slots(*span) for span in spans)

    async def close(self, *, for_good: bool = True) -> int:
        """Write what is pending, sync it, let go of the file. Bounded, whatever the disk and REST do.

        ``for_good``: nobody takes over. What the stream did not bring of the candles that have closed is
        asked for once more then; a connection is told of none of them.
        Returns how many candles could not be written; REST has them at the next start.
        """
        self.on_missed = lambda _open_ms: None
        await _cancelled([*self.tasks[1:], *self._looks])
        if for_good and self.tasks:
            self._grace_ms = 0
            await self._filler.last_look(_LAST_LOOK)
        self._filler.close()
        await _cancelled(self.tasks[:1])
        return await self._outbox.close()

    def _take(self, candle: Candle, source: str) -> None:
        if self._outbox.is_full():
            self._outbox.dropped += 1
            return  # it stays missing: REST is asked for it once there is room
        answer = self._sequence.offer(candle)
        if answer.hole is not None:
            self.tell_hole(answer.hole)
        if answer.verdict is Verdict.CONFLICT and answer.kept is not None:
            self._bus.emit(
                events.CandleConflict(
                    open_time=timestamp.to_text(candle.open_ms),
                    kept=",".join(answer.kept.values()),
                    seen=",".join(candle.values()),
                )
            )
        if answer.verdict in {Verdict.NEW, Verdict.FILL}:
            if source == REST and candle.trades:
                self.on_missed(candle.open_ms)
            self._outbox.add(candle, source)
            if answer.hole is not None:
                self._filler.wake()

    def _written(self, batch: list[Waiting], reread: Contents | None) -> None:
        if self._outbox.overflowed:
            self._filler.wake()
        if reread is not None:
            self._begin_anew(reread, batch)
        if batch:
            for source in (STREAM, REST):
                self._tell_recorded([i.candle for i in batch if i.source == source], source)
            self.on_settled(self.settled_before())

    def _begin_anew(self, contents: Contents, written: list[Waiting]) -> None:
        """The file is another one than before: what it lacks is missing, and REST is asked for it."""
        first = self._sequence.first_ms
        if first is None or contents.first_ms is None or contents.last_ms is None:
            sequence = Sequence(self.interval, first_ms=first, next_ms=first)
        else:
            start = min(first, contents.first_ms)
            head = [Span(start, contents.first_ms)] if start < contents.first_ms else []
            sequence = Sequence(
                self.interval,
                first_ms=start,
                next_ms=self.interval.after(contents.last_ms),
                holes=[*head, *contents.holes],
            )
        known = [item.candle for item in (*written, *self._outbox.waiting)]
        for candle in sorted(known, key=lambda candle: candle.open_ms):
            sequence.offer(candle)
        self._sequence = sequence
        self._filler.wake()

    def wake(self) -> None:
        """Time has leapt: something may be due."""
        self._filler.wake()

    def has_begun(self) -> bool:
        """Is it known from when on candles are owed?"""
        return self._sequence.next_ms is not None

    def fill(self, candle: Candle) -> None:
        """Take in a candle from REST."""
        self._take(candle, REST)

    def give_up(self, span: Span) -> None:
        """The exchange has none of these."""
        self._sequence.confirm_absent(span)
        self._bus.emit(self._about(events.HoleConfirmed, span))

    def due(self) -> list[Span]:
        """What is missing now, oldest first; nothing while there is no room for it."""
        if self._outbox.is_full():
            return []
        return self._sequence.due(self._now_ms(), self._grace_ms)

    def _now_ms(self) -> int:
        return self._server_time.now_ms(self._clock.monotonic())

    def tell_hole(self, span: Span) -> None:
        """One event for each missing candle, however often it is met again."""
        fresh = [span]
        for told in self._told:
            fresh = without(fresh, told)
        for part in fresh:
            self._bus.emit(self._about(events.HoleFound, part))
        # Only what is still missing can be met again.
        missing = [*self._sequence.holes, *self.due()]
        self._told = [t for t in self._told if any(t.overlaps(span) for span in missing)] + fresh

    def _tell_recorded(self, candles: list[Candle], source: str) -> None:
        if not candles:
            return
        opens = [candle.open_ms for candle in candles]
        first, last = timestamp.to_text(min(opens)), timestamp.to_text(max(opens))
        count = len(opens)
        self._bus.emit(events.Recorded(first=first, last=last, candles=count, source=source))
        if source == REST:
            self._bus.emit(events.HoleFilled(first=first, last=last, candles=count, source=source))

    def _about(self, kind: type[events.HoleFound | events.HoleConfirmed], span: Span) -> Event:
        return kind(
            first=timestamp.to_text(span.first),
            last=timestamp.to_text(self.interval.shift(span.end, -1)),
            candles=self.interval.slots(*span),
        )


async def _cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    waited = list(tasks)
    for task in waited:
        task.cancel()
    await asyncio.gather(*waited, return_exceptions=True)
