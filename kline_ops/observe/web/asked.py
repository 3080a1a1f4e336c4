"""What is asked of a session in the query of a request, and what is wrong with what was found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kline_ops.errors import InputError
from kline_ops.market.interval import LATEST_MS
from kline_ops.observe.web.answers import refusal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: What can be wrong with a session, or with its files.
TROUBLES = (LookupError, InputError, OSError)


def time_asked(request: Request, name: str) -> int | None:
    """A time of the query, as in the candle file or in milliseconds since the epoch; None: not asked.

    Raises:
        HTTPException: it is none (400).
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    ms = int(text) if text.isascii() and text.isdecimal() and len(text) <= 13 else _from_iso(text)
    if ms is None or not 0 <= ms <= LATEST_MS:
        raise HTTPException(400, f"{name} is a time: 2026-01-27T14:00:00Z, or milliseconds")
    return ms


def _from_iso(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return None


def trouble(error: Exception) -> Response:
    """404 where there is nothing of the kind, 503 where it can not be read now; one line says which."""
    if isinstance(error, FileNotFoundError):
        return refusal(404, "nothing was recorded yet: there is no candle file")
    if isinstance(error, LookupError):
        return refusal(404, " ".join(str(error.args[0] if error.args else error).split()))
    if isinstance(error, InputError):
        return refusal(503, " ".join(str(error).split()), error.hint)
    reason = getattr(error, "strerror", None) or str(error)
    return refusal(503, f"the candle file can not be read: {reason}")
