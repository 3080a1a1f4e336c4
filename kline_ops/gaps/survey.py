"""Counting: the rows of one file, or of several, against the open times that the calendar owes. No I/O.

Slots are open times by number: slot 0 is the candle that contains the epoch.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from kline_ops.errors import InputError
from kline_ops.gaps.model import FileReport, Gap, Run
from kline_ops.gaps.rows import Rows
from kline_ops.gaps.slots import SlotSet, holes
from kline_ops.market.interval import SECOND_MS, Interval

#: Line numbers that are kept of each kind of finding.
_LINES_KEPT = 3


class Window:
    """The owed span as far as it was said: ``[from, until)`` in milliseconds; None is an open end."""

    def __init__(self, interval: Interval, from_ms: int | None, until_ms: int | None) -> None:
        self.first_ms = None if from_ms is None else interval.ceil(from_ms)
        self.end_ms = None if until_ms is None else interval.floor(until_ms)
        self.low_ms = 0 if from_ms is None else from_ms

    def has(self, ms: int) -> bool:
        """Whether a row of this time counts."""
        return ms >= self.low_ms and (self.end_ms is None or ms < self.end_ms)


class Survey:
    """Takes the rows of one file, piece by piece, and counts."""

    def __init__(self, interval: Interval, window: Window, *, values: bool = True) -> None:
        self.interval = interval
        self.window = window
        self.values = values
        self._origin = interval.floor(0)
        self._length = interval.length_ms
        self.slots = SlotSet()
        #: Those that have more than one row.
        self.doubled = SlotSet()
        self._quiet = SlotSet()
        self._lowest: int | None = None
        self._highest = -1
        self._first: int | None = None
        self._previous = -1
        self._good = 0
        self._counts: Counter[str] = Counter()
        self._lines: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        self._cut_short: dict[str, str] = {}

    # -- taking in --------------------------------------------------------------------------------

    def add(self, label: str, rows: Rows) -> None:
        """The next rows; ``label`` goes before their line numbers."""
        for line in rows.bad:
            self._found("bad_rows", label, line)
        for line in rows.impossible:
            self._found("impossible", label, line)
        at = 0
        for piece in rows.pieces:
            if piece:
                self._add_piece(label, piece, rows.lines[at : at + len(piece)])
                at += len(piece)
        for ms in rows.quiet:
            slot = self.slot_at(ms)
            if slot is not None and self.window.has(ms):
                self._quiet.add(slot)

    def cut_short(self, path: str, why: str) -> None:
        """A file ended before its end."""
        self._cut_short[path] = why

    def _add_piece(self, label: str, times: Sequence[int], lines: Sequence[int]) -> None:
        self._good += len(times)
        if self._first is None:
            self._first = times[0]
        if not self._add_run(times):
            self._add_each(label, times, lines)
        self._previous = times[-1]

    def _add_run(self, times: Sequence[int]) -> bool:
        """Takes all at once, if they continue the calendar; this is the usual case."""
        if not isinstance(times, range) or (len(times) > 1 and times.step != self._length):
            return False
        start, last = times[0], times[-1]
        if not self.window.has(start) or not self.window.has(last):
            return False
        slot = self.slot_at(start)
        if slot is None or slot <= self._highest or start < self._previous:
            return False
        self.slots.add_run(slot, slot + len(times))
        self._highest = slot + len(times) - 1
        if self._lowest is None:
            self._lowest = slot
        return True

    def _add_each(self, label: str, times: Sequence[int], lines: Sequence[int]) -> None:
        previous = self._previous
        for line, ms in zip(lines, times, strict=True):
            before, previous = previous, ms
            if not self.window.has(ms):
                continue
            if ms < before:
                self._found("out_of_order", label, line)
            slot = self.slot_at(ms)
            if slot is None:
                self._found("off_grid", label, line)
            elif not self.slots.add(slot):
                self._found("duplicates", label, line)
                self.doubled.add(slot)
            else:
                self._highest = max(self._highest, slot)
                self._lowest = slot if self._lowest is None else min(self._lowest, slot)

    # -- joining ----------------------------------------------------------------------------------

    def follows(self, other: Survey) -> bool:
        """Whether all that was taken in here comes after all that ``other`` has, as one file goes on."""
        if self._first is None:
            return True
        return self._first > other._previous and (
            self._lowest is None or self._lowest > other._highest
        )

    def absorb(self, other: Survey, *, line: int | None = None) -> None:
        """Takes over what was counted of another file; slots that both have are counted as overlapping.

        ``line``: it is the next part of the same file, which begins at this line.
        """
        if line is None:
            for start, stop in other.slots.runs():
                for first, end in self.slots.common(start, stop):
                    self._counts["overlapping"] += end - first
                    self.doubled.add_run(first, end)
        for mine, theirs in (
            (self.slots, other.slots),
            (self.doubled, other.doubled),
            (self._quiet, other._quiet),
        ):
            for start, stop in theirs.runs():
                mine.add_run(start, stop)
        lows = [low for low in (self._lowest, other._lowest) if low is not None]
        self._lowest = min(lows, default=None)
        self._highest = max(self._highest, other._highest)
        self._first = other._first if self._first is None else self._first
        self._previous = other._previous
        self._good += other._good
        self._counts.update(other._counts)
        self._cut_short.update(other._cut_short)
        for kind, lines in other._lines.items():
            moved = [(label, number + (line or 1) - 1) for label, number in lines]
            self._lines[kind] = [*self._lines[kind], *moved][:_LINES_KEPT]

    def state(self) -> Any:
        """All that was taken in, of plain types: what one process sends to another."""
        return (
            [list(slots.joined_runs()) for slots in (self.slots, self.doubled, self._quiet)],
            (self._lowest, self._highest, self._first, self._previous, self._good),
            dict(self._counts),
            dict(self._lines),
            self._cut_short,
        )

    def restore(self, state: Any) -> Survey:
        """Take over what :meth:`state` gave of one like this that has taken nothing in."""
        runs, numbers, counts, lines, self._cut_short = state
        for slots, own in zip(runs, (self.slots, self.doubled, self._quiet), strict=True):
            for start, stop in slots:
                own.add_run(start, stop)
        self._lowest, self._highest, self._first, self._previous, self._good = numbers
        self._counts.update(counts)
        self._lines.update(lines)
        return self

    # -- telling ----------------------------------------------------------------------------------

    def report(self, paths: Sequence[str], symbol: str | None, conflicts: int = 0) -> FileReport:
        """The result, once all rows are in.

        Raises:
            InputError: nothing can be said: no candle stands on the grid within the window.
        """
        first, end = self._span(", ".join(paths))
        gaps = tuple(self._gap(a, b, first, end) for a, b in holes(self.slots, first, end))
        missing = sum(gap.missing for gap in gaps)
        quiet = tuple(self._quiet_runs())
        count = self._counts.__getitem__
        return FileReport(
            paths=tuple(paths),
            symbol=symbol,
            interval=self.interval,
            first_ms=self.open_ms(first),
            last_ms=self.open_ms(end - 1),
            owed=end - first,
            on_disk=end - first - missing,
            missing=missing,
            duplicates=count("duplicates"),
            conflicts=conflicts,
            overlapping=count("overlapping"),
            out_of_order=count("out_of_order"),
            off_grid=count("off_grid"),
            bad_rows=count("bad_rows"),
            impossible=count("impossible") if self.values else None,
            zero_volume=sum(run.candles for run in quiet) if self.values else None,
            quiet=quiet,
            gaps=gaps,
            cut_short=self._cut_short,
            lines={
                kind: tuple(f"{label}{line}" for label, line in lines)
                for kind, lines in self._lines.items()
            },
        )

    def _span(self, path: str) -> tuple[int, int]:
        """The owed slots ``[first, end)``."""
        if not self._good:
            hint = "a file that has rows"
            if why := next(iter(self._cut_short.values()), None):
                raise InputError(f"{path}: {why}", hint="copy or download it again")
            if self._counts["bad_rows"]:
                raise InputError(f"{path}: none of its lines is a whole candle row", hint=hint)
            raise InputError(f"{path}: no candle in it", hint=hint)
        window = self.window
        first = self._lowest if window.first_ms is None else self._slot_of(window.first_ms)
        end = self._highest + 1 if window.end_ms is None else self._slot_of(window.end_ms)
        if first is None or end <= first:
            if window.first_ms is None and window.end_ms is None:
                raise InputError(
                    f"{path}: no row opens on the {self.interval} grid",
                    hint="another --interval",
                )
            raise InputError(
                f"{path}: no {self.interval} candle is owed between these times",
                hint="both --from and --until, further apart",
            )
        return first, end

    def _quiet_runs(self) -> Iterator[Run]:
        for start, end in self._quiet.joined_runs():
            yield self._run(start, end)

    def _run(self, start: int, stop: int) -> Run:
        return Run(self.open_ms(start), self.open_ms(stop - 1), stop - start)

    def _gap(self, start: int, stop: int, first: int, end: int) -> Gap:
        opened = self.open_ms
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

    def _found(self, kind: str, label: str, line: int) -> None:
        self._counts[kind] += 1
        if len(self._lines[kind]) < _LINES_KEPT:
            self._lines[kind].append((label, line))

    # -- slots ------------------------------------------------------------------------------------

    def open_ms(self, slot: int) -> int:
        """The open time of a slot."""
        return self.interval.shift(self._origin, slot)

    def slot_at(self, ms: int) -> int | None:
        """The slot that opens at exactly this moment, or None."""
        if self._length is not None:
            slot, off = divmod(ms - self._origin, self._length)
            return None if off else slot
        return self._slot_of(ms) if self.interval.is_open(ms) else None

    def _slot_of(self, open_ms: int) -> int:
        if open_ms < self._origin:
            return -self.interval.slots(open_ms, self._origin)
        return self.interval.slots(self._origin, open_ms)
