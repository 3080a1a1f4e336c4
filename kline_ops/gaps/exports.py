"""Findings for programs and documents: JSON, CSV, Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from kline_ops.gaps import render
from kline_ops.gaps.model import ExplainedGap, Finding, Whose
from kline_ops.gaps.render import Marks
from kline_ops.market import timestamp

_COUNTS = (
    "owed", "on_disk", "missing", "duplicates", "conflicts", "overlapping", "out_of_order",
    "off_grid", "bad_rows", "impossible", "zero_volume",
)  # fmt: skip
#: How shares of a gap are called, where names have to be plain words.
_SHARES = {
    Whose.OURS: "ours",
    Whose.EXCHANGE: "exchange",
    Whose.PROVISIONAL: "exchange_provisional",
    Whose.UNKNOWN: "unknown",
}
_CSV = (
    "symbol", "interval", "first_missing", "last_missing", "missing_candles", "gap_seconds",
    *_SHARES.values(), "cause", "why", "dark_seconds", "recovered", "path",
)  # fmt: skip
_MARKDOWN = ("first missing", "last missing", "candles", "lasted", "whose", "why")


def as_object(findings: Sequence[Finding]) -> dict[str, Any]:
    """``{"files": […], "missing": n, …}``; times as text, counts as numbers."""
    return {
        "files": [_finding(finding) for finding in findings],
        "missing": sum(finding.report.missing for finding in findings),
        **{
            name: sum(finding.missing_of(whose) for finding in findings)
            for whose, name in _SHARES.items()
        },
    }


def as_csv(findings: Sequence[Finding]) -> str:
    """A header and a line a gap."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV, lineterminator="\n")
    writer.writeheader()
    for finding in findings:
        report = finding.report
        for gap in finding.gaps:
            told = _gap(gap)
            writer.writerow(
                {
                    "symbol": report.symbol,
                    "interval": report.interval.name,
                    **{name: told[name] for name in _CSV if name in told},
                    **told["whose"],
                    "cause": gap.cause.kind,
                    "why": render.reason(gap),
                    "dark_seconds": gap.cause.dark_seconds,
                    "recovered": gap.cause.recovered,
                    "path": report.path,
                }
            )
    return text.getvalue()


def as_markdown(findings: Sequence[Finding]) -> str:
    """A heading, the sum and a table of the gaps for each series."""
    return "\n\n".join("\n".join(_section(finding)) for finding in findings) + "\n"


def _section(finding: Finding) -> Iterator[str]:
    report, marks = finding.report, Marks()
    yield f"## {_cell(finding.session or render.files(report, marks))}"
    yield ""
    yield f"{_cell(render.heading(report, marks))}  "
    yield render.total(finding, marks)
    if finding.gaps:
        yield ""
        yield _row(_MARKDOWN)
        yield _row(["---"] * len(_MARKDOWN))
        for gap in finding.gaps:
            first, last = gap.gap.first_missing_ms, gap.gap.last_missing_ms
            yield _row(
                [
                    timestamp.to_text(first),
                    timestamp.to_text(last),
                    f"{gap.gap.missing:,}",
                    render.lasted(gap.gap, report.interval),
                    render.whose(gap),
                    render.reason(gap),
                ]
            )
    remarks = [*render.oddities(report, marks), *finding.remarks]
    if remarks:
        yield ""
        yield from (f"- {_cell(remark)}" for remark in remarks)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Text that Markdown takes as it is."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "\\<")


def _finding(finding: Finding) -> dict[str, Any]:
    report = finding.report
    from_rest = finding.from_rest
    return {
        "session": finding.session,
        "path": report.path,
        "paths": list(report.paths),
        "symbol": report.symbol,
        "interval": report.interval.name,
        "first": timestamp.to_text(report.first_ms),
        "last": timestamp.to_text(report.last_ms),
        **{name: getattr(report, name) for name in _COUNTS},
        "from_stream": None if from_rest is None else report.on_disk - from_rest,
        "from_rest": from_rest,
        **{name: finding.missing_of(whose) for whose, name in _SHARES.items()},
        "gaps": [_gap(gap) for gap in finding.gaps],
        "quiet": [
            {
                "first": timestamp.to_text(run.first_ms),
                "last": timestamp.to_text(run.last_ms),
                "candles": run.candles,
            }
            for run in report.quiet
        ],
        "lines": {kind: list(lines) for kind, lines in report.lines.items()},
        "cut_short": dict(report.cut_short),
        "remarks": list(finding.remarks),
    }


def _gap(explained: ExplainedGap) -> dict[str, Any]:
    gap, cause = explained.gap, explained.cause
    return {
        "before": None if gap.before_ms is None else timestamp.to_text(gap.before_ms),
        "after": None if gap.after_ms is None else timestamp.to_text(gap.after_ms),
        "gap_seconds": gap.seconds,
        "missing_candles": gap.missing,
        "first_missing": timestamp.to_text(gap.first_missing_ms),
        "last_missing": timestamp.to_text(gap.last_missing_ms),
        "whose": {name: explained.whose.get(whose, 0) for whose, name in _SHARES.items()},
        "cause": {
            "kind": cause.kind,
            "text": cause.text,
            "dark_seconds": cause.dark_seconds,
            "recovered": cause.recovered,
        },
        "note": explained.note,
    }
