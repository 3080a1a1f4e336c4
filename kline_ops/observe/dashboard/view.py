"""How a snapshot is laid out: lines of styled text for a width and a height. Pure.

From wide to narrow: the head, chart beside table, log; then chart below table; then no frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.segment import Segment

from kline_ops.market.candle import Candle
from kline_ops.observe.dashboard import styles
from kline_ops.observe.dashboard.chart import Row, chart
from kline_ops.observe.dashboard.head import head, status
from kline_ops.observe.dashboard.lines import Line
from kline_ops.observe.dashboard.log import log_rows
from kline_ops.observe.dashboard.look import Glyphs, Look
from kline_ops.observe.dashboard.numbers import clock
from kline_ops.observe.dashboard.panel import beside, boxed, fit, ruled, spread
from kline_ops.observe.dashboard.table import Table, missing, price_decimals
from kline_ops.observe.snapshot import Snapshot

#: Columns from which on there are frames.
_FRAMED = 60
#: Columns that a chart beside the table needs.
_CHART = 14
#: A chart of so few rows says nothing.
_CHART_ROWS = 3
#: Of the rows below the head, the log's part, and its bounds.
_LOG_PART, _LOG_LEAST, _LOG_MOST = 0.28, 3, 12


@dataclass(frozen=True, slots=True)
class Shown:
    """All that goes into a frame. ``closed``: candles on disk, oldest first."""

    snapshot: Snapshot
    closed: Sequence[Candle]
    log: Sequence[Line]
    #: What is asked, and waits for a key, the longest wording first; empty: the keys are told.
    prompts: Sequence[str] = ()


def frame(shown: Shown, width: int, height: int, look: Look) -> list[Row]:
    """``height`` rows, none wider than ``width``."""
    framed = width >= _FRAMED
    panel = boxed if framed else ruled
    inner = width - 4 if framed else width
    top = panel(
        _title(shown.snapshot, look),
        head(shown.snapshot, inner, look.glyphs),
        width,
        look.glyphs,
        right=status(shown.snapshot, look.glyphs),
    )
    left = height - len(top) - 1
    log_height = max(_LOG_LEAST + framed, min(_LOG_MOST, round(left * _LOG_PART)))
    middle_height = left - log_height
    if middle_height < (5 if framed else 3):
        log_height, middle_height = max(0, left), 0
    rows = [*top]
    if middle_height:
        rows += _candles(shown, width, middle_height, look, framed=framed)
    if log_height > 1:
        count = log_height - (2 if framed else 1)
        rows += panel("log", log_rows(shown.log, inner, count, look.glyphs), width, look.glyphs)
    rows = [*_padded(rows[: height - 1], height - 1), _foot(shown, width)]
    return [fit(row, width) for row in rows]


def _candles(shown: Shown, width: int, height: int, look: Look, *, framed: bool) -> list[Row]:
    forming = _forming(shown)
    candles = [*shown.closed, *([] if forming is None else [forming])]
    interval, glyphs = shown.snapshot.interval, look.glyphs
    edge = 4 if framed else 0
    visible = candles[-height:]
    table = Table(visible, interval, width - edge, glyphs, forming=forming is not None)
    decimals = price_decimals(candles)
    bars = _with_gaps(shown.snapshot, candles)
    panel = boxed if framed else ruled
    borders = 2 if framed else 1
    room = width - table.width - 2 * edge
    if framed and room >= _CHART:
        inner = height - borders
        return beside(
            boxed(
                _legend(room, glyphs),
                chart(bars, room, inner, decimals, glyphs),
                room + edge,
                glyphs,
            ),
            boxed("candles", _padded(table.rows(inner), inner), width - room - edge, glyphs),
        )
    chart_height = (height - 2 * borders) // 2
    if chart_height < _CHART_ROWS:
        inner = height - borders
        return panel("candles", _padded(table.rows(inner), inner), width, glyphs)
    inner = height - 2 * borders - chart_height
    drawn = chart(bars, width - edge, chart_height, decimals, glyphs)
    return [
        *panel("candles", _padded(table.rows(inner), inner), width, glyphs),
        *panel(_legend(width - edge, glyphs), drawn, width, glyphs),
    ]


def _legend(width: int, glyphs: Glyphs) -> str:
    legend = f"{glyphs.hollow[2, 2]} up  {glyphs.solid[2, 2]} down"
    titles = (f"chart  {legend}", legend)
    return next((title for title in titles if len(title) < width), "chart")


def _forming(shown: Shown) -> Candle | None:
    """The candle that is not on disk yet: it forms, or has closed this moment."""
    last = shown.snapshot.last
    if last is None:
        return None
    newest = shown.closed[-1].open_ms if shown.closed else -1
    return last.candle if last.candle.open_ms > newest else None


def _with_gaps(snapshot: Snapshot, candles: Sequence[Candle]) -> list[Candle | None]:
    """A column wherever some are missing."""
    bars: list[Candle | None] = []
    for before, candle in zip([None, *candles], candles, strict=False):
        if before is not None and missing(before, candle, snapshot.interval):
            bars.append(None)
        bars.append(candle)
    return bars


def _title(snapshot: Snapshot, look: Look) -> str:
    return f"kline-ops{look.glyphs.between}{snapshot.told['session']}"


def _foot(shown: Shown, width: int) -> Row:
    if shown.prompts:
        fitting = (text for text in shown.prompts if len(text) + 2 <= width)
        return [Segment(f" {next(fitting, shown.prompts[-1])} ", styles.ASK)]
    keys = [("d", "disconnect"), ("r", "renew"), ("q", "end")]
    row = [Segment(" ", styles.PLAIN)]
    for key, does in keys:
        row += [Segment(f" {key} ", styles.KEY), Segment(f" {does}  ", styles.PLAIN)]
    return spread(row, [Segment(f"{clock(shown.snapshot.now_ms)} UTC ", styles.DIM)], width)


def _padded(rows: list[Row], height: int) -> list[Row]:
    return rows + [[] for _ in range(height - len(rows))]
