"""Do the shorter candles make the longer one? Sixty ``1m`` candles are exactly the ``1h`` candle. Pure.

Two series of one symbol are recorded by themselves, over connections of their own: where they agree,
neither was altered on its way to the disk. Numbers are compared as decimals: ``1.50`` equals ``1.5``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext

from kline_ops.market.candle import Candle
from kline_ops.market.interval import Interval

#: Digits of a sum: a day of volumes fits many times over, and none is rounded away.
_PRECISION = 60


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A longer candle that its shorter ones do not make."""

    open_ms: int
    column: str
    #: What the shorter candles make of it.
    expected: str
    #: What the longer candle has.
    found: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many longer candles had all their shorter ones, and what was wrong with them."""

    compared: int
    mismatches: tuple[Mismatch, ...]


def comparable(shorter: Interval, longer: Interval) -> bool:
    """Do candles of the one begin and end where candles of the other do? A month has no fixed length."""
    short, long = shorter.length_ms, longer.length_ms
    if short is None or long is None or short >= long or long % short:
        return False
    return shorter.is_open(longer.floor(0))


def compare(
    shorter: Interval, short_candles: Iterable[Candle], longer: Interval, candles: Iterable[Candle]
) -> Comparison:
    """Hold the longer candles against the shorter ones that they are made of.

    A longer candle that lacks one of its shorter ones is passed over.

    Raises:
        ValueError: the intervals are not :func:`comparable`.
    """
    if not comparable(shorter, longer):
        raise ValueError(f"{longer} candles are not made of {shorter} candles")
    by_open = {candle.open_ms: candle for candle in short_candles}
    compared, mismatches = 0, list[Mismatch]()
    for candle in candles:
        times = range(candle.open_ms, longer.after(candle.open_ms), shorter.typical_ms)
        parts = [by_open[ms] for ms in times if ms in by_open]
        if longer.is_open(candle.open_ms) and len(parts) == len(times):
            compared += 1
            mismatches += _mismatches(candle, parts)
    return Comparison(compared, tuple(mismatches))


def _mismatches(candle: Candle, parts: list[Candle]) -> Iterable[Mismatch]:
    with localcontext(prec=_PRECISION):
        made = {
            "open": Decimal(parts[0].open),
            "high": max(Decimal(part.high) for part in parts),
            "low": min(Decimal(part.low) for part in parts),
            "close": Decimal(parts[-1].close),
            "volume": sum(Decimal(part.volume) for part in parts),
        }
    for column, expected in made.items():
        found: str = getattr(candle, column)
        if Decimal(found) != expected:
            yield Mismatch(candle.open_ms, column, f"{expected:f}", found)
