"""What a session looks after beside the recording: this machine's clocks, and its own memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kline_ops import events
from kline_ops.clock import read
from kline_ops.session.parts import Common
from kline_ops.watch.clocks import ClockWatch
from kline_ops.watch.memory import MemoryLimit, resident_megabytes

#: Seconds between two looks at the clocks.
_CLOCKS_EVERY = 1.0
#: Seconds between two looks at the memory that is in use.
_MEMORY_EVERY = 30.0
#: Seconds between two tries to have the secrets that this process is without.
_SECRETS_EVERY = 600.0
#: A look that is so many seconds late shows that this process stood still.
_HELD_UP = 1.0


async def watch_clocks(common: Common, watch: ClockWatch, on_wake: Callable[[], None]) -> None:
    """Tell of suspends, halts, steps and skew. After a suspend ``on_wake`` is called."""
    due = common.clock.monotonic()
    while True:
        wall_ms, now, asleep = read(common.clock)
        if now - due >= _HELD_UP:
            common.bus.emit(events.HeldUp(seconds=round(now - due, 3)))
        due = now + _CLOCKS_EVERY
        heard = common.server_time.heard_since_sleep
        exchange_ms = common.server_time.now_ms(now) if heard else None
        told = watch.look(wall_ms, now, asleep, exchange_ms)
        slept = sum(event.seconds for event in told if isinstance(event, events.Suspended))
        common.server_time.slept(slept)
        for event in told:
            common.bus.emit(event)
        if slept:
            on_wake()
        await asyncio.sleep(_CLOCKS_EVERY)


async def seek_secrets(keeps: Callable[[], bool], ask_renewal: Callable[[], None]) -> None:
    """Of a process that was begun without its secrets: ask for one that has them, now and then.

    One that can not have them either comes to nothing, and this one goes on. ``keeps``: as for
    :func:`watch_memory`.
    """
    while True:
        await asyncio.sleep(_SECRETS_EVERY)
        if not keeps():
            ask_renewal()


async def watch_memory(
    common: Common,
    uptime: Callable[[], float],
    keeps: Callable[[], bool],
    ask_renewal: Callable[[], None],
) -> None:
    """Ask for a fresh process where this one has grown.

    ``keeps``: does it hold what that would not have: candles that wait for a disk that takes nothing?
    """
    memory = MemoryLimit(common.settings.config.ops.memory_limit_mb)
    while True:
        megabytes = resident_megabytes()
        if not keeps() and memory.is_over(megabytes, uptime()):
            limit = memory.limit or 0.0
            common.bus.emit(events.MemoryHigh(megabytes=round(megabytes, 1), limit=limit))
            ask_renewal()
        await asyncio.sleep(_MEMORY_EVERY)
