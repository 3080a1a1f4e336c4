"""Kline intervals and their calendars.

Source: Binance spot API, "Kline/Candlestick chart intervals" and "Kline/Candlestick Streams with
timezone offset". All 16 intervals are case-sensitive: ``1m`` is a minute, ``1M`` a month.

==========  ==========================================================
interval    opens at (UTC)
==========  ==========================================================
1s … 1d     multiples of its length since the epoch
3d          multiples of three days since the epoch
1w          Monday 00:00
1M          the first of the month, 00:00
==========  ==========================================================

``1d@+08:00`` is the same calendar in a zone eight hours ahead of UTC: the day opens at 16:00 UTC.
All times here are open times in milliseconds since the epoch, UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS

#: No candle opens from here on (2100-01-01): milliseconds that say so are microseconds, or garbage.
LATEST_MS = 4_102_444_800_000

#: The first Monday after the epoch (1970-01-05): the epoch itself was a Thursday.
_MONDAY_MS = 4 * DAY_MS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LENGTHS_MS = {
    "1s": SECOND_MS,
    **{f"{n}m": n * MINUTE_MS for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * HOUR_MS for n in (1, 2, 4, 6, 8, 12)},
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": WEEK_MS,
}
#: Every interval of the exchange, shortest first.
NAMES = (*_LENGTHS_MS, "1M")

_ZONED = re.compile(r"([0-9]{1,2}[smhdwM])(?:@\+08:00)?")
_ZONE_SUFFIX = "@+08:00"
#: ``candles_BTCUSDT_1h.csv``, ``BTCUSDT-1m-2023-03-01.zip``, ``BTCUSDT-1mo-2020.csv.gz``.
_IN_FILE_NAME = re.compile(r"(?:^|[_\-. ])([0-9]{1,2}(?:mo|[smhdwM]))(\+0800)?(?=$|[_\-. ])")


@dataclass(frozen=True, slots=True)
class Interval:
    """One kline interval. Make it with :func:`parse`."""

    #: As the exchange writes it in ``k.i`` and in REST: ``1h``, ``1M``.
    code: str
    #: The zone that the calendar is cut in; 0, or eight hours for the ``@+08:00`` variants.
    zone_ms: int = 0
    #: The fixed length in milliseconds; None for a month.
    length_ms: int | None = field(init=False, repr=False, compare=False)
    _anchor_ms: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Kept, as each message of each stream asks for them.
        object.__setattr__(self, "length_ms", _LENGTHS_MS.get(self.code))
        anchor = (_MONDAY_MS if self.code == "1w" else 0) - self.zone_ms
        object.__setattr__(self, "_anchor_ms", anchor)

    @property
    def name(self) -> str:
        """As the user writes it, the zone included: ``1d@+08:00``."""
        return self.code + (_ZONE_SUFFIX if self.zone_ms else "")

    @property
    def file_token(self) -> str:
        """For file names: ``1M`` becomes ``1mo``, as 1m and 1M are one name on some file systems."""
        return self.code.replace("M", "mo") + ("+0800" if self.zone_ms else "")

    @property
    def typical_ms(self) -> int:
        """A length for scaling waits and pages: a month counts as 31 days."""
        return self.length_ms or 31 * DAY_MS

    def floor(self, ms: int) -> int:
        """The open time of the candle that contains this moment."""
        length = self.length_ms
        if length is None:
            return _month_open(_month_index(ms + self.zone_ms)) - self.zone_ms
        return ms - (ms - self._anchor_ms) % length

    def is_open(self, ms: int) -> bool:
        """True if a candle of this interval opens at exactly this millisecond."""
        return self.floor(ms) == ms

    def shift(self, open_ms: int, steps: int) -> int:
        """The open time ``steps`` candles later (earlier where negative). Takes an open time."""
        length = self.length_ms
        if length is None:
            return _month_open(_month_index(open_ms + self.zone_ms) + steps) - self.zone_ms
        return open_ms + steps * length

    def after(self, open_ms: int) -> int:
        """The next open time, which is also the moment that this candle is closed."""
        return self.shift(open_ms, 1)

    def ceil(self, ms: int) -> int:
        """The first open time at or after this moment."""
        floor = self.floor(ms)
        return floor if floor == ms else self.after(floor)

    def slots(self, first_ms: int, end_ms: int) -> int:
        """How many candles open in ``[first, end)``; both are open times. Never negative."""
        length = self.length_ms
        if length is None:
            months = _month_index(end_ms + self.zone_ms) - _month_index(first_ms + self.zone_ms)
            return max(0, months)
        return max(0, (end_ms - first_ms) // length)

    def __str__(self) -> str:
        return self.name


def parse(text: str) -> Interval:
    """The interval of this name.

    Raises:
        ValueError: not one of the 16 intervals (or its ``@+08:00`` variant); the message names them.
    """
    match = _ZONED.fullmatch(text)
    if match is None or match[1] not in NAMES:
        raise ValueError(f"unknown interval {text!r} (one of {' '.join(NAMES)}, case-sensitive)")
    return Interval(match[1], 8 * HOUR_MS if text.endswith(_ZONE_SUFFIX) else 0)


def from_file_name(name: str) -> Interval | None:
    """The interval that a candle file's name tells, or None. ``1mo`` is a month."""
    found = None
    for match in _IN_FILE_NAME.finditer(name):
        code = match[1].replace("mo", "M")
        if code in NAMES:
            found = Interval(code, 8 * HOUR_MS if match[2] else 0)
    return found


def from_length(length_ms: int) -> Interval | None:
    """The interval of exactly this length, or None. A month has no length."""
    for code, known in _LENGTHS_MS.items():
        if known == length_ms:
            return Interval(code)
    return None


def _month_index(ms: int) -> int:
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.year * 12 + moment.month - 1


def _month_open(index: int) -> int:
    opened = datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)
    return (opened - _EPOCH) // timedelta(milliseconds=1)
