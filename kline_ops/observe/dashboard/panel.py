"""Rows put into frames, under rules, and beside one another. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment

from kline_ops.observe.dashboard import styles
from kline_ops.observe.dashboard.chart import Row
from kline_ops.observe.dashboard.look import Glyphs


def width_of(row: Row) -> int:
    """Columns of the terminal that a row takes."""
    return Segment.get_line_length(row)


def fit(row: Row, width: int) -> Row:
    """Cut off what is too much."""
    return Segment.adjust_line_length(row, width, pad=False)


def spread(left: Row, right: Row, width: int) -> Row:
    """One at the left, one at the right; where there is no room for both, the left one."""
    space = width - width_of(left) - width_of(right)
    if space < 2:
        return fit(left, width)
    return [*left, Segment(" " * space, styles.PLAIN), *right]


def boxed(
    title: str, rows: Sequence[Row], width: int, glyphs: Glyphs, *, right: Row | None = None
) -> list[Row]:
    """Rows in a frame with a title in its upper edge; a column of space at each side."""
    frame = glyphs.frame
    edge = Segment(f"{frame.mid_left} ", styles.FRAME)
    end = Segment(f" {frame.mid_right}", styles.FRAME)
    inside = (Segment.adjust_line_length(row, width - 4, styles.PLAIN) for row in rows)
    bottom = f"{frame.bottom_left}{frame.bottom * (width - 2)}{frame.bottom_right}"
    return [
        _edge(title, width, (frame.top_left, frame.top, frame.top_right), right),
        *([edge, *row, end] for row in inside),
        [Segment(bottom, styles.FRAME)],
    ]


def ruled(
    title: str, rows: Sequence[Row], width: int, glyphs: Glyphs, *, right: Row | None = None
) -> list[Row]:
    """Rows under a rule with a title in it: where there is no room for frames."""
    line = glyphs.frame.top
    return [_edge(title, width, (line, line, line), right), *rows]


def beside(left: Sequence[Row], right: Sequence[Row]) -> list[Row]:
    """Two of the same height, side by side."""
    return [[*one, *other] for one, other in zip(left, right, strict=True)]


def _edge(title: str, width: int, parts: tuple[str, str, str], right: Row | None) -> Row:
    start, line, end = parts
    begin = [Segment(start + line, styles.FRAME), Segment(f" {title} ", styles.TITLE)]
    finish = [Segment(line + end, styles.FRAME)]
    if right is not None and width_of(begin) + width_of(right) + 4 <= width:
        space = Segment(" ", styles.PLAIN)
        finish = [space, *right, space, *finish]
    begin = fit(begin, width - width_of(finish))
    return [
        *begin,
        Segment(line * (width - width_of(begin) - width_of(finish)), styles.FRAME),
        *finish,
    ]
