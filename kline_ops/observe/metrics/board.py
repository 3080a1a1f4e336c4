"""Numbers by metric and label values, and how Prometheus is told of them.

Counters and histograms stay; gauges are told anew each time, so that what is not known is absent. Used
on the event loop only: nothing is locked. The text is made here, as what is the same each time is kept:
the library needs five times as long, on the loop that records. Sources: Prometheus, "Exposition
formats"; OpenMetrics 1.0.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cache
from math import inf, isfinite

from kline_ops.observe.metrics.catalogue import METRICS
from kline_ops.observe.metrics.metric import PREFIX, Kind, Metric

#: Name, label values, number.
Told = tuple[str, tuple[str, ...], float]


class Buckets:
    """One histogram: how many were within each bound, and their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def spread(self, most: float, least: float, count: int) -> None:
        """Count so many that lie evenly between the two; in a time that does not grow with them."""
        step = (most - least) / (count - 1) if count > 1 else 0.0
        if step <= 0.0:
            self._counts[bisect_left(self._bounds, least)] += count
        else:
            below = 0
            for index, bound in enumerate(self._bounds):
                within = min(count, max(0, int((bound - least) // step) + 1))
                self._counts[index] += within - below
                below = within
            self._counts[-1] += count - below
        self._sum += count * (most + least) / 2

    def told(self) -> tuple[list[tuple[str, int]], float]:
        """Cumulative counts by bound, and the sum."""
        total, buckets = 0, []
        for bound, count in zip((*self._bounds, inf), self._counts, strict=True):
            total += count
            buckets.append((str(bound) if isfinite(bound) else "+Inf", total))
        return buckets, self._sum


class Board:
    """Of one session; names are those of the catalogue, without the prefix."""

    def __init__(self, session: str, metrics: Iterable[Metric] = METRICS) -> None:
        self._session = session
        self._metrics = {metric.name: metric for metric in metrics}
        self._counters: dict[str, dict[tuple[str, ...], float]] = {}
        self._histograms: dict[str, dict[tuple[str, ...], Buckets]] = {}
        #: Series as they are written: by far the most of the work, and the same each time.
        self._names: dict[tuple[str, tuple[str, ...], str, str], str] = {}

    def start(self, name: str, *labels: str) -> None:
        """Let it be told before anything is counted: the first increase is seen then."""
        if self._metrics[name].kind is Kind.HISTOGRAM:
            self._buckets(name, labels)
        else:
            self._counters.setdefault(name, {}).setdefault(labels, 0.0)

    def count(self, name: str, *labels: str, by: float = 1.0) -> None:
        """So many more."""
        series = self._counters.setdefault(name, {})
        series[labels] = series.get(labels, 0.0) + by

    def observe(self, name: str, value: float, *labels: str) -> None:
        """One more, for a histogram."""
        self._buckets(name, labels).observe(value)

    def spread(self, name: str, most: float, least: float, count: int, *labels: str) -> None:
        """See :meth:`Buckets.spread`."""
        self._buckets(name, labels).spread(most, least, count)

    def lines(self, now: Iterable[Told], *, openmetrics: bool) -> Iterator[str]:
        """All there is, with how it stands ``now``, in the order of the catalogue."""
        told: dict[str, dict[tuple[str, ...], float]] = {}
        for name, labels, number in now:
            told.setdefault(name, {})[labels] = number
        for metric in self._metrics.values():
            counted = self._counters.get(metric.name, {})
            numbers = {**counted, **told.get(metric.name, {})}
            histograms = self._histograms.get(metric.name, {})
            if numbers or histograms:
                yield _heads(metric)[openmetrics]
            for labels, number in numbers.items():
                yield f"{self._series(metric, labels)} {number}\n"
            for labels, buckets in histograms.items():
                yield from self._histogram(metric, labels, buckets)

    def _histogram(
        self, metric: Metric, labels: tuple[str, ...], buckets: Buckets
    ) -> Iterator[str]:
        counts, total = buckets.told()
        for bound, count in counts:
            yield f"{self._series(metric, labels, '_bucket', bound)} {count}\n"
        yield f"{self._series(metric, labels, '_count')} {counts[-1][1]}\n"
        yield f"{self._series(metric, labels, '_sum')} {total}\n"

    def _series(
        self, metric: Metric, labels: tuple[str, ...], suffix: str = "", bound: str = ""
    ) -> str:
        """``name{label="value"}``; made once."""
        key = (metric.name, labels, suffix, bound)
        if (known := self._names.get(key)) is None:
            pairs = {"session": self._session, **dict(zip(metric.labels, labels, strict=True))}
            if bound:
                pairs["le"] = bound
            told = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs.items())
            known = self._names[key] = f"{metric.full_name}{suffix}{{{told}}}"
        return known

    def _buckets(self, name: str, labels: tuple[str, ...]) -> Buckets:
        series = self._histograms.setdefault(name, {})
        if labels not in series:
            series[labels] = Buckets(self._metrics[name].buckets)
        return series[labels]


@cache
def _heads(metric: Metric) -> tuple[str, str]:
    """What stands above its samples, in the text format and in OpenMetrics."""
    kind = Kind.GAUGE if metric.kind is Kind.STATES else metric.kind
    text, openmetrics = (
        f"# HELP {name} {metric.help}\n# TYPE {name} {kind.value}\n"
        for name in (metric.full_name, PREFIX + metric.name)
    )
    return text, openmetrics


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
