"""Tells the log each minute how the session does: ``logger.statistics``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kline_ops.observe.logs import log_statistics
from kline_ops.observe.snapshot import Snapshot
from kline_ops.observe.statistics import statistics
from kline_ops.watch.memory import resident_megabytes

_MB = 1 << 20
#: Seconds between two looks at how late the loop turns.
_LOOK = 1.0


async def tell_statistics(
    snapshot: Callable[[], Snapshot], every: float, on_lag: Callable[[float], None]
) -> None:
    """One record each ``every`` seconds, until cancelled; ``on_lag`` is told how late the loop turns."""
    before: Snapshot | None = None
    while True:
        lag = await _lag(every, on_lag)
        now = snapshot()
        told = statistics(now, before, lag=lag, resident_bytes=round(resident_megabytes() * _MB))
        log_statistics(told, now.symbol, now.interval.name)
        before = now


async def _lag(seconds: float, on_lag: Callable[[float], None]) -> float:
    """Wait; answers by how much the loop was late at most meanwhile (seconds)."""
    loop = asyncio.get_running_loop()
    end, most = loop.time() + seconds, 0.0
    while (left := end - loop.time()) > 0.0:
        due = loop.time() + min(_LOOK, left)
        await asyncio.sleep(min(_LOOK, left))
        lag = max(0.0, loop.time() - due)
        on_lag(lag)
        most = max(most, lag)
    return most
