"""``/api/sessions``: how all sessions of this machine stand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from kline_ops.observe.web.answers import JsonAnswer

#: Seconds that an answer holds.
_HOLDS = 1.0

Look = Callable[[], Awaitable[list[dict[str, Any]]]]


class Sessions:
    """However many ask, one look a second; ``now`` in seconds, of a clock that goes on."""

    def __init__(self, look: Look, now: Callable[[], float]) -> None:
        self._look = look
        self._now = now
        self._looked_at = float("-inf")
        self._looking: asyncio.Future[list[dict[str, Any]]] | None = None

    async def answer(self, _request: Request) -> Response:
        """A list of objects as of ``/api/status``, this session first."""
        now = self._now()
        is_old = now - self._looked_at >= _HOLDS
        if self._looking is None or (self._looking.done() and is_old):
            self._looked_at = now
            self._looking = asyncio.ensure_future(self._look())
            self._looking.add_done_callback(_noticed)
        # Whoever goes away does not take the look from the others.
        return JsonAnswer(await asyncio.shield(self._looking))


def _noticed(looking: asyncio.Future[list[dict[str, Any]]]) -> None:
    """Nobody may be there any more to take it."""
    if not looking.cancelled():
        looking.exception()
