"""What a search for missing candles tells.

One :class:`FileReport` a series of candles, one :class:`Gap` a hole. Where it is known what became of
the session that recorded it, and what REST has, a :class:`Finding` joins them: whose each missing
candle is, and what it is due to.

All counts but ``bad_rows`` are counts within the owed span. All times are open times in
milliseconds since the epoch, UTC.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

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
class Run:
    """Neighbouring candles: the open times of the first and the last, and how many."""

    first_ms: int
    last_ms: int
    candles: int


@dataclass(frozen=True, slots=True)
class FileReport:
    """What one series of candles holds of what its calendar owes.

    ``owed``, ``on_disk`` and ``missing`` count open times of the interval's calendar, never rows:
    a doubled or off-grid row neither hides a hole nor makes one.
    """

    #: The files it was read from, as they were named.
    paths: tuple[str, ...]
    symbol: str | None
    interval: Interval
    #: The first and the last open time that is owed.
    first_ms: int
    last_ms: int
    owed: int
    on_disk: int
    missing: int
    #: Rows whose open time another row of the same file has already.
    duplicates: int
    #: Open times that have rows with different numbers, in one file or in several.
    conflicts: int
    #: Rows whose open time another file has already.
    overlapping: int
    out_of_order: int
    off_grid: int
    bad_rows: int
    #: Rows that no market can make: high below low. None: values were not looked at.
    impossible: int | None
    #: Candles without trades, and the runs that they form. None: as above.
    zero_volume: int | None
    quiet: tuple[Run, ...]
    gaps: tuple[Gap, ...]
    #: Why a file could not be read to its end, by file.
    cut_short: Mapping[str, str]
    #: The first lines of each kind of finding, by the name of its count: ``{"bad_rows": ("17",)}``;
    #: in an archive of several files, or of several files, ``"BTCUSDT-1m-2023-03-01.csv:17"``.
    lines: Mapping[str, tuple[str, ...]]

    @property
    def path(self) -> str:
        """The file, or all of them in one text."""
        return ", ".join(self.paths)


class Whose(enum.StrEnum):
    """Who lacks a missing candle."""

    #: REST has it: ``backfill`` brings it.
    OURS = "ours"
    #: The exchange has none either, for good.
    EXCHANGE = "exchange"
    #: REST has none either, but it was asked once, and lately.
    PROVISIONAL = "exchange?"
    #: Nobody was asked.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Cause:
    """What the missing candles of a gap are due to, as far as the event log tells."""

    #: One word for scripts; ``unknown`` where the log tells nothing.
    kind: str
    #: A line for people.
    text: str
    #: For how long no connection brought data around it (s); None where that is not known.
    dark_seconds: float | None = None
    #: So many candles of the same trouble were fetched from REST.
    recovered: int = 0


NO_CAUSE = Cause("unknown", "")


@dataclass(frozen=True, slots=True)
class ExplainedGap:
    """A gap, whose it is, and why."""

    gap: Gap
    #: How many of its candles are whose; the sum is ``gap.missing``.
    whose: Mapping[Whose, int]
    cause: Cause = NO_CAUSE
    #: Why the exchange has none of them: a known outage, or when REST was asked.
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A report, explained. ``from_rest`` is None where no event log tells what came from where."""

    report: FileReport
    gaps: tuple[ExplainedGap, ...]
    from_rest: int | None = None
    #: The session that recorded it, if one did.
    session: str | None = None
    #: Remarks for people: what could not be asked, what is to be tried.
    remarks: tuple[str, ...] = field(default=())

    def missing_of(self, whose: Whose) -> int:
        """How many missing candles are so."""
        return sum(gap.whose.get(whose, 0) for gap in self.gaps)
