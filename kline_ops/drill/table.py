"""A drill as people read it: its beginning, its progress, its report."""

from __future__ import annotations

from io import StringIO
from typing import TextIO

from rich.console import Console
from rich.table import Table

from kline_ops.drill import pace
from kline_ops.drill.faults import Trouble
from kline_ops.drill.plan import Plan
from kline_ops.drill.report import BEFORE, Counts, Outcome, Report
from kline_ops.market import timestamp

_COLUMNS = (
    "fault", "began", "noticed", "within", "well again",
    "owed", "on disk", "stream", "REST", "lost", "doubled", "wrong",
)  # fmt: skip
_CLEAR = "\r\x1b[2K"


def opening(plan: Plan, seed: int) -> str:
    """What will be done, and how patient everybody is."""
    patience = ", ".join(f"{name} {value:g}" for name, value in pace.time_outs().items())
    count = len(plan.chosen)
    lines = [
        (
            f"{count} faults in about {plan.seconds:.0f} s, in the order of seed {seed};"
            f" candles of {pace.CANDLE:g} s"
        ),
        f"time-outs (s): {patience}",
    ]
    if plan.left_out:
        names = ", ".join(trouble.name for trouble in plan.left_out)
        lines.append(f"left out, as there is no time for them: {names}")
    return "\n".join(lines)


class Progress:
    """A line that changes on a terminal; a line for each fault elsewhere."""

    def __init__(self, plan: Plan, to: TextIO) -> None:
        self._count = len(plan.chosen)
        self._to = to
        self._changes = to.isatty()

    def tell(self, number: int, trouble: Trouble, outcome: Outcome | None) -> None:
        """A fault begins, or (with an outcome) is over."""
        head = f"{number}/{self._count} {trouble.name}"
        if outcome is None:
            if self._changes:
                self._write(f"{_CLEAR}{head} …")
            return
        noticed = f"noticed {_seconds(outcome.noticed)}" if trouble.signs else "nothing to notice"
        line = f"{head}: {noticed}, well again {_seconds(outcome.recovered)}"
        self._write(f"{_CLEAR}{line}" if self._changes else f"{line}\n")

    def close(self) -> None:
        """Leave the line to what comes next."""
        if self._changes:
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        self._to.write(text)
        self._to.flush()


def as_text(report: Report, width: int | None = None) -> str:
    """The table, the sum, and what is wrong."""
    table = Table(box=None, pad_edge=False)
    for title in _COLUMNS:
        table.add_column(title, justify="left" if title in {"fault", "began"} else "right")
    table.add_row(BEFORE, "", "", "", "", *map(str, report.before))
    for outcome in report.outcomes:
        table.add_row(*_row(outcome))
    text = StringIO()
    Console(file=text, width=width or 110).print(table)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    if report.left_out:
        lines.append(f"left out: {', '.join(report.left_out)}")
    if report.interrupted:
        lines.append("ended before its time")
    if not report.backfill:
        lines += ["", "backfill is off: losses are expected", *_holes(report)]
    lines += ["", _sum(report.total()), *(f"! {finding}" for finding in report.findings())]
    return "\n".join(lines)


def _row(outcome: Outcome) -> list[str]:
    trouble = outcome.trouble
    return [
        trouble.name,
        timestamp.to_text(outcome.began_ms)[11:19],
        _seconds(outcome.noticed),
        _seconds(trouble.within) if trouble.signs else "-",
        _seconds(outcome.recovered),
        *map(str, outcome.counts),
    ]


def _holes(report: Report) -> list[str]:
    return [
        f"{name:<15} {timestamp.to_text(hole.gap.first_missing_ms)[11:19]} {hole.gap.missing:>3}"
        f"  {hole.cause.kind:<11} {'' if hole.is_true else 'NOT TRUE: '}{hole.cause.text}"
        for name, hole in report.holes()
    ]


def _sum(total: Counts) -> str:
    return (
        f"owed {total.owed} · on disk {total.on_disk} · from stream {total.stream}"
        f" · from REST {total.rest} · lost {total.lost} · doubled {total.doubled}"
        f" · wrong {total.wrong}"
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
