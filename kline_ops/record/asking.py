"""REST for a command that has one thing to do: it waits where a wait helps, and else gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from kline_ops.errors import VenueError
from kline_ops.market.candle import Candle
from kline_ops.market.span import Span
from kline_ops.market.stream import Stream
from kline_ops.record.backfill import Backfill, BudgetSpentError, RefusalError

T = TypeVar("T")

#: Seconds of waiting for a host that fails, one failure after another, before it is given up.
PATIENCE = 120.0
_FIRST_WAIT, _LONGEST_PAUSE = 1.0, 30.0
#: A wait that the exchange or the budget asks for is waited out up to this length (s).
_LONGEST_WAIT = 300.0

#: Hears why it waits, and for how long (s).
Tell = Callable[[str, float], None]


class Asker:
    """Asks one REST host. Raises VenueError when waiting does not help, or takes too long."""

    def __init__(self, backfill: Backfill, tell: Tell, *, patience: float = PATIENCE) -> None:
        self._backfill = backfill
        self._tell = tell
        self._patience = patience

    async def server_time(self) -> int:
        """The exchange's time in milliseconds."""
        return await self._ask(self._backfill.server_time)

    async def candles(self, stream: Stream, span: Span) -> list[Candle]:
        """The first page of what the exchange has in ``span``."""
        return await self._ask(lambda: self._backfill.candles(stream, span))

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        pause, waited = _FIRST_WAIT, 0.0
        while True:
            try:
                return await ask()
            except VenueError as error:
                wait = self._wait(error, pause, waited)
                reason = error.one_line()
                if not isinstance(error, BudgetSpentError):
                    pause, waited = min(2 * pause, _LONGEST_PAUSE), waited + wait
            self._tell(reason, wait)
            await asyncio.sleep(wait)

    def _wait(self, error: VenueError, pause: float, waited: float) -> float:
        """Seconds until it is worth another try; raises the error where it is not."""
        if isinstance(error, BudgetSpentError):
            wait = error.seconds
        elif isinstance(error, RefusalError):
            wait = max(error.seconds, pause)
        else:
            wait = max(error.retry_after or 0.0, pause)
            if waited + wait > self._patience:
                raise error
        if wait > _LONGEST_WAIT or not error.retryable:
            raise error
        return wait
