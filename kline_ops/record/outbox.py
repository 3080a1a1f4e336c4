"""Candles on their way to the disk: the one task that writes them.

It writes what waits, in a worker thread, as fast as the disk lets it. When the disk fails the
candles wait here, bounded, and are written in order once it is back; while there is nothing to
write, the file and its lock are looked after every second. A failure is told once, and so is its
end; none ends the task.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from kline_ops import events
from kline_ops.causes import in_one_line
from kline_ops.clock import Clock
from kline_ops.errors import JournalError
from kline_ops.events import Bus
from kline_ops.market.candle import Candle
from kline_ops.record.contents import Contents
from kline_ops.record.deadline import Deadline
from kline_ops.record.journal import Journal
from kline_ops.worker import Worker

T = TypeVar("T")

#: Seconds between two tries at a disk that fails.
_RETRY = 1.0
#: Seconds between two looks at the file and its lock while there is nothing to write.
_CHECK_EVERY = 1.0
#: A write that takes longer than this (s) is told as a disk that does not answer.
_PATIENCE = 5.0
#: Seconds for the last write at the end.
_CLOSE_TIMEOUT = 0.8

_log = logging.getLogger(__name__)


class Waiting(NamedTuple):
    """A candle that is not on disk yet, and where it came from."""

    candle: Candle
    source: str


#: Hears what was written, and what stands in the file if that is another one than before.
OnWritten = Callable[[list[Waiting], Contents | None], None]


class Outbox:
    """Run :meth:`run` as a task between :meth:`open` and :meth:`close`."""

    def __init__(
        self, journal: Journal, most: int, on_written: OnWritten, *, bus: Bus, clock: Clock
    ) -> None:
        self.waiting: list[Waiting] = []
        #: How many candles may wait, and how many were turned away for want of room.
        self.most = most
        self.dropped = 0
        self.journal = journal
        self._on_written = on_written
        self._bus = bus
        self._clock = clock
        self._worker = Worker("journal")
        self._work = asyncio.Event()
        self._error: str | None = None
        self._failed_at: float | None = None
        #: There was no room for a candle when it was looked last.
        self.overflowed = False
        #: When the write began that has not ended yet (monotonic seconds).
        self._writing_since: float | None = None
        self._deadline = Deadline()

    async def open(self) -> Contents:
        """Open the candle file. A disk that is full or away may come back: it is tried again.

        Raises:
            JournalError: the file is not ours to write.
        """
        while True:
            try:
                contents = await self._in_worker(self.journal.open)
            except JournalError as error:
                if not error.transient:
                    raise
                self._fails(error)
                await asyncio.sleep(_RETRY)
            else:
                self._works(0)
                self._tell_repair()
                return contents

    def add(self, candle: Candle, source: str) -> None:
        """Write it as soon as can be."""
        self.waiting.append(Waiting(candle, source))
        self._work.set()

    def is_full(self) -> bool:
        """Is there no room for another candle? Told once while the disk takes none."""
        full = len(self.waiting) >= self.most
        if full and not self.overflowed and self._error is not None:
            self._bus.emit(events.BacklogFull(waiting=len(self.waiting)))
        self.overflowed = full
        return full

    @property
    def disk_error(self) -> str | None:
        """Why nothing can be written; None while it can."""
        if self._error is not None or self._writing_since is None:
            return self._error
        waited = self._clock.monotonic() - self._writing_since
        return f"the disk has not answered for {waited:.0f} s" if waited > _PATIENCE else None

    def is_sound(self) -> bool:
        """Does it turn? A disk that fails is tried again each second.

        One that does not answer, for however long, counts as well: a fresh process would hang in it,
        too, and would no longer have the candles that wait here.
        """
        return not self._deadline.is_missed(self._clock.monotonic())

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        while True:
            self._deadline.set(self._clock.monotonic(), _CHECK_EVERY)
            timer = asyncio.get_running_loop().call_later(_CHECK_EVERY, self._work.set)
            await self._work.wait()
            timer.cancel()
            self._work.clear()
            try:
                written = await self._write()
            except Exception as error:  # noqa: BLE001 - a boundary: whatever fails, candles wait
                self._fails(error)
                self._deadline.set(self._clock.monotonic(), _RETRY)
                await asyncio.sleep(_RETRY)
                self._work.set()
            else:
                self._works(written)

    async def close(self) -> int:
        """Write what waits, let go of the file. Bounded, whatever the disk does.

        Returns how many candles could not be written; REST has them at the next start.
        """
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                if self.waiting:
                    await self._write()
        except Exception as error:  # noqa: BLE001 - a boundary: the end comes, whatever fails
            reason = "the disk does not answer" if isinstance(error, TimeoutError) else str(error)
            _log.error("%d candles could not be written: %s", len(self.waiting), reason)
        # In the worker, which may still be inside a write of that file; not waited for if it hangs.
        closing = asyncio.ensure_future(self._in_worker(self.journal.close))
        await asyncio.sleep(0)  # it is in the queue now
        self._worker.shutdown(wait=False)
        # Not cancelled where it takes longer: the file is closed, and its lock let go, in any case.
        done, _ = await asyncio.wait({closing}, timeout=_CLOSE_TIMEOUT / 2)
        for failure in (ended.exception() for ended in done):
            if failure is not None:
                _log.error("the candle file could not be closed: %s", failure)
        return len(self.waiting)

    async def _write(self) -> int:
        """Write what waits; where nothing does, see that the file and its lock are still ours."""
        batch = list(self.waiting)
        self._writing_since = now = self._clock.monotonic()
        self._deadline.set(now, math.inf)
        try:
            if batch:
                await self._in_worker(self.journal.write, [item.candle for item in batch])
            else:
                await self._in_worker(self.journal.check)
        finally:
            self._writing_since = None
        del self.waiting[: len(batch)]
        self._tell_repair()
        reread, self.journal.reread = self.journal.reread, None
        self._on_written(batch, reread)
        return len(batch)

    def _fails(self, error: Exception) -> None:
        if self._failed_at is None:
            self._failed_at = self._clock.monotonic()
            self._error = in_one_line(error)
            self._bus.emit(events.DiskFull(reason=self._error, waiting=len(self.waiting)))

    def _works(self, written: int) -> None:
        if self._failed_at is not None:
            seconds = round(self._clock.monotonic() - self._failed_at, 3)
            self._failed_at = self._error = None
            self._bus.emit(events.DiskRecovered(written=written, seconds=seconds))

    def _tell_repair(self) -> None:
        if self.journal.repaired is not None:
            what, saved_to = self.journal.repaired
            self.journal.repaired = None
            self._bus.emit(events.JournalRepaired(what=what, saved_to=str(saved_to)))

    async def _in_worker(self, call: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, call, *args)
