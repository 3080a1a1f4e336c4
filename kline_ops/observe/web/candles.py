"""``/api/candles``: the last rows of a candle file, and the candle that is not closed yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from kline_ops.market.candle import Candle
from kline_ops.market.interval import Interval
from kline_ops.observe.web.answers import JsonAnswer
from kline_ops.observe.web.app import number
from kline_ops.observe.web.asked import TROUBLES, time_asked, trouble

#: Rows that are told where nothing is said, and at most.
USUAL, MOST = 500, 1500


class Series(Protocol):
    """Which candles they are."""

    @property
    def symbol(self) -> str:
        """``BTCUSDT``"""

    @property
    def interval(self) -> Interval:
        """Their calendar."""


Read = Callable[[str, int, int | None], Awaitable[tuple[Series, list[Candle]]]]


class Candles:
    """Args: ``read``: of a session so many, before a time; ``forming``: of a session, from memory."""

    def __init__(self, read: Read, forming: Callable[[str], Candle | None], own: str) -> None:
        self._read = read
        self._forming = forming
        self._own = own

    async def answer(self, request: Request) -> Response:
        """Oldest first; numbers are the file's own text."""
        session = request.query_params.get("session") or self._own
        limit = number(request, "limit", USUAL, MOST)
        before = time_asked(request, "before")
        try:
            series, candles = await self._read(session, limit, before)
        except TROUBLES as error:
            return trouble(error)
        forming = self._forming(session) if before is None else None
        if forming is not None and candles and forming.open_ms <= candles[-1].open_ms:
            forming = None  # on disk by now
        told = {
            "session": session,
            "symbol": series.symbol,
            "interval": series.interval.name,
            "interval_ms": series.interval.typical_ms,
            "candles": [_row(candle) for candle in candles],
            "forming": None if forming is None else _row(forming),
        }
        return JsonAnswer(told)


def _row(candle: Candle) -> tuple[int, str, str, str, str, str]:
    return (candle.open_ms, *candle.values())
