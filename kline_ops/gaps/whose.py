"""Whose the missing candles are, and why: a report joined with what else is known. Pure.

What REST has is ours, whatever else is said of it. Else the exchange has none where a list of known
outages says so, where the recorder itself has confirmed it, or where REST was asked often enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kline_ops.gaps.model import NO_CAUSE, ExplainedGap, FileReport, Finding, Gap, Whose
from kline_ops.market.interval import Interval
from kline_ops.market.span import Span, joined, within, without

# What explains is imported where there is something to explain with: a plain file is answered sooner.
if TYPE_CHECKING:
    from kline_ops.gaps.history import History
    from kline_ops.gaps.looks import Judged
    from kline_ops.gaps.outages import Outage


@dataclass(frozen=True, slots=True)
class Answer:
    """What REST said of what is missing: the candles that it has, and what it has none of."""

    present: list[Span]
    absent: Judged


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known beside the files."""

    history: History | None = None
    outages: Sequence[Outage] = ()
    answer: Answer | None = None
    session: str | None = None
    remarks: tuple[str, ...] = field(default=())


def explained(report: FileReport, known: Known) -> Finding:
    """The report, and of each gap whose it is and what it is due to."""
    history = known.history
    return Finding(
        report=report,
        gaps=tuple(_explained(gap, report.interval, known) for gap in report.gaps),
        from_rest=None if history is None else _from_rest(history, report),
        session=known.session,
        remarks=known.remarks,
    )


def span_of(gap: Gap, interval: Interval) -> Span:
    """The missing candles of a gap."""
    return Span(gap.first_missing_ms, interval.after(gap.last_missing_ms))


def _from_rest(history: History, report: FileReport) -> int | None:
    from kline_ops.gaps.explain import rest_candles  # noqa: PLC0415

    if history.began_ms is None:
        return None
    return min(rest_candles(history, report.first_ms, report.last_ms), report.on_disk)


def _explained(gap: Gap, interval: Interval, known: Known) -> ExplainedGap:
    whole = span_of(gap, interval)
    left = [whole]
    whose: dict[Whose, int] = {}
    notes: list[str] = []

    def take(spans: Iterable[Span], who: Whose, note: str = "") -> None:
        nonlocal left
        for span in joined(within(spans, whole)):
            taken = within(left, span)
            left = without(left, span)
            count = sum(interval.slots(*part) for part in taken)
            if count:
                whose[who] = whose.get(who, 0) + count
                if note and note not in notes:
                    notes.append(note)

    if known.answer is not None:
        take(known.answer.present, Whose.OURS)
    for outage in known.outages:
        opens = Span(interval.ceil(outage.from_ms), interval.ceil(outage.until_ms))
        take([opens], Whose.EXCHANGE, outage.note or "a known outage")
    cause = NO_CAUSE
    if known.history is not None:
        from kline_ops.gaps.explain import cause_of, confirmed_absent  # noqa: PLC0415

        cause = cause_of(known.history, gap, interval)
        runs = confirmed_absent(known.history, gap, interval)
        spans = [Span(run.first_ms, interval.after(run.last_ms)) for run in runs]
        take(spans, Whose.EXCHANGE, "the recorder asked REST twice")
    if known.answer is not None:
        take(known.answer.absent.confirmed, Whose.EXCHANGE, "REST has none")
        take(known.answer.absent.provisional, Whose.PROVISIONAL, "REST has none now: ask again")
    take(left, Whose.UNKNOWN)
    return ExplainedGap(gap, whose, cause, "; ".join(notes))
