"""The last candles as a table: as many columns as there is room for. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style

from kline_ops.market.candle import Candle
from kline_ops.market.interval import Interval
from kline_ops.observe.dashboard import styles
from kline_ops.observe.dashboard.chart import Row, rises
from kline_ops.observe.dashboard.look import Glyphs
from kline_ops.observe.dashboard.numbers import decimals_of, opened, plain

#: Columns in the order in which they are given up where it is narrow, the last ones first.
_SETS = (
    ("open", "high", "low", "close", "volume"),
    ("open", "high", "low", "close"),
    ("high", "low", "close"),
    ("close", "volume"),
    ("close",),
)
_VOLUME_DECIMALS = 5


class Table:
    """Candles laid out for a width, oldest first; ``forming``: the last one is not closed yet."""

    def __init__(
        self,
        candles: Sequence[Candle],
        interval: Interval,
        width: int,
        glyphs: Glyphs,
        *,
        forming: bool,
    ) -> None:
        self._candles = candles
        self._interval = interval
        self._glyphs = glyphs
        self._forming = forming
        self._decimals = {
            "volume": min(_VOLUME_DECIMALS, decimals_of(c.volume for c in candles)),
            **dict.fromkeys(("open", "high", "low", "close"), price_decimals(candles)),
        }
        self._time_width = max((len(self._time(candle)) for candle in candles), default=4)
        self._columns = next((names for names in _SETS if self._width(names) <= width), ("close",))

    @property
    def width(self) -> int:
        """Columns of the terminal that it takes."""
        return self._width(self._columns)

    def rows(self, height: int) -> list[Row]:
        """The head and the newest candles, a row of its own wherever some are missing."""
        rows: list[Row] = []
        later: Candle | None = None
        for candle in reversed(self._candles):
            if later is not None and (gap := missing(candle, later, self._interval)):
                rows.append([Segment(f"{gap:,} missing".center(self.width), styles.WARNING)])
            rows.append(self._row(candle, forming=self._forming and later is None))
            later = candle
            if len(rows) >= height - 1:
                break
        return [self._head(), *reversed(rows[: height - 1])]

    def _head(self) -> Row:
        names = (f"{name:>{self._column_width(name)}}" for name in self._columns)
        return [Segment(f"  {'time':{self._time_width}} {' '.join(names)}", styles.DIM)]

    def _row(self, candle: Candle, *, forming: bool) -> Row:
        up = rises(candle)
        cells = (
            f"{plain(getattr(candle, name), self._decimals[name]):>{self._column_width(name)}}"
            for name in self._columns
        )
        return [
            Segment(f"{self._glyphs.up if up else self._glyphs.down} ", _style(up)),
            Segment(f"{self._time(candle):{self._time_width}} ", styles.DIM),
            Segment(" ".join(cells), styles.DIM if forming else styles.PLAIN),
        ]

    def _time(self, candle: Candle) -> str:
        return opened(candle.open_ms, self._interval.typical_ms)

    def _column_width(self, name: str) -> int:
        texts = (plain(getattr(c, name), self._decimals[name]) for c in self._candles)
        return max(len(name), *map(len, texts), 0)

    def _width(self, names: Sequence[str]) -> int:
        return 2 + self._time_width + sum(self._column_width(name) + 1 for name in names)


def price_decimals(candles: Sequence[Candle]) -> int:
    """How many decimals say all prices exactly."""
    return decimals_of(text for c in candles for text in (c.open, c.high, c.low, c.close))


def missing(earlier: Candle, later: Candle, interval: Interval) -> int:
    """How many candles are missing between two that follow one another."""
    return interval.slots(interval.after(earlier.open_ms), later.open_ms)


def _style(up: bool) -> Style:  # noqa: FBT001 - a table of two
    return styles.UP if up else styles.DOWN
