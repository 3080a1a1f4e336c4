"""``analyze-gaps --html FILE``: the page, with the candles around the largest gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kline_ops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kline_ops.gaps.files import Row
    from kline_ops.gaps.model import Finding
    from kline_ops.gaps.page import Bar

#: Gaps of a series that get a picture of their own.
_PICTURED = 12


def write_page(findings: Sequence[Finding], path: Path) -> None:
    """Write it whole, or not at all.

    Raises:
        InputError: plotly is not installed, or the page can not be written.
    """
    from kline_ops.clock import SystemClock
    from kline_ops.gaps.around import candles_around
    from kline_ops.gaps.page import page

    around: dict[tuple[int, int], list[Bar]] = {}
    for at, finding in enumerate(findings):
        if "-" in finding.report.paths:
            continue  # what came from a pipe is gone
        gaps = finding.report.gaps
        largest = sorted(range(len(gaps)), key=lambda place: -gaps[place].missing)[:_PICTURED]
        for place, rows in candles_around(finding.report, largest).items():
            around[at, place] = [_bar(row) for row in rows]
    text = page(findings, around, made_ms=SystemClock().wall_ms())
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}", hint="--html FILE") from None


def _bar(row: Row) -> Bar:
    from kline_ops.gaps.page import Bar

    opened, high, low, close, *volume = (float(value) for value in row.values())
    return Bar(row.open_ms, opened, high, low, close, volume[0] if volume else 0.0)
