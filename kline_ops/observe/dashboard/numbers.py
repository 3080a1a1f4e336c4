"""Numbers, times and durations as the dashboard writes them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from kline_ops.market.interval import DAY_MS, MINUTE_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decimals_of(texts: Iterable[str]) -> int:
    """How many decimals say all of these numbers exactly; two at the least."""
    return max(2, *(len(text.partition(".")[2].rstrip("0")) for text in texts), 2)


def plain(text: str, decimals: int) -> str:
    """A number with so many decimals: ``100500.00000000`` is ``100500.00``. Never by a float."""
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction[:decimals]:0<{decimals}}" if decimals else whole


def clock(ms: int) -> str:
    """``17:20:31``, UTC."""
    return f"{_moment(ms):%H:%M:%S}"


def opened(ms: int, length_ms: int) -> str:
    """An open time, as short as its interval allows."""
    if length_ms < MINUTE_MS:
        return clock(ms)
    return f"{_moment(ms):%m-%d %H:%M}" if length_ms < DAY_MS else f"{_moment(ms):%Y-%m-%d}"


def _moment(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)
