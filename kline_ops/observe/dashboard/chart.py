"""Candles as rows of characters: wick and body, one column a candle. Pure.

A rising candle has a hollow body, a falling one a solid body, so that it reads without colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import ceil
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style

from kline_ops.market.candle import Candle
from kline_ops.observe.dashboard import styles
from kline_ops.observe.dashboard.look import Glyphs
from kline_ops.observe.dashboard.numbers import plain

Row = list[Segment]
#: Columns without which the scale of prices would leave too little for the candles.
_WITH_SCALE = 28
#: Rows from which on the last one shows the volume.
_WITH_VOLUME = 7


class _Scale(NamedTuple):
    """From prices to half rows, counted from the top."""

    high: float
    low: float
    halves: int

    def half(self, price: float) -> int:
        """The half row that a price is in."""
        return min(self.halves - 1, int(self._at(price)))

    def halves_of(self, upper: float, lower: float) -> range:
        """The half rows from one price down to another one; at least one."""
        top = self.half(upper)
        return range(top, max(top + 1, ceil(self._at(lower))))

    def _at(self, price: float) -> float:
        spread = self.high - self.low
        return ((self.high - price) / spread if spread else 0.5) * self.halves


def chart(
    candles: Sequence[Candle | None], width: int, height: int, decimals: int, glyphs: Glyphs
) -> list[Row]:
    """``height`` rows, none wider than ``width``, of the last candles; None: some are missing."""
    labels = width >= _WITH_SCALE
    known = [candle for candle in candles if candle is not None]
    if not known or width < 1 or height < 1:
        return [[] for _ in range(height)]
    label_width = max(len(plain(c.high, decimals)) for c in known) + 1 if labels else 0
    shown = candles[-(width - label_width) :]
    known = [candle for candle in shown if candle is not None]
    with_volume = height >= _WITH_VOLUME
    rows = height - with_volume
    scale = _Scale(max(float(c.high) for c in known), min(float(c.low) for c in known), rows * 2)
    columns = [_column(candle, scale, glyphs) for candle in shown]
    # The newest one stands at the right, however few there are.
    before = Segment(" " * (width - label_width - len(shown)), styles.PLAIN)
    painted = [[before, *_row(shown, [column[row] for column in columns])] for row in range(rows)]
    if labels:
        _add_labels(painted, scale, shown, decimals)
    if with_volume:
        painted.append([before, _volumes(shown, glyphs)])
    return painted


def rises(candle: Candle) -> bool:
    """Did it close at its open or above?"""
    return float(candle.close) >= float(candle.open)


def _column(candle: Candle | None, scale: _Scale, glyphs: Glyphs) -> str:
    rows = scale.halves // 2
    if candle is None:
        return glyphs.missing * rows
    opened, closed = float(candle.open), float(candle.close)
    wick = scale.halves_of(float(candle.high), float(candle.low))
    body = scale.halves_of(max(opened, closed), min(opened, closed))
    cells = glyphs.hollow if closed >= opened else glyphs.solid
    halves = [2 if half in body else 1 if half in wick else 0 for half in range(scale.halves)]
    return "".join(cells[halves[2 * row], halves[2 * row + 1]] for row in range(rows))


def _row(candles: Sequence[Candle | None], cells: Sequence[str]) -> Row:
    painted = zip(map(_style, candles), cells, strict=True)
    return [
        Segment("".join(cell for _, cell in group), style)
        for style, group in groupby(painted, key=lambda pair: pair[0])
    ]


def _style(candle: Candle | None) -> Style:
    if candle is None:
        return styles.WARNING
    return styles.UP if rises(candle) else styles.DOWN


def _volumes(candles: Sequence[Candle | None], glyphs: Glyphs) -> Segment:
    most = max(float(c.volume) for c in candles if c is not None) or 1.0
    last = len(glyphs.levels) - 1
    bars = (
        " " if c is None else glyphs.levels[round(float(c.volume) / most * last)] for c in candles
    )
    return Segment("".join(bars), styles.DIM)


def _add_labels(
    rows: list[Row], scale: _Scale, candles: Sequence[Candle | None], decimals: int
) -> None:
    """The highest and the lowest price, and the last one at its height."""
    for row, text, style in _labels(scale, candles, decimals):
        rows[row] = [*rows[row], Segment(f" {text}", style)]


def _labels(
    scale: _Scale, candles: Sequence[Candle | None], decimals: int
) -> Iterator[tuple[int, str, Style]]:
    last = next(candle for candle in reversed(candles) if candle is not None)
    at = scale.half(float(last.close)) // 2
    bottom = scale.halves // 2 - 1
    yield at, plain(last.close, decimals), styles.STRONG
    known = [candle for candle in candles if candle is not None]
    if at != 0:
        yield 0, plain(max((c.high for c in known), key=float), decimals), styles.DIM
    if bottom not in {0, at}:
        yield bottom, plain(min((c.low for c in known), key=float), decimals), styles.DIM
