"""A time in a file that is in order is found with a few small reads; of others nothing is said."""

from __future__ import annotations

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from kline_ops.market.candle import HEADER, Candle
from kline_ops.market.halving import end_of_lines, place_of
from kline_ops.market.timestamp import to_text

START = 1_767_225_600_000


def file_of(seconds: list[int], head: str = f"{HEADER}\n") -> bytes:
    rows = (Candle(START + s * 1000, "1.5", "2", "1", "1.25", "3").row() for s in seconds)
    return head.encode() + b"".join(rows)


@given(st.sets(st.integers(0, 10**6), max_size=60), st.integers(0, 10**6), st.booleans())
def test_the_place_is_that_of_the_first_row_that_is_not_before(
    seconds: set[int], wanted: int, has_head: bool
) -> None:
    times = sorted(seconds)
    data = file_of(times, f"{HEADER}\n" if has_head else "")
    place = place_of(
        lambda at, length: data[at : at + length],
        len(data),
        to_text(START + wanted * 1000)[:19].encode(),
    )
    rest = file_of(times[bisect_left(times, wanted) :], "")
    assert place is not None
    assert data[place:] == rest or (not times and place in {0, len(data)})


def test_of_years_a_few_small_reads_are_enough() -> None:
    data = file_of(list(range(30_000)))
    reads: list[int] = []

    def read(at: int, length: int) -> bytes:
        reads.append(length)
        return data[at : at + length]

    place = place_of(read, len(data), to_text(START + 23_456_000)[:19].encode())
    assert place is not None
    assert data[place:].startswith(to_text(START + 23_456_000).encode())
    assert len(reads) < 40
    assert sum(reads) < 40_000


def test_where_lines_are_no_rows_nothing_is_said() -> None:
    data = file_of(list(range(50))) + b"\0" * 4096
    assert place_of(lambda at, n: data[at : at + n], len(data), b"2026-01-01T00:01:00") is None


def test_a_row_that_is_on_its_way_is_no_row_yet() -> None:
    whole = file_of([1, 2])
    data = whole + b"2026-01-01T0"
    assert end_of_lines(lambda at, n: data[at : at + n], len(data)) == len(whole)
