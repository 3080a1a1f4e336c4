"""Open times as text, and back.

Candle files carry ``2026-01-27T14:00:00Z``; milliseconds appear only where the time is not a whole
second (``…T09:28:14.789Z``: such bars exist in the exchange's own history).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_text(ms: int) -> str:
    """UTC, ISO 8601, with ``Z``."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ms % 1000:03d}Z" if ms % 1000 else f"{text}Z"


def to_ms(text: str) -> int:
    """Milliseconds since the epoch; a time without a zone is UTC.

    Raises:
        ValueError: not an ISO 8601 date or time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
