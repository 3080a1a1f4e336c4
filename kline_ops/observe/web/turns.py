"""One answer a turn of the loop: however many ask at once, a candle waits for one of them at most."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """Whoever waits here goes on in order, each in a turn of the loop of its own."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def mine(self) -> None:
        """Wait for it: at most as many turns as there are others."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            loop.call_soon(self._next)
        await turn

    def _next(self) -> None:
        turn = self._waiting[0]
        if not turn.done():
            turn.set_result(None)
        # It stays in its place until it has had its turn, which comes before the next call of this.
        asyncio.get_running_loop().call_soon(self._passed)

    def _passed(self) -> None:
        self._waiting.popleft()
        if self._waiting:
            self._next()
