"""The daily digest of a session: when it is due, and what its files say of the day.

The candle file and the event log are counted, not what a process remembers: a restart loses nothing.
"""

from __future__ import annotations

from contextlib import suppress

from kline_ops.alerts import digest
from kline_ops.alerts.message import Message
from kline_ops.alerts.words import Subject
from kline_ops.config.settings import Settings
from kline_ops.errors import InputError
from kline_ops.watch.tail import Tail

#: Seconds that it waits for candles that are being fetched.
_PATIENCE = 600.0
#: A candle that closed just before (ms) is on its way to the disk.
_UNDER_WAY_MS = 5_000


class Daily:
    """Tells when; times are seconds on the monotonic clock, unless they end in ``_ms``.

    Args:
        at: the time of day (``00:05``); None: never.
        day: whose digest was due last when one was told; None: there was none yet.
    """

    def __init__(self, at: str | None, day: str | None = None) -> None:
        self._at = at
        self.day = day
        self._noticed_at: float | None = None

    def is_due(self, now: float, now_ms: int, *, settled: bool) -> bool:
        """Is it time? Once a day, late where nobody was there; ``settled``: nothing is being fetched.

        A session that is new has no yesterday to tell of.
        """
        if self._at is None:
            return False
        due = digest.due_day(now_ms, self._at)
        if self.day is None or due <= self.day:
            self.day = self.day or due
            self._noticed_at = None
            return False
        if self._noticed_at is None:
            self._noticed_at = now
        return settled or now >= self._noticed_at + _PATIENCE

    def told(self, now_ms: int) -> None:
        """It was, for what was due at this moment."""
        if self._at is not None:
            self.day = digest.due_day(now_ms, self._at)


def summary(settings: Settings, subject: Subject, now_ms: int) -> Message:
    """Count the last whole day of a session. Reads files: for a worker thread."""
    from kline_ops.gaps import manifest  # noqa: PLC0415 - 10 ms, before the first candle

    interval, closed_ms = settings.stream.interval, now_ms - _UNDER_WAY_MS
    day = manifest.last_whole_day(interval, closed_ms)
    try:
        found = manifest.count_day(settings.csv, settings.stream.symbol, interval, day, closed_ms)
    except InputError as error:
        return digest.unreadable(subject, day, error.one_line())
    counted = digest.Counted(day, found.count.owed, found.count.on_disk, found.missing)
    told = digest.Tally()
    with suppress(OSError), Tail(settings.events_file) as log:
        told = digest.tally(log.backwards(), day, interval)
    return digest.digest(subject, counted, told)
