"""What a metric is: its name, its kind, its labels. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

PREFIX = "kline_ops_"
#: Labels of a metric that belongs to one stream.
STREAM = ("symbol", "interval")


class Kind(enum.Enum):
    """How a metric is told."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    #: One series for each state there is: 1 for the one that holds, 0 for the others.
    STATES = "gauge (0 or 1 for each state)"


@dataclass(frozen=True, slots=True)
class Metric:
    """One of them. ``name`` without the prefix, and without ``_total``."""

    name: str
    kind: Kind
    help: str
    #: Beside ``session``.
    labels: tuple[str, ...] = ()
    #: Upper bounds, of a histogram.
    buckets: tuple[float, ...] = ()
    #: Metrics of older recorders that this one answers.
    answers: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """As Prometheus knows it."""
        return f"{PREFIX}{self.name}{'_total' if self.kind is Kind.COUNTER else ''}"


def counter(name: str, text: str, *labels: str, answers: tuple[str, ...] = ()) -> Metric:
    """A total since the process began."""
    return Metric(name, Kind.COUNTER, text, labels, answers=answers)


def gauge(name: str, text: str, *labels: str, answers: tuple[str, ...] = ()) -> Metric:
    """How something stands."""
    return Metric(name, Kind.GAUGE, text, labels, answers=answers)


def histogram(
    name: str,
    text: str,
    buckets: tuple[float, ...],
    *labels: str,
    answers: tuple[str, ...] = (),
) -> Metric:
    """How often something was so large."""
    return Metric(name, Kind.HISTOGRAM, text, labels, buckets, answers)


def states(name: str, text: str) -> Metric:
    """Which of several states holds."""
    return Metric(name, Kind.STATES, text, ("state",))
