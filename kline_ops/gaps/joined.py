"""Several candle files as one ascending row of candles, each open time once.

Files are looked at first (:func:`look`): are they of this stream, in order, and what do they have? Then
they are read (:class:`Joined`), one after another as their times come up; of files that overlap,
several at once. A file in order takes next to no memory; one that is not is held and sorted.
"""

from __future__ import annotations

import contextlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from kline_ops.errors import InputError
from kline_ops.gaps.candles import Converter
from kline_ops.gaps.files import Part, Row, parts, steadily
from kline_ops.gaps.model import FileReport
from kline_ops.gaps.read import STDIN, Source, open_source
from kline_ops.gaps.survey import Survey, Window
from kline_ops.gaps.told import interval_of_rows
from kline_ops.market import interval as intervals
from kline_ops.market import timestamp
from kline_ops.market.candle import Candle, Columns
from kline_ops.market.span import Span, joined
from kline_ops.market.stream import Stream, symbol_of

#: Of fewer rows than this, holes may be most of the steps: a name that tells the interval is believed.
_TELLING = 10
_SAMPLE = 20_000

#: Open time, line, and what makes a candle of it.
_Line = tuple[int, bytes, Converter]


@dataclass(frozen=True, slots=True)
class Export:
    """A file as it was when it was looked at."""

    path: str
    rows: int
    first_ms: int
    #: Whether no row opens before the one above it.
    in_order: bool
    #: The open times of the calendar that it has.
    spans: list[Span]


@dataclass(slots=True)
class Tally:
    """What was read, in rows; ``rows`` is all of them, the others were no candles to be taken."""

    rows: int = 0
    #: Of an open time that has another row: equal to that, or of a candle that was forming.
    same: int = 0
    grown: int = 0
    off_grid: int = 0
    unclosed: int = 0
    bad: int = 0
    impossible: int = 0
    #: Where the first line is that is no row, and the first candle that can not be, and why.
    first_bad: str = ""
    first_impossible: str = ""
    #: Why a file ended before its end, by file.
    cut_short: dict[str, str] = field(default_factory=dict)


def look(path: str, stream: Stream, columns: Columns) -> Export:
    """Whether this file can be taken in as candles of this stream, and what it has of them.

    Raises:
        InputError: it can not: it is of another symbol or interval, lacks columns, is no candle file.
    """
    if path == STDIN or _is_pipe(path):
        raise InputError(f"{path}: a pipe, and files are read twice", hint="save it to a file")
    _check_name(path, Path(path).name, stream)
    return steadily(path, lambda source: _looked(source, stream, columns))


def _looked(source: Source, stream: Stream, columns: Columns) -> Export:
    path, interval = source.path, stream.interval
    survey = Survey(interval, Window(interval, None, None), values=False)
    converter: Converter | None = None
    times: list[int] = []
    rows = 0
    for part in parts(source):
        if part.label:
            _check_name(f"{path}: {_member(part)}", _member(part), stream)
        converter = _converter(part, converter, columns, path)
        survey.add("", part.rows)
        rows += len(part.rows.texts)
        if len(times) < _SAMPLE:
            times += (ms for piece in part.rows.pieces for ms in piece)
    if source.cut_short is not None:
        survey.cut_short(path, source.cut_short)
    if rows and not survey.slots:
        raise InputError(
            f"{path}: no row opens on the {interval} grid",
            hint=f"a file of {interval} candles",
        )
    found = survey.report([path], None)
    spans = joined(Span(survey.open_ms(a), survey.open_ms(b)) for a, b in survey.slots.runs())
    _check_steps(path, spans, found, times[:_SAMPLE])
    return Export(path, rows + found.bad_rows, found.first_ms, not found.out_of_order, spans)


class Joined:
    """Run it once. ``tally`` holds what was read so far, whatever ends it.

    Args:
        exports: in the order in which they were named.
        now_ms: candles that are not closed by then are left out.
        progress: hears how many more rows were read.
    """

    def __init__(
        self,
        exports: Sequence[Export],
        stream: Stream,
        columns: Columns,
        now_ms: int,
        progress: Callable[[int], None],
    ) -> None:
        self._exports = exports
        self._interval = stream.interval
        self._columns: Columns = columns
        self._end_ms = stream.interval.floor(now_ms)
        self._progress = progress
        self.tally = Tally()

    def candles(self) -> Iterator[Candle]:
        """Each open time once, ascending.

        Raises:
            InputError: a file was rewritten since it was looked at, or can not be read any more.
        """
        kept: Candle | None = None
        for candle in self._merged():
            if kept is None or candle.open_ms > kept.open_ms:
                if kept is not None:
                    yield kept
                kept = candle
            elif candle.open_ms == kept.open_ms:
                kept = self._fuller(kept, candle)
            else:
                raise InputError("a file was rewritten while it was read", hint="again later")
        if kept is not None:
            yield kept

    def _fuller(self, one: Candle, other: Candle) -> Candle:
        """Of two rows of a candle, the one that was made later: a candle that forms only grows."""
        if one == other or _numbers(one) == _numbers(other):
            self.tally.same += 1
            return one
        self.tally.grown += 1
        return other if Decimal(other.volume) > Decimal(one.volume) else one

    def _merged(self) -> Iterator[Candle]:
        """The candles of all files by their open times; a file is opened when its time has come."""
        waiting = sorted(enumerate(self._exports), key=lambda one: one[1].first_ms, reverse=True)
        heads: list[tuple[int, int, Candle, Iterator[Candle]]] = []
        while waiting or heads:
            while waiting and (not heads or waiting[-1][1].first_ms <= heads[0][0]):
                number, export = waiting.pop()
                rest = self._candles_of(export)
                if (candle := next(rest, None)) is not None:
                    heapq.heappush(heads, (candle.open_ms, number, candle, rest))
            if not heads:
                continue
            _, number, candle, rest = heads[0]
            yield candle
            if (following := next(rest, None)) is None:
                heapq.heappop(heads)
            else:
                heapq.heapreplace(heads, (following.open_ms, number, following, rest))

    def _candles_of(self, export: Export) -> Iterator[Candle]:
        tally, lines = self.tally, self._lines(export)
        if not export.in_order:
            lines = iter(sorted(lines, key=lambda line: line[0]))
        for open_ms, text, converter in lines:
            if not self._interval.is_open(open_ms):
                tally.off_grid += 1
            elif open_ms >= self._end_ms:
                tally.unclosed += 1
            else:
                row = Row(open_ms, text.rstrip(b"\r").split(b","), converter.layout)
                try:
                    candle = converter.candle(row)
                except ValueError as error:
                    tally.impossible += 1
                    where = f"{export.path}: {timestamp.to_text(open_ms)}: {error}"
                    tally.first_impossible = tally.first_impossible or where
                else:
                    yield candle

    def _lines(self, export: Export) -> Iterator[_Line]:
        """All good rows in the order of the file, each block as soon as it is known to be sound."""
        tally = self.tally
        with open_source(export.path) as source:
            converter: Converter | None = None
            for part in parts(source):
                if not source.unchanged():
                    raise InputError(
                        f"{export.path} is being rewritten while it is read", hint="again later"
                    )
                bad, rows = part.rows.bad, part.rows.texts
                if bad:
                    tally.first_bad = tally.first_bad or f"{export.path}: {part.label}{bad[0]}"
                tally.bad += len(bad)
                tally.rows += len(bad) + len(rows)
                self._progress(len(bad) + len(rows))
                converter = _converter(part, converter, self._columns, export.path)
                if converter is not None:
                    times = (ms for piece in part.rows.pieces for ms in piece)
                    for open_ms, text in zip(times, rows, strict=True):
                        yield open_ms, text, converter
            if source.cut_short is not None:
                tally.cut_short[export.path] = source.cut_short


def _converter(
    part: Part, before: Converter | None, columns: Columns, path: str
) -> Converter | None:
    """The one for this part's rows; None where it has none."""
    layout = part.decoder.layout
    if layout is None or (before is not None and before.layout is layout):
        return before
    return Converter(layout, columns, f"{path}: {_member(part)}" if part.label else path)


def _is_pipe(path: str) -> bool:
    try:
        return Path(path).is_fifo()
    except OSError:  # a name that can not be, which is told when it is opened
        return False


def _member(part: Part) -> str:
    return part.label.removesuffix(":")


def _check_name(shown: str, name: str, stream: Stream) -> None:
    symbol, interval = symbol_of(name), intervals.from_file_name(name)
    for told, ours in ((symbol, stream.symbol), (interval, stream.interval)):
        if told not in {None, ours}:
            raise InputError(
                f"{shown} holds {told} candles by its name, and the session records {ours}",
                hint=f"a file of {stream.symbol} {stream.interval}, or another session",
            )


def _check_steps(
    path: str, spans: Sequence[Span], report: FileReport, times: Sequence[int]
) -> None:
    """A day's candles would fit the grid of hours, and so would one of 60 minutes.

    ``times``: the first open times in the file, for the message.
    """
    interval, on_grid = report.interval, report.on_disk
    if (
        on_grid + report.off_grid < _TELLING
        and intervals.from_file_name(Path(path).name) is not None
    ):
        return
    together = on_grid - len(spans)
    apart = Counter(b.first - a.end for a, b in pairwise(spans))
    if together >= max(apart.values(), default=1) and report.off_grid <= on_grid:
        return
    told = "other candles"
    with contextlib.suppress(InputError):
        if (found := interval_of_rows(path, [times])).code != interval.code:
            told = f"{found} candles"
    raise InputError(
        f"{path} holds {told} by its rows, and the session records {interval}",
        hint=f"a file of {interval} candles, or another session",
    )


def _numbers(candle: Candle) -> list[Decimal]:
    return [Decimal(text) for text in candle.values()]
