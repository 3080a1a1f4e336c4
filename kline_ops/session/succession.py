"""Taking over from another recorder of the same candle file, without a gap.

The new one delivers into memory before the old one is told to make way, and writes what it has heard
once the old one has let go of its lock. See ``ops/care.py`` for who tells whom.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from kline_ops import events
from kline_ops.clock import Clock
from kline_ops.errors import JournalError
from kline_ops.events import Bus
from kline_ops.feed.feed import Feed
from kline_ops.record.journal import Journal

#: Seconds between two looks whether a predecessor is gone, while there is no data yet.
_FREE_EVERY = 1.0
#: Seconds between two tries of the lock that a predecessor is letting go, and for how long at the most.
_LOCK_EVERY, _LOCK_WITHIN = 0.02, 60.0


async def take_over(
    journal: Journal,
    feed: Feed,
    on_live: Callable[[], None],
    settled_in: Callable[[], float],
    *,
    bus: Bus,
    clock: Clock,
) -> None:
    """Deliver, have the other recorder make way (``on_live``), and take its lock once it lets go.

    Where the other one is gone, its lock is free, and there is nothing to wait for. ``settled_in``: for
    how long (s) candles that have closed by now may still be under way on the other one's connection.

    Raises:
        JournalError: the file is not one to take over, or the other one does not let go.
    """
    await asyncio.to_thread(journal.look)
    live = asyncio.Event()
    bus.listen(lambda event: live.set() if isinstance(event, events.Live) else None)
    feed.start()
    while not live.is_set():
        if await _locked(journal):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FREE_EVERY):
                await live.wait()
    # What closed before we delivered comes to the other one alone.
    await asyncio.sleep(settled_in())
    on_live()
    deadline = clock.monotonic() + _LOCK_WITHIN
    # A lock tells nobody that it is free.
    while not await _locked(journal, final=clock.monotonic() > deadline):  # noqa: ASYNC110
        await asyncio.sleep(_LOCK_EVERY)


async def _locked(journal: Journal, *, final: bool = False) -> bool:
    try:
        await asyncio.to_thread(journal.lock)
    except JournalError:
        if final:
            raise
        return False
    return True
