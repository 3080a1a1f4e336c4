"""Where nothing is fetched from REST: what the event log says of each hole, and is it true? Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from kline_ops.gaps.explain import cause_of
from kline_ops.gaps.history import History
from kline_ops.gaps.model import Cause, Gap
from kline_ops.market import timestamp
from kline_ops.market.interval import Interval

#: A session that has just begun: candles were owed before it was live.
BEGINNING = frozenset({"restart", "unknown"})


@dataclass(frozen=True, slots=True)
class Hole:
    """A hole in the candle file at the end of a drill, as analyze-gaps explains it."""

    gap: Gap
    cause: Cause
    #: The kinds of causes that are true.
    truth: frozenset[str]

    @property
    def is_true(self) -> bool:
        """Whether it is explained by what was done."""
        return self.cause.kind in self.truth

    def as_object(self) -> dict[str, Any]:
        """For JSON; open times as text."""
        return {
            "first": timestamp.to_text(self.gap.first_missing_ms),
            "last": timestamp.to_text(self.gap.last_missing_ms),
            "candles": self.gap.missing,
            "cause": self.cause.kind,
            "text": self.cause.text,
            "dark": self.cause.dark_seconds,
            "true": self.is_true,
        }


def gaps(opens: range, rows: Collection[int], interval: Interval) -> Iterable[Gap]:
    """The runs of these open times that have no row."""
    first = None
    for ms in [*opens, opens.stop]:
        missing = ms in opens and ms not in rows
        if missing and first is None:
            first = ms
        elif not missing and first is not None:
            before = interval.shift(first, -1)
            yield Gap(
                before_ms=before if before in opens else None,
                after_ms=ms if ms in opens else None,
                first_missing_ms=first,
                last_missing_ms=interval.shift(ms, -1),
                missing=interval.slots(first, ms),
                seconds=(ms - before) // 1000,
            )
            first = None


def explained(history: History, gap: Gap, interval: Interval, truth: frozenset[str]) -> Hole:
    """What the history says of it."""
    return Hole(gap, cause_of(history, gap, interval), truth)
