"""Findings on a terminal: a line a gap, as wide as the terminal, or as it needs where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kline_ops.gaps import render
from kline_ops.gaps.model import Finding
from kline_ops.gaps.render import Marks
from kline_ops.market import timestamp

if TYPE_CHECKING:
    from rich.table import Table

#: Wide enough for every line: what reads a pipe breaks lines by itself, if at all.
_NO_TERMINAL = 10_000
#: Gaps that are listed on a terminal; all of them are with --json and the like.
_LISTED = 1_000


def as_text(findings: Sequence[Finding], width: int | None, *, ascii_only: bool = False) -> str:
    """A block a series and, of several, their sum.

    Args:
        width: of the terminal; None where there is none.
        ascii_only: for a terminal without UTF-8.
    """
    marks = Marks(ascii_only=ascii_only)
    blocks = ["\n".join(_block(finding, width, marks)) for finding in findings]
    if len(findings) > 1:
        blocks.append(render.sum_of(findings, marks))
    return "\n".join(blocks)


def _block(finding: Finding, width: int | None, marks: Marks) -> Iterator[str]:
    report = finding.report
    yield finding.session or render.files(report, marks)
    yield f"  {render.heading(report, marks)}"
    yield f"  {render.coverage(report, marks, min(60, (width or 80) - 6))}"
    yield f"  {render.total(finding, marks)}"
    if finding.gaps:
        yield from (f"  {line}" for line in _gaps(finding, width, marks))
    yield from (f"  {line}" for line in render.oddities(report, marks))
    yield from (f"  {remark}" for remark in finding.remarks)


def _gaps(finding: Finding, width: int | None, marks: Marks) -> list[str]:
    # Only where there is something to tell: half of what a quick answer takes.
    from rich.console import Console  # noqa: PLC0415

    console = Console(width=(width or _NO_TERMINAL) - 2, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(_table(finding, ascii_only=marks.ascii_only))
    lines = [line.rstrip() for line in captured.get().rstrip("\n").split("\n")]
    left_out = len(finding.gaps) - _LISTED
    return [*lines, f"and {left_out:,} more: --json, --csv"] if left_out > 0 else lines


def _table(finding: Finding, *, ascii_only: bool) -> Table:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    reasons = [render.reason(gap) for gap in finding.gaps]
    is_known = any(len(gap.whose) > 1 or "unknown" not in gap.whose for gap in finding.gaps)
    lines = None if ascii_only else box.SIMPLE_HEAD
    table = Table(box=lines, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("first missing", overflow="fold")
    table.add_column("last missing", overflow="fold")
    table.add_column("candles", justify="right", no_wrap=True)
    table.add_column("lasted", no_wrap=True)
    if is_known:
        table.add_column("whose", overflow="fold")
    if any(reasons):
        table.add_column("why", overflow="fold")
    for gap, why in list(zip(finding.gaps, reasons, strict=True))[:_LISTED]:
        one = gap.gap
        cells = [
            timestamp.to_text(one.first_missing_ms),
            timestamp.to_text(one.last_missing_ms) if one.missing > 1 else "",
            f"{one.missing:,}",
            render.lasted(one, finding.report.interval),
            *([render.whose(gap)] if is_known else []),
            *([why] if any(reasons) else []),
        ]
        table.add_row(*cells)
    return table
