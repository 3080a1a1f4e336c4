"""The candles before and after a gap, looked up in its files: what a picture of it shows."""

from __future__ import annotations

from collections.abc import Iterable

from kline_ops.gaps.files import Row, rows_at
from kline_ops.gaps.model import FileReport
from kline_ops.gaps.slots import SlotSet
from kline_ops.gaps.survey import Survey, Window


def candles_around(
    report: FileReport, places: Iterable[int], each: int = 30
) -> dict[int, list[Row]]:
    """By the place of a gap in the report: so many candles before it and after it, if they are there.

    Raises:
        InputError: a file can not be read any more.
    """
    interval = report.interval
    calendar = Survey(interval, Window(interval, None, None))
    wanted, ranges = SlotSet(), {}
    for place in places:
        gap = report.gaps[place]
        first = calendar.slot_at(gap.first_missing_ms)
        last = calendar.slot_at(gap.last_missing_ms)
        if first is not None and last is not None:
            ranges[place] = (first - each, last + each)
            wanted.add_run(max(0, first - each), first)
            wanted.add_run(last + 1, last + 1 + each)
    found: dict[int, Row] = {}
    for path in report.paths:
        for row in rows_at(path, calendar, wanted):
            slot = calendar.slot_at(row.open_ms)
            if slot is not None:
                found.setdefault(slot, row)
    return {
        place: [found[slot] for slot in sorted(found) if first <= slot <= last]
        for place, (first, last) in ranges.items()
    }
