"""Ranges of open times, and the little arithmetic they need. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """The candles that open in ``[first, end)``; both are open times in milliseconds."""

    first: int
    end: int

    def overlaps(self, other: Span) -> bool:
        """Is any candle in both?"""
        return self.first < other.end and other.first < self.end


def within(spans: Iterable[Span], limits: Span) -> list[Span]:
    """The parts of the spans that lie inside the limits."""
    return [
        Span(max(span.first, limits.first), min(span.end, limits.end))
        for span in spans
        if span.overlaps(limits)
    ]


def common(these: Sequence[Span], those: Sequence[Span]) -> Iterator[Span]:
    """What is in both, in a time that grows with their number; each in order, without overlaps."""
    mine = theirs = 0
    while mine < len(these) and theirs < len(those):
        this, that = these[mine], those[theirs]
        if this.overlaps(that):
            yield Span(max(this.first, that.first), min(this.end, that.end))
        if this.end <= that.end:
            mine += 1
        else:
            theirs += 1


def without(spans: Iterable[Span], cut: Span) -> list[Span]:
    """What is left of the spans when ``cut`` is taken out of them."""
    left: list[Span] = []
    for span in spans:
        if not span.overlaps(cut):
            left.append(span)
            continue
        if span.first < cut.first:
            left.append(Span(span.first, cut.first))
        if cut.end < span.end:
            left.append(Span(cut.end, span.end))
    return left


def joined(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, those that touch or overlap as one."""
    whole: list[Span] = []
    for span in sorted(spans):
        if whole and span.first <= whole[-1].end:
            whole[-1] = Span(whole[-1].first, max(whole[-1].end, span.end))
        else:
            whole.append(span)
    return whole
