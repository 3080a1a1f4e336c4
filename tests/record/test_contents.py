"""What stands in a candle file: rows, holes, and where its good part ends."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kline_ops.errors import JournalError
from kline_ops.market.candle import Candle, Columns
from kline_ops.market.interval import Interval, parse
from kline_ops.market.span import Span
from kline_ops.market.timestamp import to_ms
from kline_ops.record.contents import (
    HEADER_LINE,
    Contents,
    check_header,
    good_end,
    header_line,
)
from kline_ops.record.disk import Disk
from kline_ops.record.scan import read_contents

START = to_ms("2023-11-01T00:00:00Z")


def row(open_ms: int, price: str = "1.5") -> bytes:
    return Candle(open_ms, price, price, price, price, "0").row()


def read(path: Path, data: bytes, interval: Interval) -> Contents:
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        end, _ = good_end(Disk(), fd, len(data))
        return read_contents(Disk(), fd, end, interval)
    finally:
        os.close(fd)


def end_of(path: Path, data: bytes) -> int:
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        check_header(Disk(), fd, len(data), str(path))
        return good_end(Disk(), fd, len(data))[0]
    finally:
        os.close(fd)


@given(
    st.sampled_from(["1s", "1h", "1d@+08:00", "1w", "1M"]).map(parse),
    st.sets(st.integers(0, 30), max_size=30),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_and_holes_are_those_of_the_file(
    tmp_path: Path, interval: Interval, slots: set[int]
) -> None:
    grid = [interval.shift(interval.floor(START), slot) for slot in range(32)]
    found = read(
        tmp_path / "x.csv", HEADER_LINE + b"".join(row(grid[s]) for s in sorted(slots)), interval
    )
    if not slots:
        assert found == Contents()
        return
    assert (found.rows, found.first_ms, found.last_ms) == (
        len(slots),
        grid[min(slots)],
        grid[max(slots)],
    )
    missing = {o for hole in found.holes for o in grid if hole.first <= o < hole.end}
    assert missing == {grid[s] for s in range(min(slots), max(slots)) if s not in slots}
    assert found.holes == sorted(found.holes)
    assert all(a.end < b.first for a, b in zip(found.holes, found.holes[1:], strict=False))


@pytest.mark.parametrize("columns", ["basic", "full"])
@pytest.mark.parametrize("name", ["1s", "3m", "12h", "1d", "1d@+08:00", "3d", "1w", "1M"])
def test_long_files_of_every_interval_are_read_as_row_by_row(
    tmp_path: Path, name: str, columns: Columns
) -> None:
    interval, path = parse(name), tmp_path / "x.csv"
    gone = {5, 70, 71, 1_023, 1_024, 1_290}
    first = interval.ceil(to_ms("1990-01-01T00:00:00Z"))
    grid = [interval.shift(first, slot) for slot in range(1_300)]
    rows = [
        Candle(
            ms,
            "1",
            "1",
            "1",
            "1",
            "0.50"[: slot % 3 + 2].rstrip("."),
            slot,
            ms + 999,
            "2",
            "1",
            "1.5",
        )
        for slot, ms in enumerate(grid)
        if slot not in gone
    ]
    data = header_line(columns) + b"".join(candle.row(columns) for candle in rows)
    path.write_bytes(data)
    with path.open("rb") as file:
        found = read_contents(Disk(), file.fileno(), len(data), interval, columns)
    assert (found.rows, found.bad_at) == (len(rows), None)
    assert (found.first_ms, found.last_ms) == (grid[0], grid[-1])
    assert found.holes == [
        Span(grid[a], grid[b]) for a, b in ((5, 6), (70, 72), (1_023, 1_025), (1_290, 1_291))
    ]


def test_a_hole_across_a_leap_february_is_found_by_the_calendar(tmp_path: Path) -> None:
    rows = [row(to_ms(f"2024-{month}-01")) for month in ("01", "04", "05")]
    found = read(tmp_path / "x.csv", HEADER_LINE + b"".join(rows), parse("1M"))
    assert found.holes == [Span(to_ms("2024-02-01"), to_ms("2024-04-01"))]


def test_a_hole_is_found_far_inside_a_file_of_several_blocks(tmp_path: Path) -> None:
    count, gone = 40_000, {1, 20_000, 20_001, 39_998}
    rows = b"".join(row(START + s * 1_000) for s in range(count) if s not in gone)
    assert len(rows) > 1 << 20
    found = read(tmp_path / "x.csv", HEADER_LINE + rows, parse("1s"))
    assert found.rows == count - 4
    assert found.holes == [
        Span(START + a * 1_000, START + b * 1_000)
        for a, b in ((1, 2), (20_000, 20_002), (39_998, 39_999))
    ]


def test_the_good_part_ends_after_the_last_whole_row(tmp_path: Path) -> None:
    path, good, last = tmp_path / "x.csv", HEADER_LINE + row(START), row(START + 3_600_000)
    assert end_of(path, good + last) == len(good + last)
    for length in range(len(last)):
        assert end_of(path, good + last[:length]) == len(good)
    for junk in (b"\0" * 5_000, b"\n", b"\n\n", b"garbage\n", b"\xff\n", b"\r\n", b"x\0\n" * 9):
        assert end_of(path, good + junk) == len(good)
        assert end_of(path, HEADER_LINE + junk) == len(HEADER_LINE)


def test_a_header_cut_anywhere_is_no_good_part_at_all(tmp_path: Path) -> None:
    for length in range(len(HEADER_LINE)):
        assert end_of(tmp_path / "x.csv", HEADER_LINE[:length]) == 0


FOREIGN = [
    b"a,b,c\n1,2,3\n",
    b"\n",
    b"\0" * 9 + b"1\n",
    HEADER_LINE.upper(),
    HEADER_LINE[:-1] + b"\r\n",
]
FOREIGN += [b"\xef\xbb\xbf" + HEADER_LINE, HEADER_LINE[:-1] + b",trades\n", b"x" * 100_000, b"t\n"]


@pytest.mark.parametrize("data", FOREIGN, ids=lambda data: repr(data[:12]))
def test_another_kind_of_file_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(JournalError, match="not a candle file"):
        end_of(tmp_path / "x.csv", data)


@pytest.mark.parametrize("nuls", [1, 4_096, 70_000, 1 << 20])
def test_the_last_row_is_found_before_any_number_of_nuls(tmp_path: Path, nuls: int) -> None:
    data = HEADER_LINE + row(START)
    assert end_of(tmp_path / "x.csv", data + b"\0" * nuls) == len(data)


def test_the_end_of_a_long_file_is_found_though_the_look_begins_inside_a_row(
    tmp_path: Path,
) -> None:
    rows = b"".join(row(START + s * 1_000) for s in range(3_000))
    assert len(rows) > 1 << 16
    for torn in (b"", b"2023-11-01T", b"\0" * 77):
        data = HEADER_LINE + rows
        assert end_of(tmp_path / "x.csv", data + torn) == len(data)


@pytest.mark.parametrize("digits", [200, 600, 3_000])
def test_a_row_with_very_long_numbers_is_refused_before_or_read_afterwards(
    tmp_path: Path, digits: int
) -> None:
    candle = Candle(START, "1", "1", "1", "1", "1" * digits)
    if candle.problem() is not None:
        return
    found = read(tmp_path / "x.csv", HEADER_LINE + candle.row(), parse("1h"))
    assert found.last_ms == START
