"""Reports as text for people and as plain objects for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kline_ops.gaps.model import FileReport, Gap
from kline_ops.market import timestamp
from kline_ops.market.interval import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

_UNITS = ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min"), (SECOND_MS, "s"))
#: How each finding besides the holes is called, by the name of its count.
_FINDINGS = (
    ("duplicates", "doubled"),
    ("out_of_order", "out of order"),
    ("off_grid", "off the grid"),
    ("bad_rows", "bad rows"),
)


def as_object(reports: Sequence[FileReport]) -> dict[str, Any]:
    """``{"files": […], "missing": n}``; times as text, counts as numbers."""
    return {
        "files": [_file_object(report) for report in reports],
        "missing": sum(report.missing for report in reports),
    }


def as_text(reports: Sequence[FileReport], *, ascii_only: bool = False) -> str:
    """A block a file and, of several, their sum. ``ascii_only``: for a terminal without UTF-8."""
    dot, dots = (" | ", "...") if ascii_only else (" · ", "…")
    blocks = [_block(report, dot, dots) for report in reports]
    if len(reports) > 1:
        owed = sum(report.owed for report in reports)
        on_disk = sum(report.on_disk for report in reports)
        gaps = sum(len(report.gaps) for report in reports)
        blocks.append(f"{len(reports)} files: {_totals(owed, on_disk, gaps, dot)}")
    return "\n".join(blocks)


def duration(ms: int) -> str:
    """``3 d 3 h``; whole seconds, without the units that are zero."""
    parts = []
    for unit, name in _UNITS:
        count, ms = divmod(ms, unit)
        if count:
            parts.append(f"{count:,} {name}")
    return " ".join(parts) or "0 s"


def _block(report: FileReport, dot: str, dots: str) -> str:
    span = _span(report.first_ms, report.last_ms, dots)
    lines = [
        report.path,
        f"{report.symbol or ''} {report.interval}   {span}".lstrip(),
        _totals(report.owed, report.on_disk, len(report.gaps), dot),
    ]
    width = max((len(f"{gap.missing:,}") for gap in report.gaps), default=0)
    for gap in report.gaps:
        lasted = duration(report.interval.after(gap.last_missing_ms) - gap.first_missing_ms)
        gap_span = _span(gap.first_missing_ms, gap.last_missing_ms, dots)
        lines.append(f"{gap_span}   {gap.missing:>{width},} missing  ({lasted})")
    for kind, name in _FINDINGS:
        if count := getattr(report, kind):
            where = report.lines.get(kind, ())
            more = f" {dots}" if count > len(where) else ""
            noun = "line" if count == 1 else "lines"
            lines.append(f"{count:,} {name}  ({noun} {', '.join(where)}{more})")
    return "\n  ".join(lines)


def _span(first_ms: int, last_ms: int, dots: str) -> str:
    return f"{timestamp.to_text(first_ms)} {dots} {timestamp.to_text(last_ms)}"


def _totals(owed: int, on_disk: int, gaps: int, dot: str) -> str:
    missing = owed - on_disk
    end = f"missing {missing:,} in {gaps:,} gap{'s' if gaps > 1 else ''}" if missing else "complete"
    return dot.join((f"owed {owed:,}", f"on disk {on_disk:,}", end))


def _file_object(report: FileReport) -> dict[str, Any]:
    return {
        "path": report.path,
        "symbol": report.symbol,
        "interval": report.interval.name,
        "first": timestamp.to_text(report.first_ms),
        "last": timestamp.to_text(report.last_ms),
        "owed": report.owed,
        "on_disk": report.on_disk,
        "missing": report.missing,
        "duplicates": report.duplicates,
        "out_of_order": report.out_of_order,
        "off_grid": report.off_grid,
        "bad_rows": report.bad_rows,
        "gaps": [_gap_object(gap) for gap in report.gaps],
    }


def _gap_object(gap: Gap) -> dict[str, Any]:
    return {
        "before": None if gap.before_ms is None else timestamp.to_text(gap.before_ms),
        "after": None if gap.after_ms is None else timestamp.to_text(gap.after_ms),
        "gap_seconds": gap.seconds,
        "missing_candles": gap.missing,
        "first_missing": timestamp.to_text(gap.first_missing_ms),
        "last_missing": timestamp.to_text(gap.last_missing_ms),
    }
