"""Which candle is owed, for one symbol and interval. Pure.

As time passes ``open + interval``, a candle is owed. A candle that arrives is compared by its open
time with what is owed next: it is new (perhaps after a hole), it fills a hole, or it is a double.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from kline_ops.market.candle import Candle
from kline_ops.market.interval import Interval
from kline_ops.market.span import Span, joined, within, without

#: How many candles are remembered to compare doubles with. Two live connections differ by seconds,
#: a REST page may repeat more.
_REMEMBERED = 256


class Verdict(enum.Enum):
    """What a candle is."""

    NEW = "new"
    FILL = "fill"
    DOUBLE = "double"
    CONFLICT = "conflict"
    BEFORE_START = "before start"

    #: By identity: it is looked up with each candle, and an enum's own takes ten times as long.
    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Answer:
    """``hole``: what is missing just before a NEW candle. ``kept``: what a CONFLICT differs from."""

    verdict: Verdict
    hole: Span | None = None
    kept: Candle | None = None


class Sequence:
    """Knows what was taken, what is missing, and what is owed next.

    ``first_ms`` and ``next_ms`` are None until the first candle is known; ``holes`` lie between them,
    in order.
    """

    def __init__(
        self,
        interval: Interval,
        *,
        first_ms: int | None = None,
        next_ms: int | None = None,
        holes: Iterable[Span] = (),
    ) -> None:
        self.interval = interval
        self.first_ms = first_ms
        self.next_ms = next_ms
        self.holes = list(holes)
        #: Holes that the exchange has no candles for; still missing, no longer asked for.
        self.confirmed: list[Span] = []
        self._recent: OrderedDict[int, Candle] = OrderedDict()

    def begin(self, open_ms: int) -> None:
        """Owe candles from this open time on, if nothing is known yet."""
        if self.next_ms is None:
            self.first_ms = self.next_ms = open_ms

    def offer(self, candle: Candle) -> Answer:
        """Take in a closed candle. NEW and FILL are to be written; the others are not."""
        if self.next_ms is None or self.first_ms is None:
            self.first_ms = self.next_ms = candle.open_ms
        if candle.open_ms >= self.next_ms:
            return self._take_new(candle, self.next_ms)
        if candle.open_ms < self.first_ms:
            return Answer(Verdict.BEFORE_START)
        one = Span(candle.open_ms, self.interval.after(candle.open_ms))
        if any(span.overlaps(one) for span in (*self.holes, *self.confirmed)):
            self.holes = without(self.holes, one)
            self.confirmed = without(self.confirmed, one)
            self._remember(candle)
            return Answer(Verdict.FILL)
        kept = self._recent.get(candle.open_ms)
        if kept is not None and kept.values() != candle.values():
            return Answer(Verdict.CONFLICT, kept=kept)
        return Answer(Verdict.DOUBLE)

    def due(self, now_ms: int, grace_ms: int) -> list[Span]:
        """What is missing at the exchange's time ``now``, oldest first.

        A candle is due ``grace`` after its close, whether it is missed inside the file or at its end:
        earlier it may still be under way, or not final at the exchange.
        """
        # The newest candle that was closed `grace` ago is the one before the candle then open.
        end = self.interval.floor(now_ms - grace_ms)
        if not self.holes and (self.next_ms is None or self.next_ms >= end):
            return []
        spans = [Span(hole.first, min(hole.end, end)) for hole in self.holes]
        if self.next_ms is not None:
            spans.append(Span(self.next_ms, end))
        return [span for span in spans if span.first < span.end]

    def confirm_absent(self, span: Span) -> None:
        """The exchange has none of these candles: stop asking. They stay missing."""
        if self.next_ms is not None and span.end > self.next_ms:
            self.holes.append(Span(self.next_ms, span.end))
            self.next_ms = span.end
        self.confirmed = joined([*self.confirmed, *within(self.holes, span)])
        self.holes = without(self.holes, span)

    def owed(self, now_ms: int) -> int:
        """How many candles have been closed since the first one, by the exchange's time."""
        if self.first_ms is None or self.next_ms is None:
            return 0
        end = max(self.next_ms, self.interval.floor(now_ms))
        return self.interval.slots(self.first_ms, end)

    def taken(self) -> int:
        """How many candles were taken in (on disk, or on the way there)."""
        if self.first_ms is None or self.next_ms is None:
            return 0
        absent = sum(self.interval.slots(*span) for span in (*self.holes, *self.confirmed))
        return self.interval.slots(self.first_ms, self.next_ms) - absent

    def _take_new(self, candle: Candle, owed_ms: int) -> Answer:
        hole = Span(owed_ms, candle.open_ms) if candle.open_ms > owed_ms else None
        if hole is not None:
            self.holes.append(hole)
        self.next_ms = self.interval.after(candle.open_ms)
        self._remember(candle)
        return Answer(Verdict.NEW, hole=hole)

    def _remember(self, candle: Candle) -> None:
        self._recent[candle.open_ms] = candle
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
