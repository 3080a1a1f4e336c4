"""The time column's text to milliseconds, in the spellings that people's files have.

Whole numbers count from the epoch; their length tells the unit, row by row (the exchange's dumps are
in milliseconds up to 2024 and in microseconds from 2025):

======  ============
digits  unit
======  ============
10      seconds
13      milliseconds
16      microseconds
19      nanoseconds
======  ============

All else is ISO 8601 as it is written in practice: ``2026-01-27T14:00:00Z``, ``2026-01-27 14:00``,
``2026/01/27 14:00:00 UTC``, ``20260127T140000+0000``; a time without a zone is UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from kline_ops.market.interval import SECOND_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Units a second, by the number of digits.
UNITS = {10: 1, 13: 10**3, 16: 10**6, 19: 10**9}
#: Times beyond the year 2286 are no candles; the limit is that of the digits.
_END_MS = 10**13

#: ``1514764800000.0``: a whole number that went through a float on its way.
_WHOLE = re.compile(rb"([0-9]+)\.0*")
_ZONE = re.compile(rb" *(?:UTC|GMT|Z)$|(?<=[0-9]) +(?=[+-][0-9]{2}:?[0-9]{2}$)", re.IGNORECASE)
_DATE = re.compile(rb"([0-9]{4})/([0-9]{2})/([0-9]{2})")
#: Digits beyond microseconds, which ``fromisoformat`` does not take.
_FINER = re.compile(rb"(\.[0-9]{6})([0-9]+)")


def time_ms(text: bytes) -> int | None:
    """Milliseconds since the epoch of a time column's text; None if it is no time of a candle.

    What is finer than a millisecond is cut off, but never down to a whole second: it is off every
    grid, and stays so.
    """
    text = text.strip()
    if text.isdigit():
        return _from_epoch(text)
    if (whole := _WHOLE.fullmatch(text)) is not None:
        return _from_epoch(whole[1])
    return _from_iso(text)


def _from_epoch(digits: bytes) -> int | None:
    if (unit := UNITS.get(len(digits))) is None:
        return None
    ms, finer = divmod(int(digits) * 1000, unit)
    return _bounded(ms, finer=finer > 0)


def _from_iso(text: bytes) -> int | None:
    moment = _moment(text)
    if moment is None:
        plain = _FINER.sub(rb"\1", _DATE.sub(rb"\1-\2-\3", _ZONE.sub(b"", text)))
        moment = _moment(plain) if plain != text else None
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    ms, finer = divmod((moment - _EPOCH) // _MICROSECOND, 1000)
    digits = _FINER.search(text)
    return _bounded(ms, finer=finer > 0 or (digits is not None and digits[2].strip(b"0") != b""))


def _moment(text: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(text.decode("ascii"))
    except ValueError:
        return None


def _bounded(ms: int, *, finer: bool) -> int | None:
    if finer and ms % SECOND_MS == 0:
        ms += 1
    return ms if 0 <= ms < _END_MS else None
