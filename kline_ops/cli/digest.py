"""The daily digest: is a session's last whole UTC day complete, and are the days before as they were?

Used by ``analyze-gaps NAME --digest``. It also holds the session against the others of this machine that
record the same symbol from the same venue: shorter candles make the longer ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kline_ops.errors import EXIT_FINDING, EXIT_GOOD, InputError, KlineOpsError
from kline_ops.gaps import manifest
from kline_ops.gaps.compare_intervals import Comparison, comparable, compare
from kline_ops.gaps.manifest import Change, Day, Kind
from kline_ops.market import interval as intervals
from kline_ops.market import timestamp
from kline_ops.market.interval import DAY_MS, MINUTE_MS, Interval

if TYPE_CHECKING:
    from kline_ops.alerts import Message
    from kline_ops.market.candle import Candle
    from kline_ops.watch.registry import KnownSession

#: A candle that closed just before may be on its way to the disk still.
_UNDER_WAY_MS = 5_000
#: Times, and mismatches, that are told one by one.
_LISTED = 10
#: Shorter candles in a longer one that fit into memory well: a day of seconds.
_MOST_PARTS = 86_400


@dataclass(frozen=True, slots=True)
class Digest:
    """What there is to say of a day."""

    #: ``demo BTCUSDT 1h 2026-11-29: complete: 24 owed, 24 on disk``
    headline: str
    day: Day
    #: Days that are not what the manifest said.
    changes: tuple[Change, ...] = ()
    #: One line each: changed days, other intervals, what could not be done.
    details: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    #: Rows are not what they were, or not what those of another interval make.
    is_altered: bool = False
    #: Nothing here may be passed over: that, or candles are missing, or the manifest was not written.
    is_finding: bool = False

    @property
    def text(self) -> str:
        """The headline, and the details below it."""
        return "\n".join((self.headline, *(f"  {line}" for line in self.details)))

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return EXIT_FINDING if self.is_finding else EXIT_GOOD

    def message(self) -> Message:
        """For a channel."""
        from kline_ops.alerts import Level, Message

        level = Level.WARNING if self.is_finding else Level.SUCCESS
        if self.is_altered:
            level = Level.CRITICAL
        return Message(level, self.headline, "\n".join(self.details), self.facts)


def digest(session: KnownSession, now_ms: int, *, day: str | None = None) -> Digest:
    """Count a day of a session (the last whole one), write it into the manifest, and tell.

    Raises:
        InputError: the candle file can not be read or has no row; no such day, or it is not over.
    """
    interval = intervals.parse(session.interval)
    closed_ms = now_ms - _UNDER_WAY_MS
    if day is None:
        day = manifest.last_whole_day(interval, closed_ms)
    elif manifest.day_start(day) + DAY_MS > closed_ms:
        raise InputError(f"{day} is not over yet (UTC)", hint="a day before")
    book = Path(session.data_dir) / manifest.NAME
    changes = manifest.check_days(book, session.csv, session.symbol, interval, closed_ms)
    counted = manifest.count_day(session.csv, session.symbol, interval, day, closed_ms)
    none = _nowhere(session, interval, counted)
    told = _day_text(counted, interval, none)
    trouble = _write(book, [*(change.now for change in changes), counted.count])
    others = list(_compared(session, interval, manifest.day_start(day)))
    altered = any(change.is_finding for change in changes) or any(
        other.result is not None and other.result.mismatches for other in others
    )
    details = [*map(_change_text, changes), *(line for other in others for line in other.lines)]
    return Digest(
        headline=f"{session.name} {session.symbol} {interval} {day}: {told}",
        day=counted,
        changes=tuple(changes),
        details=(*details, *trouble),
        facts=_facts(session, counted, changes, others),
        is_altered=altered,
        is_finding=altered or bool(trouble) or len(counted.missing) > len(none),
    )


def _write(book: Path, counts: Sequence[manifest.DayCount]) -> list[str]:
    try:
        for count in counts:
            manifest.record(book, count)
    except OSError as error:
        return [f"the manifest can not be written: {book}: {error.strerror}"]
    return []


def _nowhere(session: KnownSession, interval: Interval, day: Day) -> frozenset[int]:
    """What is missing of a day because the exchange itself has none of it, as the recorder found."""
    events = Path(session.events_file)
    if not day.missing or not events.is_file():
        return frozenset()
    from kline_ops.gaps.explain import confirmed_absent
    from kline_ops.gaps.history import read_history
    from kline_ops.gaps.model import Gap

    history, found = read_history(events), set[int]()
    for first, last in _runs(day.missing, interval):
        count = interval.slots(first, interval.after(last))
        gap = Gap(None, None, first, last, count, 0)
        runs = confirmed_absent(history, gap, interval)
        found.update(interval.shift(run.first_ms, at) for run in runs for at in range(run.candles))
    return frozenset(found)


def _day_text(day: Day, interval: Interval, none: frozenset[int]) -> str:
    count = day.count
    if not count.owed:
        return "nothing was owed"
    counts = f"{count.owed:,} owed, {count.on_disk:,} on disk"
    if not day.missing:
        return f"complete: {counts}"
    if len(none) == len(day.missing):
        return f"complete: {counts}, and {len(none):,} that the exchange has none of"
    return f"INCOMPLETE: {counts}, {count.missing:,} missing: {_times(day.missing, interval)}"


def _times(opens: Sequence[int], interval: Interval) -> str:
    """``03:00, 04:00`` or ``03:00 to 07:00``."""
    width = len("00:00:00" if interval.typical_ms < MINUTE_MS else "00:00")

    def clock(ms: int) -> str:
        return timestamp.to_text(ms).partition("T")[2][:width]

    told = []
    for first, last in _runs(opens, interval):
        if interval.after(first) < last:
            told.append(f"{clock(first)} to {clock(last)}")
        else:
            told += [clock(ms) for ms in dict.fromkeys((first, last))]
    more = [f"and {len(told) - _LISTED} more"] if len(told) > _LISTED else []
    return ", ".join(told[:_LISTED] + more)


def _runs(opens: Sequence[int], interval: Interval) -> Iterator[tuple[int, int]]:
    first = last = opens[0]
    for ms in opens[1:]:
        if ms != interval.after(last):
            yield first, last
            first = ms
        last = ms
    yield first, last


def _change_text(change: Change) -> str:
    before, now = change.before, change.now
    match change.kind:
        case Kind.FILLED:
            late = now.on_disk - before.on_disk
            return f"{now.day}: {late:,} came late, {now.on_disk:,} of {now.owed:,} on disk now"
        case Kind.LOST:
            return f"rows of {now.day} are gone: {before.on_disk:,} on disk, now {now.on_disk:,}"
        case Kind.ALTERED:
            return f"rows of {now.day} changed: {now.on_disk:,} on disk as before, other numbers"
        case Kind.OWED:
            return f"{now.day}: {now.owed:,} owed now, {before.owed:,} before"


def _facts(
    session: KnownSession, day: Day, changes: Sequence[Change], others: Sequence[_Other]
) -> dict[str, str]:
    count = day.count
    facts = {
        "Session": session.name,
        "Stream": f"{session.symbol} {session.interval}",
        "Day (UTC)": count.day,
        "Owed": f"{count.owed:,}",
        "On disk": f"{count.on_disk:,}",
        "Missing": f"{count.missing:,}",
    }
    if changes:
        facts["Days that changed"] = ", ".join(change.now.day for change in changes)
    for other in others:
        if other.result is not None:
            facts[f"Beside {other.session.name} ({other.session.interval})"] = (
                f"{other.result.compared:,} compared, {len(other.result.mismatches):,} differ"
            )
    return facts


@dataclass(frozen=True, slots=True)
class _Other:
    """Another session of the same symbol; ``result`` is None where it could not be read."""

    session: KnownSession
    result: Comparison | None
    lines: tuple[str, ...]


def _compared(session: KnownSession, interval: Interval, day_ms: int) -> Iterator[_Other]:
    from kline_ops.config.venues import venue_key
    from kline_ops.watch.registry import sessions

    for other in sessions():
        same_market = venue_key(other.endpoint) == venue_key(session.endpoint)
        if other.symbol != session.symbol or not same_market or not Path(other.csv).exists():
            continue
        try:
            its = intervals.parse(other.interval)
            if _fits(its, interval):
                yield _beside(session, other, its, interval, day_ms)
            elif _fits(interval, its) and its.typical_ms <= DAY_MS:
                yield _beside(session, other, interval, its, day_ms)
        except (KlineOpsError, ValueError) as error:
            yield _Other(other, None, (f"{other.name} could not be compared: {error}",))


def _fits(shorter: Interval, longer: Interval) -> bool:
    return comparable(shorter, longer) and longer.typical_ms // shorter.typical_ms <= _MOST_PARTS


def _beside(
    session: KnownSession, other: KnownSession, shorter: Interval, longer: Interval, day_ms: int
) -> _Other:
    """Compare the longer candles that open in the day."""
    short, long = (other, session) if session.interval == longer.name else (session, other)
    first, end = longer.ceil(day_ms), longer.ceil(day_ms + DAY_MS)
    result = compare(shorter, _candles(short, first, end), longer, _candles(long, first, end))
    makes = f"{short.name} {shorter} makes"
    lines = [
        f"{long.name} {longer} {timestamp.to_text(wrong.open_ms)} {wrong.column}: {wrong.found},"
        f" and {makes} {wrong.expected}"
        for wrong in result.mismatches[:_LISTED]
    ]
    if len(result.mismatches) > _LISTED:
        lines.append(f"and {len(result.mismatches) - _LISTED:,} more")
    if result.compared and not result.mismatches:
        lines = [f"{long.name} {longer} is what {makes}: {result.compared:,} compared"]
    return _Other(other, result, tuple(lines))


def _candles(session: KnownSession, first: int, end: int) -> list[Candle]:
    from kline_ops.market.span import Span
    from kline_ops.record.contents import columns_of
    from kline_ops.record.rows import RowReader

    path = Path(session.csv)
    return RowReader(path, columns_of(path)).between(Span(first, end))
