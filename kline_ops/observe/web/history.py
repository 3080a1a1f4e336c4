"""``/api/history``: what became of each owed candle of a day or month, and what happened meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kline_ops.observe.web.answers import JsonAnswer
from kline_ops.observe.web.asked import TROUBLES, trouble

SPANS = ("day", "month")

Read = Callable[[str, str], Awaitable[dict[str, Any]]]


class Histories:
    """``read``: of a session, over a span."""

    def __init__(self, read: Read, own: str) -> None:
        self._read = read
        self._own = own

    async def answer(self, request: Request) -> Response:
        """Of one session; this one where none is named."""
        session = request.query_params.get("session") or self._own
        span = request.query_params.get("span", "day")
        if span not in SPANS:
            raise HTTPException(400, f"span is one of: {', '.join(SPANS)}")
        try:
            return JsonAnswer(await self._read(session, span))
        except TROUBLES as error:
            return trouble(error)
