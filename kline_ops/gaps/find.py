"""What candle files owe by the calendar, and what of it is missing.

* Owed are the open times of the interval's calendar from the first to the last one on disk. A
  window (``from_ms``, ``until_ms``) says both ends itself: it widens the span over a file that
  starts late or ended early, and leaves out the rows beyond it. A candle is owed at ``until_ms``
  if it is closed by then.
* The calendar is the interval's, never guessed from the rows: the exchange's own history has bars
  at 28 minutes past the hour.
* The interval is what the caller says, else what the file's name says, else the most frequent step
  between rows.
* No all-clear without evidence: a file without a candle on the grid is an error.
* Several files are one series, in whatever order they are named and however they overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from kline_ops.errors import InputError
from kline_ops.gaps import halves
from kline_ops.gaps.files import Part, Row, parts, rows_at, steadily
from kline_ops.gaps.model import FileReport
from kline_ops.gaps.read import Source
from kline_ops.gaps.survey import Survey, Window
from kline_ops.gaps.told import interval_of_rows
from kline_ops.market import interval as intervals
from kline_ops.market import timestamp
from kline_ops.market.interval import SECOND_MS, Interval
from kline_ops.market.stream import symbol_of

#: Rows whose steps tell the interval, where nothing else does.
_STEP_SAMPLE = 20_000
#: Comparing highs with lows nearly doubles the time: beyond this size it is done on demand only.
_VALUES_UP_TO = 32 << 20
#: Doubled rows that are compared; of more of them, so many.
_COMPARED = 500_000

Paths = str | Path | Sequence[str | Path]


def report(  # noqa: PLR0913 - a library call: all but the file is optional
    path: Paths,
    interval: Interval | str | None = None,
    *,
    symbol: str | None = None,
    from_ms: int | None = None,
    until_ms: int | None = None,
    values: bool | None = None,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> FileReport:
    """What a candle file, or a series of them, owes and what is missing in it. Files are only read.

    Args:
        path: a file or several: CSV, gzip, zip, JSON, Parquet, Feather; our own format, the
            exchange's dumps and answers, or what others have exported. ``-`` is stdin.
        interval: ``1h`` or the like; None: by the (first) file's name, else by its rows.
        symbol: None: by the (first) file's name.
        from_ms: candles that open before it are left out; milliseconds since the epoch, UTC.
        until_ms: candles that are not closed by then are left out.
        values: whether to look for highs below lows; None: unless a file is larger than 32 MB.
        jobs: how many processes may read a large plain file; more than one only where no other
            threads run, as it forks.
        progress: hears how many more bytes of a plain file were read.

    Raises:
        InputError: a file can not be read as candles, the interval is unknown or can not be
            told, the window is empty, or a file is being rewritten all the time.
    """
    paths = [str(path)] if isinstance(path, str | Path) else [str(one) for one in path]
    options = _Options(_parsed(interval), from_ms, until_ms, values, jobs, progress)
    if from_ms is not None and until_ms is not None and from_ms >= until_ms:
        raise InputError(
            f"{', '.join(paths)}: nothing lies between these times", hint="--from before --until"
        )
    whole: Survey | None = None
    unread: dict[str, InputError] = {}
    for one in paths:
        try:
            found = _survey(one, options, f"{Path(one).name}:" if len(paths) > 1 else "")
        except InputError as error:
            if len(paths) == len(unread) + 1:
                raise
            unread[one] = error
            continue
        if whole is None:
            whole = found
        elif found.interval != whole.interval:
            raise InputError(
                f"{one} holds {found.interval} candles, and {paths[0]} {whole.interval}",
                hint="--each for each file alone",
            )
        else:
            whole.absorb(found)
    if whole is None:
        raise InputError("no file", hint="name a candle file")
    for one, why in unread.items():
        whole.cut_short(one, str(why).removeprefix(f"{one}: "))
    name = symbol or next(filter(None, (symbol_of(Path(one).name) for one in paths)), None)
    return whole.report(paths, name, _conflicts(paths, whole))


def series(paths: Sequence[str], interval: Interval | str | None = None) -> list[list[str]]:
    """Which of these files belong together: those of one symbol and interval, by their names.

    Files whose names do not tell a symbol belong together as well: a hole between two of them is not
    to be overlooked.
    """
    known = _parsed(interval)
    groups: dict[tuple[str | None, Interval | None], list[str]] = {}
    for path in dict.fromkeys(paths):
        name = Path(path).name
        key = (symbol_of(name), known or intervals.from_file_name(name))
        groups.setdefault(key, []).append(path)
    return list(groups.values())


def analyze_gaps(
    path: str | Path, expected_interval_seconds: int | None = None
) -> list[dict[str, str | int | None]]:
    """The holes between the first and the last candle of a file.

    Args:
        path: as in :func:`report`.
        expected_interval_seconds: the interval's length; None: as in :func:`report`.

    Returns:
        One dict a hole: ``before`` and ``after`` (the open times around it, as text),
        ``gap_seconds`` between them, and ``missing_candles``.

    Raises:
        InputError: as in :func:`report`; or the exchange has no interval of this length.
    """
    interval = None
    if expected_interval_seconds is not None:
        interval = intervals.from_length(expected_interval_seconds * SECOND_MS)
        if interval is None:
            raise InputError(
                f"no interval of the exchange is {expected_interval_seconds} s long",
                hint=f"one of {' '.join(intervals.NAMES)}",
            )
    return [
        {
            "before": None if gap.before_ms is None else timestamp.to_text(gap.before_ms),
            "after": None if gap.after_ms is None else timestamp.to_text(gap.after_ms),
            "gap_seconds": gap.seconds,
            "missing_candles": gap.missing,
        }
        for gap in report(path, interval, values=False).gaps
    ]


@dataclass(frozen=True, slots=True)
class _Options:
    """What is asked of each file."""

    interval: Interval | None
    from_ms: int | None
    until_ms: int | None
    values: bool | None
    jobs: int
    progress: Callable[[int], None] | None


def _survey(path: str, options: _Options, label: str) -> Survey:
    calendar = options.interval or intervals.from_file_name(Path(path).name)

    def take(source: Source) -> Survey:
        source.on_read = options.progress
        values = source.size <= _VALUES_UP_TO if options.values is None else options.values
        found = parts(source, label, values=values)
        sample = list(_sample(found, 1 if calendar else _STEP_SAMPLE))
        interval = calendar or interval_of_rows(
            path, (piece for part in sample for piece in part.rows.pieces)
        )
        window = Window(interval, options.from_ms, options.until_ms)
        survey = Survey(interval, window, values=values)
        if options.jobs > 1 and sample and halves.is_worth(source, sample[-1].decoder):
            whole = halves.survey_parts(source, sample[-1].decoder, survey, label, options.jobs)
            if whole is not None:
                return whole
            source.rewind()
            sample, found = [], parts(source, label, values=values)
        return _counted(source, survey, chain(sample, found))

    return steadily(path, take)


def _sample(found: Iterator[Part], rows: int) -> Iterator[Part]:
    seen = 0
    for part in found:
        yield part
        seen += sum(map(len, part.rows.pieces))
        if seen >= rows:
            return


def _counted(source: Source, survey: Survey, found: Iterable[Part]) -> Survey:
    for part in found:
        survey.add(part.label, part.rows)
    if source.cut_short is not None:
        survey.cut_short(source.path, source.cut_short)
    return survey


def _conflicts(paths: Sequence[str], survey: Survey) -> int:
    """How many of the open times that have several rows have different numbers in them."""
    if not survey.doubled:
        return 0
    kept: dict[int, Row] = {}
    differ: set[int] = set()
    for path in paths:
        if path == "-":
            continue
        for row in rows_at(path, survey, survey.doubled):
            first = kept.setdefault(row.open_ms, row) if len(kept) < _COMPARED else row
            if first is not row and not _same(first, row):
                differ.add(row.open_ms)
    return len(differ)


def _same(one: Row, other: Row) -> bool:
    return one.values() == other.values() or all(
        float(a) == float(b) for a, b in zip(one.values(), other.values(), strict=False)
    )


def _parsed(interval: Interval | str | None) -> Interval | None:
    if not isinstance(interval, str):
        return interval
    try:
        return intervals.parse(interval)
    except ValueError as error:
        raise InputError(str(error), hint="--interval 1h") from None
