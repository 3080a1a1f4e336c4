"""Counting: the rows of one file against the open times that its calendar owes. No I/O.

Slots are open times by number: slot 0 is the candle that contains the epoch.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from kline_ops.errors import InputError
from kline_ops.gaps.model import FileReport, Gap
from kline_ops.gaps.rows import Rows
from kline_ops.gaps.slots import SlotSet, holes
from kline_ops.market.interval import SECOND_MS, Interval

#: Line numbers that are kept of each kind of finding.
_LINES_KEPT = 3


class Survey:
    """Takes the rows of one file, piece by piece, and counts."""

    def __init__(self, interval: Interval, from_ms: int | None, until_ms: int | None) -> None:
        self._interval = interval
        self._origin = interval.floor(0)
        self._length = interval.length_ms
        self._first = None if from_ms is None else self._slot_from(from_ms)
        self._end = None if until_ms is None else self._slot_of(interval.floor(until_ms))
        self._low_ms = 0 if from_ms is None else from_ms
        self._high_ms = None if until_ms is None else interval.floor(until_ms)
        self._slots = SlotSet()
        self._lowest: int | None = None
        self._highest = -1
        self._previous = -1
        self._good = 0
        self._counts: Counter[str] = Counter()
        self._lines: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, label: str, rows: Rows) -> None:
        """The next rows; ``label`` goes before their line numbers."""
        for line in rows.bad:
            self._found("bad_rows", f"{label}{line}")
        if not rows.times:
            return
        self._good += len(rows.times)
        if not self._add_run(rows):
            self._add_each(label, rows)
        self._previous = rows.times[-1]

    def _add_run(self, rows: Rows) -> bool:
        """Takes all at once, if they continue the calendar; this is the usual case."""
        times = rows.times
        if not isinstance(times, range) or (len(times) > 1 and times.step != self._length):
            return False
        start, last = times[0], times[-1]
        if start < self._low_ms or (self._high_ms is not None and last >= self._high_ms):
            return False
        slot = self._slot_at(start)
        if slot is None or slot <= self._highest or start < self._previous:
            return False
        self._slots.add_run(slot, slot + len(times))
        self._highest = slot + len(times) - 1
        if self._lowest is None:
            self._lowest = slot
        return True

    def _add_each(self, label: str, rows: Rows) -> None:
        previous = self._previous
        low, high = self._low_ms, self._high_ms
        for line, ms in zip(rows.lines, rows.times, strict=True):
            before, previous = previous, ms
            if ms < low or (high is not None and ms >= high):
                continue
            if ms < before:
                self._found("out_of_order", f"{label}{line}")
            slot = self._slot_at(ms)
            if slot is None:
                self._found("off_grid", f"{label}{line}")
            elif not self._slots.add(slot):
                self._found("duplicates", f"{label}{line}")
            else:
                self._highest = max(self._highest, slot)
                self._lowest = slot if self._lowest is None else min(self._lowest, slot)

    def report(self, path: str, symbol: str | None) -> FileReport:
        """The result, once all rows are in.

        Raises:
            InputError: nothing can be said: no candle stands on the grid within the window.
        """
        first, end = self._span(path)
        gaps = tuple(self._gap(a, b, first, end) for a, b in holes(self._slots, first, end))
        missing = sum(gap.missing for gap in gaps)
        return FileReport(
            path=path,
            symbol=symbol,
            interval=self._interval,
            first_ms=self._open_ms(first),
            last_ms=self._open_ms(end - 1),
            owed=end - first,
            on_disk=end - first - missing,
            missing=missing,
            duplicates=self._counts["duplicates"],
            out_of_order=self._counts["out_of_order"],
            off_grid=self._counts["off_grid"],
            bad_rows=self._counts["bad_rows"],
            gaps=gaps,
            lines={kind: tuple(lines) for kind, lines in self._lines.items()},
        )

    def _span(self, path: str) -> tuple[int, int]:
        """The owed slots ``[first, end)``."""
        if not self._good:
            hint = "a file that has rows"
            if self._counts["bad_rows"]:
                raise InputError(f"{path}: none of its lines is a whole candle row", hint=hint)
            raise InputError(f"{path}: no candle in it", hint=hint)
        first = self._lowest if self._first is None else self._first
        end = self._highest + 1 if self._end is None else self._end
        if first is None or end <= first:
            if self._first is None and self._end is None:
                raise InputError(
                    f"{path}: no row opens on the {self._interval} grid",
                    hint="another --interval",
                )
            raise InputError(
                f"{path}: no {self._interval} candle is owed between these times",
                hint="both --from and --until, further apart",
            )
        return first, end

    def _gap(self, start: int, stop: int, first: int, end: int) -> Gap:
        opened = self._open_ms
        before = opened(start - 1) if start > first else None
        after = opened(stop) if stop < end else None
        begin = opened(start) if before is None else before
        finish = opened(stop) if after is None else after
        return Gap(
            before_ms=before,
            after_ms=after,
            first_missing_ms=opened(start),
            last_missing_ms=opened(stop - 1),
            missing=stop - start,
            seconds=(finish - begin) // SECOND_MS,
        )

    def _found(self, kind: str, where: str) -> None:
        self._counts[kind] += 1
        if len(self._lines[kind]) < _LINES_KEPT:
            self._lines[kind].append(where)

    def _open_ms(self, slot: int) -> int:
        return self._interval.shift(self._origin, slot)

    def _slot_at(self, ms: int) -> int | None:
        """The slot that opens at exactly this moment, or None."""
        if self._length is not None:
            slot, off = divmod(ms - self._origin, self._length)
            return None if off else slot
        return self._slot_of(ms) if self._interval.is_open(ms) else None

    def _slot_from(self, ms: int) -> int:
        return self._slot_of(self._interval.ceil(ms))

    def _slot_of(self, open_ms: int) -> int:
        if open_ms < self._origin:
            return -self._interval.slots(open_ms, self._origin)
        return self._interval.slots(self._origin, open_ms)
