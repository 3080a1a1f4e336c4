"""What a search for missing candles tells: one :class:`FileReport` a file, one :class:`Gap` a hole.

All counts but ``bad_rows`` are counts within the owed span. All times are open times in
milliseconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kline_ops.market.interval import Interval


@dataclass(frozen=True, slots=True)
class Gap:
    """A maximal run of owed open times that have no good row."""

    #: The last open time on disk before the hole; None where the owed span begins in the hole.
    before_ms: int | None
    #: The first open time on disk after it; None where the owed span ends in the hole.
    after_ms: int | None
    first_missing_ms: int
    last_missing_ms: int
    missing: int
    #: From ``before`` to ``after``; at an end of the owed span, from or to that end.
    seconds: int


@dataclass(frozen=True, slots=True)
class FileReport:
    """What one file holds of what its calendar owes.

    ``owed``, ``on_disk`` and ``missing`` count open times of the interval's calendar, never rows:
    a doubled or off-grid row neither hides a hole nor makes one.
    """

    path: str
    symbol: str | None
    interval: Interval
    #: The first and the last open time that is owed.
    first_ms: int
    last_ms: int
    owed: int
    on_disk: int
    missing: int
    duplicates: int
    out_of_order: int
    off_grid: int
    bad_rows: int
    gaps: tuple[Gap, ...]
    #: The first lines of each kind of finding, by the name of its count: ``{"bad_rows": ("17",)}``;
    #: in an archive of several files ``"BTCUSDT-1m-2023-03-01.csv:17"``.
    lines: Mapping[str, tuple[str, ...]]
