"""When a planned restart is due.

Boundaries are the moments whose time since the epoch (UTC) is a multiple of the modulo: ``4h`` gives
00:00, 04:00, 08:00 … UTC. A modulo that does not divide a day (``7h``) drifts through the day.

Each boundary fires at most once, whatever the polls do: a late poll (a busy loop, a machine that
slept) fires the newest boundary that has passed, once, for all that it missed. A clock that is
stepped back fires nothing until it has passed the last boundary again; the caller keeps
``last_boundary_ms`` on disk, so that this holds across restarts of the process too.
"""

from __future__ import annotations

import re

_GRAMMAR = re.compile(r"([0-9]{1,9})\s*([smhd])", re.ASCII | re.IGNORECASE)
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_MIN_MS = 1_000
_MAX_MS = 7 * 86_400_000


class TimeTrigger:
    """Fires once at each boundary of ``modulo``: ``30m``, ``4h``, ``1d``, or an int of minutes.

    >>> trigger = TimeTrigger("4h", last_boundary_ms=0)
    >>> trigger.next_boundary(1_000)
    14400000
    >>> trigger.poll(14_394_000, margin=5.0)      # six seconds before: not yet
    >>> trigger.poll(14_395_500, margin=5.0)      # inside the margin: fires
    14400000
    >>> trigger.poll(14_396_000, margin=5.0)      # and only once

    Raises:
        ValueError: not of the grammar, shorter than 1 s or longer than 7 d.
    """

    def __init__(self, modulo: str | int, *, last_boundary_ms: int | None = None) -> None:
        self.period_ms = parse_modulo(modulo)
        #: The newest boundary that has fired or was passed over; None before the first poll.
        self.last_boundary_ms = last_boundary_ms

    def previous_boundary(self, now_ms: int) -> int:
        """The newest boundary at or before now, in milliseconds since the epoch."""
        return now_ms - now_ms % self.period_ms

    def next_boundary(self, now_ms: int) -> int:
        """The first boundary after now, in milliseconds since the epoch."""
        return self.previous_boundary(now_ms) + self.period_ms

    def time_until_next(self, now_ms: int) -> float:
        """Seconds until the next boundary; more than zero, at most one period."""
        return (self.next_boundary(now_ms) - now_ms) / 1000.0

    def poll(self, now_ms: int, margin: float = 0.0) -> int | None:
        """The boundary that is due at ``now``, or due within ``margin`` seconds; else None.

        The very first poll of a trigger without history takes what lies behind it as fired.
        """
        if self.last_boundary_ms is None:
            self.last_boundary_ms = self.previous_boundary(now_ms)
        due = self.previous_boundary(now_ms + int(margin * 1000))
        if due <= self.last_boundary_ms:
            return None
        self.last_boundary_ms = due
        return due

    def next_due(self, now_ms: int, margin: float = 0.0) -> int:
        """The moment from which :meth:`poll` will answer, in milliseconds since the epoch.

        It lies in the past where a boundary was missed and not polled for yet.
        """
        last = self.last_boundary_ms
        return self.next_boundary(now_ms if last is None else last) - int(margin * 1000)


def parse_modulo(modulo: str | int) -> int:
    """The period in milliseconds. A plain int is minutes, as in ``modulo_minutes: 240``.

    Raises:
        ValueError: says what is wrong with it, and what would be right.
    """
    if isinstance(modulo, bool) or not isinstance(modulo, (str, int)):
        raise ValueError(f"{modulo!r} is neither text such as '4h' nor minutes")
    if isinstance(modulo, int):
        period = modulo * _UNIT_MS["m"]
    else:
        match = _GRAMMAR.fullmatch(modulo.strip())
        if match is None:
            raise ValueError(
                f"{modulo!r} is not a number and one of s, m, h, d (such as 30m or 4h)"
            )
        period = int(match[1]) * _UNIT_MS[match[2].lower()]
    if not _MIN_MS <= period <= _MAX_MS:
        raise ValueError(f"{modulo!r} is not between 1s and 7d")
    return period
