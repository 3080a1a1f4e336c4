"""What the rows of a candle file tell of themselves: their interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from kline_ops.errors import InputError
from kline_ops.market import interval as intervals
from kline_ops.market.interval import DAY_MS, SECOND_MS, Interval

_MONTH_STEPS = range(28 * DAY_MS, 31 * DAY_MS + 1, DAY_MS)


def interval_of_rows(path: str, pieces: Iterable[Sequence[int]]) -> Interval:
    """The interval whose step is the most frequent one between these open times (milliseconds).

    Raises:
        InputError: there is no step, or the exchange has no interval of this length.
    """
    # In order: the steps of a shuffled file tell nothing.
    times = sorted({ms for piece in pieces for ms in piece})
    steps = Counter(b - a for a, b in pairwise(times))
    months = sum(steps.pop(step, 0) for step in _MONTH_STEPS)
    if months > max(steps.values(), default=0):
        return intervals.parse("1M")
    if not times:
        raise InputError(f"{path}: no candle in it", hint="a file that has rows")
    if not steps:
        raise InputError(f"{path}: its rows do not tell its interval", hint="--interval 1h")
    # The shortest one, if several are as frequent: a hole makes a step longer, never shorter.
    step = min(steps, key=lambda step: (-steps[step], step))
    interval = intervals.from_length(step)
    if interval is None:
        raise InputError(
            f"{path}: most rows are {step / SECOND_MS:,.15g} s apart, which is no interval",
            hint="--interval 1h",
        )
    return interval
