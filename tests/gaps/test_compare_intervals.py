"""Shorter candles make the longer ones: in the invented market, in the exchange's own, and by hand."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from kline_ops.exchange.market import Market
from kline_ops.gaps.compare_intervals import Mismatch, comparable, compare
from kline_ops.market.candle import Candle
from kline_ops.market.interval import DAY_MS, HOUR_MS, MINUTE_MS, parse
from kline_ops.market.timestamp import to_ms

DATA = Path(__file__).parents[2].parent / "shared" / "data"
START = to_ms("2026-11-29")
MINUTE, HOUR = parse("1m"), parse("1h")


def candle(open_ms: int, *cells: str) -> Candle:
    return Candle(open_ms, *cells)


def quarters() -> list[Candle]:
    cells = [
        ("1.0", "2.0", "0.9", "1.5", "0.1"),
        ("1.5", "2.5", "1.1", "1.2", "0.2"),
        ("1.2", "1.3", "0.5", "1.3", "0.00000000"),
        ("1.3", "1.4", "1.3", "1.4", "123456789012.00000001"),
    ]
    return [candle(START + n * 15 * MINUTE_MS, *row) for n, row in enumerate(cells)]


def differs(*cells: str) -> list[tuple[str, str, str]]:
    """Column, expected, found."""
    result = compare(parse("15m"), quarters(), HOUR, [candle(START, *cells)])
    assert result.compared == 1
    assert {wrong.open_ms for wrong in result.mismatches} <= {START}
    return [(wrong.column, wrong.expected, wrong.found) for wrong in result.mismatches]


def test_equal_by_value() -> None:
    assert differs("1", "2.5000", "0.50", "1.40", "123456789012.30000001") == []


@pytest.mark.parametrize(
    ("cells", "wrong"),
    [
        (("1.1", "2.5", "0.5", "1.4", "123456789012.30000001"), ("open", "1.0", "1.1")),
        (("1.0", "2.6", "0.5", "1.4", "123456789012.30000001"), ("high", "2.5", "2.6")),
        (("1.0", "2.5", "0.6", "1.4", "123456789012.30000001"), ("low", "0.5", "0.6")),
        (("1.0", "2.5", "0.5", "1.3", "123456789012.30000001"), ("close", "1.4", "1.3")),
        (
            ("1.0", "2.5", "0.5", "1.4", "123456789012.30000002"),
            ("volume", "123456789012.30000001", "123456789012.30000002"),
        ),
    ],
)
def test_one_column_differs(cells: tuple[str, ...], wrong: tuple[str, str, str]) -> None:
    assert differs(*cells) == [wrong]


def test_all_columns_differ() -> None:
    assert [column for column, *_ in differs("9", "9", "9", "9", "9")] == [
        "open", "high", "low", "close", "volume",
    ]  # fmt: skip


@pytest.mark.parametrize("missing", range(4))
def test_a_longer_candle_that_lacks_a_part_is_passed_over(missing: int) -> None:
    parts = quarters()
    del parts[missing]
    assert compare(parse("15m"), parts, HOUR, [candle(START, *"99999")]).compared == 0


def test_a_candle_off_the_grid_is_passed_over() -> None:
    off = candle(START + MINUTE_MS, *"99999")
    assert compare(parse("15m"), quarters(), HOUR, [off]).compared == 0


@pytest.mark.parametrize(
    ("shorter", "longer", "good"),
    [
        ("1m", "1h", True),
        ("1s", "1d", True),
        ("1h", "1d@+08:00", True),
        ("1d", "1w", True),
        ("1d", "3d", True),
        ("3m", "5m", False),
        ("3d", "1w", False),
        ("1h", "1h", False),
        ("1h", "1m", False),
        ("1d", "1M", False),
        ("8h", "1d@+08:00", True),
        ("12h", "1d@+08:00", False),  # 00:00 and 12:00 are not 16:00
        ("12h@+08:00", "1d", False),
        ("1d@+08:00", "1w@+08:00", True),
        ("1d", "1w@+08:00", False),
    ],
)
def test_which_can_be_compared(shorter: str, longer: str, good: bool) -> None:
    assert comparable(parse(shorter), parse(longer)) is good
    if not good:
        with pytest.raises(ValueError, match="are not made of"):
            compare(parse(shorter), [], parse(longer), [])


def invented(market: Market, interval: str, start: int, end: int) -> list[Candle]:
    kind = parse(interval)
    bars = (market.bar("BTCUSDT", kind, ms) for ms in range(kind.ceil(start), end, kind.typical_ms))
    return [candle(b.open_ms, b.open, b.high, b.low, b.close, b.volume) for b in bars]


@pytest.mark.parametrize(
    ("shorter", "longer"), [("1s", "1m"), ("1m", "1h"), ("5m", "4h"), ("1h", "1d@+08:00")]
)
def test_the_invented_market(shorter: str, longer: str) -> None:
    market = Market(3)
    end = START + (DAY_MS * 3 if longer.startswith("1d") else 8 * HOUR_MS)
    short, long = (invented(market, interval, START, end) for interval in (shorter, longer))
    result = compare(parse(shorter), short, parse(longer), long)
    assert result.compared >= 2
    assert result.mismatches == ()
    first = long[0].open_ms
    spoiled = [msgspec.structs.replace(c, high="0.1") if c.open_ms == first else c for c in long]
    assert [
        (wrong.open_ms, wrong.column)
        for wrong in compare(parse(shorter), short, parse(longer), spoiled).mismatches
    ] == [(first, "high")]


def real(rows: Iterable[list[str]]) -> list[Candle]:
    return [candle(int(row[0]), *row[1:6]) for row in rows if row[0].isdigit()]


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the project")
def test_the_exchange_itself() -> None:
    with gzip.open(DATA / "klines-1h" / "BTCUSDT-1h-2023.csv.gz", "rt") as file:
        hours = real(csv.reader(file))
    minutes: list[Candle] = []
    for path in sorted((DATA / "klines-1m").glob("*-2023-03-*.zip"))[:5]:
        with zipfile.ZipFile(path) as archive:
            (name,) = archive.namelist()
            minutes += real(csv.reader(io.StringIO(archive.read(name).decode())))
    result = compare(MINUTE, minutes, HOUR, hours)
    assert result.compared == 120
    assert result.mismatches == ()


def test_a_mismatch_says_where() -> None:
    result = compare(parse("15m"), quarters(), HOUR, [candle(START, "1", "2.5", "0.5", "1.4", "1")])
    assert result.mismatches == (Mismatch(START, "volume", "123456789012.30000001", "1"),)
