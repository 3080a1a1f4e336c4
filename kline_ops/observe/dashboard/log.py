"""The last log lines, fitted into their panel. Pure."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

from kline_ops.observe.dashboard import styles
from kline_ops.observe.dashboard.chart import Row
from kline_ops.observe.dashboard.lines import Line
from kline_ops.observe.dashboard.look import Glyphs
from kline_ops.observe.dashboard.numbers import clock
from kline_ops.observe.dashboard.text import clean

#: Columns from which on the level is written out.
_WITH_LEVEL = 50


def log_rows(lines: Sequence[Line], width: int, height: int, glyphs: Glyphs) -> list[Row]:
    """``height`` rows with the newest lines, the last one below."""
    rows = [_row(line, width, glyphs) for line in lines[-height:]] if height > 0 else []
    return rows + [[] for _ in range(height - len(rows))]


def _row(line: Line, width: int, glyphs: Glyphs) -> Row:
    row = [Segment(f"{clock(int(line.created * 1000))} ", styles.DIM)]
    if width >= _WITH_LEVEL:
        row.append(Segment(f"{logging.getLevelName(line.level):8}", _style(line.level)))
    text = clean(line.text, glyphs)
    room = width - sum(cell_len(segment.text) for segment in row)
    if cell_len(text) > room:
        text = set_cell_size(text, max(0, room - 1)) + glyphs.cut
    return [*row, Segment(text, _style(line.level))]


def _style(level: int) -> Style:
    if level >= logging.ERROR:
        return styles.BAD
    return styles.WARNING if level >= logging.WARNING else styles.PLAIN
