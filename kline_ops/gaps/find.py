"""What a candle file owes by its calendar, and what of it is missing.

* Owed are the open times of the interval's calendar from the first to the last one on disk. A
  window (``from_ms``, ``until_ms``) says both ends itself: it widens the span over a file that
  starts late or ended early, and leaves out the rows beyond it. A candle is owed at ``until_ms``
  if it is closed by then.
* The calendar is the interval's, never guessed from the rows: the exchange's own history has bars
  at 28 minutes past the hour.
* The interval is what the caller says, else what the file's name says, else the most frequent step
  between rows.
* No all-clear without evidence: a file without a candle on the grid is an error.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from kline_ops.errors import InputError
from kline_ops.gaps import read
from kline_ops.gaps.model import FileReport
from kline_ops.gaps.rows import RowDecoder, Rows
from kline_ops.gaps.survey import Survey
from kline_ops.gaps.told import interval_of_rows, symbol_of
from kline_ops.market import interval as intervals
from kline_ops.market import timestamp
from kline_ops.market.interval import SECOND_MS, Interval

#: A merge takes milliseconds; a file that is rewritten for longer than this is not ours.
_TRIES = 20
_WAIT_SECONDS = 0.05
#: Rows whose steps tell the interval, where nothing else does.
_STEP_SAMPLE = 20_000

#: Rows and what to put before their line numbers (the member of an archive).
_Labelled = tuple[str, Rows]


def report(
    path: str | Path,
    interval: Interval | str | None = None,
    *,
    symbol: str | None = None,
    from_ms: int | None = None,
    until_ms: int | None = None,
) -> FileReport:
    """What one candle file owes and what is missing in it. The file is only read.

    Args:
        path: plain CSV, ``.gz`` or ``.zip``; our own format or the exchange's dumps.
        interval: ``1h`` or the like; None: by the file's name, else by its rows.
        symbol: None: by the file's name.
        from_ms: candles that open before it are left out; milliseconds since the epoch, UTC.
        until_ms: candles that are not closed by then are left out.

    Raises:
        InputError: the file can not be read as candles, the interval is unknown or can not be
            told, the window is empty, or the file is being rewritten all the time.
    """
    path = str(path)
    calendar = _parsed(interval) or intervals.from_file_name(Path(path).name)
    if from_ms is not None and until_ms is not None and from_ms >= until_ms:
        raise InputError(f"{path}: nothing lies between these times", hint="--from before --until")
    for _ in range(_TRIES):
        if not read.merging(path):
            with read.open_source(path) as source:
                survey = _survey(source, calendar, from_ms, until_ms)
                if source.unchanged():
                    return survey.report(path, symbol or symbol_of(Path(path).name))
        time.sleep(_WAIT_SECONDS)
    raise InputError(
        f"{path}: late candles are being merged into it",
        hint="again later, or start its session, which ends a merge that was cut off",
    )


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
        for gap in report(path, interval).gaps
    ]


def _survey(
    source: read.Source, interval: Interval | None, from_ms: int | None, until_ms: int | None
) -> Survey:
    rows = _rows(source)
    if interval is None:
        sample = list(_sample(rows))
        interval = interval_of_rows(source.path, (piece.times for _, piece in sample))
        rows = chain(sample, rows)
    survey = Survey(interval, from_ms, until_ms)
    for label, piece in rows:
        survey.add(label, piece)
    return survey


def _rows(source: read.Source) -> Iterator[_Labelled]:
    for member, blocks in source.members():
        decoder = RowDecoder(f"{source.path}: {member}" if member else source.path)
        label = f"{member}:" if member else ""
        for block in blocks:
            for rows in decoder.decode(block):
                yield label, rows


def _sample(rows: Iterator[_Labelled]) -> Iterator[_Labelled]:
    taken = 0
    for labelled in rows:
        yield labelled
        taken += len(labelled[1].times)
        if taken >= _STEP_SAMPLE:
            return


def _parsed(interval: Interval | str | None) -> Interval | None:
    if not isinstance(interval, str):
        return interval
    try:
        return intervals.parse(interval)
    except ValueError as error:
        raise InputError(str(error), hint="--interval 1h") from None
